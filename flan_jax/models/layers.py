"""The parts of a decoder as NNX modules.  Parameters carry the logical names of their axes as metadata `axes`."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from .config import DecoderConfig
from .positions import Rotation, rotate
from .projection import project

Axes = tuple[str, ...]
# What attention does with the queries, keys and values of a layer; the second result is the layer's new cache, or None.
Attend = Callable[
    [Float[Array, "B T N H"], Float[Array, "B T K H"], Float[Array, "B T K H"]], tuple[Float[Array, "B T N H"], Any]
]

ACTIVATION_FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "silu": jax.nn.silu,
    "gelu": lambda x: jax.nn.gelu(x, approximate=False),
    "gelu_tanh": lambda x: jax.nn.gelu(x, approximate=True),
    "relu": jax.nn.relu,
}


def weight(
    config: DecoderConfig, rngs: nnx.Rngs, shape: tuple[int, ...], axes: Axes, fan_in: int, scale: float = 1.0
) -> nnx.Param:
    """Normal with standard deviation `scale / sqrt(fan_in)`, so that products of unit inputs have unit variance."""
    values = jax.random.normal(rngs.params(), shape, jnp.float32) * (scale * fan_in**-0.5)
    return nnx.Param(values.astype(config.param_dtype), axes=axes)


def constant(config: DecoderConfig, value: float, shape: tuple[int, ...], axes: Axes) -> nnx.Param:
    return nnx.Param(jnp.full(shape, value, config.param_dtype), axes=axes)


def residual_scale(config: DecoderConfig) -> float:
    """Weights writing into the residual stream shrink by sqrt(2 · layers): its variance does not grow with depth."""
    return 1 / math.sqrt(2 * config.num_layers)


class Norm(nnx.Module):
    """RMS norm, or layer norm with a bias; computed in float32, returned in the dtype of the input."""

    def __init__(self, config: DecoderConfig):
        self.centred = config.norm == "layer"
        self.epsilon = config.norm_epsilon
        self.scale = constant(config, 1.0, (config.embed_dim,), ("norm",))
        if self.centred:
            self.bias = constant(config, 0.0, (config.embed_dim,), ("norm",))

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        y = x.astype(jnp.float32)
        if self.centred:
            y = y - y.mean(-1, keepdims=True)
        y = y * jax.lax.rsqrt(jnp.mean(y * y, -1, keepdims=True) + self.epsilon) * self.scale[...].astype(jnp.float32)
        if self.centred:
            y = y + self.bias[...].astype(jnp.float32)
        return y.astype(x.dtype)


class SelfAttention(nnx.Module):
    """Grouped-query attention: N query heads share K key/value heads."""

    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs):
        d, n, k, h = config.embed_dim, config.num_heads, config.kv_heads, config.head_size
        self.query = weight(config, rngs, (d, n, h), ("embed", "heads", "head_dim"), d)
        self.key = weight(config, rngs, (d, k, h), ("embed", "kv_heads", "head_dim"), d)
        self.value = weight(config, rngs, (d, k, h), ("embed", "kv_heads", "head_dim"), d)
        self.output = weight(config, rngs, (n, h, d), ("heads", "head_dim", "embed"), n * h, residual_scale(config))
        self.has_bias, self.has_output_bias = config.qkv_bias, config.attention_output_bias
        if self.has_bias:
            self.query_bias = constant(config, 0.0, (n, h), ("heads", "head_dim"))
            self.key_bias = constant(config, 0.0, (k, h), ("kv_heads", "head_dim"))
            self.value_bias = constant(config, 0.0, (k, h), ("kv_heads", "head_dim"))
        if self.has_output_bias:
            self.output_bias = constant(config, 0.0, (d,), ("norm",))

    def __call__(
        self, x: Float[Array, "B T D"], by: Rotation | None, attend: Attend
    ) -> tuple[Float[Array, "B T D"], Any]:
        q, k, v = project(x, self.query[...]), project(x, self.key[...]), project(x, self.value[...])
        if self.has_bias:
            biases = (self.query_bias, self.key_bias, self.value_bias)
            q, k, v = (y + bias[...].astype(x.dtype) for y, bias in zip((q, k, v), biases, strict=True))
        if by is not None:
            q, k = rotate(q, by), rotate(k, by)
        attended, cache = attend(q, k, v)
        y = project(attended, self.output[...], 2)
        if self.has_output_bias:
            y = y + self.output_bias[...].astype(x.dtype)
        return y, cache


class MLP(nnx.Module):
    """`down(activation(up x))`, or gated: `down(activation(gate x) · up x)` (Shazeer 2020)."""

    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs):
        d, f = config.embed_dim, config.mlp_dim
        self.activation, self.gated, self.has_bias = config.activation, config.gated_mlp, config.mlp_bias
        if self.gated:
            self.gate = weight(config, rngs, (d, f), ("embed", "mlp"), d)
        self.up = weight(config, rngs, (d, f), ("embed", "mlp"), d)
        self.down = weight(config, rngs, (f, d), ("mlp", "embed"), f, residual_scale(config))
        if self.has_bias:
            if self.gated:
                self.gate_bias = constant(config, 0.0, (f,), ("mlp",))
            self.up_bias = constant(config, 0.0, (f,), ("mlp",))
            self.down_bias = constant(config, 0.0, (d,), ("norm",))

    def __call__(self, x: Float[Array, "B T D"]) -> Float[Array, "B T D"]:
        activate = ACTIVATION_FUNCTIONS[self.activation]
        hidden = project(x, self.up[...])
        if self.has_bias:
            hidden = hidden + self.up_bias[...].astype(x.dtype)
        if self.gated:
            gate = project(x, self.gate[...])
            if self.has_bias:
                gate = gate + self.gate_bias[...].astype(x.dtype)
            hidden = activate(gate) * hidden
        else:
            hidden = activate(hidden)
        y = project(hidden, self.down[...])
        return y + self.down_bias[...].astype(x.dtype) if self.has_bias else y


class Block(nnx.Module):
    """A pre-norm layer: attention, then the MLP, each added to the residual stream."""

    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs):
        self.attention_norm = Norm(config)
        self.attention = SelfAttention(config, rngs)
        self.mlp_norm = Norm(config)
        self.mlp = MLP(config, rngs)

    def __call__(
        self, x: Float[Array, "B T D"], by: Rotation | None, attend: Attend
    ) -> tuple[Float[Array, "B T D"], Any]:
        attended, cache = self.attention(self.attention_norm(x), by, attend)
        x = x + attended
        return x + self.mlp(self.mlp_norm(x)), cache
