"""The one product of a decoder, activations with weights, and its gradients in the order that needs no copies."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float


def project(
    x: Float[Array, "..."], w: Float[Array, "..."], contracted: int = 1, result: DTypeLike | None = None
) -> Float[Array, "..."]:
    """Sums the last `contracted` axes of `x` against the first of `w`: [*B, *I] · [*I, *O] -> [*B, *O].

    Products are of the dtype of `x` and summed in float32; the result has the dtype `result` (default: that of `x`),
    the gradient of `w` its own dtype, so bfloat16 activations still give float32 gradients of float32 weights.
    The gradients are written out because automatic ones compute dW as (dyᵀ x)ᵀ: on several axes XLA then writes dyᵀ to
    memory, fused with the activation function that made it.  On CPU that took as long as the products themselves (an
    MLP forward and backward at 8 × 512 tokens, width 384: 600 ms of processor time against 380).
    """
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
