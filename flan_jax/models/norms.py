"""Norms of the residual stream, and of queries and keys."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from .config import DecoderConfig
from .parameters import Axes, constant


class Norm(nnx.Module):
    """RMS norm, or layer norm with a bias; computed in float32, returned in the dtype of the input."""

    def __init__(self, config: DecoderConfig):
        self.centred = config.norm == "layer"
        self.epsilon, self.offset = config.norm_epsilon, config.norm_scale_offset
        self.scale = constant(config, 1.0 - self.offset, (config.embed_dim,), ("norm",))
        if self.centred:
            self.bias = constant(config, 0.0, (config.embed_dim,), ("norm",))

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        y = x.astype(jnp.float32)
        if self.centred:
            y = y - y.mean(-1, keepdims=True)
        scale = self.scale[...].astype(jnp.float32)
        scale = scale + self.offset if self.offset else scale
        y = y * jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon) * scale
        if self.centred:
            y = y + self.bias[...].astype(jnp.float32)
        return y.astype(x.dtype)


class HeadNorm(nnx.Module):
    """RMS norm of queries or keys: of each head apart, or over the width of all heads together."""

    def __init__(self, config: DecoderConfig, heads: int, axis: str):
        self.epsilon, self.offset = config.norm_epsilon, config.norm_scale_offset
        self.over_width = config.qk_norm == "width"
        shape = (heads, config.head_size) if self.over_width else (config.head_size,)
        axes: Axes = (axis, "head_dim") if self.over_width else ("head_dim",)
        self.scale = constant(config, 1.0 - self.offset, shape, axes)

    def __call__(self, x: Float[Array, "B T N H"]) -> Float[Array, "B T N H"]:
        y = x.astype(jnp.float32)
        squares = jnp.mean(y * y, (-2, -1) if self.over_width else -1, keepdims=True)
        return (y * jax.lax.rsqrt(squares + self.epsilon) * (self.scale[...] + self.offset)).astype(x.dtype)
