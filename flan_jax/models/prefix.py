"""Keys and values that stand in front of every document: what a soft prompt comes to.

A prompt is the first of what a document is read with, so nothing that follows changes what it comes to in a layer:
it is read once for all documents of all rows.  It stands at positions -P ... -1, in front of BOS where there is one,
and no document or window need know of it.
"""

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .attention import Backend, backend
from .config import DecoderConfig
from .masks import Documents, Window

PREFIX = "prefix"
"""Its place among the parameters of the layers, stacked like them."""


class Prefix(NamedTuple):
    """Keys, already turned to their positions, and values; of all layers, stacked, or of one."""

    keys: Float[Array, "*L P K H"]
    values: Float[Array, "*L P K H"]


def attend_behind(
    attention: Backend,
    prefix: Prefix,
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    documents: Documents,
    scale: float | None = None,
    cap: float | None = None,
) -> Float[Array, "B T N H"]:
    """Attention of a backend in which every document, whatever its row, stands behind the prefix of its layer."""
    length = prefix.keys.shape[0]
    k, v = (
        jnp.concatenate([jnp.broadcast_to(part, (len(own), *part.shape)).astype(own.dtype), own], axis=1)
        for part, own in zip(prefix, (k, v), strict=True)
    )

    def widened(columns: Array, value: int | Array = 0) -> Array:
        return jnp.concatenate([jnp.broadcast_to(value, (len(columns), length)).astype(columns.dtype), columns], axis=1)

    segments, branches, window, _ = documents
    if window is not None:
        window = Window(widened(window.positions, jnp.arange(-length, 0)), window.size)
    documents = Documents(widened(segments), None if branches is None else widened(branches), window, length)
    nothing = jnp.zeros((len(q), length, *q.shape[2:]), q.dtype)  # a backend has a query to every key
    return attention(jnp.concatenate([nothing, q], axis=1), k, v, documents, scale, cap)[:, length:]


def attend_packed(
    config: DecoderConfig,
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    segment_ids: Int[Array, "B T"],
    branch_ids: Int[Array, "B T"] | None,
    positions: Int[Array, "B T"],
    window: Array | None,
    prefix: Prefix | None,
) -> Float[Array, "B T N H"]:
    """Attention of packed rows in one layer, by the backend of `config`, behind the layer's prefix where there is one.

    Raises UnsupportedAttention where the backend cannot do this.
    """
    documents = Documents(segment_ids, branch_ids, None if window is None else Window(positions, window))
    attention = backend(config.attention)
    behind = attention if prefix is None else partial(attend_behind, attention, prefix)
    return behind(q, k, v, documents, config.attention_scale, config.attention_cap)
