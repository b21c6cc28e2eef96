"""A tasks module whose examples are said in a JSON file: {task: {"cluster", "train": [[fields, ...]], "test": ...}}.

LEAKY_TASKS names the file.  Fields are a mapping; `options` and `references` in it are lists.  Every example is put in
two templates with the same instruction, which is longer than any n-gram.
"""

import json
import os
import pathlib

from flan_jax.data.store import Store
from flan_jax.data.task import Mixture, Rendered, Task, TemplateInfo
from flan_jax.data.text_layer import text_request, write_text

INSTRUCTION = "Read what stands below with great care and then tell me whether you think that it is so."


def declared() -> dict:
    return json.loads(pathlib.Path(os.environ["LEAKY_TASKS"]).read_text())


def rendered(number: int, fields: dict, template: int) -> Rendered:
    fields = dict(fields)
    options = tuple(f" {option}" for option in fields.pop("options", ()))
    references = tuple(fields.pop("references", ()))
    text = " ".join(fields.values())
    inputs = f"{INSTRUCTION}\n{template}: {text}".rstrip()
    return Rendered(
        inputs, options[0] if options else " it is", options, 0 if options else -1, references, template, str(number),
        fields,
    )  # fmt: skip


def make_task(name: str, cluster: str, splits: dict) -> Task:
    def render(split, templates, seed):
        chosen = (0, 1) if templates == "forward" else (0,)
        return (rendered(i, fields, t) for i, fields in enumerate(splits[split]) for t in chosen)

    return Task(
        name=name, cluster=cluster, benchmark="leaky", kind="generation", metrics=("exact_match",),
        splits=tuple(splits), templates=(TemplateInfo(0), TemplateInfo(1)), source="leaky", licence="", citation="",
        fingerprint=json.dumps(splits), template_file="", render=render,
    )  # fmt: skip


def get_task(name: str) -> Task:
    if name not in declared():
        raise KeyError(f"no task {name!r}")
    splits = dict(declared()[name])
    return make_task(name, splits.pop("cluster", ""), splits)


def get_mixture(name: str) -> Mixture:
    """The mixture "a>b,c" evaluates a and trains on b and c."""
    evaluate, arrow, train = name.partition(">")
    if not arrow:
        raise KeyError(f"no mixture {name!r}")
    return Mixture(name, tuple(filter(None, train.split(","))), tuple(filter(None, evaluate.split(","))))


def make_store(folder: pathlib.Path, tasks: list[Task]) -> Store:
    store = Store(folder)
    for task in tasks:
        for split in task.splits:
            write_text(store, task, split, text_request(task, split, 0, None))
    return store
