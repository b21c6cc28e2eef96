"""A keyed permutation is a bijection, depends on its key, and is the same everywhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.data.permutation import derive_key, keyed_hash, permuted

KEYS = st.integers(0, 2**64 - 1)


@settings(deadline=None, max_examples=40)
@given(n=st.integers(1, 3000), key=KEYS)
def test_is_a_bijection(n, key):
    assert np.array_equal(np.sort(permuted(np.arange(n), n, key)), np.arange(n))


@settings(deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 2**40), min_size=1, max_size=20), key=KEYS)
def test_each_element_may_have_its_own_size_and_key(sizes, key):
    n = np.asarray(sizes)
    keys = keyed_hash(np.full(len(n), key, np.uint64), np.arange(len(n)))
    together = permuted(n // 3, n, keys)
    alone = [permuted(n[i : i + 1] // 3, int(n[i]), int(keys[i]))[0] for i in range(len(n))]
    assert together.tolist() == alone


def test_is_the_same_on_every_machine():
    """Numbers computed once: where they change, every plan and every resumed run changes with them."""
    assert derive_key("epoch", 0, "rte") == 2897373072894119917
    assert permuted(np.arange(10), 10, 7).tolist() == [5, 9, 7, 2, 1, 4, 6, 8, 0, 3]
    assert permuted(np.arange(3), 10**6, 2**64 - 1).tolist() == [580103, 258865, 532231]


def test_key_distinguishes_its_parts():
    keys = {derive_key("a", 1), derive_key("a", "1"), derive_key("a1"), derive_key("a", 1, 0), derive_key("a", 10)}
    assert len(keys) == 5


@pytest.mark.parametrize("n", [2, 3, 5, 6, 8, 13])
def test_every_place_is_equally_likely(n):
    """Over keys, each element lands on each place as often (chi-square well below what a biased network gives)."""
    trials = 4000
    keys = np.repeat(keyed_hash(np.zeros(trials, np.uint64), np.arange(trials)), n)
    elements = np.tile(np.arange(n), trials)
    counts = np.zeros((n, n))
    np.add.at(counts, (elements, permuted(elements, n, keys)), 1)
    expected = trials / n
    chi_square = ((counts - expected) ** 2 / expected).sum()
    freedom = (n - 1) ** 2
    assert chi_square < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("index", [-1, 5])
def test_refuses_an_index_outside(index):
    with pytest.raises(ValueError, match="outside"):
        permuted(np.asarray([index]), 5, 0)
