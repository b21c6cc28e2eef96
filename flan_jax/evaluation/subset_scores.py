"""A task's score on its clean and its dirty examples, beside the whole (FLAN, appendix C)."""

import dataclasses
from collections.abc import Collection

import numpy as np

from flan_jax.evaluation.aggregation import Scores, bootstrap, bounds


@dataclasses.dataclass(frozen=True)
class Figure:
    """A mean over templates in points of 100, with its 95% interval, and how many examples it is of."""

    examples: int
    mean: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class SubsetScores:
    """`clean_minus_all` is what the dirty examples lend the score, its sign turned; its interval is paired.

    None where a subset has no example.
    """

    metric: str
    all: Figure
    clean: Figure | None
    dirty: Figure | None
    clean_minus_all: Figure | None


def subset_scores(scores: Scores, dirty: Collection[str], *, replicates: int = 1000, seed: int = 0) -> SubsetScores:
    """Scores of all examples, of those that are not dirty and of those that are, all on the same resamples."""
    is_dirty = np.isin(scores.examples, list(dirty))
    kept = [np.ones_like(is_dirty), ~is_dirty, is_dirty]
    parts = [dataclasses.replace(scores, statistics=scores.statistics * keep[:, None]) for keep in kept]
    parts = [part for part, keep in zip(parts, kept, strict=True) if keep.any()]
    drawn = iter(bootstrap(parts, replicates, seed))
    means = (part.mean() for part in parts)
    figures: list[Figure | None] = []
    replicated = []
    for keep in kept:
        if not keep.any():
            figures.append(None)
            continue
        replicated.append(scores.over_templates(next(drawn)))
        figures.append(Figure(int(keep.sum()), next(means), *bounds(replicated[-1], _documents(scores, keep))))
    whole, clean, wrong = figures
    assert whole is not None
    difference = None
    if clean is not None:
        interval = bounds(replicated[1] - replicated[0], scores.document_count)
        difference = Figure(clean.examples, clean.mean - whole.mean, *interval)
    return SubsetScores(scores.metric.name, whole, clean, wrong, difference)


def _documents(scores: Scores, keep: np.ndarray) -> int:
    return len(set(np.asarray(scores.documents or scores.examples, object)[keep]))
