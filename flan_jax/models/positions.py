"""Rotary position embedding (Su et al. 2021), in the half-split order that LLaMA and GPT-NeoX checkpoints use."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Rotation(NamedTuple):
    """Cosines and sines of every token's angles; the axis of size 1 runs over the heads."""

    cos: Float[Array, "B T 1 half"]
    sin: Float[Array, "B T 1 half"]


def rotation(positions: Int[Array, "B T"], head_dim: int, theta: float) -> Rotation:
    """Angles `position · theta^(-2i/head_dim)`, in float32: in bfloat16 positions beyond 256 run into each other."""
    frequencies = theta ** (-jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)
    angles = positions[:, :, None, None].astype(jnp.float32) * frequencies
    return Rotation(jnp.cos(angles), jnp.sin(angles))


def rotate(x: Float[Array, "B T N H"], by: Rotation) -> Float[Array, "B T N H"]:
    """Turns the pairs (x[i], x[i + H/2]) by their angles; the result has the dtype of `x`."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * by.cos - second * by.sin, second * by.cos + first * by.sin], axis=-1)
    return turned.astype(x.dtype)
