"""Low-rank adapters: beside a matrix and merged into it they are the same model, and only they have gradients."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoder_switches import SWITCHES
from packed_rows import drawn_params, hidden, pack

from flan_jax.models import decoder
from flan_jax.models.lora import abstract_lora, adapted, init_lora, lora_axes, matrices, merged, paths, tree

SCALE = 2.0
DOCUMENTS = [np.arange(1, 12, dtype=np.int32), np.arange(20, 29, dtype=np.int32)]


def some_lora(config):
    """Adapters as they are after some training: B is not zero."""
    random = np.random.default_rng(1)
    shapes = abstract_lora(config, matrices(config), 3)
    return jax.tree.map(lambda leaf: jnp.asarray(random.normal(0, 0.1, leaf.shape), jnp.float32), shapes)


def merge(params, lora):
    whole, learned = paths(params), paths(lora)
    return tree({
        name: merged(leaf, learned[f"{name}/a"], learned[f"{name}/b"], SCALE) if f"{name}/a" in learned else leaf
        for name, leaf in whole.items()
    })  # fmt: skip


def logits(config, params):
    row = pack(DOCUMENTS, 24)
    return decoder.logits(config, params, hidden(config, params, row["tokens"], row["positions"], row["segment_ids"]))


@pytest.mark.parametrize("switches", ["gemma-like", "opt-like"])
def test_merged_and_unmerged_logits_are_equal(config, switches):
    config = dataclasses.replace(config, scan_layers=True, **SWITCHES[switches])
    params, lora = drawn_params(config), some_lora(config)
    plain, beside, inside = (logits(config, one) for one in (params, adapted(params, lora, SCALE), merge(params, lora)))
    np.testing.assert_allclose(beside, inside, atol=1e-5)
    assert np.abs(plain - beside).max() > 1e-2
    fresh = adapted(params, init_lora(config, matrices(config), 3, 0), SCALE)
    np.testing.assert_allclose(logits(config, fresh), plain, atol=1e-6)  # at first the model is what it was


def test_shapes_and_axes_follow_the_matrix(config):
    targets = ["layers/attention/key", "layers/attention/output", "layers/mlp/down"]
    shapes = {name: leaf.shape for name, leaf in paths(abstract_lora(config, targets, 3)).items()}
    assert shapes == {
        "layers/attention/key/a": (2, 32, 3),
        "layers/attention/key/b": (2, 3, 2, 8),
        "layers/attention/output/a": (2, 4, 8, 3),
        "layers/attention/output/b": (2, 3, 32),
        "layers/mlp/down/a": (2, 48, 3),
        "layers/mlp/down/b": (2, 3, 32),
    }
    axes = paths(lora_axes(config, targets))
    assert axes["layers/attention/key/b"] == ("layers", "rank", "kv_heads", "head_dim")
    assert axes["layers/attention/output/a"] == ("layers", "heads", "head_dim", "rank")


@pytest.mark.parametrize("switches", SWITCHES)
def test_what_can_be_adapted_are_the_matrices_of_layers(config, switches):
    config = dataclasses.replace(config, **SWITCHES[switches], qkv_bias=True)
    attention = [f"layers/attention/{name}" for name in ("key", "output", "query", "value")]
    mlp = [f"layers/mlp/{name}" for name in ("down", *(["gate"] if config.gated_mlp else []), "up")]
    assert sorted(matrices(config)) == [*attention, *mlp]


def test_no_gradient_of_a_frozen_matrix_is_computed(config):
    """Products of a backward pass: with adapters, those for the gradients of weights are gone."""
    config = dataclasses.replace(config, scan_layers=True)
    params = drawn_params(config)
    row = {name: jnp.asarray(array) for name, array in pack([np.ones(128, np.int32)], 128).items()}

    def loss(params):
        return decoder.apply(config, params, row["tokens"], row["positions"], row["segment_ids"]).sum()

    lora = init_lora(config, matrices(config), 1, 0)
    full = jax.jit(jax.grad(loss)).lower(params).compile()
    small = jax.jit(jax.grad(lambda lora: loss(adapted(params, lora, 1.0)))).lower(lora).compile()
    weights = sum(leaf.size for name, leaf in paths(params).items() if name in matrices(config))
    passes = config.num_layers  # the analysis counts the body of a loop once
    saved = 2 * 128 * weights / passes
    added = 128 * 12 * sum(leaf.size for leaf in jax.tree.leaves(lora)) / passes
    flops = [dict(compiled.cost_analysis() or {})["flops"] for compiled in (full, small)]
    assert flops[1] < flops[0] - 0.9 * saved + added
