"""A store with two ranked tasks and a generated one, in bytes, prepared in a temporary folder."""

import pathlib

from flan_jax.data.store import Store
from flan_jax.data.task import Dropped, Rendered, Task, TemplateInfo
from flan_jax.data.text_layer import text_request, write_text
from flan_jax.data.token_layer import write_tokens
from flan_jax.data.vocabulary import ByteVocabulary

VOCABULARY = ByteVocabulary()
EXAMPLES = 12


def ranked(name: str, metrics=("accuracy",), options=((" yes", " no"),), cluster: str = "nli") -> Task:
    """Two forward templates and a turned-around one; example i has the options `options[i % len(options)]`."""

    def render(split, templates, seed):
        for i in range(EXAMPLES):
            for template in (0, 1):
                if (i, template) == (3, 1):
                    yield Dropped(f"{split}-{i}", "no room")
                    continue
                texts = options[i % len(options)]
                answer = i % len(texts)
                inputs = f"{split} question {i} in way {template}?"
                yield Rendered(inputs, texts[answer], texts, answer, (), template, f"{split}-{i}", {})

    return _task(name, cluster, "classification", metrics, render)


def generated(name: str, metrics=("squad",), references=("six", "6")) -> Task:
    def render(split, templates, seed):
        for i in range(EXAMPLES // 2):
            for template in (0, 1):
                yield Rendered(f"How many? {i} {template}", " six", (), -1, references, template, f"{i}", {})

    return _task(name, "closed_book_qa", "generation", metrics, render)


def _task(name, cluster, kind, metrics, render) -> Task:
    templates = (TemplateInfo(0), TemplateInfo(1), TemplateInfo(2, turned_around=True))
    return Task(
        name=name, cluster=cluster, benchmark="toy", kind=kind, metrics=metrics, splits=("validation", "test"),
        templates=templates, source="toy", licence="none", citation="none", fingerprint=f"{name}-1", template_file="",
        render=render,
    )  # fmt: skip


def make_store(folder: pathlib.Path, *tasks: Task) -> Store:
    store = Store(folder)
    for task in tasks:
        for split in task.splits:
            manifest = write_text(store, task, split, text_request(task, split, 0, None))
            write_tokens(store, VOCABULARY, manifest)
    return store
