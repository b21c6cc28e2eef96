"""Generation one token at a time: keys and values of what has been read are kept, by position.

A row of the cache is one text; its column s holds the token at position s, and a token attends to positions up to its
own.  So rows need not stand at the same position, and what an earlier text or padding left behind lies beyond a row's
position, where nothing looks before it is overwritten.

Columns are cut into blocks, each an array of its own: a step reads the first few blocks, whole and in place, while a
part of one wide array would be copied first (XLA on CPU, 16 rows, 256 of 512 columns: 23 ms a step instead of 13).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .blockwise import capped
from .config import DecoderConfig
from .decoder import Params, embed, logits, run_layers
from .masks import MASKED
from .prefix import Prefix, attend_packed
from .sizes import rounded

BLOCK = 128

Layer = dict[str, tuple[Float[Array, "B K block H"], ...]]  # "keys" and "values", in blocks of BLOCK columns
Cache = tuple[Layer, ...]


def blocks_for(length: int) -> int:
    """Blocks that hold so many columns, rounded up to 1, 2, 3, 4, 6, 8, 12, 16, ...: few shapes to compile."""
    return rounded(-(-length // BLOCK))


def init_cache(config: DecoderConfig, rows: int, length: int) -> Cache:
    """Room for at least `length` tokens in each of `rows` rows, in `config.dtype`."""
    shape = (rows, config.kv_heads, BLOCK, config.head_size)
    count = blocks_for(length)
    return tuple(
        {name: tuple(jnp.zeros(shape, config.dtype) for _ in range(count)) for name in ("keys", "values")}
        for _ in range(config.num_layers)
    )


def fill(
    config: DecoderConfig,
    params: Params,
    cache: Cache,
    tokens: Int[Array, "1 T"],
    positions: Int[Array, "1 T"],
    segment_ids: Int[Array, "1 T"],
    starts: Int[Array, " N"],
    rows: Int[Array, " N"],
    count: Int[Array, ""],
) -> Cache:
    """Reads `count` texts, packed into one row of T, into rows of the cache: text i begins at column `starts[i]` of the
    packed row and goes to row `rows[i]`, from position 0.  No text may be longer than the cache.

    `params` are `apart`.
    """
    width = tokens.shape[1]

    def attend(
        q: Array, k: Array, v: Array, window: Array | None, cache: Layer, prefix: Prefix | None = None
    ) -> tuple[Array, Layer]:
        out = attend_packed(config, q, k, v, segment_ids, None, positions, window, prefix)
        own = {
            name: jnp.pad(part[0].swapaxes(0, 1), ((0, 0), (0, BLOCK), (0, 0)))  # to cut a block from anywhere
            for name, part in (("keys", k), ("values", v))
        }

        def place(i: Array, cache: Layer) -> Layer:
            placed = {}
            for name, blocks in cache.items():
                new = list(blocks)
                for b in range(min(len(blocks), -(-width // BLOCK))):
                    # Blocks that the text does not reach get what there is: nothing looks at it.
                    piece = jax.lax.dynamic_slice_in_dim(own[name], starts[i] + b * BLOCK, BLOCK, axis=1)
                    new[b] = jax.lax.dynamic_update_slice(new[b], piece[None], (rows[i], 0, 0, 0))
                placed[name] = tuple(new)
            return placed

        return out, jax.lax.fori_loop(0, count, place, cache)

    return run_layers(config, params, embed(config, params, tokens, positions), positions, attend, cache)[1]


def decode_step(
    config: DecoderConfig,
    params: Params,
    cache: Cache,
    tokens: Int[Array, " B"],
    positions: Int[Array, " B"],
    blocks: int | None = None,
) -> tuple[Float[Array, "B V"], Cache]:
    """Reads one token a row, at that row's next position: the logits for the token after it.

    Only the first `blocks` blocks (None: all) are read and written.  A position beyond them has nowhere to go: its
    logits are NaN.  `params` are `apart`.
    """
    blocks = len(cache[0]["keys"]) if blocks is None else blocks
    length = blocks * BLOCK
    every = jnp.arange(len(tokens))
    behind = positions[:, None] - jnp.arange(length)

    def attend(
        q: Array, k: Array, v: Array, window: Array | None, cache: Layer, prefix: Prefix | None = None
    ) -> tuple[Array, Layer]:
        def written(old: tuple[Array, ...], new: Array) -> tuple[Array, ...]:
            kept = list(old)
            for b in range(blocks):
                column = positions - b * BLOCK
                column = jnp.where((column >= 0) & (column < BLOCK), column, BLOCK)  # a negative one would wrap around
                kept[b] = kept[b].at[every, :, column].set(new[:, 0], mode="drop")
            return tuple(kept)

        cache = {"keys": written(cache["keys"], k), "values": written(cache["values"], v)}
        mask = behind >= 0 if window is None else (behind >= 0) & (behind < window)
        keys, values = cache["keys"][:blocks], cache["values"][:blocks]
        out = masked_attention(config, q[:, 0], keys, values, mask, prefix, positions, window)
        return out[:, None], cache

    positions_2d = positions[:, None]
    hidden, cache = run_layers(
        config, params, embed(config, params, tokens[:, None], positions_2d), positions_2d, attend, cache
    )
    scores = logits(config, params, hidden[:, 0])
    return jnp.where((positions < length)[:, None], scores, jnp.nan), cache


def masked_attention(
    config: DecoderConfig,
    q: Float[Array, "B N H"],
    keys: tuple[Float[Array, "B K block H"], ...],
    values: tuple[Float[Array, "B K block H"], ...],
    mask: Array,
    prefix: Prefix | None,
    positions: Int[Array, " B"],
    window: Array | None,
) -> Float[Array, "B N H"]:
    """Softmax attention, in float32, of one query a row over what the cache holds and a soft prompt before it."""
    rows, heads, size = q.shape
    kv_heads = keys[0].shape[1]
    grouped = (q * config.attention_scale).reshape(rows, kv_heads, heads // kv_heads, size)
    scores = [jnp.einsum("BKGH,BKSH->BKGS", grouped, block, preferred_element_type=jnp.float32) for block in keys]
    sizes = [BLOCK] * len(keys)
    if prefix is not None:
        scores.append(jnp.einsum("BKGH,PKH->BKGP", grouped, prefix.keys, preferred_element_type=jnp.float32))
        sizes.append(prefix.keys.shape[0])
        near = positions[:, None] - jnp.arange(-sizes[-1], 0)
        mask = jnp.concatenate([mask, jnp.full(near.shape, True) if window is None else near < window], axis=1)
    joined = jnp.where(mask[:, None, None], capped(jnp.concatenate(scores, axis=-1), config.attention_cap), MASKED)
    weights = jax.nn.softmax(joined, axis=-1).astype(values[0].dtype)
    parts = jnp.split(weights, [sum(sizes[: i + 1]) for i in range(len(sizes) - 1)], axis=-1)
    out = sum(jnp.einsum("BKGS,BKSH->BKGH", part, block) for part, block in zip(parts, values, strict=False))
    if prefix is not None:
        out = out + jnp.einsum("BKGP,PKH->BKGH", parts[-1], prefix.values)
    return jnp.asarray(out).reshape(q.shape)
