"""Two models on the same questions: paired differences with their intervals and tests.

Both models' answers to a document are drawn together, in every resample and under all templates and training seeds, so
what makes a question hard for both cancels.  The p values of clusters, and of tasks, are also given as adjusted for how
many of them there are (Holm), since of twelve clusters one is likely to differ by luck alone.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from flan_jax.evaluation import option_metrics, statistics
from flan_jax.evaluation.aggregation import AggregationError, Scores, bootstrap, bounds

Level = Literal["task", "cluster", "overall"]


@dataclasses.dataclass(frozen=True)
class Difference:
    """Tuned minus base on the same examples, templates and training seeds, with its 95% interval.

    `each` is the difference of every seed that both have, `base`, `tuned` and `difference` are means over those;
    `left_out` are the seeds that one side lacks.  `p` goes with the interval (paired bootstrap, over documents and
    seeds), `p_holm` is it adjusted for all rows of its level; `p_permutation` is of swapping the two models' answers to
    a document at random, over documents alone.  `wins`, `losses` and `ties` count documents by their mean over
    templates and seeds, and `p_sign` is the sign test of them (McNemar's exact test for one template); these are None
    where documents have no score of their own.  `detectable` is the true difference that would be found 4 times in 5.
    """

    level: Level
    name: str
    tasks: tuple[str, ...]
    examples: int
    base: float
    tuned: float
    difference: float
    low: float
    high: float
    each: Mapping[int, float]
    left_out: tuple[int, ...]
    p: float
    p_holm: float
    p_permutation: float | None
    detectable: float
    wins: int | None = None
    losses: int | None = None
    ties: int | None = None
    p_sign: float | None = None


class _Paired(NamedTuple):
    """What a task (or a mean of some) is known by: seeds × 2 figures, replicates of the difference of every seed,
    permuted differences, and the counts."""

    name: str
    tasks: tuple[str, ...]
    cluster: str
    examples: int
    documents: int
    points: Float[np.ndarray, "2 S"]
    change: Float[np.ndarray, "S B"]
    permuted: Float[np.ndarray, " B"] | None
    outcomes: tuple[int, int, int] | None


def compare(
    base: Mapping[int, Sequence[Scores]], tuned: Mapping[int, Sequence[Scores]], *, replicates: int = 1000,
    seed: int = 0,
) -> list[Difference]:  # fmt: skip
    """Paired differences, tuned minus base, for every task and cluster that all runs have; and overall, if there are
    several clusters, the unweighted mean of theirs.

    base, tuned: the primary scores of a run, by training seed; those of seeds that only one side has are left out, as
    seeds of other luck would make a difference by themselves.  Points of 100, mean over templates and seeds.
    Raises AggregationError if the sides have no seed, or the runs no task in common.
    """
    seeds = sorted(set(base) & set(tuned))
    left_out = tuple(sorted(set(base) ^ set(tuned)))
    if not seeds:
        raise AggregationError(
            f"the results to compare have no training seed in common: base has {sorted(base)}, tuned {sorted(tuned)}; "
            "finish both with one seed"
        )
    runs = [{scores.task: scores for scores in side[one]} for side in (base, tuned) for one in seeds]
    names = [task for task in runs[0] if all(task in run for run in runs)]
    if not names:
        raise AggregationError("the results to compare have no task in common")
    tasks = [_paired([run[task] for run in runs], replicates, seed) for task in names]
    clusters = [
        _mean(cluster, [task for task in tasks if task.cluster == cluster])
        for cluster in dict.fromkeys(task.cluster for task in tasks)
    ]
    levels: list[tuple[Level, list[_Paired]]] = [("task", tasks), ("cluster", clusters)]
    if len(clusters) > 1:
        levels.append(("overall", [_mean("overall", clusters)]))
    return [row for level, members in levels for row in _differences(level, members, seeds, left_out, seed)]


def _paired(runs: Sequence[Scores], replicates: int, seed: int) -> _Paired:
    """One task; runs: base's of every seed, then tuned's."""
    together = _common(runs)
    first, half = together[0], len(runs) // 2
    points = np.array([scores.mean() for scores in together]).reshape(2, half)
    drawn = np.stack([first.over_templates(replicated) for replicated in bootstrap(together, replicates, seed)])
    return _Paired(
        first.task, (first.task,), first.cluster, len(first.examples), first.document_count, points,
        drawn[half:] - drawn[:half], _permuted(together[:half], together[half:], replicates, seed), _outcomes(together),
    )  # fmt: skip


def _permuted(
    base: Sequence[Scores], tuned: Sequence[Scores], replicates: int, seed: int
) -> Float[np.ndarray, " B"] | None:
    """Differences after swapping both sides' statistics of random documents; None where they have no common columns."""
    first = base[0]
    if not first.metric.comparable:
        return None
    tables = [scores.by_document() for scores in (*base, *tuned)]
    width = max(table.shape[-1] for table in tables)  # of a class that only one run chose, the others count nought
    tables = [np.pad(table, ((0, 0), (0, 0), (0, width - table.shape[-1]))) for table in tables]
    found = []
    for swapped in statistics.swaps(first.document_count, replicates, (seed, zlib.crc32(first.task.encode()), 1)):
        change = np.zeros(len(swapped))
        for before, after in zip(tables[: len(base)], tables[len(base) :], strict=True):
            moved = np.tensordot(swapped, after - before, axes=(1, 1))
            with np.errstate(divide="ignore", invalid="ignore"):
                sides = [first.metric.score(sums) for sums in (after.sum(1) - moved, before.sum(1) + moved)]
            change += first.over_templates(sides[0] - sides[1]) / len(base)
        found.append(change)
    return np.concatenate(found)


def _outcomes(together: Sequence[Scores]) -> tuple[int, int, int] | None:
    """Documents that the tuned side answers better, worse and alike, over templates and seeds."""
    if together[0].metric.score is not option_metrics.mean:
        return None
    tables = np.stack([scores.by_document() for scores in together])
    sums = tables.sum(axis=1)  # over templates: [2 S, D, K]
    before, after = np.split(sums, 2)
    change = np.round(after[..., 0].sum(0) / after[..., -1].sum(0) - before[..., 0].sum(0) / before[..., -1].sum(0), 9)
    return int((change > 0).sum()), int((change < 0).sum()), int((change == 0).sum())


def _mean(name: str, members: Sequence[_Paired]) -> _Paired:
    """The unweighted mean of tasks or clusters; its interval is widened for the smallest of them."""
    permuted = [member.permuted for member in members if member.permuted is not None]
    return _Paired(
        name, tuple(task for member in members for task in member.tasks), name,
        sum(member.examples for member in members), min(member.documents for member in members),
        np.mean([member.points for member in members], axis=0), np.mean([member.change for member in members], axis=0),
        np.mean(permuted, axis=0) if len(permuted) == len(members) else None, None,
    )  # fmt: skip


def _differences(
    level: Level, members: Sequence[_Paired], seeds: Sequence[int], left_out: tuple[int, ...], seed: int
) -> list[Difference]:
    """The rows of a level, their p values adjusted for one another."""
    drawn = [statistics.over_seeds(m.points[1] - m.points[0], m.change, seed) for m in members]
    values = [float(statistics.p_value(one, m.documents)) for one, m in zip(drawn, members, strict=True)]
    rows = []
    for m, replicated, p, adjusted in zip(members, drawn, values, statistics.holm(values), strict=True):
        before, after = m.points
        each = after - before
        low, high = bounds(replicated, m.documents)
        permutation = None if m.permuted is None else statistics.permutation_p(float(each.mean()), m.permuted)
        wins, losses, ties = m.outcomes or (None, None, None)
        rows.append(
            Difference(
                level=level,
                name=m.name,
                tasks=m.tasks,
                examples=m.examples,
                base=float(before.mean()),
                tuned=float(after.mean()),
                difference=float(each.mean()),
                low=low,
                high=high,
                each=dict(zip(seeds, each.tolist(), strict=True)),
                left_out=left_out,
                p=p,
                p_holm=adjusted,
                p_permutation=permutation,
                detectable=statistics.detectable(low, high),
                wins=wins,
                losses=losses,
                ties=ties,
                p_sign=None if wins is None or losses is None else statistics.sign_p(wins, losses),
            )
        )
    return rows


def _common(runs: Sequence[Scores]) -> list[Scores]:
    """The runs on the templates and examples that all of them have."""
    templates = sorted(set.intersection(*(set(run.templates) for run in runs)))
    examples = sorted(set.intersection(*(set(run.examples) for run in runs)))
    if not templates or not examples:
        raise AggregationError(
            f"{runs[0].task}: the results to compare share no {'template' if not templates else 'example'}; "
            "evaluate both models on the same store, split and examples"
        )
    return [run.restrict(templates, examples) for run in runs]
