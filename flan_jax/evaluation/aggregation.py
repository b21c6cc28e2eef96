"""From rows to figures: per template, over templates, per cluster, with intervals clustered by example.

The ten templates of one example are ten views of one document, not ten independent observations: pooling them makes
standard errors up to √10 too small.  So documents (examples; questions, where several rows belong to one) are
resampled, each with all its templates, datasets within a cluster independently.  Intervals (`statistics.interval`)
cover the choice of documents, not that of templates or datasets.

Templates that translate one way and templates that translate the other ask for different things: the mean of a task
with directions is the mean over its directions of the mean over each one's templates.
"""

import dataclasses
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.metrics import Metric, Statistics
from flan_jax.evaluation.statistics import interval, resamples, standard_error, weighted_scores


class AggregationError(FlanJaxError, ValueError):
    """Rows that cannot be put together: an example scored twice, or two results with nothing in common."""


@dataclasses.dataclass(frozen=True)
class Scores:
    """One metric of one task on one split, before any averaging.

    `statistics[t, n]` are the metric's statistics of example `examples[n]` under template `templates[t]`, zero where
    an example was dropped under a template.  Examples are in sorted order, whatever order they were scored in.
    `documents[n]` is what the example is drawn with, `directions[t]` what the template translates ("" for no such
    thing); () where every example is a document, or no template has a direction.
    """

    task: str
    cluster: str
    split: str
    metric: Metric
    templates: tuple[int, ...]
    examples: tuple[str, ...]
    statistics: Float[np.ndarray, "T N K"]
    documents: tuple[str, ...] = ()
    directions: tuple[str, ...] = ()

    def per_template(self) -> Float[np.ndarray, " T"]:
        """The score under each template, in points of 100."""
        return self.metric.score(self.statistics.sum(axis=1))

    @property
    def document_count(self) -> int:
        return len(set(self.documents or self.examples))

    def by_document(self) -> Float[np.ndarray, "T D K"]:
        """The statistics of each document, which are its examples' sums."""
        if not self.documents:
            return self.statistics
        _, index = np.unique(np.asarray(self.documents, object).astype(str), return_inverse=True)
        t, _, k = self.statistics.shape
        sums = np.zeros((t, self.document_count, k))
        for table, into in zip(self.statistics, sums, strict=True):
            np.add.at(into, index, table)
        return sums

    def over_templates(self, points: Float[np.ndarray, "... T"]) -> Float[np.ndarray, "..."]:
        """The task's score from those of its templates: their mean, and first of each direction."""
        return np.asarray(np.mean([points[..., columns].mean(axis=-1) for columns in self.ways().values()], axis=0))

    def mean(self) -> float:
        """The task's score in points of 100."""
        return float(self.over_templates(self.per_template()))

    def ways(self) -> dict[str, list[int]]:
        """The columns of each direction's templates, in order; all under "" where there is no direction."""
        found: dict[str, list[int]] = {}
        for column, direction in enumerate(self.directions or ("",) * len(self.templates)):
            found.setdefault(direction, []).append(column)
        return found

    def restrict(self, templates: Sequence[int], examples: Sequence[str]) -> "Scores":
        """The same scores on some templates and examples only."""
        rows = [self.templates.index(t) for t in templates]
        place = {example: i for i, example in enumerate(self.examples)}
        columns = [place[example] for example in examples]
        return dataclasses.replace(
            self, templates=tuple(templates), examples=tuple(examples),
            statistics=self.statistics[np.ix_(rows, columns)],
            documents=tuple(self.documents[i] for i in columns) if self.documents else (),
            directions=tuple(self.directions[i] for i in rows) if self.directions else (),
        )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class TaskScore:
    """A task's figures in points of 100.  `sd` is the sample standard deviation over templates (None for one).

    `best_dev` is the score here of the template that was best on another split (`selected_on`); None without one.
    `se` is the standard error of `mean`, clustered by document; `low` and `high` bound its 95% interval,
    `best_dev_low` and `best_dev_high` that of `best_dev`.

    Of a task whose templates translate in several directions, `directions` are the figures of each; `mean`, `sd`,
    `median` and `best_dev` are means over them, `worst` is the least of all, and no template is best for both.
    """

    task: str
    cluster: str
    split: str
    metric: str
    examples: int
    per_template: Mapping[int, float]
    mean: float
    se: float
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
    direction: str = ""
    directions: tuple["TaskScore", ...] = ()


class Drawn(NamedTuple):
    """Bootstrap replicates of a task's mean and of its best-dev template, and over how many documents they are."""

    mean: Float[np.ndarray, " B"]
    best_dev: Float[np.ndarray, " B"] | None
    documents: int


@dataclasses.dataclass(frozen=True)
class ClusterScore:
    """The unweighted mean over a cluster's datasets of their primary metrics, with its 95% interval."""

    cluster: str
    tasks: tuple[str, ...]
    mean: float
    se: float
    low: float
    high: float
    best_dev: float | None
    best_dev_low: float | None
    best_dev_high: float | None


def tabulate(
    task: str, cluster: str, split: str, metric: Metric, templates: Sequence[int] | Int[np.ndarray, " N"],
    examples: Sequence[str], statistics: Statistics, documents: Mapping[str, str] | None = None,
    directions: Mapping[int, str] | None = None,
) -> Scores:  # fmt: skip
    """Scores from parallel rows (template, example id, statistics [rows, K]) in any order.

    documents: of every example, where several belong to one.  directions: of the templates, where they have some.
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
    template_names, names = tuple(template_values.tolist()), tuple(example_values.tolist())
    ways = tuple(directions.get(template, "") for template in template_names) if directions else ()
    return Scores(
        task, cluster, split, metric, template_names, names, table,
        documents=tuple(documents[name] for name in names) if documents else (),
        directions=ways if len(set(ways)) > 1 else (),
    )  # fmt: skip


def bootstrap(scores: Sequence[Scores], replicates: int, seed: int) -> list[Float[np.ndarray, "B T"]]:
    """Per-template scores of every replicate, one array for each of `scores`, all resampled alike.

    The scores must be of one task and the same examples; several are given to compare models on equal resamples.
    """
    first = scores[0]
    drawn: list[list[np.ndarray]] = [[] for _ in scores]
    tables = [one.by_document() for one in scores]
    for weights in resamples(first.document_count, replicates, (seed, zlib.crc32(first.task.encode()))):
        for one, table, into in zip(scores, tables, drawn, strict=True):
            into.append(weighted_scores(table, one.metric.score, weights))
    return [np.concatenate(parts) for parts in drawn]


def bounds(replicates: Float[np.ndarray, " B"], documents: int) -> tuple[float, float]:
    """The 95% interval of one figure."""
    low, high = interval(replicates, documents)
    return float(low), float(high)


def summarize_task(
    scores: Scores, selection: Scores | None = None, *, replicates: int = 1000, seed: int = 0
) -> tuple[TaskScore, Drawn]:
    """A task's figures, and the bootstrap behind them for the cluster's interval.

    `selection` are the same metric's scores on another split; the best template there (the first of equals) is the
    best-dev template here.  Choosing it on the split that is reported would report the maximum of the noise.
    """
    if selection is not None and selection.split == scores.split:
        raise AggregationError(f"{scores.task}: best template chosen and reported on the same split {scores.split!r}")
    (replicated,) = bootstrap([scores], replicates, seed)
    ways = scores.ways()
    parts = [_one_direction(scores, way, columns, replicated, selection) for way, columns in ways.items()]
    if len(parts) == 1:
        return parts[0]
    figures = [part for part, _ in parts]
    n = scores.document_count
    mean = np.mean([drawn.mean for _, drawn in parts], axis=0)
    best = [drawn.best_dev for _, drawn in parts if drawn.best_dev is not None]
    best_dev = np.mean(best, axis=0) if len(best) == len(parts) else None
    worst = min(figures, key=lambda figure: figure.worst)
    low, high = bounds(mean, n)
    best_low, best_high = bounds(best_dev, n) if best_dev is not None else (None, None)
    sds = [figure.sd for figure in figures if figure.sd is not None]
    bests = [figure.best_dev for figure in figures if figure.best_dev is not None]
    points = scores.per_template()
    summary = dataclasses.replace(
        figures[0],
        per_template={t: float(p) for t, p in zip(scores.templates, points, strict=True)},
        mean=float(np.mean([figure.mean for figure in figures])), se=float(standard_error(mean, n)),
        sd=float(np.mean(sds)) if sds else None, median=float(np.mean([figure.median for figure in figures])),
        worst=worst.worst, worst_template=worst.worst_template, low=low, high=high,
        best_dev=float(np.mean(bests)) if best_dev is not None else None,
        best_dev_template=None, best_dev_low=best_low, best_dev_high=best_high, direction="",
        directions=tuple(figures),
    )  # fmt: skip
    return summary, Drawn(mean, best_dev, n)


def _one_direction(
    scores: Scores, direction: str, columns: Sequence[int], replicated: Float[np.ndarray, "B T"],
    selection: Scores | None,
) -> tuple[TaskScore, Drawn]:  # fmt: skip
    """The figures of the templates in these columns."""
    templates = [scores.templates[column] for column in columns]
    points, n = scores.per_template()[list(columns)], scores.document_count
    mean = replicated[:, list(columns)].mean(axis=1)
    low, high = bounds(mean, n)
    worst = int(np.argmin(points))
    best: dict = {}
    best_dev = None
    candidates = [t for t in selection.templates if t in templates] if selection is not None else []
    if selection is not None and candidates:
        on_dev = selection.restrict(candidates, selection.examples).per_template()
        template = candidates[int(np.argmax(on_dev))]
        best_dev = replicated[:, scores.templates.index(template)]
        best_low, best_high = bounds(best_dev, n)
        best = {
            "best_dev": float(points[templates.index(template)]), "best_dev_template": template,
            "best_dev_low": best_low, "best_dev_high": best_high, "selected_on": selection.split,
        }  # fmt: skip
    summary = TaskScore(
        task=scores.task, cluster=scores.cluster, split=scores.split, metric=scores.metric.name,
        examples=len(scores.examples),
        per_template={t: float(p) for t, p in zip(templates, points, strict=True)},
        mean=float(points.mean()), se=float(standard_error(mean, n)),
        sd=float(points.std(ddof=1)) if len(points) > 1 else None,
        median=float(np.median(points)), worst=float(points[worst]), worst_template=templates[worst],
        low=low, high=high, direction=direction, **best,
    )  # fmt: skip
    return summary, Drawn(mean, best_dev, n)


def summarize_cluster(cluster: str, tasks: Sequence[tuple[TaskScore, Drawn]]) -> ClusterScore:
    """A cluster's figures from its tasks' primary metrics; best-dev is given only if every task has one.

    Its interval is widened for the smallest of the tasks, which is where most of its error comes from.
    """
    figures = [summary for summary, _ in tasks]
    n = min(drawn.documents for _, drawn in tasks)
    mean = np.mean([drawn.mean for _, drawn in tasks], axis=0)
    low, high = bounds(mean, n)
    best = best_low = best_high = None
    columns = [drawn.best_dev for _, drawn in tasks if drawn.best_dev is not None]
    if len(columns) == len(tasks):
        best = float(np.mean([f.best_dev for f in figures]))  # type: ignore[arg-type]
        best_low, best_high = bounds(np.mean(columns, axis=0), n)
    return ClusterScore(
        cluster, tuple(f.task for f in figures), float(np.mean([f.mean for f in figures])),
        float(standard_error(mean, n)), low, high, best, best_low, best_high,
    )  # fmt: skip
