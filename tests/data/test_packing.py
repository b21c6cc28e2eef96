"""Packing places every document once, never exceeds a row, and fills the rows."""

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flan_jax.data import packing
from flan_jax.data.composition import Documents, SpecialTokens
from flan_jax.data.packing import WINDOW_ROWS, best_fit, packed_windows

SPECIAL = SpecialTokens(pad=0, bos=None, eos=1)


def plain_best_fit(lengths, row_length: int) -> int:
    """The number of rows of best-fit decreasing, by the definition: quadratic, no bit tricks."""
    spaces: list[int] = []
    for length in sorted(lengths, reverse=True):
        fitting = [(space, i) for i, space in enumerate(spaces) if space >= length]
        if fitting:
            spaces[min(fitting)[1]] -= length
        else:
            spaces.append(row_length - length)
    return len(spaces)


@settings(deadline=None, max_examples=40)
@given(lengths=st.lists(st.integers(1, 64), max_size=200))
def test_best_fit_never_exceeds_a_row_and_opens_no_row_in_vain(lengths):
    rows_of, rows = best_fit(np.asarray(lengths, np.int64), 64)
    used = np.bincount(rows_of, weights=lengths, minlength=rows)
    assert used.shape == (rows,) and np.all(used <= 64) and np.all(used > 0)
    assert rows == plain_best_fit(lengths, 64)


@pytest.mark.parametrize("length", [0, 65])
def test_best_fit_refuses_what_fits_no_row(length):
    with pytest.raises(ValueError, match=r"do not lie in 1\.\.64"):
        best_fit(np.asarray([3, length]), 64)


def stream_of(lengths: np.ndarray, chunk: int = 100):
    """Documents in chunks; `example` counts up, so that what became of each can be followed."""
    for start in range(0, len(lengths), chunk):
        part = lengths[start : start + chunk].astype(np.int32)
        zeros = np.zeros_like(part)
        example = np.arange(start, start + len(part), dtype=np.int32)
        none = np.zeros((len(part), 0), np.int32)
        yield Documents(zeros, example, zeros, part - 2, zeros + 1, none, zeros)  # EOS is the second of the two


def flan_like(rng, count: int) -> np.ndarray:
    """Log-normal, a third short (sentiment), a third a paragraph, a third long and cut at 1024."""
    scale = rng.choice([40, 160, 450], count)
    return np.exp(rng.normal(np.log(scale), 0.5)).astype(int).clip(4, 1024)


@pytest.fixture
def short_windows(monkeypatch):
    monkeypatch.setattr(packing, "WINDOW_ROWS", 16)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rows=st.integers(1, 60), row_length=st.integers(8, 40))
def test_windows_hold_a_prefix_of_the_stream_each_document_once(short_windows, data, rows, row_length):
    """All windows but the last, which is cut at the rows that are wanted and holds no document twice."""
    drawn = data.draw(st.lists(st.integers(2, row_length), min_size=1, max_size=50))
    lengths = np.resize(np.asarray(drawn), 90 * row_length)
    windows = list(packed_windows(stream_of(lengths), rows, row_length, SPECIAL, seed=0))
    assert sum(len(window.row_offsets) - 1 for window in windows) == rows
    *whole, last = (np.sort(window.documents.example) for window in windows)
    before = np.concatenate([[], *whole])
    assert np.array_equal(before, np.arange(len(before)))
    assert last.min() >= len(before) and np.all(np.diff(last) > 0)
    for documents, row_offsets in windows:
        per_row = np.add.reduceat(documents.lengths(SPECIAL), row_offsets[:-1])
        assert np.all(np.diff(row_offsets) > 0) and per_row.max() <= row_length


@pytest.mark.parametrize("fewer", [1, 16, 17, 59])
def test_fewer_rows_are_the_beginning_of_more(short_windows, fewer):
    def rows_of(rows):
        for documents, offsets in packed_windows(stream_of(lengths), rows, 64, SPECIAL, seed=0):
            yield from (documents.example[a:b].tolist() for a, b in itertools.pairwise(offsets))

    lengths = np.random.default_rng(3).integers(2, 64, 1000)
    assert list(rows_of(fewer)) == list(rows_of(100))[:fewer]


@pytest.mark.parametrize(("rows", "least"), [(3 * WINDOW_ROWS, 0.985), (40, 0.985)])
def test_fill_at_1024(rows, least):
    lengths = flan_like(np.random.default_rng(0), (rows + WINDOW_ROWS) * 12)
    windows = packed_windows(stream_of(lengths), rows, 1024, SPECIAL, seed=0)
    tokens = sum(int(window.documents.lengths(SPECIAL).sum()) for window in windows)
    assert tokens / (rows * 1024) >= least


def test_length_does_not_go_with_the_step():
    """Best-fit fills the first rows with the longest documents; shuffled, the row says nothing of the length."""
    lengths = flan_like(np.random.default_rng(1), 12 * WINDOW_ROWS)
    window = next(packed_windows(stream_of(lengths), WINDOW_ROWS, 1024, SPECIAL, seed=0))
    row_of_document = np.repeat(np.arange(len(window.row_offsets) - 1), np.diff(window.row_offsets))
    assert abs(np.corrcoef(row_of_document, window.documents.inputs_length)[0, 1]) < 0.1


def test_only_a_window_is_held():
    """The first window comes after reading little more than it holds, whatever the number of rows asked for."""
    read = 0

    def counted():
        nonlocal read
        for documents in stream_of(np.full(10**6, 100)):
            read += int(documents.lengths(SPECIAL).sum())
            yield documents

    next(packed_windows(counted(), 10**5, 1024, SPECIAL, seed=0))
    assert read <= (WINDOW_ROWS * 1024) + 100 * 100


def test_another_seed_shuffles_otherwise():
    lengths = flan_like(np.random.default_rng(2), 12 * WINDOW_ROWS)
    first, again, other = (
        next(packed_windows(stream_of(lengths), 20, 1024, SPECIAL, seed=seed)).documents.example for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again) and not np.array_equal(first, other)
