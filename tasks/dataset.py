"""How a dataset is declared: names, source, splits, fields.  Free of TensorFlow.

RTE = Dataset(name="rte", cluster="nli", source=Tfds("super_glue/rte:1.0.2"), splits=held_out_labels(), ...)
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

Row = Mapping[str, Any]
"""A source row: for TFDS the decoded example (text as str, labels as int), for generated data the generator's dict."""

Fields = Mapping[str, Any]
"""What templates see.  Every value is a str, except the reserved `options` (tuple of str), `references` (tuple of str).
`answer` (str) is the normal target; with `options` it must be one of them."""


@dataclasses.dataclass(frozen=True)
class Drop:
    """Returned by a `fields` function instead of fields: the row is left out and counted under this reason."""

    reason: str


def choice(options: Iterable[str], index: int) -> dict[str, Any]:
    """The fields of a classification example: its options and the text of the right one.  Raises IndexError if none."""
    options = tuple(options)
    if not 0 <= index < len(options):
        raise IndexError(f"label {index} is not one of the {len(options)} options {options}")
    return {"options": options, "answer": options[index]}


def told_choice(texts: Iterable[str], index: int) -> dict[str, Any] | Drop:
    """`choice` where a row brings its own options: they must say something and differ; -1 means that none is told."""
    options = tuple(text.strip() for text in texts)
    if len(options) < 2:
        return Drop("fewer than 2 options")
    if not all(options):
        return Drop("an empty option")
    if len(set(options)) < len(options):
        return Drop("two options are the same")
    return Drop("no label") if index < 0 else choice(options, index)


@dataclasses.dataclass(frozen=True)
class Generated:
    """A source of rows made by code: rows(split) yields dicts, always the same ones in the same order."""

    rows: Callable[[str], Iterable[Row]]
    version: str


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A TFDS source with its version, e.g. "super_glue/rte:1.0.2"; `manual` names the files to put into TFDS's folder
    for manual downloads, where TFDS cannot get them itself.  `also`: older names with the same fields, read where a
    directory holds one of them and not the first."""

    name: str
    manual: str = ""
    also: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Labels:
    """The class names that the source must give its label field, in this order: the options rely on it."""

    field: str
    names: tuple[str, ...]


Form = Literal["instructions", "plain", "named", "continuation"]
"""How a dataset is put: with instructions; with its fields alone; with its name in front of those; as the text that an
untuned model would continue."""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One dataset.  `splits` maps our split (train, validation, test) to a rule (see tasks/splits.py; for generated
    sources the split's own name).  `field_names` are the fields templates may use besides `options` and `answer`.

    labels: class names checked when the data are opened.   caveats: what a user should know, for the catalogue.
    family: the name under which papers count several configurations as one dataset; default its own.
    same_rows_as: the dataset whose training rows these are; mixtures train on them once.
    rows_within: the dataset whose training rows hold these and others; only mixtures called ..._rows_once heed it.
    directions: of a translation, what a template translates whose target is this field; scored apart.
    form, prefix, template_count: see tasks/forms.py; a declared dataset leaves them alone.
    """

    name: str
    cluster: str
    benchmark: str
    source: Generated | Tfds
    splits: Mapping[str, Any]
    fields: Callable[[Row], Fields | Drop]
    field_names: tuple[str, ...]
    kind: Literal["classification", "generation", "documents"]
    metrics: tuple[str, ...]
    licence: str
    citation: str
    template_group: str
    labels: Labels | None = None
    caveats: str = ""
    family: str = ""
    same_rows_as: str = ""
    rows_within: str = ""
    directions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    form: Form = "instructions"
    prefix: str = ""
    template_count: int | None = None
