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


@dataclasses.dataclass(frozen=True)
class Generated:
    """A source of rows made by code: rows(split) yields dicts, always the same ones in the same order."""

    rows: Callable[[str], Iterable[Row]]
    version: str


@dataclasses.dataclass(frozen=True)
class Tfds:
    """A TFDS source with its version, e.g. "super_glue/rte:1.0.2"; `manual` names the files to put into TFDS's folder
    for manual downloads, where TFDS cannot get them itself."""

    name: str
    manual: str = ""


@dataclasses.dataclass(frozen=True)
class Dataset:
    """One dataset.  `splits` maps our split (train, validation, test) to a rule (see tasks/splits.py; for generated
    sources the split's own name).  `field_names` are the fields templates may use besides `options` and `answer`."""

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
