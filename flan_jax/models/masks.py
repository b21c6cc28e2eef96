"""Which token of a packed row may see which."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

# Finite, so that no row of scores becomes NaN.  Its exp beside a real score is 0: what is masked adds exactly nothing.
MASKED = -1e30
# The window of a layer that has none, where others have one: more than any two positions are apart.
UNBOUNDED = 2**30


class Window(NamedTuple):
    """A token sees those of its document that are less than `size` positions before it.

    By position, not by column: after a shared prefix, the columns of a branch stand further off than its positions.
    """

    positions: Int[Array, "B T"]
    size: Int[Array, ""]


class Documents(NamedTuple):
    """Which tokens of a row belong together.

    `segment_ids`: 1, 2, ... for the documents of a row, 0 for padding.  `branch_ids` splits a document into a shared
    prefix (0) and continuations (1, 2, ...) that see the prefix and themselves but not each other; None where there are
    no branches.  `window` (None: none) is how far back a token sees.  The first `shared` columns (None: none) belong to
    every document.
    """

    segment_ids: Int[Array, "B T"]
    branch_ids: Int[Array, "B T"] | None = None
    window: Window | None = None
    shared: int | None = None


def visible(documents: Documents, queries: slice, keys: slice) -> Bool[Array, "B Q S"]:
    """Causal by column, within one document (padding sees padding), from a branch only itself and the prefix.

    With a window, of those only what is near enough.
    """
    columns = jnp.arange(documents.segment_ids.shape[1])
    segments, branches, window, shared = documents
    mask = columns[queries, None] >= columns[None, keys]
    together = segments[:, queries, None] == segments[:, None, keys]
    mask = mask & (together if shared is None else together | (columns[None, keys] < shared))
    if branches is not None:
        key = branches[:, None, keys]
        mask = mask & ((key == 0) | (key == branches[:, queries, None]))
    if window is not None:
        behind = window.positions[:, queries, None] - window.positions[:, None, keys]
        mask = mask & (behind < window.size)
    return mask
