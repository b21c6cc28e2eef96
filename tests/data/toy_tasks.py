"""A tiny tasks module for the tests of the data layers.  TOY_TASKS names a JSON file that changes it, in any process.

{"wording": {"a": "Is it so?"}, "size": 50, "missing": ["b"], "faulty": ["c"], "slow": 0.001, "sized": true,
 "faulty_from": {"c": 20}}
"""

import json
import os
import pathlib
import time
from collections.abc import Callable, Iterator

from flan_jax.data.task import (
    BEYOND_CAP,
    Dropped,
    Mixture,
    Rendered,
    SourceSize,
    SourceUnavailable,
    Task,
    TemplateInfo,
)

WORDS = ("the", "red", "cat", "saw", "a", "small", "house", "near", "old", "river", "and", "then", "it", "went")
OPTIONS = (" yes", " no")


class DatasetMissing(SourceUnavailable):
    pass


def settings() -> dict:
    path = os.environ.get("TOY_TASKS")
    return json.loads(pathlib.Path(path).read_text()) if path else {}


def sentence(number: int, words: int) -> str:
    return " ".join(WORDS[(number * (k + 3) + k * k) % len(WORDS)] for k in range(words))


def size(split: str) -> int:
    return settings().get("size", 50) if split == "train" else 40


def render_classification(
    name: str,
    split: str,
    templates: str | tuple[int, ...],
    seed: int,
    start: int = 0,
    stop: int | None = None,
    wants: Callable[[str], bool] = lambda example: True,
) -> Iterator:
    options = settings()
    if name in options.get("missing", ()):
        raise DatasetMissing(f"{name} is not in TFDS_DATA_DIR; put it there")
    if name in options.get("faulty", ()):
        raise ZeroDivisionError("a mistake in a task's own code")
    wording = options.get("wording", {}).get(name, "Is this so?")
    for number in range(size(split))[start:stop]:
        time.sleep(options.get("slow", 0))
        if number >= options.get("faulty_from", {}).get(name, number + 1):
            raise ZeroDivisionError(f"a mistake at {number}")
        example = f"{split}-{number}"
        if not wants(example):
            yield Dropped(example, BEYOND_CAP)
            continue
        if number % 10 == 3:
            yield Dropped(example, "no label")
            continue
        chosen = ((number + seed) % 3,) if templates == "hashed" else (0, 1)
        for template in chosen:
            target = "" if number % 10 == 7 else OPTIONS[number % 2]
            yield Rendered(
                inputs=f"{template}: {sentence(number, 8)}\n{wording}",
                targets=target,
                options=() if template == 2 else OPTIONS,
                answer=-1 if template == 2 else number % 2,
                references=(target.strip(),),
                template=template,
                example_id=example,
                fields={"text": sentence(number, 8)},
            )


def render_documents(split: str, templates: str | tuple[int, ...], seed: int) -> Iterator:
    for number in range(30):
        yield Rendered("", sentence(number, 20) + ".\nEnd", (), -1, (), 0, f"{split}-{number}", {})


def sizes(name: str) -> dict[str, SourceSize]:
    if name in settings().get("missing", ()):
        raise DatasetMissing(f"{name} is not in TFDS_DATA_DIR; put it there")
    return {split: SourceSize(size(split), 50 * size(split)) for split in ("train", "validation", "test")}


def classification(name: str) -> Task:
    wording = settings().get("wording", {}).get(name, "Is this so?")
    sized = settings().get("sized", False)
    return Task(
        name=name,
        cluster="nli",
        benchmark="toy",
        kind="classification",
        metrics=("accuracy",),
        splits=("train", "validation", "test"),
        templates=(TemplateInfo(0), TemplateInfo(1), TemplateInfo(2, turned_around=True)),
        source="toy:1",
        licence="CC0",
        citation="",
        fingerprint=f"{name} {wording} {settings().get('size', 50)}",
        template_file="",
        render=lambda split, templates, seed: render_classification(name, split, templates, seed),
        sizes=(lambda: sizes(name)) if sized else None,
        render_rows=(lambda *arguments: render_classification(name, *arguments)) if sized else None,
    )


DOCUMENTS = Task(
    name="d",
    cluster="",
    benchmark="toy",
    kind="documents",
    metrics=(),
    splits=("train", "validation"),
    templates=(TemplateInfo(0),),
    source="toy:1",
    licence="CC0",
    citation="",
    fingerprint="d",
    template_file="",
    render=render_documents,
)


def get_task(name: str) -> Task:
    if name == "d":
        return DOCUMENTS
    if name not in ("a", "b", "c"):
        raise KeyError(f"no task {name!r}; nearest: a")
    return classification(name)


def get_mixture(name: str) -> Mixture:
    if name != "toy":
        raise KeyError(f"no mixture {name!r}; nearest: toy")
    return Mixture("toy", ("a", "b", "d"), ("a", "c"))
