"""Rows made by hand, and what a decoder says of their tokens."""

import jax
import jax.numpy as jnp
import numpy as np

from flan_jax.models import decoder

hidden = jax.jit(decoder.apply, static_argnums=0)


def pack(documents: list[np.ndarray], length: int) -> dict[str, np.ndarray]:
    """One row [1, length]: the documents in turn, then padding."""
    row = {name: np.zeros((1, length), np.int32) for name in ("tokens", "positions", "segment_ids")}
    start = 0
    for segment, document in enumerate(documents, start=1):
        columns = slice(start, start + len(document))
        row["tokens"][0, columns] = document
        row["positions"][0, columns] = np.arange(len(document))
        row["segment_ids"][0, columns] = segment
        start += len(document)
    return row


def drawn_params(config) -> dict:
    """Parameters of any decoder, drawn without compiling anything."""
    random = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(0.1, 0.2, leaf.shape), leaf.dtype), decoder.abstract_params(config)
    )


def log_probabilities(config, params, row, branch_ids=None) -> np.ndarray:
    """log P(tokens[t] | what column t - 1 sees), in column t of [T]; column 0 is 0."""
    states = hidden(config, params, row["tokens"], row["positions"], row["segment_ids"], branch_ids)
    scores = np.asarray(jax.nn.log_softmax(decoder.logits(config, params, states), axis=-1))
    chosen = np.take_along_axis(scores[:, :-1], row["tokens"][:, 1:, None], axis=-1)[0, :, 0]
    return np.concatenate([[0.0], chosen])
