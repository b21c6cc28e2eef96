"""From the cells of a sweep to figures: means over datasets and seeds, differences paired by example and seed."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from flan_jax.evaluation.aggregation import Scores, bootstrap, bounds
from flan_jax.evaluation.comparison import compare
from flan_jax.evaluation.results import Results
from flan_jax.evaluation.statistics import holm, over_seeds
from flan_jax.report.contents import KINDS, ClusterResult, DatasetResult, Estimate, Gain, Kind


class Drawn(NamedTuple):
    """A task's score in each of S runs, and its bootstrap over examples, alike for all runs."""

    points: Float[np.ndarray, " S"]
    replicates: Float[np.ndarray, "S B"]
    documents: int


def cluster_results(cells: Mapping[Any, Results]) -> tuple[ClusterResult, ...]:
    """A figure for every held-out cluster, in the order of the cells (`sweep.Cell`: kind, cluster, seed)."""
    found = []
    for cluster in dict.fromkeys(cell.cluster for cell in cells):
        runs: dict[Kind, dict[int, Results]] = {kind: {} for kind in KINDS}
        for cell, results in cells.items():
            if cell.cluster == cluster:
                runs[cell.kind][cell.seed] = results
        found.append(_cluster(cluster, {kind: results for kind, results in runs.items() if results}))
    return _adjusted(found)


def _adjusted(clusters: Sequence[ClusterResult]) -> tuple[ClusterResult, ...]:
    """The clusters with the p values of each kind's gains adjusted for one another (Holm)."""
    gains = [dict(cluster.gains) for cluster in clusters]
    for kind in KINDS[1:]:
        have = [own for own in gains if kind in own]
        for own, p in zip(have, holm([own[kind].p for own in have]), strict=True):
            own[kind] = dataclasses.replace(own[kind], p_holm=p)
    return tuple(dataclasses.replace(cluster, gains=own) for cluster, own in zip(clusters, gains, strict=True))


def _cluster(cluster: str, runs: Mapping[Kind, Mapping[int, Results]]) -> ClusterResult:
    scores = {kind: {seed: one.primary_scores() for seed, one in results.items()} for kind, results in runs.items()}
    some = next(iter(next(iter(runs.values())).values()))
    seeds = {seed for results in runs.values() for seed in results}
    drawn = {kind: _drawn(list(by_seed.values()), some) for kind, by_seed in scores.items()}
    firsts = next(iter(next(iter(scores.values())).values()))
    chances = {one.task: _chance(some, one.task) for one in firsts}
    known = [chance for chance in chances.values() if chance is not None]

    def estimate(tasks: Sequence[Drawn]) -> Estimate:
        """The unweighted mean of tasks and seeds, with its interval."""
        points = np.mean([one.points for one in tasks], axis=0)
        drawn = over_seeds(points, np.mean([one.replicates for one in tasks], axis=0), some.seed)
        low, high = bounds(drawn, min(one.documents for one in tasks))
        return Estimate(float(points.mean()), low, high, tuple(points.tolist()), len(seeds) - len(points))

    gains = {}
    for kind in KINDS[1:]:
        if scores.get(kind, {}).keys() & scores.get("base", {}).keys():
            differences = compare(scores["base"], scores[kind], replicates=some.replicates, seed=some.seed)
            change = next(d for d in differences if d.level == "cluster")
            left_out = len(seeds) - len(change.each)
            gains[kind] = Gain(
                change.difference, change.low, change.high, tuple(change.each.values()), left_out,
                p=change.p, p_holm=change.p, detectable=change.detectable,
            )  # fmt: skip
    return ClusterResult(
        cluster=cluster,
        scores={kind: estimate(list(tasks.values())) for kind, tasks in drawn.items()},
        gains=gains,
        datasets=tuple(
            DatasetResult(
                task=one.task,
                metric=one.metric.name,
                examples=len(one.examples),
                templates=len(one.templates),
                means={kind: estimate([tasks[one.task]]) for kind, tasks in drawn.items()},
                sds={kind: _spread(list(by_seed.values()), one.task) for kind, by_seed in scores.items()},
                chance=chances[one.task],
            )
            for one in firsts
        ),
        chance=float(np.mean(known)) if len(known) == len(firsts) else None,
    )


def _spread(runs: Sequence[Sequence[Scores]], task: str) -> float | None:
    """The standard deviation over templates (of a direction, where there are several), mean over runs; None of one."""
    sds = []
    for scores in (_of(run, task) for run in runs):
        points = scores.per_template()
        sds += [points[columns].std(ddof=1) for columns in scores.ways().values() if len(columns) > 1]
    return float(np.mean(sds)) if sds else None


def _chance(results: Results, task: str) -> float | None:
    """What guessing among the options gets, in points of 100; None unless the task's first metric is accuracy."""
    if results.metrics[task][0] != "accuracy":
        return None
    options = results.task_rows(task, results.split)["options"].to_pylist()
    return float(100 * np.mean([1 / len(texts) for texts in options]))


def _drawn(runs: Sequence[Sequence[Scores]], some: Results) -> dict[str, Drawn]:
    """Of every task: the mean over templates in each run, and in each bootstrap replicate over examples."""
    found = {}
    for task in (one.task for one in runs[0]):
        together = [_of(run, task) for run in runs]
        points = np.array([one.mean() for one in together])
        replicates = [together[0].over_templates(one) for one in bootstrap(together, some.replicates, some.seed)]
        found[task] = Drawn(points, np.stack(replicates), together[0].document_count)
    return found


def _of(run: Sequence[Scores], task: str) -> Scores:
    return next(one for one in run if one.task == task)
