"""Rows behind a block say what they say with its tokens in front of every document."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import drawn_params, hidden

from flan_jax.models import decoder, shared_block
from flan_jax.models.attention import UnsupportedAttention
from flan_jax.models.prefix import PREFIX, Prefix
from flan_jax.models.soft_prompt import behind_prompt, with_prompt

behind = jax.jit(shared_block.apply_behind, static_argnums=0)
read = jax.jit(shared_block.read_block, static_argnums=0)

BLOCK, PADDED = 37, 64


def compare(config, params, padded=PADDED):
    """A row of two documents and padding, the first with two branches, 140 columns: two blocks of queries."""
    random = np.random.default_rng(0)
    block = np.full(padded, 60, np.int32)  # padding that is a real token, to be seen if it leaked
    block[:BLOCK] = random.integers(1, 61, BLOCK)
    lengths = {"context": 70, "one": 6, "two": 4, "other": 50}
    parts = {name: random.integers(1, 61, length).astype(np.int32) for name, length in lengths.items()}
    own = {
        "tokens": np.concatenate([*parts.values(), np.zeros(10)]),
        "positions": BLOCK + np.concatenate([np.arange(76), np.arange(70, 74), np.arange(50), np.zeros(10)]),
        "segment_ids": np.repeat([1, 2, 0], [80, 50, 10]),
        "branch_ids": np.repeat([0, 1, 2, 0], [70, 6, 4, 60]),
    }
    own = {name: array[None].astype(np.int32) for name, array in own.items()}
    got = behind(config, params, read(config, params, block, np.int32(BLOCK)), *own.values())
    got = np.asarray(decoder.logits(config, params, got))[0]
    for start, *names in ((70, "context", "one"), (76, "context", "two"), (80, "other")):
        whole = np.concatenate([block[:BLOCK], *(parts[name] for name in names)])
        row = np.zeros((1, 128), np.int32)
        row[0, : len(whole)] = whole
        states = hidden(config, params, row, np.arange(128)[None], (np.arange(128) < len(whole))[None].astype(np.int32))
        expected = np.asarray(decoder.logits(config, params, states))[0]
        count = len(parts[names[-1]])
        np.testing.assert_allclose(
            got[start : start + count], expected[len(whole) - count : len(whole)], rtol=1e-4, atol=2e-5
        )


def test_rows_behind_a_block_equal_whole_documents(config, params):
    compare(config, params)


def test_a_soft_prompt_stands_in_front_of_the_block(config, params):
    draw = np.random.default_rng(1)
    config = dataclasses.replace(config, window=40, window_pattern="GL")
    keys, values = draw.normal(size=(2, config.num_layers, 5, config.kv_heads, config.head_size)).astype(np.float32)
    compare(config, {**params, "layers": {**params["layers"], PREFIX: Prefix(keys, values)}})


def test_rows_behind_a_block_equal_whole_documents_with_every_switch(switched, switched_params):
    """Windows that reach into the block, soft caps, learned positions, stretched rotary ones."""
    compare(switched, switched_params)


@pytest.mark.parametrize("prompt", [0, 5])
def test_a_block_may_be_padded_past_the_learned_positions(config, prompt):
    """Also behind a soft prompt, which takes some of them."""
    config = dataclasses.replace(config, position="learned", max_length=140, scan_layers=True)
    params = drawn_params(config)
    if prompt:
        rows = jnp.asarray(np.random.default_rng(2).normal(0, 0.3, (prompt, config.embed_dim)), jnp.float32)
        config = behind_prompt(config, prompt)
        params = with_prompt(config, params, rows)
    compare(config, params, padded=192)


@pytest.mark.parametrize("name", ["splash", "nonsense"])
def test_another_backend_is_refused(config, params, name):
    """On a TPU, where splash itself would work."""
    block = read(config, params, np.ones(4, np.int32), np.int32(3))
    tokens, positions, segment_ids = jnp.array([[1, 2]]), jnp.array([[3, 4]]), jnp.array([[1, 1]])
    tpu = jax.sharding.AbstractDevice(device_kind="TPU v5", num_cores=None, platform="tpu")
    config = dataclasses.replace(config, attention=name)
    with (
        jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((1,), ("data",), abstract_device=tpu)),
        pytest.raises(UnsupportedAttention, match=rf"'{name}' cannot.*RunAs.attention\).*xla"),
    ):
        shared_block.apply_behind(config, params, block, tokens, positions, segment_ids)
