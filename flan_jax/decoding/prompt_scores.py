"""How probable a text is to a model, token by token."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float32, Int, Int32

from flan_jax.decoding.prompts import SHORTEST
from flan_jax.decoding.steps import TOP
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, apply, logits
from flan_jax.models.sizes import padded

AT_ONCE = 128  # columns whose logits are held together


class PromptScores(NamedTuple):
    """Log-probabilities, in nats, of all tokens of a text but the first, and the TOP most probable in their places."""

    scores: Float32[np.ndarray, " T"]
    top_tokens: Int32[np.ndarray, "T top"]
    top_scores: Float32[np.ndarray, "T top"]


def score_prompt(config: DecoderConfig, params: Params, prompt: np.ndarray) -> PromptScores:
    """Of a text of at least two tokens.  What they are does not depend on what is generated after it."""
    length = len(prompt)
    tokens = np.zeros((1, max(padded(length, SHORTEST), 2)), np.int32)
    tokens[0, :length] = prompt
    told = _scores(config, params, jnp.asarray(tokens), jnp.int32(length))
    return PromptScores(*(np.asarray(part)[: length - 1] for part in told))


@partial(jax.jit, static_argnums=0)
def _scores(config: DecoderConfig, params: Params, tokens: Int[Array, "1 T"], length: Array) -> tuple[Array, ...]:
    width = tokens.shape[1]
    columns = jnp.arange(width)[None]
    positions = jnp.where(columns < length, columns, 0)  # padding may reach past the table of learned ones
    hidden = apply(config, params, tokens, positions, (columns < length).astype(jnp.int32))[0]
    part = next(size for size in range(min(AT_ONCE, width), 0, -1) if width % size == 0)
    following = jnp.roll(tokens[0], -1).reshape(-1, part)

    def read(one: tuple[Array, Array]) -> tuple[Array, Array, Array]:
        states, wanted = one
        logs = jax.nn.log_softmax(logits(config, params, states), axis=-1)
        best, ids = jax.lax.top_k(logs, min(TOP, config.vocab_size))
        return jnp.take_along_axis(logs, wanted[:, None], axis=-1)[:, 0], ids.astype(jnp.int32), best

    told = jax.lax.map(read, (hidden.reshape(-1, part, hidden.shape[-1]), following))
    return tuple(one.reshape(width, *one.shape[2:]) for one in told)
