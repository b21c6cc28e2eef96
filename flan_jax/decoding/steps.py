"""What runs on the device: new texts read into rows of the cache, and several tokens said by every row at a time."""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int

from flan_jax.decoding.sampling import choose_tokens
from flan_jax.models.cache import Cache, decode_step, fill, init_cache
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params

NOTHING = -1
"""In place of a token: the row had ended."""
NOT_A_NUMBER = -2
"""In place of a token: the model's scores are not finite."""
TOP = 5
"""Most probable tokens whose log-probabilities are told, where any are."""


class Rows(NamedTuple):
    """What each row stands at: the last token it has, at `position`; how many more it may say (0: it has ended) and how
    many it has said; and how it chooses.  All [B], but for `bits` [B, 2]; numpy's on the host, on the device JAX's."""

    token: Any
    position: Any
    left: Any
    said: Any
    temperature: Any
    top_p: Any
    bits: Any


class Said(NamedTuple):
    """Tokens in the order they were said, NOTHING after a row's end; in nats, at temperature 1, the log-probability of
    each, and the TOP most probable in its place with theirs (of size 0 where they are not asked for)."""

    tokens: Int[Array, "B N"]
    scores: Float[Array, "B S"]
    top_tokens: Int[Array, "B S top"]
    top_scores: Float[Array, "B S top"]


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def new_cache(config: DecoderConfig, rows: int, length: int, mesh: Mesh | None) -> Cache:
    return held(init_cache(config, rows, length), mesh)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=3)
def read_prompts(
    config: DecoderConfig, mesh: Mesh | None, params: Params, cache: Cache, tokens: Array, positions: Array,
    segment_ids: Array, starts: Array, rows: Array, count: Array,
) -> Cache:  # fmt: skip
    """As `cache.fill`."""
    return held(fill(config, params, cache, tokens, positions, segment_ids, starts, rows, count), mesh)


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4, 5), donate_argnums=7)
def say(
    config: DecoderConfig, mesh: Mesh | None, blocks: int, most: int, how: str, told: bool, params: Params,
    cache: Cache, rows: Rows, eos: Int[Array, ""], steps: Int[Array, ""],
) -> tuple[Cache, Said]:  # fmt: skip
    """`steps` tokens (at most `most`) for every row that has not ended; a row ends after EOS, or with nothing left.

    blocks: of the cache, as far as any row gets.  how: "greedy" where no row draws, "sample" where one does, "nucleus"
    where one has a top_p below 1; rows that need less get the same tokens from the richer ones.  told: whether
    log-probabilities are.
    """
    size = len(rows.token)
    shape = (size, most if told else 0)
    top = (*shape, min(TOP, config.vocab_size))
    said = Said(jnp.full((size, most), NOTHING, jnp.int32), jnp.zeros(shape), jnp.zeros(top, jnp.int32), jnp.zeros(top))

    def open_rows(state: tuple[Array, Cache, Rows, Said]) -> Array:
        return (state[0] < steps) & (state[2].left > 0).any()

    def step(state: tuple[Array, Cache, Rows, Said]) -> tuple[Array, Cache, Rows, Said]:
        i, cache, rows, said = state
        scores, cache = decode_step(config, params, cache, rows.token, rows.position, blocks)
        if how == "greedy":
            token = jnp.argmax(scores, axis=-1).astype(jnp.int32)
        else:
            token = choose_tokens(scores, rows.temperature, rows.top_p, rows.bits, rows.said, how == "nucleus")
        going = rows.left > 0
        shown = jnp.where(jnp.isfinite(jnp.max(scores, axis=-1)), token, NOT_A_NUMBER)
        said = said._replace(tokens=said.tokens.at[:, i].set(jnp.where(going, shown, NOTHING)))
        if told:
            logs = jax.nn.log_softmax(scores, axis=-1)
            best, ids = jax.lax.top_k(logs, top[-1])
            said = said._replace(
                scores=said.scores.at[:, i].set(jnp.take_along_axis(logs, token[:, None], axis=-1)[:, 0]),
                top_tokens=said.top_tokens.at[:, i].set(ids.astype(jnp.int32)),
                top_scores=said.top_scores.at[:, i].set(best),
            )
        one = going.astype(jnp.int32)
        rows = rows._replace(
            token=jnp.where(going, token, rows.token),
            position=rows.position + one,
            left=jnp.where(going & (token != eos), rows.left - 1, 0),
            said=rows.said + one,
        )
        return i + 1, cache, rows, said

    _, cache, _, said = jax.lax.while_loop(open_rows, step, (jnp.int32(0), cache, rows, said))
    return held(cache, mesh), said


def held(cache: Cache, mesh: Mesh | None) -> Cache:
    """The cache with its rows shared over data × fsdp, as those of any batch."""
    if mesh is None:
        return cache
    sharding = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    return jax.tree.map(lambda part: jax.lax.with_sharding_constraint(part, sharding), cache)
