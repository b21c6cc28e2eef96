"""Packing: best-fit decreasing, window by window.

Documents are packed a window of rows at a time: long enough that the rows left half empty at its end do not matter,
short enough that memory is bounded and every stretch of steps has its share of the mixture.  On 12 tasks with lengths
like FLAN's and rows of 1024, windows of 64, 128 and 256 rows fill 0.989, 0.994 and 0.997, and from 1,000 documents on
the shares stray from the requested by 0.9, 1.0 and 1.4 points at the worst (mean of 8 seeds), from 4,000 on by 0.3, 0.4
and 0.5.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32, Integer

from flan_jax.data.composition import Documents, SpecialTokens
from flan_jax.data.permutation import derive_key, permuted

WINDOW_ROWS = 256


def best_fit(lengths: Integer[np.ndarray, " N"], row_length: int) -> tuple[Int32[np.ndarray, " N"], int]:
    """The row of each document, and the number of rows: longest first, each into the fullest row it fits.

    Open rows are kept by the space left in them; bit s of `spaces` says that some row has exactly s tokens left, so the
    best row for a document of n tokens is the lowest bit of spaces >> n.  After the sort, a document costs a constant.
    Raises ValueError if a length is not in [1, row_length].
    """
    if lengths.size and (lengths.min() < 1 or lengths.max() > row_length):
        raise ValueError(f"document lengths {lengths.min()}..{lengths.max()} do not lie in 1..{row_length}")
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    assigned: list[int] = []
    open_rows: list[list[int]] = [[] for _ in range(row_length + 1)]
    spaces, rows = 0, 0
    for length in lengths[order].tolist():
        fitting = spaces >> length
        if fitting:
            space = length + (fitting & -fitting).bit_length() - 1
            row = open_rows[space].pop()
            if not open_rows[space]:
                spaces ^= 1 << space
        else:
            space, row = row_length, rows
            rows += 1
        assigned.append(row)
        if left := space - length:
            if not open_rows[left]:
                spaces |= 1 << left
            open_rows[left].append(row)
    row_of_document = np.empty(len(assigned), np.int32)
    row_of_document[order] = assigned
    return row_of_document, rows


class PackedWindow(NamedTuple):
    """Documents row by row; row r holds documents row_offsets[r]:row_offsets[r + 1]."""

    documents: Documents
    row_offsets: Int32[np.ndarray, " R"]

    def first(self, rows: int) -> "PackedWindow":
        """The first `rows` rows, or all if there are no more."""
        row_offsets = self.row_offsets[: rows + 1]
        return PackedWindow(self.documents.take(slice(0, int(row_offsets[-1]))), row_offsets)


def packed_windows(
    stream: Iterator[Documents], rows: int, row_length: int, special: SpecialTokens, seed: int
) -> Iterator[PackedWindow]:
    """Pack an endless stream of documents into exactly `rows` rows.

    A window places every document it takes once and passes over none, so windows hold a prefix of the stream and with
    it the mixture's shares.  No window depends on `rows`, which only cuts the last one: fewer rows are the beginning of
    more, and a run can be lengthened.  Rows within a window are shuffled by a keyed permutation: best-fit opens rows
    for the long documents first, and training must not see length go with the step; and so a cut is a fair sample.
    """
    waiting = next(stream)
    budget = WINDOW_ROWS * row_length
    window = 0
    while rows > 0:
        parts, tokens = [waiting], int(waiting.lengths(special).sum())
        while tokens <= budget:
            parts.append(next(stream))
            tokens += int(parts[-1].lengths(special).sum())
        waiting = Documents(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
        taken = int(np.searchsorted(np.cumsum(waiting.lengths(special)), budget, side="right"))
        documents = waiting.take(slice(0, taken))
        row_of_document, made = best_fit(documents.lengths(special), row_length)
        shuffled = permuted(np.arange(made), made, derive_key("rows", seed, window))[row_of_document]
        row_offsets = np.concatenate([[0], np.cumsum(np.bincount(shuffled, minlength=made))]).astype(np.int32)
        yield PackedWindow(documents.take(np.argsort(shuffled, kind="stable")), row_offsets).first(rows)
        waiting = waiting.take(slice(taken, None))
        rows -= made
        window += 1
