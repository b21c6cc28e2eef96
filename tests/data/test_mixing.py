"""Rates are the papers', and the order gives every task its share at every moment."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.mixing import MixingError, Rates, mixing_shares, scheduled
from flan_jax.data.permutation import derive_key


def keys_of(tasks: int) -> np.ndarray:
    return np.asarray([derive_key("place", 0, i) for i in range(tasks)], np.uint64)


def normalised(rates: list[float]) -> np.ndarray:
    return np.asarray(rates) / np.sum(rates)


def test_examples_proportional_is_flans():
    shares = mixing_shares(Rates(), {"small": 1_000, "large": 90_000, "middle": 3_000})
    assert shares == {"small": 1 / 7, "large": 3 / 7, "middle": 3 / 7}


def test_example_cap_bounds_the_rate_where_there_is_no_maximum():
    assert mixing_shares(Rates(rate_maximum=None), {"a": 90_000, "b": 10_000}) == {"a": 0.75, "b": 0.25}


def test_temperature_flattens():
    counts = {"a": 100, "b": 10_000}
    assert mixing_shares(Rates("temperature", rate_maximum=None, temperature=2.0), counts)["a"] == pytest.approx(1 / 11)
    assert mixing_shares(Rates("temperature", temperature=1.0), counts) == mixing_shares(Rates(), counts)


def test_explicit_rates_are_relative_to_each_other():
    assert mixing_shares(Rates("explicit", explicit={"b": 3, "a": 1}), {"a": 5, "b": 5}) == {"a": 0.25, "b": 0.75}


@pytest.mark.parametrize(
    ("rates", "counts", "message"),
    [
        (Rates(), {}, "mixture is empty"),
        (Rates(), {"a": 3, "b": 0}, "no usable training example in b"),
        (Rates("explicit", explicit={"a": 1}), {"a": 1, "rte": 1}, "no explicit rate for rte"),
        (Rates("explicit", explicit={"a": 1, "rtee": 1}), {"a": 1}, "Rates.explicit names rtee"),
        (Rates("explicit", explicit={"a": 0}), {"a": 1}, "a the rate 0"),
        (Rates("explicit", explicit={"a": float("inf")}), {"a": 1}, "a the rate inf"),
        (Rates("temperature", temperature=0), {"a": 1}, "Rates.temperature is 0"),
        (Rates(rate_maximum=-1), {"a": 1}, "Rates.rate_maximum is -1"),
    ],
)
def test_bad_rates_name_the_setting(rates, counts, message):
    with pytest.raises(MixingError, match=message):
        mixing_shares(rates, counts)


@settings(deadline=None, max_examples=40)
@given(rates=st.lists(st.floats(1e-4, 1e4), min_size=1, max_size=12), stop=st.integers(1, 2000))
def test_every_task_has_its_due_to_within_one_visit(rates, stop):
    shares = normalised(rates)
    task, _ = scheduled(shares, keys_of(len(shares)), 0, stop)
    assert np.all(np.abs(np.bincount(task, minlength=len(shares)) - shares * stop) <= 1 + 1e-9 * stop)


@settings(deadline=None, max_examples=40)
@given(rates=st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=8), cuts=st.lists(st.integers(1, 999), max_size=4))
def test_stretches_join_without_gap(rates, cuts):
    """However the order is cut, it is the same, and a task's visits count up by one."""
    shares, keys = normalised(rates), keys_of(len(rates))
    borders = [0, *sorted(cuts), 1000]
    parts = [scheduled(shares, keys, a, b) for a, b in itertools.pairwise(borders)]
    task, visit = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    whole = scheduled(shares, keys, 0, 1000)
    assert np.array_equal(task, whole.task) and np.array_equal(visit, whole.visit)
    for i in range(len(rates)):
        assert np.array_equal(visit[task == i], np.arange(np.sum(task == i)))


def test_shares_are_within_one_percent_at_every_prefix_of_a_few_hundred():
    """62 tasks between 250 and 30,000 examples, FLAN's rates: the whole order, not its end, is the mixture."""
    counts = {f"task_{i}": int(n) for i, n in enumerate(np.geomspace(250, 30_000, 62))}
    shares = np.asarray(list(mixing_shares(Rates(), counts).values()))
    task, _ = scheduled(shares, keys_of(62), 0, 20_000)
    realised = np.cumsum(task[:, None] == np.arange(62), axis=0) / np.arange(1, len(task) + 1)[:, None]
    assert np.abs(realised - shares)[200:].max() < 0.01
    assert np.abs(realised - shares)[5000:].max() < 0.0005


def test_no_rhythm_shows():
    """Two equal tasks do not alternate, and nothing recurs at a distance."""
    task, _ = scheduled(np.asarray([0.5, 0.5]), keys_of(2), 0, 20_000)
    repeats = np.mean(task[1:] == task[:-1])
    assert 0.2 < repeats < 0.45
    lags = [abs(np.corrcoef(task[:-lag], task[lag:])[0, 1]) for lag in range(4, 40)]
    assert max(lags) < 0.05
