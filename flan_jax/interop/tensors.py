"""Tensors of a checkpoint and the parameters they hold: one table for both directions, which undo each other exactly.

A stored matrix has its inputs on one axis and its outputs on the other; a parameter may have several axes of either
(`[embed, heads, head_dim]`), several parameters may share one tensor (queries, keys and values side by side), and the
parameters of all layers are stacked on a leading axis where a checkpoint has a tensor a layer.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import numpy as np

from ..models.config import DecoderConfig

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor by its name in files, which has `{layer}` in it if every layer has one, and what it holds.

    `parameters` are paths in the tree of parameters.  `inputs` counts the leading axes of each (but for the stack) that
    are inputs: 0 for vectors.  `transposed`: stored [outputs, inputs], as PyTorch does.  `by_head`: the parameters lie
    head by head, [heads, parameters, head size], and not one after the other.
    """

    name: str
    parameters: tuple[str, ...]
    inputs: int = 0
    transposed: bool = False
    by_head: bool = False

    def names(self, layers: int) -> Iterator[tuple[str, int | None]]:
        """The names in files, each with its layer, or None."""
        if "{layer}" not in self.name:
            yield self.name, None
            return
        for layer in range(layers):
            yield self.name.format(layer=layer), layer

    def stored_shape(self, parts: Sequence[Shape]) -> Shape:
        """The shape in files, given those of the parameters without the stack."""
        outputs = sum(math.prod(shape[self.inputs :]) for shape in parts)
        if not self.inputs:
            return (outputs,)
        inputs = math.prod(parts[0][: self.inputs])
        return (outputs, inputs) if self.transposed else (inputs, outputs)

    def split(self, stored: np.ndarray, parts: Sequence[Shape]) -> list[np.ndarray]:
        """The parameters as views of the stored tensor: nothing is copied, or read from a file that is mapped."""
        matrix = stored.T if self.transposed else stored
        if self.by_head:
            *inputs, heads, size = parts[0]
            joined = matrix.reshape(*inputs, heads, len(parts), size)
            return [joined[..., i, :] for i in range(len(parts))]
        ends = np.cumsum([math.prod(shape[self.inputs :]) for shape in parts])
        pieces = np.split(matrix, ends[:-1], axis=-1)
        return [piece.reshape(shape) for piece, shape in zip(pieces, parts, strict=True)]

    def join(self, parameters: Sequence[np.ndarray]) -> np.ndarray:
        """The tensor as it is stored, from its parameters without the stack: what `split` takes apart."""
        stored = self.stored_shape([parameter.shape for parameter in parameters])
        if self.by_head:
            matrix = np.stack(parameters, axis=-2)
        else:
            leading = parameters[0].shape[: self.inputs]
            flat = [parameter.reshape(*leading, -1) for parameter in parameters]
            matrix = flat[0] if len(flat) == 1 else np.concatenate(flat, axis=-1)
        return matrix.reshape(stored[::-1]).T if self.transposed else matrix.reshape(stored)


def flat(tree: Any) -> dict[str, Any]:
    """The leaves of a tree of parameters by paths like `layers/attention/query`, in its order."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {"/".join(str(key.key) for key in path): leaf for path, leaf in leaves}


def one_layer(path: str, shape: Sequence[int]) -> Shape:
    """The shape of a parameter without the stack of layers."""
    return tuple(shape[1:] if path.startswith("layers/") else shape)


def dense(
    name: str, *parameters: str, inputs: int = 1, bias: bool = False, transposed: bool = True, by_head: bool = False
) -> list[Tensor]:
    """A linear layer: `<name>.weight`, and `<name>.bias` for the parameters of the same names with `_bias`."""
    tensors = [Tensor(f"{name}.weight", parameters, inputs, transposed, by_head)]
    if bias:
        tensors.append(Tensor(f"{name}.bias", tuple(f"{path}_bias" for path in parameters), by_head=by_head))
    return tensors


def norm(config: DecoderConfig, name: str, path: str) -> list[Tensor]:
    """A norm: `<name>.weight`, and `<name>.bias` if norms have one."""
    tensors = [Tensor(f"{name}.weight", (f"{path}/scale",))]
    return [*tensors, Tensor(f"{name}.bias", (f"{path}/bias",))] if config.norm == "layer" else tensors


def table(name: str, path: str) -> list[Tensor]:
    """A matrix stored as it is: rows to look up."""
    return [Tensor(f"{name}.weight", (path,), inputs=1)]


def head(config: DecoderConfig, name: str = "lm_head") -> list[Tensor]:
    """The projection to the vocabulary, unless it is the embedding."""
    weight = [] if config.tied_embeddings else [Tensor(f"{name}.weight", ("head",), 1, transposed=True)]
    return [*weight, Tensor(f"{name}.bias", ("head_bias",))] if config.head_bias else weight
