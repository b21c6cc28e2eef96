"""Cross-entropy of packed rows, as two sums that can be added over microbatches, devices and hosts before dividing."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import head_params, logits

# Logits a device holds at once; a microbatch that has more makes them a chunk of positions at a time.  On CPU few are
# better than all (17M parameters, 8 × 512 × 8,000: 5.21 s of processor time a step against 5.30, peak memory 2.05 GiB
# against 2.23); accelerators want large products.
LOGITS_ON_CPU = 2**22
LOGITS_ON_ACCELERATOR = 2**27


def negative_log_likelihood(logits: Float[Array, "*B V"], targets: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """-log softmax(logits)[targets] in nats.

    Gathering first makes no array of log-probabilities.  (Its gradient written out as softmax minus one-hot was tried
    on CPU at 4 × 512 × 8,000: 660 ms of processor time for head and loss, against 630 for the automatic one.)
    """
    chosen = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    return jax.nn.logsumexp(logits, axis=-1) - chosen


def next_tokens(
    tokens: Int[Array, "B T"], weights: Float[Array, "B T"]
) -> tuple[Int[Array, "B T"], Float[Array, "B T"]]:
    """What each position predicts, and how much that counts: `tokens[:, t + 1]` and its weight; nothing at the last."""
    last = weights.shape[1] - 1
    shifted = jnp.roll(weights, -1, axis=1)
    return jnp.roll(tokens, -1, axis=1), jnp.where(jnp.arange(weights.shape[1]) == last, 0.0, shifted)


def token_cross_entropy(
    config: DecoderConfig,
    params: Any,
    hidden: Float[Array, "B T D"],
    tokens: Int[Array, "B T"],
    weights: Float[Array, "B T"],
    chunk: int = 0,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Summed negative log-likelihood in nats, and the summed weights to divide it by.

    `weights[r, t]` counts the prediction of `tokens[r, t]` from position t - 1 (0 where a document starts, in padding,
    and on inputs when only targets are learned).  `chunk` positions of each row have their logits in memory at a time
    (0: all).  The sums travel apart because the mean of means is wrong when documents differ in length.
    """
    targets, counted = next_tokens(tokens, weights)
    head = head_params(config, params)
    pieces = -(-tokens.shape[1] // chunk) if chunk else 1
    total: Any = _summed(config, pieces, head, hidden, targets, counted)
    return total, jnp.sum(counted)


def chunk_length(rows: int, length: int, vocabulary_size: int, platform: str, devices: int = 1) -> int:
    """Positions whose logits, for `rows` rows over all devices, number no more than they should; at least one."""
    at_once = LOGITS_ON_CPU if platform == "cpu" else LOGITS_ON_ACCELERATOR
    return max(1, min(length, at_once * devices // (rows * vocabulary_size)))


def _sum_of(
    config: DecoderConfig, head: Any, hidden: Float[Array, "B C D"], targets: Int[Array, "B C"],
    counted: Float[Array, "B C"],
) -> Float[Array, ""]:  # fmt: skip
    return jnp.sum(negative_log_likelihood(logits(config, head, hidden), targets) * counted)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _summed(config: DecoderConfig, pieces: int, head: Any, hidden: Array, targets: Array, counted: Array) -> Array:
    """The sum over all positions, a piece at a time."""
    each = partial(_sum_of, config, head)
    add = lambda total, piece: (total + each(*piece), None)  # noqa: E731
    return jax.lax.scan(add, jnp.zeros(()), jax.tree.map(partial(_cut, pieces), (hidden, targets, counted)))[0]


def _forward(
    config: DecoderConfig, pieces: int, head: Any, hidden: Array, targets: Array, counted: Array
) -> tuple[Array, tuple[Any, Array]]:
    """The sum and its gradients in one pass: a piece's logits are made once, used for both and let go."""
    both = jax.value_and_grad(partial(_sum_of, config), (0, 1))

    def add(sums: Any, piece: Any) -> tuple[Any, Array]:
        value, (head_gradient, hidden_gradient) = both(head, *piece)
        return jax.tree.map(jnp.add, sums, (value, head_gradient)), hidden_gradient

    zeros = (jnp.zeros(()), jax.tree.map(lambda p: jnp.zeros(p.shape, jnp.float32), head))
    cut = jax.tree.map(partial(_cut, pieces), (hidden, targets, counted))
    (total, head_gradient), hidden_gradients = jax.lax.scan(add, zeros, cut)
    hidden_gradient = jnp.moveaxis(hidden_gradients, 0, 2).reshape(hidden.shape[0], -1, hidden.shape[2])
    head_gradient = jax.tree.map(lambda gradient, p: gradient.astype(p.dtype), head_gradient, head)
    return total, (head_gradient, hidden_gradient[:, : hidden.shape[1]])


def _backward(config: DecoderConfig, pieces: int, gradients: tuple[Any, Array], by: Array) -> tuple:
    return *jax.tree.map(lambda gradient: (by * gradient).astype(gradient.dtype), gradients), None, None


_summed.defvjp(_forward, _backward)


def _cut(pieces: int, array: Array) -> Array:
    """[B, T, ...] -> [pieces, B, T / pieces, ...], padded with zeros, which count nothing.

    Position p goes to piece p mod `pieces`: where positions are cut over devices, each has a part of every piece.
    """
    padding = -array.shape[1] % pieces
    array = jnp.pad(array, ((0, 0), (0, padding)) + ((0, 0),) * (array.ndim - 2))
    return jnp.moveaxis(array.reshape(array.shape[0], -1, pieces, *array.shape[2:]), 2, 0)
