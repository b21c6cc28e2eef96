"""Low-rank adaptation of a decoder (Hu et al. 2021): W + (alpha / rank) A B, where only A and B are learned.

A has the inputs of its matrix and B its outputs, both for all layers, stacked, and always in float32: they are small.
Axes that they share with the matrix are cut over devices as the matrix is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from .config import DecoderConfig
from .decoder import Params, abstract_params, logical_axes
from .projection import Adapted

INPUT_AXES = {"layers/attention/output": 2}
"""Axes of a matrix that are inputs, where they are not one."""


def matrices(config: DecoderConfig) -> list[str]:
    """What can be adapted: the matrices of the layers, by paths like `layers/attention/query`."""
    axes = paths(logical_axes(config))  # matrices read from or write to the residual stream; norms and biases do not
    return [path for path, names in axes.items() if path.startswith("layers/") and "embed" in names]


def abstract_lora(config: DecoderConfig, targets: Sequence[str], rank: int) -> Params:
    """Shapes of A and B, as `a` and `b` in place of each target in an otherwise empty tree of parameters."""
    shapes = paths(abstract_params(config))

    def pair(path: str) -> Params:
        (inputs, outputs), layers = _sides(path, shapes[path].shape[1:]), shapes[path].shape[0]
        sides = {"a": (layers, *inputs, rank), "b": (layers, rank, *outputs)}
        return {name: jax.ShapeDtypeStruct(shape, jnp.float32) for name, shape in sides.items()}

    return tree({path: pair(path) for path in targets})


def lora_axes(config: DecoderConfig, targets: Sequence[str]) -> Params:
    """Logical axis names of the same tree."""
    axes = paths(logical_axes(config))

    def pair(path: str) -> Params:
        inputs, outputs = _sides(path, axes[path][1:])
        return {"a": ("layers", *inputs, "rank"), "b": ("layers", "rank", *outputs)}

    return tree({path: pair(path) for path in targets})


def init_lora(config: DecoderConfig, targets: Sequence[str], rank: int, seed: int | Int[Array, ""]) -> Params:
    """A normal with standard deviation 1/sqrt(fan in), B zero: at first the model is what it was (section 4.1)."""
    keys = jax.random.split(jax.random.key(seed), len(targets))
    made = {}
    for key, (path, pair) in zip(keys, _pairs(abstract_lora(config, targets, rank)).items(), strict=True):
        layers, *inputs, _ = pair["a"].shape
        fan_in = 1
        for size in inputs:
            fan_in *= size
        a = jax.random.normal(key, (layers, *inputs, rank), jnp.float32) * fan_in**-0.5
        made[path] = {"a": a, "b": jnp.zeros(pair["b"].shape, jnp.float32)}
    return tree(made)


def adapted(params: Params, lora: Params, scale: float) -> Params:
    """The parameters with every adapted matrix beside its A and B: what a decoder computes with while they are learned.

    `scale` is alpha / rank.
    """
    whole = paths(params)
    pairs = _pairs(lora)
    return tree({**whole, **{path: Adapted(whole[path], pair["a"], pair["b"], scale) for path, pair in pairs.items()}})


def merged(weight: Array, a: Float[Array, "L *I R"], b: Float[Array, "L R *O"], scale: float) -> Array:
    """weight [L, *I, *O] + scale · a b, summed in float32, in the dtype of the weight."""
    inputs, outputs = a.shape[1:-1], b.shape[2:]
    product = jnp.einsum("lir,lro->lio", a.reshape(len(a), -1, a.shape[-1]), b.reshape(*b.shape[:2], -1))
    both = weight.astype(jnp.float32) + scale * product.reshape(len(a), *inputs, *outputs)
    return both.astype(weight.dtype)


def paths(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The leaves of nested dicts by paths like `layers/attention/query`."""
    found: dict[str, Any] = {}
    for name, part in nested.items():
        found |= paths(part, f"{prefix}{name}/") if isinstance(part, Mapping) else {prefix + name: part}
    return found


def tree(leaves: Mapping[str, Any]) -> Params:
    """The nested dicts that `paths` takes apart; in place of a leaf there may be a whole dict."""
    nested: Params = {}
    for path, leaf in leaves.items():
        *parents, name = path.split("/")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[name] = leaf
    return nested


def _sides(path: str, axes: Sequence[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """(inputs, outputs) of the axes of one layer's matrix."""
    inputs = INPUT_AXES.get(path, 1)
    return axes[:inputs], axes[inputs:]


def _pairs(lora: Params) -> dict[str, Params]:
    leaves = paths(lora)
    targets = [path.removesuffix("/a") for path in leaves if path.endswith("/a")]
    return {path: {"a": leaves[f"{path}/a"], "b": leaves[f"{path}/b"]} for path in targets}
