"""What the embedded suite promises: twelve clusters, disjoint splits, the same rows always, fair documents."""

import functools
from collections import Counter

import pytest

from tasks.catalog import CLUSTERS, datasets

SUITE = {name: d for name, d in datasets().items() if d.benchmark == "microworld" and d.kind != "documents"}
DOCUMENTS = [name for name, d in datasets().items() if d.benchmark == "microworld" and d.kind == "documents"]


@functools.cache
def rows(name: str, split: str) -> tuple:
    return tuple(datasets()[name].source.rows(split))


@functools.cache
def documents() -> tuple[str, ...]:
    return tuple(row["text"] for name in DOCUMENTS for row in rows(name, "train"))


def sentences(text: str) -> frozenset[str]:
    """The sentences of a text, whatever their order."""
    return frozenset(text.rstrip(".").split(". "))


@functools.cache
def lines_told() -> frozenset[frozenset[str]]:
    """Every line of every document, as its sentences."""
    return frozenset(sentences(line) for document in documents() for line in document.split("\n"))


def text(row) -> str:
    return repr(sorted(row.items()))


def test_every_cluster_has_two_datasets():
    found = Counter(d.cluster for d in SUITE.values())
    assert set(found) == set(CLUSTERS) and min(found.values()) >= 2


@pytest.mark.parametrize("name", SUITE)
def test_splits_share_no_row(name):
    splits = [{text(row) for row in rows(name, split)} for split in ("train", "validation", "test")]
    assert all(splits), "a split is empty"
    assert not (splits[0] & splits[1] or splits[0] & splits[2] or splits[1] & splits[2])


@pytest.mark.parametrize("name", SUITE)
def test_rows_fit_the_declaration(name):
    """Fields are texts, the answer is one of the options, and no option is right much more often than another."""
    dataset = SUITE[name]
    right = Counter()
    for row in rows(name, "test"):
        fields = dataset.fields(row)
        assert set(fields) - {"options", "references"} == {*dataset.field_names, "answer"}
        assert all(isinstance(fields[f], str) and fields[f].strip() for f in (*dataset.field_names, "answer"))
        if dataset.kind == "classification":
            assert len(set(fields["options"])) == len(fields["options"]) > 1
            right[fields["options"].index(fields["answer"])] += 1
        else:
            assert fields["references"] == (fields["answer"],)
    if right:
        assert max(right.values()) / right.total() < 1 / len(right) + 0.12


def test_rows_are_the_same_every_time():
    for name in SUITE:
        source = datasets()[name].source
        assert list(source.rows("validation")) == list(source.rows("validation"))


@pytest.mark.parametrize("name", [d.name for d in SUITE.values() if {"premise", "story"} & {*d.field_names}])
def test_no_tested_story_is_told_elsewhere(name):
    """Neither documents nor train rows of any dataset tell a tested story, in any order of its sentences."""
    tested = {sentences(row.get("premise") or row["story"]) for row in rows(name, "test")}
    assert not tested & lines_told()
    for other in SUITE:
        for row in rows(other, "train"):
            assert not any(sentences(value) in tested for value in row.values() if isinstance(value, str))


def test_documents_do_not_show_the_formats_of_inference():
    """No word that inference templates use for their parts, and no options suffix, occurs in a document."""
    words = ("premise", "hypothesis", "entail", "follow", "conclude", "infer", "imply", "suppose", "options")
    for document in documents():
        lower = document.lower()
        assert not any(word in lower for word in words), document


def test_documents_are_of_the_train_split_and_many_kinds():
    assert len(DOCUMENTS) == 2
    assert all(len({text(row) for row in rows(name, "train")}) == len(rows(name, "train")) for name in DOCUMENTS)
    assert any("Oru" in d for d in documents()) and any("flag of" in d for d in documents())
