"""How parameters start.  Each carries the logical names of its axes as metadata `axes`; None is an axis never cut."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from .config import DecoderConfig

Axes = tuple[str | None, ...]


def weight(
    config: DecoderConfig, rngs: nnx.Rngs, shape: tuple[int, ...], axes: Axes, fan_in: int, scale: float = 1.0
) -> nnx.Param:
    """Normal with standard deviation `scale / sqrt(fan_in)`, so that products of unit inputs have unit variance."""
    values = jax.random.normal(rngs.params(), shape, jnp.float32) * (scale * fan_in**-0.5)
    return nnx.Param(values.astype(config.param_dtype), axes=axes)


def constant(config: DecoderConfig, value: float, shape: tuple[int, ...], axes: Axes) -> nnx.Param:
    return nnx.Param(jnp.full(shape, value, config.param_dtype), axes=axes)


def with_padding(config: DecoderConfig, table: nnx.Param, axis: int) -> nnx.Param:
    """A parameter with an entry for each token, and zeros for the padding of the vocabulary, if there is any."""
    widths = [(0, 0)] * table.ndim
    widths[axis] = (0, config.vocab_rows - config.vocab_size)
    return nnx.Param(jnp.pad(table[...], widths), axes=table.get_metadata("axes"))


def residual_scale(config: DecoderConfig) -> float:
    """Weights writing into the residual stream shrink by sqrt(2 · layers): its variance does not grow with depth."""
    return 1 / math.sqrt(2 * config.num_layers)
