"""Facts about every dataset, cluster and mixture.  Free of TensorFlow; importing it reads no data.

Datasets are declared in the modules of `flan2021/` and `microworld/`, each of which offers `DATASETS`.
"""

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from types import MappingProxyType

from flan_jax.data.task import Mixture

from . import flan2021, microworld
from .dataset import Dataset
from .flan2021 import studies
from .forms import FORMS, forms_of

CLUSTERS = MappingProxyType({
    "nli": "Natural language inference",
    "reading_comprehension": "Reading comprehension",
    "commonsense": "Commonsense",
    "sentiment": "Sentiment",
    "paraphrase": "Paraphrase",
    "closed_book_qa": "Closed-book QA",
    "struct_to_text": "Structure to text",
    "coreference": "Coreference",
    "summarization": "Summarization",
    "translation": "Translation",
    "reading_comprehension_with_commonsense": "Reading comprehension with commonsense",
    "misc": "Miscellaneous",
})  # fmt: skip
"""The twelve clusters of FLAN (paper, figure 3), by the names used everywhere here, in the order of reports."""

EXCLUDED_WITH = MappingProxyType({
    "reading_comprehension": frozenset({"reading_comprehension_with_commonsense"}),
    "commonsense": frozenset({"reading_comprehension_with_commonsense"}),
    "reading_comprehension_with_commonsense": frozenset({"reading_comprehension", "commonsense"}),
    "paraphrase": frozenset({"nli"}),
    "nli": frozenset({"paraphrase"}),
})  # fmt: skip
"""Clusters that are not trained on either when one is held out, for they ask nearly the same (paper, section 2.2)."""


@functools.cache
def datasets() -> MappingProxyType[str, Dataset]:
    """Every dataset by name, cluster after cluster.  Raises ValueError at a repeated name or an unknown cluster."""
    found: dict[str, Dataset] = {}
    for package in (flan2021, microworld):
        for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
            declared = importlib.import_module(f"{package.__name__}.{module}")
            for dataset in getattr(declared, "DATASETS", ()):
                if dataset.name in found:
                    raise ValueError(f"two datasets are called {dataset.name!r}; the second is in {declared.__name__}")
                if dataset.kind != "documents" and dataset.cluster not in CLUSTERS:
                    raise ValueError(f"{dataset.name}: unknown cluster {dataset.cluster!r}")
                found[dataset.name] = dataset
    order = [*CLUSTERS]
    by_cluster = sorted(found.values(), key=lambda d: order.index(d.cluster) if d.cluster in order else len(order))
    return MappingProxyType({dataset.name: dataset for dataset in by_cluster})


def trained_without(cluster: str) -> frozenset[str]:
    """The clusters left out of training when one is held out: itself and those that ask nearly the same."""
    return frozenset({cluster}) | EXCLUDED_WITH.get(cluster, frozenset())


@functools.cache
def forms() -> MappingProxyType[str, Dataset]:
    """The other forms of FLAN 2021's datasets, by name; see `forms.py`."""
    declared = [d for d in datasets().values() if d.benchmark == "flan2021"]
    return MappingProxyType({form.name: form for d in declared for form in forms_of(d, CLUSTERS[d.cluster])})


def find(name: str) -> Dataset:
    """A declared dataset or another form of one.  Raises KeyError."""
    return datasets()[name] if name in datasets() else forms()[name]


@functools.cache
def mixtures() -> MappingProxyType[str, Mixture]:
    """Every named mixture.

    For each benchmark b: `b` (all tuning tasks), `b_loo_<cluster>` for every cluster it has (train on the others,
    evaluate that one), and `b_pretraining` where it has plain documents.  For FLAN 2021 each of the first two also
        ..._released       with every configuration at full weight, those that share their rows too, as the release does
        ..._rows_once      without those whose rows another one holds beside its own (squad_v1 within squad_v2)
        ..._plain, _named  trained in that form, evaluated in it and with instructions (paper, section 4.3)
        ..._continuation   for the baseline without tuning: evaluated in that form, nothing to train on
    and those of `flan2021/studies.py`.
    """
    found: dict[str, Mixture] = {}
    for benchmark in dict.fromkeys(dataset.benchmark for dataset in datasets().values()):
        members = [d for d in datasets().values() if d.benchmark == benchmark]
        tuning = [d for d in members if d.kind != "documents"]
        documents = tuple(d.name for d in members if d.kind == "documents")
        whole = [_mixture(benchmark, tuning, tuning)]
        for cluster in (c for c in CLUSTERS if any(d.cluster == c for d in tuning)):
            inside = [d for d in tuning if d.cluster == cluster]
            others = [d for d in tuning if d.cluster not in trained_without(cluster)]
            whole.append(_mixture(f"{benchmark}_loo_{cluster}", others, inside))
        found |= {mixture.name: mixture for mixture in whole}
        if benchmark == "flan2021":
            forms = [form for mixture in whole for form in _in_forms(mixture)]
            found |= {mixture.name: mixture for mixture in (*forms, *studies.mixtures(tuning))}
        if documents:
            name = f"{benchmark}_pretraining"
            found[name] = Mixture(name, train=documents, evaluate=())
    return MappingProxyType(found)


def _mixture(name: str, train: Sequence[Dataset], evaluate: Sequence[Dataset]) -> Mixture:
    return Mixture(name, train=studies.trainable(train), evaluate=tuple(d.name for d in evaluate))


def _in_forms(mixture: Mixture) -> Iterator[Mixture]:
    """The same mixture as released, with every row once, and in every other form."""
    trained = set(mixture.train)
    doubled = [d.name for d in datasets().values() if d.name in trained or d.same_rows_as in trained]
    yield Mixture(f"{mixture.name}_released", train=tuple(doubled), evaluate=mixture.evaluate)
    once = tuple(name for name in mixture.train if datasets()[name].rows_within not in trained)
    if once != mixture.train:
        yield Mixture(f"{mixture.name}_rows_once", train=once, evaluate=mixture.evaluate)
    for form in FORMS:
        train = () if form == "continuation" else tuple(f"{task}_{form}" for task in mixture.train)
        evaluate = tuple(f"{task}_{form}" for task in mixture.evaluate)
        both = evaluate if form == "continuation" else (*evaluate, *mixture.evaluate)
        yield Mixture(f"{mixture.name}_{form}", train=train, evaluate=both)
