"""What the page of one evaluation, or of two side by side, says: gathered by `run_gather.py`, drawn by `run_page.py`.

Everything that is of a run is a tuple with an entry for each, one or two.  Scores are points of 100, intervals 95%.
"""

import dataclasses
from collections.abc import Mapping

from flan_jax.evaluation.aggregation import ClusterScore, TaskScore
from flan_jax.evaluation.comparison import Difference


@dataclasses.dataclass(frozen=True)
class Bin:
    """Ranked questions whose likeliest option got a probability within one tenth: how many, the mean of the
    probabilities, and the share answered rightly; both in 0..1."""

    count: int
    confidence: float
    accuracy: float


@dataclasses.dataclass(frozen=True)
class Calibration:
    """How far the probability of the likeliest option (softmax of the options' sums) can be believed.

    It is the option that the sums choose: with `Scoring.rank_by` other than "sum", `accuracy` is not the score's.

    `error` is the expected calibration error in points: the mean distance of confidence and accuracy over bins,
    weighted by their questions.  `questions` counts every template's.
    """

    questions: int
    confidence: float
    accuracy: float
    error: float
    bins: tuple[Bin, ...]


@dataclasses.dataclass(frozen=True)
class Confusion:
    """How often each option was chosen where another was right: counts[right][chosen], over all templates."""

    labels: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]


@dataclasses.dataclass(frozen=True)
class Answered:
    """What a run made of an example: templates under which it was right, the mean of its scores in 0..1, and the mean
    log-probability of every option (or what it wrote under the template shown)."""

    right: int
    score: float
    options: tuple[float, ...]
    wrote: str


@dataclasses.dataclass(frozen=True)
class ShownExample:
    """An example under one template, with what each run made of it under all of them."""

    task: str
    example_id: str
    template: int
    templates: int
    inputs: str
    options: tuple[str, ...]
    answer: int
    references: tuple[str, ...]
    answered: tuple[Answered, ...]


@dataclasses.dataclass(frozen=True)
class RunContents:
    """Everything on the page.

    tasks: the figures of every task and metric, primary first, by cluster; clusters: those of every cluster.
    `chances` are by task, for accuracy.
    differences: of the second run from the first; () for one.  calibration: by task, "" for all tasks together; None
    where a run ranked nothing.  examples: by heading.
    """

    title: str
    names: tuple[str, ...]
    split: str
    tasks: tuple[Mapping[str, tuple[TaskScore, ...]], ...]
    clusters: tuple[Mapping[str, ClusterScore], ...]
    chances: Mapping[str, float]
    differences: tuple[Difference, ...]
    calibration: tuple[Mapping[str, Calibration], ...]
    confusions: Mapping[str, tuple[Confusion, ...]]
    examples: Mapping[str, tuple[ShownExample, ...]]
    metrics: Mapping[str, str]
    facts: tuple[tuple[tuple[str, str], ...], ...]
    warnings: tuple[str, ...]
