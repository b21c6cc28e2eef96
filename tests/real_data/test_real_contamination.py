"""Leaks between FLAN's own datasets are found, of those datasets that are present in $FLAN_JAX_TEST_DATA."""

import functools
import os
import pathlib

import pytest

from flan_jax.data.store import Store
from flan_jax.data.text_layer import text_request, write_text
from flan_jax.evaluation.contamination import ContaminationConfig, contamination
from flan_jax.evaluation.contamination_report import Contamination
from tasks import catalog, get_task
from tasks.reading import DatasetMissing
from tasks.registry import count_rows

ROOT = os.environ.get("FLAN_JAX_TEST_DATA")
pytestmark = pytest.mark.skipif(not ROOT, reason="set FLAN_JAX_TEST_DATA to a folder that holds tfds/ to run this")

KNOWN = [
    ("wsc", "test", "wnli", 50),  # Winograd schemas, in three datasets of two clusters
    ("wnli", "test", "wsc", 50),
    ("wsc273", "test", "wnli", 10),
    ("wsc273", "test", "wsc", 10),
    ("wnli", "test", "wnli", 50),  # the test repeats sentences of train with the other label
    ("mnli_mismatched", "train", "mnli_matched", 100),  # the same rows, but for those without words enough
    ("qnli", "validation", "squad_v1", 50),  # made from SQuAD; official dev is of other articles than train
    ("squad_v1", "validation", "squad_v2", 50),  # version 2 adds questions to the passages of version 1
    ("squad_v2", "validation", "squad_v1", 50),
]
"""(evaluated, split, trained on, at least so many of 100 examples with n-grams are dirty)"""
WHOLE_ONLY = {"qnli", "squad_v1", "squad_v2"}
"""Samples of these need not share anything: they are asked only where the directory holds all there is."""


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    """Search for a split of one task in the train split of another, both prepared when first asked for."""
    store = Store(tmp_path_factory.mktemp("store"))

    @functools.cache
    def prepare(name: str, split: str) -> None:
        task = get_task(name)
        if name in WHOLE_ONLY and count_rows(catalog.find(name), "train") < 30_000:
            pytest.skip(f"only a part of {name} is here")
        write_text(store, task, split, text_request(task, split, 0, 500))

    def searched(evaluated: str, split: str, trained: str) -> Contamination:
        try:
            prepare(evaluated, split)
            prepare(trained, "train")
        except DatasetMissing as error:
            pytest.skip(str(error).splitlines()[0])
        return contamination(
            ContaminationConfig(evaluated, str(store.root), trained, tasks="tasks", split=split, processes=1)
        )

    return searched


@pytest.fixture(autouse=True)
def data_directory(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(pathlib.Path(ROOT or "") / "tfds"))


@pytest.mark.parametrize(("evaluated", "split", "trained", "percent"), KNOWN)
def test_known_leaks_are_found(search, evaluated, split, trained, percent):
    task = search(evaluated, split, trained).task(evaluated)
    assert task.dirty >= percent / 100 * (task.examples - task.short)
    assert task.leaks[0].source == trained and len(task.leaks[0].overlap.split()) >= 8


def test_other_datasets_share_next_to_nothing(search):
    for trained in ("sst2", "rte", "mnli_matched"):
        assert search("wnli", "test", trained).task("wnli").dirty == 0


def test_an_instruction_of_both_is_no_leak(search):
    """wsc and definite_pronoun_resolution ask the same of other sentences."""
    assert search("definite_pronoun_resolution", "test", "wsc").task("definite_pronoun_resolution").dirty == 0
