"""The loss of packed rows is the loss of their documents, whichever way it is computed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.models.decoder import apply, init_params, logits
from flan_jax.training.loss import (
    LOGITS_ON_ACCELERATOR,
    chunk_length,
    negative_log_likelihood,
    next_tokens,
    token_cross_entropy,
)

from .conftest import MODEL, packed


@pytest.fixture(scope="module")
def params():
    return jax.jit(init_params, static_argnums=0)(MODEL, 0)


def sums(params, batch, chunk=0):
    hidden = apply(MODEL, params, batch["tokens"], batch["positions"], batch["segment_ids"])
    return token_cross_entropy(MODEL, params, hidden, batch["tokens"], batch["loss_weights"], chunk)


def mean(params, batch, chunk=0):
    nats, weights = sums(params, batch, chunk)
    return nats / weights


def documents(batch):
    """Each document alone in a row, from its first column on."""
    for row in range(len(batch["tokens"])):
        for segment in range(1, batch["segment_ids"][row].max() + 1):
            columns = batch["segment_ids"][row] == segment
            alone = {name: np.zeros_like(array[:1]) for name, array in batch.items()}
            for name, array in batch.items():
                alone[name][0, : columns.sum()] = array[row, columns]
            alone["segment_ids"] = np.minimum(alone["segment_ids"], 1)
            yield jax.tree.map(jnp.asarray, alone)


def relative(a, b):
    return float(jnp.max(jnp.abs(a - b)) / jnp.maximum(jnp.max(jnp.abs(b)), 1e-12))


def test_packed_loss_and_gradients_equal_those_of_the_documents_alone(params):
    batch = jax.tree.map(jnp.asarray, packed(3, 64, seed=1))
    loss, gradients = jax.jit(jax.value_and_grad(mean))(params, batch)
    alone = jax.jit(jax.value_and_grad(sums, has_aux=True))
    total, weights, added = 0.0, 0.0, jax.tree.map(jnp.zeros_like, params)
    for document in documents(packed(3, 64, seed=1)):
        (nats, weight), gradient = alone(params, document)
        total, weights, added = total + nats, weights + weight, jax.tree.map(jnp.add, added, gradient)
    assert weights == batch["loss_weights"].sum()
    assert abs(loss - total / weights) / loss < 1e-5
    for packed_gradient, summed in zip(jax.tree.leaves(gradients), jax.tree.leaves(added), strict=True):
        assert relative(packed_gradient, summed / weights) < 1e-5


@pytest.mark.parametrize("tied", [False, True])
def test_the_gradient_made_with_the_sum_is_that_of_the_sum(params, tied):
    """Against automatic differentiation of the loss as it is defined; scaled by what it is divided by."""
    model = dataclasses.replace(MODEL, tied_embeddings=tied)
    batch = jax.tree.map(jnp.asarray, packed(3, 64, seed=3))
    hidden = jax.random.normal(jax.random.key(0), (3, 64, model.embed_dim))

    def plain(params, hidden):
        targets, weights = next_tokens(batch["tokens"], batch["loss_weights"])
        return jnp.sum(weights * negative_log_likelihood(logits(model, params, hidden), targets)) / 7

    def pieces(params, hidden):
        return token_cross_entropy(model, params, hidden, batch["tokens"], batch["loss_weights"], 24)[0] / 7

    (value, gradients), (other, others) = (
        jax.value_and_grad(sum_of, (0, 1))(params, hidden) for sum_of in (pieces, plain)
    )
    assert abs(value - other) / other < 1e-6
    assert abs(jax.jit(pieces)(params, hidden) - other) / other < 1e-6  # nothing is differentiated
    for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(others), strict=True):
        assert relative(a, b) < 1e-5


@pytest.mark.parametrize("chunk", [8, 24])
def test_chunks_change_nothing(params, chunk):
    batch = jax.tree.map(jnp.asarray, packed(3, 64, seed=2))
    gradient = jax.jit(jax.value_and_grad(mean), static_argnums=2)
    whole, whole_gradients = gradient(params, batch, 64)
    loss, gradients = gradient(params, batch, chunk)
    assert abs(loss - whole) / whole < 1e-6
    for a, b in zip(jax.tree.leaves(gradients), jax.tree.leaves(whole_gradients), strict=True):
        assert relative(a, b) < 1e-5


def test_nll_is_that_of_log_softmax_though_logits_are_large():
    dice = np.random.default_rng(0)
    logits, targets = jnp.asarray(dice.normal(size=(5, 7, 30)) * 300), jnp.asarray(dice.integers(0, 30, (5, 7)))
    plain = -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
    np.testing.assert_allclose(negative_log_likelihood(logits, targets), plain, rtol=1e-5, atol=1e-4)


def test_a_position_predicts_the_next_token_with_its_weight():
    targets, weights = next_tokens(jnp.array([[5, 6, 7]]), jnp.array([[9.0, 1.0, 0.5]]))
    assert targets[0, :2].tolist() == [6, 7]
    assert weights.tolist() == [[1.0, 0.5, 0.0]]


def test_chunks_bound_the_logits_in_memory():
    assert chunk_length(8, 512, 8_000, "cpu") == 65
    assert chunk_length(8, 512, 8_000, "gpu") == 512
    assert chunk_length(8, 512, 8_000, "cpu", devices=4) == 262
    for rows, length, vocabulary in [(8, 2048, 128_256), (64, 1024, 32_000), (512, 64, 256_000)]:
        chunk = chunk_length(rows, length, vocabulary, "gpu")
        assert 1 <= chunk < length
        assert chunk == 1 or rows * chunk * vocabulary <= LOGITS_ON_ACCELERATOR
