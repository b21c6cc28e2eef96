"""What `flan-jax browse` shows of a tasks module beyond what its tasks are prepared from.

A module named by the setting TASKS may offer `get_catalogue() -> Catalogue` beside the two functions of `TaskRegistry`;
it reads no data.
"""

import dataclasses
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from flan_jax.data.task import Kind, Mixture, TemplateInfo


@dataclasses.dataclass(frozen=True)
class Wording:
    """A template's text: literal text and names of fields in turn, literal first and last; () where it is not known.

    words: what {answer} becomes where this template has a word of its own for an option.
    """

    info: TemplateInfo
    inputs: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class FormCard:
    """One way to put a dataset, and the task that does; `file` holds its templates, for people to find."""

    form: str
    task: str
    file: str
    wordings: tuple[Wording, ...]


@dataclasses.dataclass(frozen=True)
class Card:
    """One dataset.

    splits: our split -> the rows of the source it takes, e.g. "train[0:30000]".   manual: files a user must get.
    family: the name under which papers count it.   same_rows_as: the dataset whose training rows these are.
    forms: the first is the normal one.   subsets: tasks that use some of its templates only, with their indexes.
    """

    name: str
    cluster: str
    benchmark: str
    kind: Kind
    metrics: tuple[str, ...]
    source: str
    licence: str
    citation: str
    splits: Mapping[str, str]
    forms: tuple[FormCard, ...]
    caveats: str = ""
    manual: str = ""
    fields: tuple[str, ...] = ()
    family: str = ""
    same_rows_as: str = ""
    subsets: Mapping[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Catalogue:
    """Every dataset of a tasks module and every mixture of them; `clusters` gives titles, in the order of reports."""

    clusters: Mapping[str, str]
    cards: tuple[Card, ...]
    mixtures: tuple[Mixture, ...]


@runtime_checkable
class HasCatalogue(Protocol):
    """The function that a tasks module may offer for the catalogue page."""

    def get_catalogue(self) -> Catalogue: ...
