"""One step: exact sums over microbatches, the same bits each time, and no harm from a loss that is not finite."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.train_step import make_trainer

from .conftest import MODEL, packed

ADAMW = OptimizerConfig(learning_rate=1e-2, warmup_steps=2, weight_decay=0.1)


@functools.cache
def compiled(microbatches):
    trainer = make_trainer(MODEL, ADAMW, steps=10, microbatches=microbatches)
    return trainer.make_step(), jax.device_get(trainer.initial_state(0))


def run(batches, microbatches=1):
    step, state = compiled(microbatches)
    logged = []
    for batch in batches:
        state, metrics = step(state, batch)
        logged.append({name: float(value) for name, value in metrics.items()})
    return state, logged


def bits(tree):
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(tree)]


def test_learns_and_reports():
    batch = packed(4, 64, seed=0)
    state, logged = run([batch] * 8)
    assert logged[-1]["loss"] < logged[0]["loss"] - 0.5
    assert logged[0]["loss"] == pytest.approx(np.log(320), rel=0.2)
    assert logged[0]["target_tokens"] == batch["loss_weights"].sum()
    assert logged[0]["tokens"] == (batch["segment_ids"] > 0).sum()
    assert logged[0]["learning_rate"] == pytest.approx(5e-3)
    assert int(state.step) == 8


def test_microbatches_make_the_same_update_though_documents_differ_in_length():
    batches = [packed(4, 64, seed) for seed in range(3)]
    for batch in batches:
        batch["loss_weights"][1:] *= np.random.default_rng(1).random((3, 64)) < 0.2  # far fewer targets in some rows
    (whole, logged), (parts, logged_parts) = run(batches), run(batches, microbatches=2)
    for a, b in zip(logged, logged_parts, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-6)
        assert a["grad_norm"] == pytest.approx(b["grad_norm"], rel=1e-5)
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_allclose(a, b, atol=2e-5)


def test_same_state_and_batch_give_the_same_bits():
    batches = [packed(4, 64, seed) for seed in range(3)]
    assert bits(run(batches)[0]) == bits(run(batches)[0])


@pytest.mark.parametrize("microbatches", [1, 2])
def test_a_batch_that_is_not_finite_changes_nothing_but_the_step(microbatches):
    good, bad = packed(4, 64, seed=0), packed(4, 64, seed=1)
    bad["loss_weights"][2, 5] = np.inf
    (before, _), (after, logged) = run([good], microbatches), run([good, bad], microbatches)
    assert [line["finite"] for line in logged] == [1.0, 0.0]
    assert bits((before.params, before.opt_state)) == bits((after.params, after.opt_state))
    assert int(after.step) == 2


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_the_learning_rate_told_is_the_one_used_though_an_update_was_left_out(name):
    """Warming up over 4 updates; the second batch is left out, so the third is the second update."""
    good, bad = packed(4, 64, seed=0), packed(4, 64, seed=1)
    bad["loss_weights"][2, 5] = np.inf
    optimizer = OptimizerConfig(name=name, learning_rate=1.0, warmup_steps=4)
    trainer = make_trainer(MODEL, optimizer, steps=10)
    step, state = trainer.make_step(), trainer.initial_state(0)
    told = []
    for batch in (good, bad, good):
        state, metrics = step(state, batch)
        told.append(float(metrics["learning_rate"]))
    assert told == [0.25, 0.5, 0.5]


def test_padding_alone_is_a_loss_of_zero():
    batch = {name: np.zeros_like(array) for name, array in packed(4, 64, seed=0).items()}
    _, logged = run([batch])
    assert logged[0]["loss"] == 0.0
    assert logged[0]["finite"] == 1.0


def test_accumulators_are_fp32_though_parameters_are_not():
    model = dataclasses.replace(MODEL, param_dtype="bfloat16", dtype="bfloat16")
    trainer = make_trainer(model, ADAMW, steps=10, microbatches=2)
    abstract = trainer.abstract_state()
    batch = packed(4, 64, seed=0)
    loss, gradients = jax.eval_shape(lambda p, b: trainer.gradients(p, b, 1.0), abstract.params, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(abstract.params)} == {jnp.dtype(jnp.bfloat16)}
    assert {leaf.dtype for leaf in jax.tree.leaves((loss, gradients))} == {jnp.dtype(jnp.float32)}
