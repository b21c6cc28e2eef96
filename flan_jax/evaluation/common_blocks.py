"""Which questions begin alike, so that what they begin with is computed once: a shot block, a passage, an instruction.

Found from the tokens themselves, whoever put them there, and so only ever a matter of speed.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from flan_jax.evaluation.rows import Question, Tokens

LEAST = 64
"""Tokens that a block has at the least: attending to one costs about as much as reading a few tokens."""


class Group(NamedTuple):
    """Questions, by their index, whose contexts all begin with `block` and go on after it; most often it is empty."""

    block: Tokens
    members: tuple[int, ...]


def group_by_block(questions: Sequence[Question], worth: int) -> list[Group]:
    """Every question in one group.  A block must save at least `worth` tokens, for rows behind it are batches of their
    own.

    In lexicographic order those that begin alike are neighbours.  A run of them takes in its neighbour as long as the
    block that is then left saves no fewer tokens than before.
    """
    contexts = [np.asarray(question.context, np.int32) for question in questions]
    order = sorted(range(len(contexts)), key=lambda index: contexts[index].astype(">i4").tobytes())
    groups, rest = [], []
    start = 0
    while start < len(order):
        stop, length = _run(contexts, order, start)
        members = order[start:stop]
        if length >= LEAST and (len(members) - 1) * length >= worth:
            groups.append(Group(contexts[members[0]][:length], tuple(members)))
        else:
            rest += members
        start = stop
    return groups + [Group(np.zeros(0, np.int32), tuple(sorted(rest)))] * bool(rest)


def _run(contexts: Sequence[Tokens], order: Sequence[int], start: int) -> tuple[int, int]:
    """Where the run that begins at `start` ends, and the tokens that all of it begin with."""
    length = len(contexts[order[start]]) - 1
    stop = start + 1
    while stop < len(order):
        before, here = contexts[order[stop - 1]], contexts[order[stop]]
        shared = min(length, _alike(before, here), len(here) - 1)
        count = stop - start
        if shared < LEAST or (count > 1 and shared * count < length * (count - 1)):
            break
        stop, length = stop + 1, shared
    return stop, length


def _alike(one: Int32[np.ndarray, " A"], other: Int32[np.ndarray, " B"]) -> int:
    """How many tokens both begin with."""
    size = min(len(one), len(other))
    differing = np.flatnonzero(one[:size] != other[:size])
    return int(differing[0]) if len(differing) else size
