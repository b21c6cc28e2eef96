"""The one product of a decoder, activations with weights, and its gradients in the order that needs no copies."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


@partial(jax.tree_util.register_dataclass, data_fields=("weight", "a", "b"), meta_fields=("scale",))
@dataclasses.dataclass(frozen=True)
class Adapted:
    """A weight with a product of low rank beside it (`lora.py`): what it does is that of weight + scale · a b.

    It stands in the tree of parameters where the weight would, and is sliced and stacked with it.
    """

    weight: Any  # [*I, *O]; or what stands for an array while trees are mapped
    a: Any  # [*I, rank]
    b: Any  # [rank, *O]
    scale: float

    def __getitem__(self, index: Any) -> "Adapted":
        """Itself: modules read a parameter as `parameter[...]`."""
        if index is not Ellipsis:
            raise TypeError(f"an adapted weight is taken whole, not at {index}")
        return self


def project(
    x: Float[Array, "..."], w: Float[Array, "..."] | Adapted, contracted: int = 1, result: DTypeLike | None = None
) -> Float[Array, "..."]:
    """Sums the last `contracted` axes of `x` against the first of `w`: [*B, *I] · [*I, *O] -> [*B, *O].

    Products are of the dtype of `x` and summed in float32; the result has the dtype `result` (default: that of `x`),
    the gradient of `w` its own dtype, so bfloat16 activations still give float32 gradients of float32 weights.
    The gradients are written out because automatic ones compute dW as (dyᵀ x)ᵀ: on several axes XLA then writes dyᵀ to
    memory, fused with the activation function that made it.  On CPU that took as long as the products themselves (an
    MLP forward and backward at 8 × 512 tokens, width 384: 600 ms of processor time against 380).

    An adapted weight is never put together: x a b beside x w needs neither a copy of the weight nor its gradient.
    """
    if isinstance(w, Adapted):
        narrow = project(x, w.a, contracted)
        return project(x, w.weight, contracted, result) + w.scale * project(narrow, w.b, 1, result)
    product: Any = _product(x, w, contracted, jnp.dtype(result or x.dtype))
    return product


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _product(x: Array, w: Array, contracted: int, result: jnp.dtype) -> Array:
    return _forward(x, w, contracted, result)[0]


def _forward(x: Array, w: Array, contracted: int, result: jnp.dtype) -> tuple[Array, tuple[Array, Array]]:
    y = jnp.tensordot(x, w.astype(x.dtype), contracted, preferred_element_type=jnp.float32)
    return y.astype(result), (x, w)


def _backward(contracted: int, result: jnp.dtype, saved: tuple[Array, Array], dy: Array) -> tuple[Array, Array]:
    x, w = saved
    dy = dy.astype(x.dtype)
    batch = tuple(range(x.ndim - contracted))
    outputs = tuple(range(len(batch), dy.ndim)), tuple(range(contracted, w.ndim))
    dx = jnp.tensordot(dy, w.astype(x.dtype), outputs, preferred_element_type=jnp.float32)
    return dx.astype(x.dtype), _weight_gradient(x, dy, batch).astype(w.dtype)


def _weight_gradient(x: Array, dy: Array, batch: tuple[int, ...]) -> Array:
    """xᵀ dy, or (dyᵀ x)ᵀ where `dy` is the narrower: XLA's CPU backend writes the transpose of the first to memory.

    The barrier keeps it from undoing that, and from folding the transpose of tied embeddings into a product it then
    cannot run in bfloat16 ("Unsupported element type for DotThunk: BF16 x BF16 = F32", jaxlib 0.10.2).
    """
    inputs, outputs = x.ndim - len(batch), dy.ndim - len(batch)
    narrower_first = x.size > dy.size
    first, second = (dy, x) if narrower_first else (x, dy)
    product = jnp.tensordot(first, second, (batch, batch), preferred_element_type=jnp.float32)
    product = jax.lax.optimization_barrier(product)
    return jnp.moveaxis(product, range(outputs), range(inputs, inputs + outputs)) if narrower_first else product


_product.defvjp(_forward, _backward)
