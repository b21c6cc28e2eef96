"""What a search for contamination found: as data, as tables, as one row an example."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from flan_jax.evaluation.subset_scores import Figure, SubsetScores
from flan_jax.table import format_table

LEAKS_SHOWN = 30
WORDS_SHOWN = 10

FLAGS = pa.schema(
    [
        ("task", pa.string()), ("cluster", pa.string()), ("split", pa.string()), ("example_id", pa.string()),
        ("dirty", pa.bool_()), ("ngrams", pa.int32()), ("common", pa.int32()), ("found", pa.int32()),
        ("fields", pa.list_(pa.string())), ("sources", pa.list_(pa.string())),
    ]
)  # fmt: skip
"""A row an evaluation example: its distinct n-grams, how many of them are too common to count and how many others were
found in training, and in which of its fields and from which sources."""


@dataclasses.dataclass(frozen=True)
class Leak:
    """The examples of one task that one training source makes dirty.

    relation: "same task", "same cluster", "other cluster" (holding the cluster out does not part these) or "file".
    overlap: the longest run of words, normalised, all of whose n-grams the source holds (in one text or in several);
    it is from `field` of the example `example_id`.
    """

    source: str
    relation: str
    examples: int
    example_id: str
    field: str
    overlap: str


@dataclasses.dataclass(frozen=True)
class TaskContamination:
    """Of one task's evaluation examples, numbers: `short` have no text long enough to be compared, `dirty` share an
    n-gram with training, `contained` of these all their n-grams.  `fields` says how many are dirty in each field."""

    task: str
    cluster: str
    split: str
    examples: int
    short: int
    dirty: int
    contained: int
    fields: dict[str, int]
    leaks: tuple[Leak, ...]
    scores: SubsetScores | None = None

    def percent(self, count: int) -> float:
        return 100 * count / self.examples


@dataclasses.dataclass(frozen=True)
class SearchedSource:
    """What was searched: `texts` and their `words`, most repetitions left out; `cluster` is "" of a file."""

    name: str
    cluster: str
    texts: int
    words: int


@dataclasses.dataclass(frozen=True)
class Contamination:
    """Everything found, and how: `rule` says it in words.  `flags` are rows of FLAGS.

    left_out: why a split was not searched, or not searched for, by "task/split".
    """

    rule: str
    settings: dict[str, Any]
    tasks: tuple[TaskContamination, ...]
    sources: tuple[SearchedSource, ...]
    flags: pa.Table
    left_out: dict[str, str]
    provenance: dict[str, Any]

    def task(self, name: str) -> TaskContamination:
        return next(task for task in self.tasks if task.task == name)

    def as_json(self) -> dict[str, Any]:
        """All but the flags, as plain data."""
        return {
            "rule": self.rule, "settings": self.settings, "left_out": self.left_out,
            "provenance": self.provenance,
            "tasks": [dataclasses.asdict(task) for task in self.tasks],
            "sources": [dataclasses.asdict(source) for source in self.sources],
        }  # fmt: skip


def tables(contamination: Contamination) -> str:
    """The tasks, then the leaks between them, each with an example."""
    words = sum(source.words for source in contamination.sources)
    searched = f"searched {len(contamination.sources):,} sources with {words:,} words"
    without = f"\nleft out: {', '.join(contamination.left_out)}" if contamination.left_out else ""
    parts = [_tasks(contamination.tasks), f"{contamination.rule}\n{searched}{without}"]
    if any(task.leaks for task in contamination.tasks):
        parts.append(_leaks(contamination.tasks))
    return "\n\n".join(parts)


def _tasks(tasks: Sequence[TaskContamination]) -> str:
    scored = any(task.scores for task in tasks)
    rows = []
    for task in tasks:
        counts = (task.dirty, task.contained, task.short)
        most = max(task.leaks, key=lambda leak: leak.examples, default=None)
        row: list[object] = [task.task, task.examples, *(f"{task.percent(count):.1f}" for count in counts)]
        row.append(f"{most.source} {task.percent(most.examples):.1f}" if most else None)
        rows.append(row + (_score_cells(task.scores) if scored else []))
    headings = ["", "n", "dirty %", "contained %", "short %", "most from, %"]
    headings += ["metric", "all", "clean", "dirty", "clean - all"] if scored else []
    return format_table(headings, rows, "<>>>><" + "<>>>>" * scored)


def _score_cells(scores: SubsetScores | None) -> list[object]:
    if scores is None:
        return [None] * 5
    subsets = [_figure(figure) for figure in (scores.all, scores.clean, scores.dirty)]
    return [scores.metric, *subsets, _figure(scores.clean_minus_all, "+")]


def _figure(figure: Figure | None, sign: str = "") -> str | None:
    if figure is None:
        return None
    low, high = (f"{bound:{sign}.1f}" for bound in (figure.low, figure.high))
    return f"{figure.mean:{sign}.1f} ({low} to {high})"


def _leaks(tasks: Sequence[TaskContamination]) -> str:
    order = ["other cluster", "file", "same cluster", "same task"]
    leaks = [(task, leak) for task in tasks for leak in task.leaks]
    leaks.sort(key=lambda pair: (order.index(pair[1].relation), -pair[0].percent(pair[1].examples)))
    rows = []
    for task, leak in leaks[:LEAKS_SHOWN]:
        percent = f"{task.percent(leak.examples):.1f}"
        rows.append((task.task, leak.source, leak.relation, leak.examples, percent, _shown(leak.overlap)))
    headings = ("evaluated", "found in", "", "examples", "%", "for instance")
    more = len(leaks) - len(rows)
    return format_table(headings, rows, "<<<>><") + (f"\n… and {more} more, in the JSON file" if more else "")


def _shown(text: str) -> str:
    words = text.split()
    return " ".join(words[:WORDS_SHOWN]) + (f" … ({len(words)} words)" if len(words) > WORDS_SHOWN else "")
