"""A block of tokens that many rows begin with: read once, its keys and values attended to by all of them.

A row behind a block is what it would be with the block's tokens in front of every one of its documents: positions go
on after the block, and a window reaches into it as far as positions say.  A soft prompt stands in front of the block.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .attention import UnsupportedAttention, backend
from .blockwise import capped, forward
from .config import DecoderConfig
from .decoder import Params, embed, run_layers
from .masks import MASKED, Documents, Window
from .prefix import Prefix, attend_packed


class Block(NamedTuple):
    """Keys and values of the block's tokens in every layer; those from `length` on are padding."""

    keys: Float[Array, "layers P K H"]
    values: Float[Array, "layers P K H"]
    length: Int[Array, ""]


def read_block(config: DecoderConfig, params: Params, tokens: Int[Array, " P"], length: Int[Array, ""]) -> Block:
    """The block made of the first `length` tokens, which a document begins with.

    Raises UnsupportedAttention where `config.attention` cannot do this.
    """
    columns = jnp.arange(tokens.shape[0])[None]
    segment_ids = (columns < length).astype(jnp.int32)
    positions = jnp.where(columns < length, columns, 0)  # padding may reach past the table of learned ones

    def attend(
        q: Array, k: Array, v: Array, window: Array | None, cache: None, prefix: Prefix | None = None
    ) -> tuple[Array, tuple[Array, Array]]:
        return attend_packed(config, q, k, v, segment_ids, None, positions, window, prefix), (k[0], v[0])

    _, (keys, values) = run_layers(config, params, embed(config, params, tokens[None], positions), positions, attend)
    return Block(keys, values, length)


def apply_behind(
    config: DecoderConfig,
    params: Params,
    block: Block,
    tokens: Int[Array, "B T"],
    positions: Int[Array, "B T"],
    segment_ids: Int[Array, "B T"],
    branch_ids: Int[Array, "B T"] | None = None,
) -> Float[Array, "B T E"]:
    """Hidden states as of `decoder.apply`, every document standing behind the block.

    `positions` of a document start at the block's length.  Raises UnsupportedAttention unless `config.attention` is
    `xla`: no other backend gives the sums by which the block's part and the row's own are put together.
    """
    backend(config.attention)
    if config.attention != "xla":
        raise UnsupportedAttention(
            f"DecoderConfig.attention={config.attention!r} cannot attend to a block of tokens that rows share.  "
            "Set it (in gin: RunAs.attention) to 'xla', which can"
        )

    def attend(
        q: Array, k: Array, v: Array, window: Array | None, cache: tuple[Array, Array], prefix: Prefix | None = None
    ) -> tuple[Array, None]:
        documents = Documents(segment_ids, branch_ids, None if window is None else Window(positions, window))
        keys, values = cache
        places = jnp.arange(block.keys.shape[1])
        if prefix is not None:
            keys, values = jnp.concatenate([prefix.keys, keys]), jnp.concatenate([prefix.values, values])
            places = jnp.concatenate([jnp.arange(-len(prefix.keys), 0), places])
        near = (places < block.length)[None, None]
        if window is not None:
            near = near & (positions[:, :, None] - places < window)
        return _attention(q * config.attention_scale, k, v, keys, values, near, documents, config.attention_cap), None

    caches = (block.keys, block.values)
    return run_layers(config, params, embed(config, params, tokens, positions), positions, attend, caches)[0]


def _attention(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B T K H"],
    v: Float[Array, "B T K H"],
    block_k: Float[Array, "P K H"],
    block_v: Float[Array, "P K H"],
    near: Array,
    documents: Documents,
    cap: float | None,
) -> Float[Array, "B T N H"]:
    """Softmax attention, in float32, to the block where `near` [B or 1, T or 1, P] and to what `documents` shows.

    Queries come scaled.  Each part has a softmax of its own, and the two are put together by their sums: to the block,
    which all rows see, that is one product for each head, several times as fast as one for each row.
    """
    batch, length, heads, size = q.shape
    kv = k.shape[2]
    grouped = q.reshape(batch, length, kv, heads // kv, size)
    own, (*_, own_sum) = forward(
        cap, grouped.transpose(0, 2, 3, 1, 4), k.transpose(0, 2, 1, 3), v.transpose(0, 2, 1, 3), documents
    )
    asking = grouped.transpose(2, 3, 0, 1, 4).reshape(kv, -1, size)  # [K, G·B·T, H]
    if near.shape[:2] == (1, 1):
        shown = near[0, 0]
    else:
        shown = jnp.broadcast_to(near, (heads // kv, batch, length, near.shape[-1])).reshape(asking.shape[1], -1)

    def head(parts: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        asking, keys, values = parts
        scores = jnp.matmul(asking, keys, preferred_element_type=jnp.float32)
        scores = jnp.where(shown, capped(scores, cap), MASKED)
        highest = scores.max(-1, keepdims=True)
        weights = jnp.exp(scores - highest)
        total = weights.sum(-1, keepdims=True)
        summed = jnp.matmul(weights.astype(values.dtype), values, preferred_element_type=jnp.float32)
        return summed / total, highest + jnp.log(total)

    # head by head: on a CPU all at once took twice as long, as scores then leave its cache
    found = jax.lax.map(head, (asking, block_k.transpose(1, 2, 0), block_v.transpose(1, 0, 2)))
    before, before_sum = (part.reshape(kv, heads // kv, batch, length, -1).transpose(2, 0, 1, 3, 4) for part in found)
    both = jnp.logaddexp(before_sum, own_sum)
    out = before * jnp.exp(before_sum - both) + own * jnp.exp(own_sum - both)
    return out.astype(v.dtype).transpose(0, 3, 1, 2, 4).reshape(q.shape)
