"""Every mixture of FLAN 2021 under seqio: the same names and the same rates as our plans."""

import importlib

import pytest

from flan_jax.data.manifest import TextManifest
from flan_jax.data.mixing import Rates, mixing_shares
from flan_jax.data.plan import PlanConfig, build_plan
from flan_jax.data.store import NotPrepared, Store
from flan_jax.data.vocabulary import ByteVocabulary
from tasks import catalog, mixtures

seqio = importlib.import_module("seqio")
CAP = 5  # more examples than some of the datasets have, and fewer than others


@pytest.fixture(scope="module")
def registered(store, made_up):
    names = mixtures.register(
        seqio.ByteVocabulary(), ["flan2021"], data_dir=str(made_up), maximum_rate=CAP, store=str(store.root)
    )
    yield names
    mixtures.register(seqio.ByteVocabulary(), [])


def seqio_shares(name: str) -> dict[str, float]:
    mixture = seqio.get_mixture_or_task(name)
    rates = {task.name: mixture.get_rate(task) for task in mixture.tasks}
    return {task: rate / sum(rates.values()) for task, rate in rates.items()}


def kept(store: Store, task: str) -> int:
    manifest: TextManifest = store.text_manifest(task, "train")
    return manifest.kept


def test_every_mixture_and_task_is_there_by_its_name(registered):
    for mixture in catalog.mixtures().values():
        if mixture.name.startswith("flan2021"):
            assert not mixture.evaluate or f"{mixture.name}_eval" in registered
            if mixture.train:
                assert {task.name for task in seqio.get_mixture_or_task(mixture.name).tasks} == {*mixture.train}
    assert {*catalog.forms()} < {*registered}


@pytest.mark.parametrize("name", ["flan2021", "flan2021_released", *(f"flan2021_loo_{c}" for c in catalog.CLUSTERS)])
def test_rates_are_those_of_our_plan(name: str, registered, store):
    tasks = catalog.mixtures()[name].train
    rates = Rates(rate_maximum=CAP)
    config = PlanConfig(tasks, 1, 1, 4096, inputs_length=4000, targets_length=2000, rates=rates)
    planned = {task.task: task.requested_share for task in build_plan(store, ByteVocabulary(), config).tasks}
    assert seqio_shares(name) == pytest.approx(planned)
    assert planned == pytest.approx(mixing_shares(rates, {task: kept(store, task) for task in tasks}))
    assert len({*planned.values()}) > 1


def test_without_a_store_rates_follow_the_rows_of_the_source(registered, store, made_up):
    """Of trivia_qa's four rows one is dropped, so that it weighs three with the store and four without."""
    names = mixtures.register(seqio.ByteVocabulary(), ["flan2021"], data_dir=str(made_up))
    mixture = seqio.get_mixture_or_task("flan2021")
    assert mixture.get_rate(seqio.get_mixture_or_task("trivia_qa")) == 4 == kept(store, "trivia_qa") + 1
    again = mixtures.register(
        seqio.ByteVocabulary(), ["flan2021"], data_dir=str(made_up), maximum_rate=CAP, store=str(store.root)
    )
    assert names == again == registered


def test_a_split_that_the_store_lacks_is_named(registered):
    mixture = seqio.get_mixture_or_task("flan2021_plain")
    with pytest.raises(NotPrepared, match="rte_plain/train is not prepared"):
        mixture.get_rate(seqio.get_mixture_or_task("rte_plain"))
