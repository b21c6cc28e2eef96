"""Cross-entropy of packed rows, as two sums that can be added over microbatches, devices and hosts before dividing."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..models.config import DecoderConfig
from ..models.decoder import logits

# Logits of a whole microbatch are held at once up to this many; beyond it they are made a chunk of positions at a time.
WHOLE_LOGITS = 2**27


def negative_log_likelihood(logits: Float[Array, "*B V"], targets: Int[Array, "*B"]) -> Float[Array, "*B"]:
    """-log softmax(logits)[targets] in nats.

    Gathering first makes no array of log-probabilities.  (A gradient written out as softmax minus one-hot, in one pass,
    was tried on CPU at 4 × 512 × 8,000: 660 ms of processor time for head and loss, against 630 for this one.)
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
    and on inputs when only targets are learned).  `chunk` positions have their logits in memory at a time, and again in
    the backward pass; 0 chooses: all, if the logits number at most 2**27, else as many positions as stay within that.
    The sums travel apart because the mean of means is wrong when documents differ in length.
    """
    targets, counted = next_tokens(tokens, weights)
    rows, length, _ = hidden.shape
    chunk = chunk or chunk_length(rows, length, config.vocab_size)

    def sum_of(hidden: Array, targets: Array, counted: Array) -> Array:
        return jnp.sum(negative_log_likelihood(logits(config, params, hidden), targets) * counted)

    if chunk >= length:
        return sum_of(hidden, targets, counted), jnp.sum(counted)

    padding = -length % chunk

    def chunks(array: Array) -> Array:  # [B, T, ...] -> [T / chunk, B, chunk, ...]
        array = jnp.pad(array, ((0, 0), (0, padding)) + ((0, 0),) * (array.ndim - 2))
        return jnp.moveaxis(array.reshape(rows, -1, chunk, *array.shape[2:]), 1, 0)

    recomputed = jax.checkpoint(sum_of)  # keeps hidden states, not logits, for the backward pass
    total, _ = jax.lax.scan(
        lambda carry, piece: (carry + recomputed(*piece), None),
        jnp.zeros(()),
        jax.tree.map(chunks, (hidden, targets, counted)),
    )
    return total, jnp.sum(counted)


def chunk_length(rows: int, length: int, vocabulary_size: int) -> int:
    """Positions whose logits are made at once: all, or the largest power of two that keeps to `WHOLE_LOGITS`."""
    if rows * length * vocabulary_size <= WHOLE_LOGITS:
        return length
    chunk = 1
    while 2 * chunk * rows * vocabulary_size <= WHOLE_LOGITS and 2 * chunk < length:
        chunk *= 2
    return chunk
