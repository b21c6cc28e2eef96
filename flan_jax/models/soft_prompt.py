"""Soft prompts (Lester et al. 2021): rows in place of looked-up embeddings, in front of every document.

They stand where rows of the embedding table would, before scaling and projection, if the model has those.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .config import DecoderConfig, InvalidDecoderConfig
from .decoder import Params, entering, run_layers
from .prefix import PREFIX, Prefix, attend_packed


def behind_prompt(config: DecoderConfig, length: int) -> DecoderConfig:
    """The decoder of documents that stand behind a prompt: they have its length less, also of learned positions.

    Raises InvalidDecoderConfig if that leaves nothing.
    """
    if length >= config.max_length:
        raise InvalidDecoderConfig(
            f"a soft prompt of {length} leaves nothing of DecoderConfig.max_length={config.max_length}; "
            "set --gin.SoftPrompt.length"
        )
    offset = config.position_offset + (length if config.position == "learned" else 0)
    return dataclasses.replace(config, max_length=config.max_length - length, position_offset=offset)


def with_prompt(config: DecoderConfig, params: Params, prompt: Float[Array, "P E"]) -> Params:
    """The parameters of the decoder `behind_prompt` gives: every document of whatever it reads is behind the prompt.

    Raises UnsupportedAttention where `config.attention` cannot do this.
    """
    return {**params, "layers": {**params["layers"], PREFIX: read_prompt(config, params, prompt)}}


def read_prompt(config: DecoderConfig, params: Params, prompt: Float[Array, "P E"]) -> Prefix:
    """What the prompt comes to in every layer; `config` is that of `behind_prompt`."""
    positions = jnp.arange(-len(prompt), 0)[None]
    one = jnp.ones_like(positions)

    def attend(q: Array, k: Array, v: Array, window: Array | None, cache: None) -> tuple[Array, Prefix]:
        return attend_packed(config, q, k, v, one, None, positions, window, None), Prefix(k[0], v[0])

    return run_layers(config, params, entering(config, params, prompt[None], positions), positions, attend)[1]


def rows_of_vocabulary(params: Params, length: int, seed: int | Int[Array, ""], ids: int) -> Float[Array, "P E"]:
    """A first prompt: rows of the embedding table, drawn from its first `ids` without putting any back."""
    chosen = jax.random.choice(jax.random.key(seed), ids, (length,), replace=length > ids)
    return params["embedding"][chosen].astype(jnp.float32)
