"""From the cells of a sweep to figures: seeds averaged, intervals over examples, differences paired by example."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flan_jax.evaluation.aggregation import Scores, bootstrap, compare, interval
from flan_jax.evaluation.results import Results
from flan_jax.report.contents import KINDS, ClusterResult, DatasetResult, Estimate, Kind


def cluster_results(cells: Mapping[Any, Results]) -> tuple[ClusterResult, ...]:
    """A figure for every held-out cluster, in the order of the cells (`sweep.Cell`: kind, cluster, seed)."""
    found = []
    for cluster in dict.fromkeys(cell.cluster for cell in cells):
        runs = {
            kind: [results for cell, results in cells.items() if (cell.kind, cell.cluster) == (kind, cluster)]
            for kind in KINDS
        }
        found.append(_cluster(cluster, {kind: results for kind, results in runs.items() if results}))
    return tuple(found)


def _cluster(cluster: str, runs: Mapping[Kind, Sequence[Results]]) -> ClusterResult:
    scores = {kind: [one.primary_scores() for one in results] for kind, results in runs.items()}
    some = next(iter(runs.values()))[0]
    drawn: dict[Kind, dict[str, tuple[float, np.ndarray]]] = {}
    for kind, seeds in scores.items():
        drawn[kind] = {
            one.task: _over_seeds([_of(seed, one.task) for seed in seeds], some.replicates, some.seed)
            for one in seeds[0]
        }
    firsts = next(iter(scores.values()))[0]
    chances = {one.task: _chance(some, one.task) for one in firsts}
    known = [chance for chance in chances.values() if chance is not None]
    gains = {}
    for kind in KINDS[1:]:
        if kind in scores and "base" in scores:
            differences = compare(scores["base"], scores[kind], replicates=some.replicates, seed=some.seed)
            change = next(d for d in differences if d.level == "cluster")
            gains[kind] = Estimate(change.difference, change.low, change.high)
    return ClusterResult(
        cluster=cluster,
        scores={kind: _estimate(list(tasks.values())) for kind, tasks in drawn.items()},
        gains=gains,
        seeds={
            kind: tuple(float(np.mean([one.per_template().mean() for one in seed])) for seed in seeds)
            for kind, seeds in scores.items()
        },
        datasets=tuple(_dataset(one, scores, drawn, chances[one.task]) for one in firsts),
        chance=float(np.mean(known)) if len(known) == len(firsts) else None,
    )


def _dataset(
    first: Scores,
    scores: Mapping[Kind, Sequence[Sequence[Scores]]],
    drawn: Mapping[Kind, Mapping[str, tuple[float, np.ndarray]]],
    chance: float | None,
) -> DatasetResult:
    sds: dict[Kind, float | None] = {}
    for kind, seeds in scores.items():
        spreads = [_of(seed, first.task).per_template() for seed in seeds]
        sds[kind] = float(np.mean([one.std(ddof=1) for one in spreads])) if len(first.templates) > 1 else None
    means = {kind: _estimate([tasks[first.task]]) for kind, tasks in drawn.items()}
    return DatasetResult(first.task, first.metric.name, len(first.examples), len(first.templates), means, sds, chance)


def _chance(results: Results, task: str) -> float | None:
    """What guessing among the options gets, in points of 100; None unless the task's first metric is accuracy."""
    if results.metrics[task][0] != "accuracy":
        return None
    options = results.task_rows(task, results.split)["options"].to_pylist()
    return float(100 * np.mean([1 / len(texts) for texts in options]))


def _over_seeds(seeds: Sequence[Scores], replicates: int, seed: int) -> tuple[float, np.ndarray]:
    """Mean over templates and seeds of one task, and of each bootstrap replicate [replicates]."""
    points = float(np.mean([one.per_template().mean() for one in seeds]))
    return points, np.mean([drawn.mean(axis=1) for drawn in bootstrap(seeds, replicates, seed)], axis=0)


def _estimate(tasks: Sequence[tuple[float, np.ndarray]]) -> Estimate:
    """The unweighted mean of tasks, with its interval."""
    return Estimate(
        float(np.mean([points for points, _ in tasks])), *interval(np.mean([drawn for _, drawn in tasks], axis=0))
    )


def _of(seed: Sequence[Scores], task: str) -> Scores:
    return next(one for one in seed if one.task == task)
