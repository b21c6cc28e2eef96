"""From a declared dataset to a task that can be prepared."""

import dataclasses
import difflib
import functools
import hashlib
import inspect
import itertools
import json
import pathlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flan_jax.data.task import BEYOND_CAP, Dropped, Mixture, Rendered, SourceSize, SourceUnavailable, Task, TemplateInfo
from flan_jax.errors import FlanJaxError

from . import catalog
from .data_directory import contents_digest, data_directory, found_name
from .dataset import Dataset, Drop, Fields, Generated, Row, Tfds
from .flan2021.paper_shots import paper_shots
from .forms import chosen_templates
from .splits import resolve
from .templating import (
    RENDERER_VERSION,
    RESERVED,
    FieldsError,
    Template,
    TemplateFile,
    choose_template,
    read_templates,
    render,
)

TEMPLATES = pathlib.Path(__file__).parent / "templates"


class UnknownName(FlanJaxError, KeyError):
    """No task or mixture of that name: names the nearest ones."""

    __str__ = Exception.__str__  # KeyError would show the message's repr


class RowError(FlanJaxError):
    """A source row that its dataset cannot be made from: names dataset, split and row."""


class SplitMissing(SourceUnavailable):
    """A split that the dataset does not have: names those it has."""


def task(name: str, data_dir: str | None = None, download: bool = False) -> Task:
    """The task of a declared dataset.  Reads its template file, none of its data."""
    try:
        dataset = catalog.find(name)
    except KeyError:
        raise _unknown("task", name, (*catalog.datasets(), *catalog.forms())) from None
    return make_task(dataset, data_dir=data_dir, download=download)


def mixture(name: str) -> Mixture:
    """A named mixture, or the mixture of one task."""
    if name in catalog.mixtures():
        return catalog.mixtures()[name]
    try:
        dataset = catalog.find(name)
    except KeyError:
        names = (*catalog.mixtures(), *catalog.datasets(), *catalog.forms())
        raise _unknown("mixture", name, names) from None
    train = (name,) if "train" in dataset.splits else ()
    return Mixture(name, train=train, evaluate=() if dataset.kind == "documents" else (name,))


def _unknown(what: str, name: str, names: Iterable[str]) -> UnknownName:
    near = difflib.get_close_matches(name, list(names), n=3, cutoff=0.5)
    told = f"there is no {what} {name!r}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    return UnknownName(told + (f"; clusters are {', '.join(catalog.CLUSTERS)}" if "_loo_" in name else ""))


def make_task(
    dataset: Dataset, templates: pathlib.Path = TEMPLATES, data_dir: str | None = None, download: bool = False
) -> Task:
    """A dataset, its templates and its rows as the task that the data layers work with.

    templates: the folder with template files.  data_dir, download: see `reading.open_builder`.
    Raises TemplateError; rendering raises RowError, SplitMissing and the errors of `reading`.
    """
    documents = dataset.kind == "documents"
    file = None if documents else template_file(dataset, templates)
    infos = tuple(_info(dataset, template) for template in file.templates) if file else (TemplateInfo(0),)
    infos = chosen_templates(infos, dataset.template_count)

    def render_rows(
        split: str,
        templates: str | tuple[int, ...],
        seed: int,
        start: int = 0,
        stop: int | None = None,
        wants: Callable[[str], bool] | None = None,
    ) -> Iterator[Rendered | Dropped]:
        for place, example_id, row in read_split(dataset, split, data_dir, download, start, stop):
            if wants is None or wants(example_id):
                yield from _render_row(dataset, file, infos, place, example_id, row, templates, seed)
            else:
                yield Dropped(example_id, BEYOND_CAP)

    source, directory = dataset.source, data_directory(data_dir)
    return Task(
        name=dataset.name,
        cluster=dataset.cluster,
        benchmark=dataset.benchmark,
        kind=dataset.kind,
        metrics=dataset.metrics,
        splits=tuple(dataset.splits),
        templates=infos,
        source=found_name(source, directory) if isinstance(source, Tfds) else f"generated:{source.version}",
        licence=dataset.licence,
        citation=dataset.citation,
        fingerprint=_fingerprint(dataset, file),
        template_file=file.path if file else "",
        render=render_rows,
        source_digest=contents_digest(source, directory) if isinstance(source, Tfds) else "",
        few_shot=paper_shots(dataset),
        question_fields=question_fields(file) if file else (),
        sizes=(lambda: source_sizes(dataset, data_dir, download)) if isinstance(source, Tfds) else None,
        render_rows=render_rows,
    )


def template_file(dataset: Dataset, templates: pathlib.Path = TEMPLATES) -> TemplateFile:
    """The dataset's templates, behind its prefix.  Raises TemplateError."""
    path = templates / f"{dataset.template_group}.yaml"
    file = read_templates(path, dataset.field_names, dataset.kind == "classification", dataset.form)
    prefix = dataset.prefix
    prefixed = tuple(dataclasses.replace(t, inputs=t.inputs.behind(prefix)) for t in file.templates)
    return dataclasses.replace(file, templates=prefixed) if prefix else file


def _info(dataset: Dataset, template: Template) -> TemplateInfo:
    """What evaluation needs to know of a template, with the direction it translates in."""
    direction = dataset.directions.get("".join(template.targets.names), "") if template.info.forward else ""
    return dataclasses.replace(template.info, direction=direction)


def question_fields(file: TemplateFile) -> tuple[tuple[str, ...], ...]:
    """The smallest sets of fields that forward templates show, options aside: examples that agree in one of them are
    asked in the same words by some template."""
    shown = {frozenset(t.inputs.names) - {"options"} for t in file.templates if t.info.forward} - {frozenset()}
    smallest = [names for names in shown if not any(other < names for other in shown)]
    return tuple(sorted(tuple(sorted(names)) for names in smallest))


def read_split(
    dataset: Dataset,
    split: str,
    data_dir: str | None = None,
    download: bool = False,
    start: int = 0,
    stop: int | None = None,
) -> Iterator[tuple[str, str, Row]]:
    """(place, example id, row) of one of our splits, or of its rows start <= i < stop; the place is for error messages.

    Raises SplitMissing and the errors of `reading`.
    """
    if split not in dataset.splits:
        raise SplitMissing(f"{dataset.name} has no split {split!r}; it has {', '.join(dataset.splits)}")
    source, rule = dataset.source, dataset.splits[split]
    if isinstance(source, Generated):
        for number, row in itertools.islice(enumerate(source.rows(rule)), start, stop):
            yield f"{dataset.name} ({split}, row {number})", f"{rule}-{number}", row
        return
    from .reading import check_labels, open_builder, read_rows, split_sizes

    builder = open_builder(source, data_dir, download)
    if dataset.labels is not None:
        check_labels(builder, dataset.labels.field, dataset.labels.names)
    ranges = resolve(dataset.splits, split_sizes(builder))
    if split not in ranges:
        present = ", ".join(split_sizes(builder))
        raise SplitMissing(f"{source.name} in {builder.data_path} has no split {rule.split!r}; it has {present}")
    rows = ranges[split].part(start, stop)
    for number, row in enumerate(read_rows(builder, rows), rows.start):
        yield f"{dataset.name} ({source.name}, split {rows.split}, row {number})", f"{rows.split}-{number}", row


def source_sizes(dataset: Dataset, data_dir: str | None = None, download: bool = False) -> dict[str, SourceSize]:
    """Rows and stored bytes of each of our splits that a TFDS source has.  Raises the errors of `reading`."""
    from .reading import open_builder, split_sizes

    assert isinstance(dataset.source, Tfds)
    builder = open_builder(dataset.source, data_dir, download)
    sizes = split_sizes(builder)
    stored = {name: (info.num_bytes or 0) / max(sizes[name], 1) for name, info in builder.info.splits.items()}
    ranges = resolve(dataset.splits, sizes)
    return {ours: SourceSize(len(rows), round(len(rows) * stored[rows.split])) for ours, rows in ranges.items()}


def count_rows(dataset: Dataset, split: str, data_dir: str | None = None) -> int:
    """How many source rows one of our splits has, before any is dropped."""
    if isinstance(dataset.source, Generated):
        return sum(1 for _ in dataset.source.rows(dataset.splits[split]))
    from .reading import open_builder, split_sizes

    return len(resolve(dataset.splits, split_sizes(open_builder(dataset.source, data_dir)))[split])


def _fields(dataset: Dataset, place: str, row: Row) -> Fields | Drop:
    try:
        return dataset.fields(row)
    except KeyError as error:
        raise RowError(f"{place}: the row has no {error.args[0]!r}; it has {', '.join(row)}") from error
    except (IndexError, TypeError, ValueError, AttributeError) as error:
        raise RowError(f"{place}: {error}") from error


def _render_row(
    dataset: Dataset,
    file: TemplateFile | None,
    infos: tuple[TemplateInfo, ...],
    place: str,
    example_id: str,
    row: Row,
    templates: str | tuple[int, ...],
    seed: int,
) -> Iterator[Rendered | Dropped]:
    if templates == "hashed":
        chosen = (infos[choose_template(len(infos), seed, dataset.name, example_id)].index,)
    elif templates == "forward":
        chosen = tuple(info.index for info in infos if info.forward)
    elif isinstance(templates, tuple):
        chosen = templates
    else:
        raise ValueError(f"templates={templates!r}: neither 'hashed' nor 'forward' nor a tuple of indexes")
    fields = _fields(dataset, place, row)
    for index in chosen:
        if isinstance(fields, Drop):
            yield Dropped(example_id, fields.reason)
            continue
        texts = {name: value for name, value in fields.items() if name not in RESERVED}
        if file is None:
            text = fields["text"]
            document = Rendered("", text, (), -1, (), 0, example_id, {})
            yield document if text.strip() else Dropped(example_id, "empty target")
            continue
        try:
            inputs, targets, options, answer, references = render(file.templates[index], fields)
        except FieldsError as error:
            raise RowError(f"{place}: {error}") from error
        if targets:
            yield Rendered(inputs, targets, options, answer, references, index, example_id, texts)
        else:
            yield Dropped(example_id, "empty target")


def _fingerprint(dataset: Dataset, file: TemplateFile | None) -> str:
    """Digest of what decides the rendered text: the declaration, the code that maps fields, templates, the renderer.

    The code is the text of the module that declares the mapping, so another Python gives the same digest; for generated
    rows it is that of the generator's whole package.
    """
    source = dataset.source
    facts: dict[str, Any] = {
        "name": dataset.name,
        "source": source.version if isinstance(source, Generated) else source.name,
        "splits": {ours: repr(rule) for ours, rule in dataset.splits.items()},
        "kind": dataset.kind,
        "fields": _module_text(dataset.fields.__module__),
        "generator": _package_text(source.rows.__module__) if isinstance(source, Generated) else "",
        "templates": file.digest if file else "",
        "renderer": RENDERER_VERSION,
    }
    if dataset.prefix or dataset.template_count:
        facts |= {"prefix": dataset.prefix, "template_count": str(dataset.template_count)}
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@functools.cache
def _module_text(module: str) -> str:
    return inspect.getsource(sys.modules[module])


@functools.cache
def _package_text(module: str) -> str:
    """The text of a module and of those beside it in its package."""
    path = pathlib.Path(inspect.getfile(sys.modules[module]))
    paths = sorted(path.parent.glob("*.py")) if sys.modules[module].__package__ else [path]
    return "\0".join(f"{path.name}\0{path.read_text(encoding='utf-8')}" for path in paths)
