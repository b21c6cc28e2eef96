"""Questions laid out in rows: each context once, its options as branches behind it, several questions a row.

A question of c context tokens and options of n_1..n_k tokens takes c + Σ(n_i - 1) columns: the first token of every
option is predicted from the context's last column, and the last token of an option predicts nothing.  Asking option
by option takes Σ(c + n_i - 1).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from flan_jax.data.packing import best_fit
from flan_jax.evaluation.requests import Request

SPARSE = 8
"""Questions that read at most one in SPARSE of their columns are packed apart: their rows need few logits."""


class Item(NamedTuple):
    """One question: what fills its columns, and what is read there.

    tokens, positions, branches [L]; `columns` [W] are the columns whose next-token distribution is wanted;
    score s is of token `targets[s]` at wanted column `slots[s]` and belongs to option `options[s]`.
    """

    tokens: Int32[np.ndarray, " L"]
    positions: Int32[np.ndarray, " L"]
    branches: Int32[np.ndarray, " L"]
    columns: Int32[np.ndarray, " W"]
    slots: Int32[np.ndarray, " S"]
    targets: Int32[np.ndarray, " S"]
    options: Int32[np.ndarray, " S"]


class RankingBatch(NamedTuple):
    """Rows of questions.  `option[r, s]` is the global number of the option that score s belongs to, -1 for none."""

    tokens: Int32[np.ndarray, "R T"]
    positions: Int32[np.ndarray, "R T"]
    segment_ids: Int32[np.ndarray, "R T"]
    branch_ids: Int32[np.ndarray, "R T"]
    columns: Int32[np.ndarray, "R W"]
    slots: Int32[np.ndarray, "R S"]
    targets: Int32[np.ndarray, "R S"]
    option: Int32[np.ndarray, "R S"]
    questions: int


def lay_out(request: Request) -> Item:
    """The columns of one question: context (branch 0), then each option but its last token (branches 1..k)."""
    context, options = request.context, request.options
    c, fed = len(context), [len(option) - 1 for option in options]
    starts = np.concatenate([[0], np.cumsum(fed)])[:-1]
    slots = [np.concatenate([[0], start + np.arange(1, n + 1)]) for start, n in zip(starts, fed, strict=True)]
    arrays = (
        np.concatenate([context, *(option[:-1] for option in options)]),
        np.concatenate([np.arange(c), *(np.arange(c, c + n) for n in fed)]),
        np.concatenate([np.zeros(c), np.repeat(np.arange(1, len(fed) + 1), fed)]),
        np.arange(c - 1, c + sum(fed)),
        np.concatenate(slots),
        np.concatenate(options),
        np.repeat(np.arange(len(options)), [len(option) for option in options]),
    )
    return Item(*(array.astype(np.int32) for array in arrays))


def width_for(length: int, narrowest: int) -> int:
    """`narrowest` doubled until two questions of this length fit: narrower leaves gaps, wider costs attention."""
    width = narrowest
    while width < 2 * length:
        width *= 2
    return width


def rows_for(rows: int, most: int, multiple: int) -> int:
    """Rows of a batch: as even a share of `rows` as batches of at most `most` allow, rounded up.

    One shape for all batches, so nothing compiles for a tail; rounding to an eighth of `most` lets the next
    evaluation find the same shape.
    """
    most = max(most // multiple, 1) * multiple
    share = -(-rows // -(-rows // most))
    step = multiple * max(most // (8 * multiple), 1)
    return min(-(-share // step) * step, most)


def power_of_two(count: int) -> int:
    return 1 << (max(count, 1) - 1).bit_length()


def pack(
    requests: Sequence[Request], *, narrowest: int, tokens_per_batch: int, multiple: int = 1
) -> Iterator[RankingBatch]:
    """Batches that hold every request once, the widest rows first (if memory runs out, it does so at once).

    narrowest: the least row width.  multiple: what the rows of a batch must divide into (devices along `data`).
    Options are numbered through in the order of `requests`.
    """
    items = [lay_out(request) for request in requests]
    first_option = np.cumsum([0] + [len(request.options) for request in requests])
    groups: dict[tuple[int, bool], list[int]] = {}
    for index, item in enumerate(items):
        length = len(item.tokens)
        groups.setdefault((width_for(length, narrowest), len(item.columns) * SPARSE > length), []).append(index)
    for width, dense in sorted(groups, reverse=True):
        members = groups[width, dense]
        lengths = np.array([len(items[m].tokens) for m in members])
        if dense and (width, False) in groups and lengths.sum() < tokens_per_batch:
            groups[width, False] += members  # too few for a shape of their own
            continue
        row_of, rows = best_fit(lengths, width)
        contents: list[list[int]] = [[] for _ in range(rows)]
        for member, row in zip(members, row_of.tolist(), strict=True):
            contents[row].append(member)
        wanted = power_of_two(max(sum(len(items[m].columns) for m in row) for row in contents))
        scored = power_of_two(max(sum(len(items[m].targets) for m in row) for row in contents))
        count = rows_for(rows, tokens_per_batch // width, multiple)
        for start in range(0, rows, count):
            chosen = [[(items[m], int(first_option[m])) for m in row] for row in contents[start : start + count]]
            yield _fill(chosen, count, width, wanted, scored)


def _fill(contents: list[list[tuple[Item, int]]], rows: int, width: int, wanted: int, scored: int) -> RankingBatch:
    sizes = (width,) * 4 + (wanted,) + (scored,) * 3
    arrays = [np.zeros((rows, size), np.int32) for size in sizes]
    tokens, positions, segments, branches, columns, slots, targets, option = arrays
    option[:] = -1
    for r, row in enumerate(contents):
        t = w = s = 0
        for segment, (item, first) in enumerate(row, start=1):
            here, reads, scores = (
                slice(t, t + len(item.tokens)), slice(w, w + len(item.columns)), slice(s, s + len(item.targets))
            )  # fmt: skip
            tokens[r, here], positions[r, here], branches[r, here] = item.tokens, item.positions, item.branches
            segments[r, here] = segment
            columns[r, reads] = item.columns + t
            slots[r, scores], targets[r, scores] = item.slots + w, item.targets
            option[r, scores] = item.options + first
            t, w, s = here.stop, reads.stop, scores.stop
    return RankingBatch(*arrays, questions=sum(len(row) for row in contents))
