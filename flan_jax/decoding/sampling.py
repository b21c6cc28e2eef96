"""The next token of every row, from its scores."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from flan_jax.models.masks import MASKED


def choose_tokens(
    scores: Float[Array, "B V"],
    temperature: Float[Array, " B"],
    top_p: Float[Array, " B"],
    bits: UInt32[Array, "B 2"],
    said: Int[Array, " B"],
    nucleus: bool,
) -> Int[Array, " B"]:
    """The best token where `temperature` is 0, elsewhere one drawn from softmax(scores / temperature).

    The draw is a function of (bits, said), the row's key and how many tokens it has said, by the Gumbel-max trick: rows
    beside it, and the step at which they stand, play no part.  `nucleus` says whether any `top_p` is below 1.
    """
    best = jnp.argmax(scores, axis=-1)
    scaled = scores / jnp.where(temperature > 0, temperature, 1.0)[:, None]
    if nucleus:
        scaled = jnp.where(in_nucleus(scaled, top_p), scaled, MASKED)

    def noise(bits: Array, said: Array) -> Array:
        key = jax.random.fold_in(jax.random.wrap_key_data(bits, impl="threefry2x32"), said)
        return jax.random.gumbel(key, scores.shape[1:])

    drawn = jnp.argmax(scaled + jax.vmap(noise)(bits, said), axis=-1)
    return jnp.where(temperature > 0, drawn, best).astype(jnp.int32)


def in_nucleus(scores: Float[Array, "B V"], top_p: Float[Array, " B"]) -> Bool[Array, "B V"]:
    """The smallest set of most probable tokens that hold at least `top_p`, with all that tie with its last.

    Holtzman et al. 2020, section 3.1.  The most probable token is always in it.
    """
    probabilities = jax.nn.softmax(scores, axis=-1)
    ordered = jnp.sort(probabilities, axis=-1, descending=True)
    before = jnp.cumsum(ordered, axis=-1) - ordered
    kept = jnp.where(before < top_p[:, None], ordered, jnp.inf)
    return (probabilities >= kept.min(axis=-1, keepdims=True)) | (top_p[:, None] >= 1)
