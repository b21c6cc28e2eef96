"""Packing changes nothing: a document in a row is worth what it is worth alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import hidden, log_probabilities, pack

from flan_jax.models import decoder


def summed_loss(params, config, row, counted):
    states = decoder.apply(config, params, row["tokens"], row["positions"], row["segment_ids"])
    scores = jax.nn.log_softmax(decoder.logits(config, params, states[:, :-1]), axis=-1)
    chosen = jnp.take_along_axis(scores, row["tokens"][:, 1:, None], axis=-1)[..., 0]
    return -jnp.sum(chosen * counted)


def counted_columns(row):
    """1 where column t + 1 continues the document of column t."""
    segments = row["segment_ids"]
    return ((segments[:, 1:] == segments[:, :-1]) & (segments[:, 1:] > 0)).astype(np.float32)


def states(config, params, row) -> np.ndarray:
    return np.asarray(hidden(config, params, row["tokens"], row["positions"], row["segment_ids"]))


def test_log_probabilities_of_packed_documents_equal_those_alone(config, params, documents):
    compare_packed_with_alone(config, params, documents)


def test_packing_changes_nothing_with_every_switch(switched, switched_params, documents):
    compare_packed_with_alone(switched, switched_params, documents)


def compare_packed_with_alone(config, params, documents):
    together = log_probabilities(config, params, pack(documents, 160))
    start = 0
    for document in documents:
        alone = log_probabilities(config, params, pack([document], 160))
        mine = together[start : start + len(document)]
        np.testing.assert_allclose(mine[1:], alone[1 : len(document)], rtol=1e-5, atol=1e-5)
        start += len(document)


def test_loss_and_gradients_of_a_packed_row_equal_the_sum_over_its_documents(config, params, documents):
    loss_and_gradients = jax.jit(jax.value_and_grad(summed_loss), static_argnums=1)

    def of(row):
        return loss_and_gradients(params, config, row, counted_columns(row))

    loss, gradients = of(pack(documents, 160))
    alone = [of(pack([document], 160)) for document in documents]
    np.testing.assert_allclose(loss, sum(value for value, _ in alone), rtol=1e-5)
    expected = jax.tree.map(lambda *parts: np.sum(parts, axis=0), *[gradient for _, gradient in alone])
    for got, want in zip(jax.tree.leaves(gradients), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * np.abs(want).max())


@pytest.mark.parametrize("changed", [0, 1, 2, 3])
def test_no_token_sees_another_document(config, params, documents, changed):
    """Changing one document leaves the hidden states of every other bit-equal, padding included."""
    row = pack(documents, 160)
    others = [(d * 7 + 3) % 60 + 1 if i == changed else d for i, d in enumerate(documents)]
    altered = pack(others, 160)
    before, after = (states(config, params, r) for r in (row, altered))
    mine = row["segment_ids"] == changed + 1
    assert np.array_equal(before[~mine], after[~mine])
    assert not np.array_equal(before[mine], after[mine])


def test_no_token_sees_a_later_one(config, params, documents):
    row = pack(documents[:1], 160)
    altered = {**row, "tokens": np.where(np.arange(160) >= 40, 5, row["tokens"]).astype(np.int32)}
    before, after = (states(config, params, r) for r in (row, altered))
    assert np.array_equal(before[:, :40], after[:, :40])
    assert not np.array_equal(before[:, 40:], after[:, 40:])


@pytest.mark.parametrize("changes", [{}, {"window": 7, "window_pattern": "LG"}])
def test_branches_of_a_shared_prefix_score_as_if_each_followed_it_alone(config, params, changes):
    config = dataclasses.replace(config, **changes)
    random = np.random.default_rng(1)
    prefix, *options = (random.integers(1, 61, n).astype(np.int32) for n in (130, 3, 5, 2))
    row = pack([np.concatenate([prefix, *options])], 144)
    branches = np.zeros((1, 144), np.int32)
    start = len(prefix)
    for branch, option in enumerate(options, start=1):
        columns = slice(start, start + len(option))
        branches[0, columns] = branch
        row["positions"][0, columns] = len(prefix) + np.arange(len(option))
        start += len(option)
    together = log_probabilities(config, params, row, branches)
    start = len(prefix)
    for option in options:
        end = len(prefix) + len(option)
        alone = log_probabilities(config, params, pack([np.concatenate([prefix, option])], 144))
        # The first token of an option is predicted from the prefix's last column, which stands elsewhere in the row.
        np.testing.assert_allclose(
            together[start + 1 : start + len(option)], alone[len(prefix) + 1 : end], rtol=1e-5, atol=1e-5
        )
        start += len(option)
