"""Rotary position embedding (Su et al. 2021), plain or stretched to longer texts than a model was trained on."""

import math
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32, Int

from .config import DecoderConfig


class Rotation(NamedTuple):
    """Cosines and sines of every token's angles; the axis of size 1 runs over the heads."""

    cos: Float[Array, "B T 1 half"]
    sin: Float[Array, "B T 1 half"]


def rotation(positions: Int[Array, "B T"], config: DecoderConfig, local: bool = False) -> Rotation:
    """The angles `position · frequency`, in float32: in bfloat16 positions beyond 256 run into each other.

    With `local`, those of layers that have a theta of their own (`local_rope_theta`), which are not stretched.
    """
    plain = frequencies(config.rotary_size, config.local_rope_theta if local else config.rope_theta)
    turned, magnitude = (plain, 1.0) if local else stretched(config, plain)
    angles = positions[:, :, None, None].astype(jnp.float32) * turned
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    return Rotation(cos, sin) if magnitude == 1.0 else Rotation(magnitude * cos, magnitude * sin)


def rotate(x: Float[Array, "B T N H"], by: Rotation, interleaved: bool = False) -> Float[Array, "B T N H"]:
    """Turns the pairs of the first 2·half numbers by their angles; the rest, and the dtype, stay as they are.

    Pairs are (x[i], x[i + half]), as in LLaMA and GPT-NeoX, or if `interleaved` (x[2i], x[2i + 1]), as in GPT-J.
    """
    size = 2 * by.cos.shape[-1]
    turning = x[..., :size].astype(jnp.float32)
    first, second = (turning[..., ::2], turning[..., 1::2]) if interleaved else jnp.split(turning, 2, axis=-1)
    parts = first * by.cos - second * by.sin, second * by.cos + first * by.sin
    turned = jnp.stack(parts, axis=-1).reshape(turning.shape) if interleaved else jnp.concatenate(parts, axis=-1)
    turned = turned.astype(x.dtype)
    return turned if size == x.shape[-1] else jnp.concatenate([turned, x[..., size:]], axis=-1)


def frequencies(size: int, theta: float | None) -> Float32[np.ndarray, " half"]:
    """theta^(-2i/size), in the operations and precision of other implementations, so that far positions agree too."""
    return 1 / np.float32(theta) ** (np.arange(0, size, 2, dtype=np.float32) / np.float32(size))


def stretched(config: DecoderConfig, plain: Float32[np.ndarray, " half"]) -> tuple[Float32[np.ndarray, " half"], float]:
    """The frequencies as `config.rope_scaling` changes them, and what cosines and sines are multiplied by."""
    factor, length = np.float32(config.rope_factor), config.rope_original_length
    if config.rope_scaling == "linear":
        return plain / factor, 1.0
    if config.rope_scaling == "llama3" and length is not None:  # Grattafiori et al. 2024, section 3.2
        turns = length * plain / np.float32(2 * math.pi)
        kept = np.clip((turns - config.rope_slow) / (config.rope_fast - config.rope_slow), 0, 1).astype(np.float32)
        return (1 - kept) * plain / factor + kept * plain, 1.0
    if config.rope_scaling == "yarn" and length is not None:  # Peng et al. 2023, section 3.2, the ramp on whole indices
        low, high = (
            len(plain) * math.log(length / (turns * 2 * math.pi)) / math.log(config.rope_theta)
            for turns in (config.rope_fast, config.rope_slow)
        )
        low, high = max(math.floor(low), 0), min(math.ceil(high), 2 * len(plain) - 1)
        ramp = (np.arange(len(plain), dtype=np.float32) - low) / np.float32(high - low or 0.001)
        kept = 1 - np.clip(ramp, 0, 1)
        return plain / factor * (1 - kept) + plain * kept, config.rope_magnitude
    return plain, 1.0
