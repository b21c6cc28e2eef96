"""Generation one token at a time: keys and values of what has been read are kept, by position.

Column s of the cache holds the token at position s of its row, and a token attends to positions up to its own.  So
prompts of several lengths share a batch by padding on the right: what padding wrote lies after the prompt, and is
overwritten before it could be seen.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from .blockwise import capped
from .config import DecoderConfig
from .decoder import Params, embed, logits, run_layers
from .masks import MASKED

Cache = dict[str, Array]  # "keys" and "values", each [layers, B, length, kv heads, head size]


def init_cache(config: DecoderConfig, batch: int, length: int) -> Cache:
    """Room for `length` tokens (prompt and continuation) in each of `batch` rows, in `config.dtype`."""
    shape = (config.num_layers, batch, length, config.kv_heads, config.head_size)
    return {"keys": jnp.zeros(shape, config.dtype), "values": jnp.zeros(shape, config.dtype)}


def extend(
    config: DecoderConfig, params: Params, cache: Cache, tokens: Int[Array, "B T"], positions: Int[Array, "B T"]
) -> tuple[Float[Array, "B T E"], Cache]:
    """Reads tokens at the given positions of their rows: hidden states, and the cache that has them too.

    A position beyond the cache's length has nowhere to go: its hidden state is NaN.
    """
    length = cache["keys"].shape[2]
    rows = jnp.arange(tokens.shape[0])[:, None]
    behind = positions[:, :, None] - jnp.arange(length)[None, None, :]

    def attend(q: Array, k: Array, v: Array, window: Array | None, cache: Cache) -> tuple[Array, Cache]:
        cache = {
            "keys": cache["keys"].at[rows, positions].set(k, mode="drop"),
            "values": cache["values"].at[rows, positions].set(v, mode="drop"),
        }
        mask = behind >= 0 if window is None else (behind >= 0) & (behind < window)
        scale, cap = config.attention_scale, config.attention_cap
        return masked_attention(q, cache["keys"], cache["values"], mask, scale, cap), cache

    hidden, cache = run_layers(config, params, embed(config, params, tokens, positions), positions, attend, cache)
    return jnp.where((positions < length)[:, :, None], hidden, jnp.nan), cache


def prefill(
    config: DecoderConfig, params: Params, cache: Cache, tokens: Int[Array, "B T"], lengths: Int[Array, " B"]
) -> tuple[Float[Array, "B V"], Cache]:
    """Reads whole prompts, padded on the right to T; the logits are those after token `lengths - 1` of each row."""
    positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
    hidden, cache = extend(config, params, cache, tokens, positions)
    last = jnp.take_along_axis(hidden, (lengths - 1)[:, None, None], axis=1)[:, 0]
    return logits(config, params, last), cache


def decode_step(
    config: DecoderConfig, params: Params, cache: Cache, tokens: Int[Array, " B"], positions: Int[Array, " B"]
) -> tuple[Float[Array, "B V"], Cache]:
    """Reads one token a row, at that row's next position: the logits for the token after it."""
    hidden, cache = extend(config, params, cache, tokens[:, None], positions[:, None])
    return logits(config, params, hidden[:, 0]), cache


def masked_attention(
    q: Float[Array, "B T N H"],
    k: Float[Array, "B S K H"],
    v: Float[Array, "B S K H"],
    mask: Bool[Array, "B T S"],
    scale: float,
    cap: float | None,
) -> Float[Array, "B T N H"]:
    """Softmax attention of few queries over what the cache holds, of scores q·k times `scale`, capped, in float32."""
    batch, length, heads, size = q.shape
    grouped = (q * scale).reshape(batch, length, k.shape[2], heads // k.shape[2], size)
    scores = capped(jnp.einsum("BTKGH,BSKH->BKGTS", grouped, k, preferred_element_type=jnp.float32), cap)
    weights = jax.nn.softmax(jnp.where(mask[:, None, None], scores, MASKED), axis=-1).astype(v.dtype)
    return jnp.einsum("BKGTS,BSKH->BTKGH", weights, v).reshape(q.shape)
