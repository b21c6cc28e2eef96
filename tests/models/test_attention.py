"""The blockwise backend against the formula written out, and refusal of what is not there."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.models import blockwise
from flan_jax.models.attention import UnsupportedAttention, backend
from flan_jax.models.masks import Documents, Window, visible


def plain_attention(q, k, v, documents, scale=None, cap=None):
    """Every score of the square, key/value heads repeated, gradients by autodiff."""
    length, group = q.shape[1], q.shape[2] // k.shape[2]
    k, v = jnp.repeat(k, group, axis=2), jnp.repeat(v, group, axis=2)
    scores = jnp.einsum("BTNH,BSNH->BNTS", q, k) * (scale or 1 / np.sqrt(q.shape[-1]))
    if cap:
        scores = cap * jnp.tanh(scores / cap)
    mask = visible(documents, slice(0, length), slice(0, length))
    weights = jax.nn.softmax(jnp.where(mask[:, None], scores, -jnp.inf), axis=-1)
    return jnp.einsum("BNTS,BSNH->BTNH", weights, v)


@pytest.mark.parametrize(
    ("length", "kv_heads", "branched", "asked"),
    [
        (5, 2, False, {}),
        (128, 4, False, {}),
        (150, 1, False, {}),
        (150, 2, True, {}),
        (150, 2, True, {"window": 9, "scale": 0.7, "cap": 1.5}),
    ],
)
def test_blockwise_equals_the_formula_with_its_gradients(length, kv_heads, branched, asked):
    random = np.random.default_rng(0)
    q, k, v, out = (
        jnp.asarray(random.normal(size=(2, length, heads, 8)), jnp.float32) for heads in (4, kv_heads, kv_heads, 4)
    )
    segments = np.sort(random.integers(0, 4, (2, length)), axis=1)[:, ::-1].astype(np.int32)
    branches = jnp.asarray(random.integers(0, 3, (2, length)), jnp.int32) if branched else None
    scoring = {name: value for name, value in asked.items() if name != "window"}
    positions = jnp.asarray(random.integers(0, 40, (2, length)), jnp.int32)
    window = Window(positions, jnp.int32(asked["window"])) if asked else None
    documents = Documents(jnp.asarray(segments), branches, window)

    @partial(jax.jit, static_argnums=0)
    def with_gradients(attention, q, k, v, out):
        value, pull = jax.vjp(lambda q, k, v: attention(q, k, v, documents, **scoring), q, k, v)
        return value, *pull(out)

    results = (with_gradients(attention, q, k, v, out) for attention in (blockwise.attention, plain_attention))
    for got, want in zip(*results, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


def test_a_window_counts_positions_of_the_document():
    segments = jnp.asarray([[1, 1, 1, 1, 2, 2]])
    positions = jnp.asarray([[0, 1, 2, 3, 0, 1]])
    seen = visible(Documents(segments, None, Window(positions, jnp.int32(2))), slice(0, 6), slice(0, 6))[0]
    assert [np.flatnonzero(row).tolist() for row in seen] == [[0], [0, 1], [1, 2], [2, 3], [4], [4, 5]]


@pytest.mark.parametrize("length", [1, 128, 129, 512, 1024, 4097])
def test_blocks_cover_every_query_once_and_are_few(length):
    queries = [range(length)[block] for block, _ in blockwise.blocks(length)]
    assert [column for block in queries for column in block] == list(range(length))
    assert len(queries) <= blockwise.MOST_BLOCKS
    assert all(keys == slice(0, block.stop) for block, keys in blockwise.blocks(length))


@pytest.mark.parametrize("name", ["splash", "cudnn", "flash"])
def test_a_backend_that_is_not_there_is_refused_naming_those_that_are(name):
    with pytest.raises(UnsupportedAttention, match=f"{name}.*cpu.*one of: xla"):
        backend(name)
