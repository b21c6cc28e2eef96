"""Prompts laid out to be read: packed, several in one row of tokens, in few shapes."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int32

from flan_jax.models.sizes import padded

SHORTEST = 32
"""Prompts are read in rows of SHORTEST × 1, 1.5, 2, 3, 4, 6, ... tokens: few shapes, at most a third padding."""
READ_AT_ONCE = 512
"""Prompts are read together up to so many tokens; a longer one is read alone."""


class PackedPrompts(NamedTuple):
    """What `cache.fill` reads: text i < count begins at column `starts[i]` and goes to row `rows[i]` of the cache."""

    tokens: Int32[np.ndarray, "1 T"]
    positions: Int32[np.ndarray, "1 T"]
    segment_ids: Int32[np.ndarray, "1 T"]
    starts: Int32[np.ndarray, " N"]
    rows: Int32[np.ndarray, " N"]
    count: np.int32


def pack_prompts(prompts: Sequence[tuple[int, np.ndarray]], most: int) -> Iterator[PackedPrompts]:
    """(row, tokens) of prompts, at most `most` of them, in packs; the last token of each is left out.

    That one is the first that its row reads to say something: the logits after it are wanted, and of no other.
    """
    pack: list[tuple[int, np.ndarray]] = []
    for row, prompt in prompts:
        if pack and sum(len(one) for _, one in pack) + len(prompt) - 1 > READ_AT_ONCE:
            yield _laid_out(pack, most)
            pack = []
        if len(prompt) > 1:
            pack.append((row, prompt[:-1]))
    if pack:
        yield _laid_out(pack, most)


def _laid_out(pack: list[tuple[int, np.ndarray]], most: int) -> PackedPrompts:
    lengths = [len(prompt) for _, prompt in pack]
    used = sum(lengths)
    tokens, positions, segment_ids = np.zeros((3, 1, padded(used, SHORTEST)), np.int32)
    tokens[0, :used] = np.concatenate([prompt for _, prompt in pack])
    positions[0, :used] = np.concatenate([np.arange(length) for length in lengths])
    segment_ids[0, :used] = np.repeat(np.arange(1, len(pack) + 1), lengths)
    starts, rows = np.zeros((2, most), np.int32)
    starts[: len(pack)] = np.cumsum([0, *lengths])[:-1]
    rows[: len(pack)] = [row for row, _ in pack]
    return PackedPrompts(tokens, positions, segment_ids, starts, rows, np.int32(len(pack)))
