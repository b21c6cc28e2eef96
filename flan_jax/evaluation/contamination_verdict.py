"""From the n-grams found in each source to dirty examples, and to what makes them so."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int32, Int64

from flan_jax.evaluation.contamination_report import FLAGS, Leak, TaskContamination
from flan_jax.evaluation.contamination_search import Found, Source
from flan_jax.evaluation.example_texts import EvaluationTexts, TaskSource
from flan_jax.evaluation.ngrams import words
from flan_jax.evaluation.overlap import Grams, merge_pairs


def common_grams(grams: Grams, found: Sequence[Found], common: int | None) -> Bool[np.ndarray, " G"]:
    """Which n-grams stand in more than `common` distinct training texts, all sources together."""
    if common is None:
        return np.zeros(len(grams.keys), np.bool_)
    pairs = merge_pairs([one.pairs for one in found], common + 1)
    return np.bincount(pairs.gram, minlength=len(grams.keys)) > common


class Verdict:
    """Which examples are dirty, by which n-grams from which sources.

    Occurrences are those of `grams`, in order of examples: `example` [O] has the number of each one's example, and
    `by_source[s]` are the occurrences that source s makes dirty, ascending.  `ngrams`, `ignored` and `found` [E] count
    an example's distinct n-grams: all, those too common to count, and those others that training holds.
    """

    def __init__(
        self, texts: EvaluationTexts, grams: Grams, sources: Sequence[Source], found: Sequence[Found],
        common: int | None,
    ):  # fmt: skip
        self.texts, self.grams, self.sources = texts, grams, sources
        self.example = texts.example[grams.occurrence_text]
        ignored = common_grams(grams, found, common)
        self.by_source = [self._made_dirty(source, one, ignored) for source, one in zip(sources, found, strict=True)]
        dirty = np.zeros(len(self.example), np.bool_)
        for occurrences in self.by_source:
            dirty[occurrences] = True
        self.dirty = np.flatnonzero(dirty)
        self.ngrams = self._count(np.arange(len(self.example)))
        self.ignored = self._count(np.flatnonzero(ignored[grams.occurrence_gram]))
        self.found = self._count(self.dirty)

    def _made_dirty(self, source: Source, found: Found, ignored: Bool[np.ndarray, " G"]) -> Int64[np.ndarray, " D"]:
        held = np.zeros(len(self.grams.keys), np.bool_)
        held[found.pairs.gram] = True
        occurrences = np.flatnonzero((held & ~ignored)[self.grams.occurrence_gram])
        if isinstance(source, TaskSource) and source.split == self.texts.split:  # an example is no leak of itself
            own = self.texts.task_names.index(source.name) if source.name in self.texts.task_names else None
            if own is not None:
                first, end = self._of_task(occurrences, own)
                occurrences = np.delete(occurrences, slice(first, end))
        return occurrences

    def _of_task(self, occurrences: Int64[np.ndarray, " N"], task: int) -> tuple[int, int]:
        """Where, among occurrences in order, those of a task begin and end."""
        first, end = np.searchsorted(self.example[occurrences], self.texts.bounds[task : task + 2])
        return int(first), int(end)

    def _count(self, occurrences: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " E"]:
        """How many distinct n-grams each example has among these occurrences."""
        size = max(len(self.grams.keys), 1)
        pairs = np.unique(self.example[occurrences] * size + self.grams.occurrence_gram[occurrences])
        return np.bincount(pairs // size, minlength=len(self.texts.example_ids))

    def task(self, number: int) -> TaskContamination:
        """A task's figures, without scores."""
        own = slice(*self.texts.bounds[number : number + 2].tolist())
        ngrams, found = self.ngrams[own], self.found[own]
        leaks = [leak for source in range(len(self.sources)) if (leak := self._leak(number, source))]
        dirty = self.dirty[slice(*self._of_task(self.dirty, number))]
        pairs = np.unique(np.stack([self._field(dirty), self.example[dirty]]), axis=1)
        names, counts = np.unique(pairs[0], return_counts=True)
        return TaskContamination(
            task=self.texts.task_names[number],
            cluster=self.texts.clusters[number],
            split=self.texts.split,
            examples=len(ngrams),
            short=int((ngrams == 0).sum()),
            dirty=int((found > 0).sum()),
            contained=int(((found > 0) & (found + self.ignored[own] == ngrams)).sum()),
            fields={self.texts.field_names[i]: int(count) for i, count in zip(names, counts, strict=True)},
            leaks=tuple(sorted(leaks, key=lambda leak: -leak.examples)),
        )

    def _field(self, occurrences: Int64[np.ndarray, " N"]) -> Int64[np.ndarray, " N"]:
        return self.texts.field[self.grams.occurrence_text[occurrences]]

    def _leak(self, task: int, number: int) -> Leak | None:
        source, occurrences = self.sources[number], self.by_source[number]
        occurrences = occurrences[slice(*self._of_task(occurrences, task))]
        if not len(occurrences):
            return None
        begins, length = _longest_run(self.grams.occurrence_text[occurrences], self.grams.occurrence_word[occurrences])
        first = int(occurrences[begins])
        text = int(self.grams.occurrence_text[first])
        gram = int(np.searchsorted(self.grams.bounds, self.grams.occurrence_gram[first], side="right")) - 1
        word = int(self.grams.occurrence_word[first])
        overlap = words(self.texts.texts[text])[word : word + length - 1 + int(self.grams.lengths[gram])]
        return Leak(
            source=source.name,
            relation=self._relation(task, source),
            examples=len(np.unique(self.example[occurrences])),
            example_id=self.texts.example_ids[int(self.example[first])],
            field=self.texts.field_names[int(self.texts.field[text])],
            overlap=" ".join(overlap),
        )

    def _relation(self, task: int, source: Source) -> str:
        if not isinstance(source, TaskSource):
            return "file"
        if source.name == self.texts.task_names[task]:
            return "same task"
        return "same cluster" if source.cluster == self.texts.clusters[task] else "other cluster"

    def ids(self, number: int) -> list[str]:
        """The ids of a task's examples."""
        return self.texts.example_ids[slice(*self.texts.bounds[number : number + 2].tolist())]

    def dirty_ids(self, number: int) -> set[str]:
        """The ids of a task's dirty examples."""
        found = self.found[slice(*self.texts.bounds[number : number + 2].tolist())]
        return {example for example, count in zip(self.ids(number), found.tolist(), strict=True) if count}

    def flags(self) -> pa.Table:
        """A row of FLAGS for every example."""
        fields: dict[int, dict[str, None]] = {}
        for example, field in zip(self.example[self.dirty].tolist(), self._field(self.dirty).tolist(), strict=True):
            fields.setdefault(example, {})[self.texts.field_names[field]] = None
        sources: dict[int, list[str]] = {}
        for source, occurrences in zip(self.sources, self.by_source, strict=True):
            for example in np.unique(self.example[occurrences]).tolist():
                sources.setdefault(example, []).append(source.name)
        sizes = np.diff(self.texts.bounds)
        examples = range(len(self.texts.example_ids))
        columns = [
            np.repeat(np.array(self.texts.task_names, object), sizes),
            np.repeat(np.array(self.texts.clusters, object), sizes),
            [self.texts.split] * len(examples),
            self.texts.example_ids,
            self.found > 0,
            self.ngrams,
            self.ignored,
            self.found,
            [list(fields.get(example, ())) for example in examples],
            [sources.get(example, []) for example in examples],
        ]
        return pa.Table.from_arrays(
            [pa.array(column, field.type) for column, field in zip(columns, FLAGS, strict=True)], schema=FLAGS
        )


def _longest_run(text: Int32[np.ndarray, " N"], word: Int32[np.ndarray, " N"]) -> tuple[int, int]:
    """Where the longest run of neighbouring n-grams begins, and how many there are in it."""
    broken = np.flatnonzero((np.diff(text) != 0) | (np.diff(word) != 1)) + 1
    starts = np.concatenate([[0], broken])
    lengths = np.diff(np.concatenate([starts, [len(text)]]))
    longest = int(lengths.argmax())
    return int(starts[longest]), int(lengths[longest])
