"""Every declared dataset as a card of the catalogue page: its facts and the wordings of its templates, no data."""

from collections.abc import Iterator

from flan_jax.data.catalogue import Card, Catalogue, FormCard, Wording

from . import catalog, registry
from .dataset import Dataset, Generated, Tfds
from .flan2021.shared_text import shared_text
from .forms import chosen_templates, forms_of
from .splits import Rows


def catalogue() -> Catalogue:
    """All cards and mixtures.  Reads the template files.  Raises TemplateError."""
    cards = tuple(map(_card, catalog.datasets().values()))
    return Catalogue(catalog.CLUSTERS, cards, tuple(catalog.mixtures().values()))


def _card(dataset: Dataset) -> Card:
    source = dataset.source
    forms = list(_forms(dataset))
    infos = tuple(wording.info for wording in _form(dataset).wordings)
    counts = [(form.name, form.template_count) for form in forms if form.template_count is not None]
    return Card(
        name=dataset.name,
        cluster=dataset.cluster,
        benchmark=dataset.benchmark,
        kind=dataset.kind,
        metrics=dataset.metrics,
        source=f"generated, version {source.version}" if isinstance(source, Generated) else source.name,
        licence=dataset.licence,
        citation=dataset.citation,
        splits={ours: _rows(rule) for ours, rule in dataset.splits.items()},
        forms=(_form(dataset), *(_form(form) for form in forms if form.template_count is None)),
        caveats=" ".join(filter(None, (dataset.caveats, _shared_text(dataset)))),
        manual=source.manual if isinstance(source, Tfds) else "",
        fields=dataset.field_names,
        family=dataset.family,
        same_rows_as=dataset.same_rows_as,
        subsets={name: tuple(info.index for info in chosen_templates(infos, count)) for name, count in counts},
    )


def _shared_text(dataset: Dataset) -> str:
    """With which others a dataset has text in common, and which of them are trained on when it is held out."""
    parts = []
    for other, what in shared_text(dataset.name).items():
        trained = other in catalog.mixtures()[f"{dataset.benchmark}_loo_{dataset.cluster}"].train
        parts.append(f"{other} ({what}{'; trained on when this is held out' if trained else ''})")
    return f"It has text in common with {', '.join(parts)}." if parts else ""


def _forms(dataset: Dataset) -> Iterator[Dataset]:
    """The other forms, of a dataset that has them."""
    if dataset.cluster in catalog.CLUSTERS:
        others = forms_of(dataset, catalog.CLUSTERS[dataset.cluster])
        yield from (form for form in others if form.name in catalog.forms())


def _form(dataset: Dataset) -> FormCard:
    if dataset.kind == "documents":
        return FormCard(dataset.form, dataset.name, "", ())
    file = registry.template_file(dataset)
    wordings = tuple(Wording(t.info, t.inputs.pieces, t.targets.pieces, t.words) for t in file.templates)
    return FormCard(dataset.form, dataset.name, f"{dataset.template_group}.yaml", wordings)


def _rows(rule: Rows | str) -> str:
    """A split rule as people write slices; generated sources name their split alone."""
    if isinstance(rule, str):
        return rule
    if rule.start is None and rule.stop is None:
        return rule.split
    start, stop = ("" if bound is None else str(bound) for bound in (rule.start, rule.stop))
    scaled = f" (in proportion where the split has fewer than {rule.of:,} rows)" if rule.of else ""
    return f"{rule.split}[{start}:{stop}]{scaled}"
