"""What a report says, as plain data: gathered from a sweep's files by `gather.py`, drawn by `page.py`.

All scores are points of 100; all intervals are 95%.
"""

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any

from flan_jax.errors import FlanJaxError

Kind = str
"""One of KINDS: which model a figure belongs to."""
KINDS: tuple[Kind, ...] = ("base", "tuned", "upper")
MEANING: Mapping[Kind, str] = {
    "base": "pretrained only",
    "tuned": "tuned on the other clusters",
    "upper": "tuned on all clusters",
}


class ReportError(FlanJaxError, RuntimeError):
    """There is nothing to report on in the directory named, or nothing that can be compared in two."""


def name_of(identifier: str) -> str:
    """A cluster's or task's identifier as words: reading_comprehension -> reading comprehension."""
    names = {
        "nli": "natural language inference",
        "closed_book_qa": "closed-book QA",
        "struct_to_text": "structure to text",
    }
    return names.get(identifier, identifier.replace("_", " "))


def present(*figures: Mapping[Kind, Any]) -> list[Kind]:
    """The kinds that have an entry in any of the mappings, in the order of KINDS."""
    return [kind for kind in KINDS if any(figure.get(kind) is not None for figure in figures)]


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure with its interval: a mean over training seeds, with that of each, where it has some.

    `left_out` counts the seeds that have no such figure yet, where others have it: in a sweep that is not finished.
    """

    value: float
    low: float
    high: float
    each: tuple[float, ...] = ()
    left_out: int = 0

    @property
    def sd(self) -> float | None:
        """The sample standard deviation over seeds; None of fewer than two."""
        return statistics.stdev(self.each) if len(self.each) > 1 else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Gain(Estimate):
    """A difference from the base: p of none (two-sided, as the interval), the same adjusted for all clusters reported
    (Holm), and the true difference that would be found 4 times in 5."""

    p: float
    p_holm: float
    detectable: float


@dataclasses.dataclass(frozen=True)
class DatasetResult:
    """One dataset of a held-out cluster: its score under each kind of model, mean and sd over templates and seeds.

    `chance` is what guessing among the options gets on average; None where answers are written.
    """

    task: str
    metric: str
    examples: int
    templates: int
    means: Mapping[Kind, Estimate]
    sds: Mapping[Kind, float | None]
    chance: float | None


@dataclasses.dataclass(frozen=True)
class ClusterResult:
    """A held-out cluster.  `gains` are over the base, paired by example and training seed.

    `chance` is the mean of its datasets', None if one of them has none.
    """

    cluster: str
    scores: Mapping[Kind, Estimate]
    gains: Mapping[Kind, Gain]
    datasets: tuple[DatasetResult, ...]
    chance: float | None


@dataclasses.dataclass(frozen=True)
class Curve:
    """A training run's loss in nats a token, at the steps it was written down."""

    run: str
    kind: Kind
    steps: tuple[int, ...]
    losses: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Share:
    """A task's part of a mixture, as fractions of 1: of the examples drawn, and of the tokens the loss is taken on."""

    task: str
    examples: float
    tokens: float


@dataclasses.dataclass(frozen=True)
class MixtureShares:
    """The realised shares of the plan a run was trained on."""

    run: str
    mixture: str
    shares: tuple[Share, ...]


@dataclasses.dataclass(frozen=True)
class Option:
    """An answer offered, and the log-probability in nats each model gave it."""

    text: str
    right: bool
    scores: Mapping[Kind, float]


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A question as the models saw it; with options it was ranked, else `answers` holds what each model wrote."""

    task: str
    template: int
    example_id: str
    inputs: str
    options: tuple[Option, ...]
    references: tuple[str, ...]
    answers: Mapping[Kind, str]


@dataclasses.dataclass(frozen=True)
class Contents:
    """Everything on the page.  `facts` are pairs of what and its value; `operative` is the gin configuration."""

    title: str
    clusters: tuple[ClusterResult, ...]
    curves: tuple[Curve, ...]
    mixtures: tuple[MixtureShares, ...]
    prompts: Mapping[str, tuple[Prompt, ...]]
    facts: tuple[tuple[str, str], ...]
    operative: str
