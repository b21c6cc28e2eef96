"""The mixtures of the FLAN paper's studies beyond leaving one cluster out.

flan2021_without_datasets_<k>     one dataset of every cluster held out, another one for each k
flan2021_without_superglue        SuperGLUE's eight tasks held out; also _templates_<n>
flan2021_clusters_<n>             the first n of seven clusters in the paper's order; nli, closed_book_qa and
                                  commonsense held out (section 4.1); flan2021_clusters_7_templates_<n> (appendix)
flan2021_per_cluster_<n>          the same seven clusters with n datasets each (appendix)
"""

from collections.abc import Iterator, Sequence

from flan_jax.data.task import Mixture

from ..dataset import Dataset
from ..forms import TEMPLATE_COUNTS

SUPERGLUE = ("bool_q", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")

CONVERSATIONAL = ("coqa", "quac")
"""The seventh cluster of the ablation; figure 3 of the paper counts it among the miscellaneous."""

ABLATION_ORDER = (
    "summarization", "translation", "reading_comprehension", "sentiment", "struct_to_text", "coreference",
    "conversational_qa",
)  # fmt: skip
"""Clusters in the order in which the ablation adds them (paper, figure 6)."""

ABLATION_HELD_OUT = ("nli", "closed_book_qa", "commonsense")


def families(datasets: Sequence[Dataset]) -> dict[str, list[str]]:
    """Names of the datasets by family, in order: configurations that the paper counts as one stay together."""
    found: dict[str, list[str]] = {}
    for dataset in datasets:
        found.setdefault(dataset.family or dataset.name, []).append(dataset.name)
    return found


def mixtures(datasets: Sequence[Dataset]) -> Iterator[Mixture]:
    """datasets: FLAN 2021's own, in catalogue order."""
    clusters: dict[str, list[Dataset]] = {}
    for dataset in datasets:
        clusters.setdefault(dataset.cluster, []).append(dataset)
    yield from _without_datasets(datasets, clusters)
    without = trainable([d for d in datasets if d.name not in SUPERGLUE])
    yield Mixture("flan2021_without_superglue", without, SUPERGLUE)
    for count in TEMPLATE_COUNTS:
        name = f"flan2021_without_superglue_templates_{count}"
        yield Mixture(name, tuple(f"{task}_templates_{count}" for task in without), SUPERGLUE)
    yield from _cluster_ablations(datasets, clusters)


def trainable(datasets: Sequence[Dataset]) -> tuple[str, ...]:
    """Names of those with a train split, every set of training rows once: mnli_matched, not mnli_mismatched as well."""
    names = {d.name for d in datasets}
    return tuple(d.name for d in datasets if "train" in d.splits and d.same_rows_as not in names)


def _without_datasets(datasets: Sequence[Dataset], clusters: dict[str, list[Dataset]]) -> Iterator[Mixture]:
    by_cluster = [list(families(members).values()) for members in clusters.values()]
    for k in range(max(map(len, by_cluster))):
        # A cluster with fewer families than k starts anew, so that every one is held out about equally often.
        held_out = {name for members in by_cluster for name in members[k % len(members)]}
        train = trainable([d for d in datasets if d.name not in held_out])
        evaluate = tuple(d.name for d in datasets if d.name in held_out)
        yield Mixture(f"flan2021_without_datasets_{k}", train, evaluate)


def _cluster_ablations(datasets: Sequence[Dataset], clusters: dict[str, list[Dataset]]) -> Iterator[Mixture]:
    by_name = {d.name: d for d in datasets}
    conversational = [by_name[name] for name in CONVERSATIONAL]
    seven = [conversational if name == "conversational_qa" else clusters[name] for name in ABLATION_ORDER]
    held_out = tuple(d.name for name in ABLATION_HELD_OUT for d in clusters[name])
    for count in range(1, len(seven) + 1):
        train = trainable([d for members in seven[:count] for d in members])
        yield Mixture(f"flan2021_clusters_{count}", train, held_out)
    for count in TEMPLATE_COUNTS:
        names = tuple(f"{task}_templates_{count}" for task in train)
        yield Mixture(f"flan2021_clusters_7_templates_{count}", names, held_out)
    for count in (1, 2, 3, 4):
        chosen = [by_name[name] for members in seven for name in trainable(members)[:count]]
        yield Mixture(f"flan2021_per_cluster_{count}", trainable(chosen), held_out)
