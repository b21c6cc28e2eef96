"""From rows to figures: per template, over templates, per cluster, with intervals clustered by example.

The ten templates of one example are ten views of one document, not ten independent observations: pooling them makes
standard errors up to √10 too small.  So examples are resampled, each with all its templates (and, in a comparison,
with both models' answers and those of all training seeds), datasets within a cluster independently.  Intervals are
percentile intervals of the bootstrap; they cover the choice of examples, not that of templates or datasets.  Over
several training seeds they cover the choice of these too (`over_seeds`); of one seed they cannot.
"""

import dataclasses
import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.metrics import Metric, Statistics

CHUNK = 128
"""Bootstrap replicates drawn at a time: bounds memory at CHUNK × examples."""


class AggregationError(FlanJaxError, ValueError):
    """Rows that cannot be put together: an example scored twice, or two results with nothing in common."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """One metric of one task on one split, before any averaging.

    `statistics[t, n]` are the metric's statistics of example `examples[n]` under template `templates[t]`, zero where
    an example was dropped under a template.  Examples are in sorted order, whatever order they were scored in.
    """

    task: str
    cluster: str
    split: str
    metric: Metric
    templates: tuple[int, ...]
    examples: tuple[str, ...]
    statistics: Float[np.ndarray, "T N K"]

    def per_template(self) -> Float[np.ndarray, " T"]:
        """The score under each template, in points of 100."""
        return self.metric.score(self.statistics.sum(axis=1))

    def restrict(self, templates: Sequence[int], examples: Sequence[str]) -> "Scores":
        """The same scores on some templates and examples only."""
        rows = [self.templates.index(t) for t in templates]
        place = {example: i for i, example in enumerate(self.examples)}
        columns = [place[example] for example in examples]
        statistics = self.statistics[np.ix_(rows, columns)]
        return dataclasses.replace(self, templates=tuple(templates), examples=tuple(examples), statistics=statistics)


@dataclasses.dataclass(frozen=True)
class TaskScore:
    """A task's figures in points of 100.  `sd` is the sample standard deviation over templates (None for one).

    `best_dev` is the score here of the template that was best on another split (`selected_on`); None without one.
    `low` and `high` bound the 95% interval of `mean`, `best_dev_low` and `best_dev_high` that of `best_dev`.
    """

    task: str
    cluster: str
    split: str
    metric: str
    examples: int
    per_template: Mapping[int, float]
    mean: float
    sd: float | None
    median: float
    worst: float
    worst_template: int
    low: float
    high: float
    best_dev: float | None = None
    best_dev_template: int | None = None
    best_dev_low: float | None = None
    best_dev_high: float | None = None
    selected_on: str | None = None


@dataclasses.dataclass(frozen=True)
class ClusterScore:
    """The unweighted mean over a cluster's datasets of their primary metrics, with its 95% interval."""

    cluster: str
    tasks: tuple[str, ...]
    mean: float
    low: float
    high: float
    best_dev: float | None
    best_dev_low: float | None
    best_dev_high: float | None


@dataclasses.dataclass(frozen=True)
class Difference:
    """Tuned minus base on the same examples, templates and training seeds, with its 95% interval.

    `each` is the difference of every seed that both have, `base`, `tuned` and `difference` are means over those;
    `left_out` are the seeds that one side lacks.
    """

    level: str
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


def tabulate(
    task: str, cluster: str, split: str, metric: Metric, templates: Sequence[int] | Int[np.ndarray, " N"],
    examples: Sequence[str], statistics: Statistics,
) -> Scores:  # fmt: skip
    """Scores from parallel rows (template, example id, statistics [rows, K]) in any order.

    Raises AggregationError where a template and example occur twice.
    """
    template_values, t = np.unique(np.asarray(templates, np.int64), return_inverse=True)
    example_values, n = np.unique(np.asarray(examples, object).astype(str), return_inverse=True)
    counts = np.zeros((len(template_values), len(example_values)), np.int64)
    np.add.at(counts, (t, n), 1)
    if (counts > 1).any():
        i, j = np.argwhere(counts > 1)[0]
        raise AggregationError(
            f"{task}/{split}: example {str(example_values[j])!r} was scored {counts[i, j]} times under template "
            f"{template_values[i]}; example ids must be unique within a task and split"
        )
    table = np.zeros((*counts.shape, statistics.shape[1]))
    table[t, n] = statistics
    return Scores(task, cluster, split, metric, tuple(template_values.tolist()), tuple(example_values.tolist()), table)


def resamples(examples: int, replicates: int, key: Sequence[int]) -> Iterator[Float[np.ndarray, "B N"]]:
    """How often each example occurs in each bootstrap replicate, in chunks of replicates; a function of the key."""
    draw = np.random.default_rng([int(k) for k in key])
    for start in range(0, replicates, CHUNK):
        size = min(CHUNK, replicates - start)
        yield draw.multinomial(examples, np.full(examples, 1.0 / examples), size=size).astype(np.float64)


def bootstrap(scores: Sequence[Scores], replicates: int, seed: int) -> list[Float[np.ndarray, "B T"]]:
    """Per-template scores of every replicate, one array for each of `scores`, all resampled alike.

    The scores must be of one task and the same examples; several are given to compare models on equal resamples.
    """
    first = scores[0]
    drawn: list[list[np.ndarray]] = [[] for _ in scores]
    for weights in resamples(len(first.examples), replicates, (seed, zlib.crc32(first.task.encode()))):
        for one, into in zip(scores, drawn, strict=True):
            t, n, k = one.statistics.shape
            sums = (weights @ one.statistics.transpose(1, 0, 2).reshape(n, t * k)).reshape(-1, t, k)
            with np.errstate(divide="ignore", invalid="ignore"):
                into.append(one.metric.score(sums))
    return [np.concatenate(parts) for parts in drawn]


def interval(replicates: Float[np.ndarray, " B"]) -> tuple[float, float]:
    """The 95% percentile interval."""
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    return float(low), float(high)


def over_seeds(points: Float[np.ndarray, " S"], drawn: Float[np.ndarray, "S B"], seed: int) -> Float[np.ndarray, " B"]:
    """Replicates of a mean over S training seeds, from each seed's figure and its bootstrap over examples.

    Every seed answers the same questions, so examples are drawn alike for all (they are crossed with seeds, not nested
    in them).  Two or three seeds are too few to be resampled: of three, the interval would end at the least and the
    greatest and cover 3 times in 4.  Instead the error that their choice leaves in the mean is drawn from Student's t
    with S - 1 degrees of freedom, scaled by their standard deviation / √S.  One seed tells nothing of the others.
    """
    mean = drawn.mean(axis=0)
    if len(points) < 2:
        return mean
    places = (np.random.default_rng([seed, len(points)]).permutation(len(mean)) + 0.5) / len(mean)
    return mean + np.std(points, ddof=1) / np.sqrt(len(points)) * stdtrit(len(points) - 1, places)


def summarize_task(
    scores: Scores, selection: Scores | None = None, *, replicates: int = 1000, seed: int = 0
) -> tuple[TaskScore, Float[np.ndarray, "B T"]]:
    """A task's figures, and the bootstrap behind them [replicates, templates] for the cluster's interval.

    `selection` are the same metric's scores on another split; the best template there (the first of equals) is the
    best-dev template here.  Choosing it on the split that is reported would report the maximum of the noise.
    """
    if selection is not None and selection.split == scores.split:
        raise AggregationError(f"{scores.task}: best template chosen and reported on the same split {scores.split!r}")
    points = scores.per_template()
    (replicated,) = bootstrap([scores], replicates, seed)
    low, high = interval(replicated.mean(axis=1))
    worst = int(np.argmin(points))
    best: dict = {}
    if selection is not None:
        candidates = [t for t in selection.templates if t in scores.templates]
        if candidates:
            on_dev = selection.restrict(candidates, selection.examples).per_template()
            template = candidates[int(np.argmax(on_dev))]
            column = scores.templates.index(template)
            best_low, best_high = interval(replicated[:, column])
            best = {
                "best_dev": float(points[column]), "best_dev_template": template, "best_dev_low": best_low,
                "best_dev_high": best_high, "selected_on": selection.split,
            }  # fmt: skip
    summary = TaskScore(
        task=scores.task, cluster=scores.cluster, split=scores.split, metric=scores.metric.name,
        examples=len(scores.examples),
        per_template={t: float(p) for t, p in zip(scores.templates, points, strict=True)},
        mean=float(points.mean()), sd=float(points.std(ddof=1)) if len(points) > 1 else None,
        median=float(np.median(points)), worst=float(points[worst]), worst_template=scores.templates[worst],
        low=low, high=high, **best,
    )  # fmt: skip
    return summary, replicated


def summarize_cluster(cluster: str, tasks: Sequence[tuple[TaskScore, Float[np.ndarray, "B T"]]]) -> ClusterScore:
    """A cluster's figures from its tasks' primary metrics; best-dev is given only if every task has one."""
    figures = [summary for summary, _ in tasks]
    low, high = interval(np.mean([replicated.mean(axis=1) for _, replicated in tasks], axis=0))
    best = best_low = best_high = None
    if all(f.best_dev_template is not None for f in figures):
        columns = [r[:, list(f.per_template).index(f.best_dev_template)] for f, r in tasks]  # type: ignore[arg-type]
        best = float(np.mean([f.best_dev for f in figures]))  # type: ignore[arg-type]
        best_low, best_high = interval(np.mean(columns, axis=0))
    return ClusterScore(
        cluster, tuple(f.task for f in figures), float(np.mean([f.mean for f in figures])), low, high,
        best, best_low, best_high,
    )  # fmt: skip


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


def compare(
    base: Mapping[int, Sequence[Scores]], tuned: Mapping[int, Sequence[Scores]], *, replicates: int = 1000,
    seed: int = 0,
) -> list[Difference]:  # fmt: skip
    """Paired differences, tuned minus base, for every task and cluster that all runs have.

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

    def difference(
        level: str, name: str, tasks: Sequence[str], examples: int, points: np.ndarray, change: np.ndarray
    ) -> Difference:
        before, after = np.split(points, 2)
        each = after - before
        low, high = interval(over_seeds(each, change, seed))
        return Difference(
            level, name, tuple(tasks), examples, float(before.mean()), float(after.mean()), float(each.mean()), low,
            high, dict(zip(seeds, each.tolist(), strict=True)), left_out,
        )  # fmt: skip

    rows: list[Difference] = []
    by_cluster: dict[str, list[tuple[Difference, np.ndarray, np.ndarray]]] = {}
    for task in names:
        together = _common([run[task] for run in runs])
        points = np.array([scores.per_template().mean() for scores in together])  # base's seeds, then tuned's
        drawn = np.stack([replicated.mean(axis=1) for replicated in bootstrap(together, replicates, seed)])
        change = drawn[len(seeds) :] - drawn[: len(seeds)]
        rows.append(difference("task", task, (task,), len(together[0].examples), points, change))
        by_cluster.setdefault(together[0].cluster, []).append((rows[-1], points, change))
    for cluster, members in by_cluster.items():
        found, points, changes = zip(*members, strict=True)
        count = sum(row.examples for row in found)
        tasks = [row.name for row in found]
        rows.append(difference("cluster", cluster, tasks, count, np.mean(points, axis=0), np.mean(changes, axis=0)))
    return rows
