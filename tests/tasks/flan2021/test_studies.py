"""The mixtures of the paper's studies: what they train on, what they hold out, and how many of each."""

import itertools

import pytest

from tasks import catalog, get_task
from tasks.flan2021 import studies
from tasks.splits import resolve

MIXTURES = {name: mixture for name, mixture in catalog.mixtures().items() if name.startswith("flan2021")}
FLAN = {name: d for name, d in catalog.datasets().items() if d.benchmark == "flan2021"}
HELD_OUT = ("nli", "closed_book_qa", "commonsense")


def clusters(names: tuple[str, ...]) -> set[str]:
    return {catalog.find(name).cluster for name in names}


def family(name: str) -> str:
    return FLAN[name].family or name


def test_number_of_clusters():
    """The release trains on 11, 19, 25, 29, 33, 36 and 38 tasks; the paper has one more translation task."""
    ablation = [MIXTURES[f"flan2021_clusters_{n}"] for n in range(1, 8)]
    assert [len(mixture.train) for mixture in ablation] == [11, 19, 25, 29, 33, 36, 38]
    for smaller, larger in itertools.pairwise(ablation):
        assert {*smaller.train} < {*larger.train}
    for mixture in ablation:
        assert not clusters(mixture.train) & {*HELD_OUT}
        assert clusters(mixture.evaluate) == {*HELD_OUT} and len(mixture.evaluate) == 18
    added = [clusters(tuple({*b.train} - {*a.train})) for a, b in itertools.pairwise(ablation)]
    assert [*map(sorted, added)] == [[c] for c in (
        "translation", "reading_comprehension", "sentiment", "struct_to_text", "coreference", "misc"
    )]  # fmt: skip
    assert {*ablation[6].train} - {*ablation[5].train} == {"coqa", "quac"}


def test_datasets_per_cluster():
    studied = [MIXTURES[f"flan2021_per_cluster_{n}"] for n in range(1, 5)]
    assert [len(mixture.train) for mixture in studied] == [7, 14, 20, 25]
    for smaller, larger in itertools.pairwise(studied):
        assert {*smaller.train} < {*larger.train}
    assert all(not clusters(mixture.train) & {*HELD_OUT} for mixture in studied)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
@pytest.mark.parametrize("whole", ["flan2021_clusters_7", "flan2021_without_superglue"])
def test_templates_a_dataset(whole: str, count: int):
    mixture = MIXTURES[f"{whole}_templates_{count}"]
    assert mixture.train == tuple(f"{name}_templates_{count}" for name in MIXTURES[whole].train)
    assert mixture.evaluate == MIXTURES[whole].evaluate
    assert all(len(get_task(name).templates) == count for name in mixture.train)


def test_superglue_held_out():
    mixture = MIXTURES["flan2021_without_superglue"]
    assert {*mixture.evaluate} == {"bool_q", "cb", "copa", "multirc", "record", "rte", "wic", "wsc"}
    assert {*mixture.train} == {*FLAN} - {*mixture.evaluate, "wsc273", "mnli_mismatched"}
    assert len(mixture.train) == 60


def test_one_dataset_of_every_cluster_held_out():
    """Configurations that the paper counts as one are held out together."""
    series = [mixture for name, mixture in MIXTURES.items() if name.startswith("flan2021_without_datasets_")]
    assert len(series) == 10
    ever: set[str] = set()
    for mixture in series:
        held_out = {family(name) for name in mixture.evaluate}
        assert clusters(mixture.evaluate) == {*catalog.CLUSTERS} and len(held_out) == 12
        assert not held_out & {family(name) for name in mixture.train}
        assert len(mixture.train) + len(mixture.evaluate) >= 68
        ever |= {*mixture.evaluate}
    assert ever == {*FLAN}


@pytest.mark.parametrize("cluster", catalog.CLUSTERS)
def test_leave_one_cluster_out(cluster: str):
    mixture = MIXTURES[f"flan2021_loo_{cluster}"]
    assert {*mixture.evaluate} == {name for name, dataset in FLAN.items() if dataset.cluster == cluster}
    assert clusters(mixture.train) == {*catalog.CLUSTERS} - catalog.trained_without(cluster)


def test_cross_cluster_exclusions_are_the_papers():
    """Paper, section 2.2: reading comprehension and commonsense against both together; paraphrase against inference."""
    found = {(a, b) for a in catalog.CLUSTERS for b in catalog.trained_without(a) - {a}}
    both = "reading_comprehension_with_commonsense"
    pairs = {("reading_comprehension", both), ("commonsense", both), ("paraphrase", "nli")}
    assert found == pairs | {(b, a) for a, b in pairs}


def test_roles_of_instructions_are_evaluated_both_ways():
    """Trained without a template or with the name only, a model is asked in that form and by instructions."""
    for cluster in catalog.CLUSTERS:
        normal = MIXTURES[f"flan2021_loo_{cluster}"]
        for form in ("plain", "named"):
            mixture = MIXTURES[f"{normal.name}_{form}"]
            assert mixture.train == tuple(f"{name}_{form}" for name in normal.train)
            assert mixture.evaluate == (*(f"{name}_{form}" for name in normal.evaluate), *normal.evaluate)
        baseline = MIXTURES[f"{normal.name}_continuation"]
        assert baseline.train == () and baseline.evaluate == tuple(f"{n}_continuation" for n in normal.evaluate)


def test_released_behaviour_doubles_what_shares_its_rows():
    for name, mixture in MIXTURES.items():
        if f"{name}_released" in MIXTURES:
            doubled = {*MIXTURES[f"{name}_released"].train} - {*mixture.train}
            assert doubled == ({"mnli_mismatched"} if "mnli_matched" in mixture.train else set())


def test_rows_that_another_dataset_holds_can_be_trained_on_once():
    """All of a mixture but squad_v1, whose questions squad_v2 asks too; the mixtures themselves are the paper's."""
    for name, mixture in MIXTURES.items():
        if f"{name}_released" in MIXTURES:
            both = {"squad_v1", "squad_v2"} <= {*mixture.train}
            assert both == (f"{name}_rows_once" in MIXTURES)
            if both:
                once = MIXTURES[f"{name}_rows_once"]
                assert {*mixture.train} - {*once.train} == {"squad_v1"} and once.evaluate == mixture.evaluate
    assert len([name for name in MIXTURES if name.endswith("_rows_once")]) == 1 + 12 - 2


def test_datasets_that_repeat_rows_of_another_are_declared():
    assert {d.name: d.same_rows_as for d in FLAN.values() if d.same_rows_as} == {"mnli_mismatched": "mnli_matched"}
    assert {d.name: d.rows_within for d in FLAN.values() if d.rows_within} == {"squad_v1": "squad_v2"}


def test_two_datasets_never_train_on_the_same_rows_of_a_source_undeclared():
    """Of those that read the same TFDS split, the ranges are apart, or `same_rows_as` says that they are not."""
    ranges: dict[tuple[str, str], list[tuple[str, range]]] = {}
    for dataset in FLAN.values():
        if "train" in dataset.splits:
            split = dataset.splits["train"].split
            rows = resolve(dataset.splits, dict.fromkeys((r.split for r in dataset.splits.values()), 1_000_000))[
                "train"
            ]
            ranges.setdefault((dataset.source.name, split), []).append((dataset.name, range(rows.start, rows.stop)))
    for readers in ranges.values():
        for (one, a), (other, b) in itertools.combinations(readers, 2):
            shared = max(a.start, b.start) < min(a.stop, b.stop)
            assert shared == (FLAN[other].same_rows_as == one or FLAN[one].same_rows_as == other), (one, other)
    assert max(len(readers) for readers in ranges.values()) == 3


def test_the_ablation_names_clusters_that_exist():
    assert {*studies.ABLATION_ORDER} - {"conversational_qa"} < {*catalog.CLUSTERS}
