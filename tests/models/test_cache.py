"""Generation with a cache says what reading everything anew says."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import hidden, pack

from flan_jax.models import cache, decoder
from flan_jax.models.prefix import PREFIX, Prefix

decode_step = jax.jit(cache.decode_step, static_argnums=(0, 5))
fill = jax.jit(cache.fill, static_argnums=0)


@pytest.mark.parametrize(
    "changes",
    [{}, {"scan_layers": True, "position": "learned", "norm": "layer", "max_length": 200, "num_kv_heads": 4}],
)
def test_cached_logits_equal_uncached_ones_for_prompts_of_several_lengths(config, changes):
    config = dataclasses.replace(config, **changes)
    compare_cached_with_uncached(config, decoder.build_decoder(config, seed=0)[1], (6, 3), (0, 0))


def test_cached_logits_equal_uncached_ones_with_every_switch(switched, switched_params):
    compare_cached_with_uncached(switched, switched_params, (6, 3), (0, 0))


def test_rows_go_from_block_to_block(config, params):
    """One prompt reaches into the second block and one enters it while it is continued; others go on in the first."""
    compare_cached_with_uncached(config, params, (131, 126, 1, 9), (130, 40, 0, 7))


def test_what_a_row_held_before_is_forgotten(config, params):
    """Rows whose last texts were longer than the new ones."""
    compare_cached_with_uncached(config, params, (5, 2), (40, 30))


def test_a_soft_prompt_stands_before_every_text(config, params):
    config = dataclasses.replace(config, window=4, window_pattern="LG")
    shape = (config.num_layers, 3, config.kv_heads, config.head_size)
    keys, values = (jax.random.normal(jax.random.key(i), shape) for i in range(2))
    layers = {**params["layers"], PREFIX: Prefix(keys, values)}
    compare_cached_with_uncached(config, {**params, "layers": layers}, (6, 3), (0, 0))


def compare_cached_with_uncached(config, params, lengths, before):
    """`before`: the lengths of other texts that the rows have held."""
    random = np.random.default_rng(0)
    apart = decoder.apart(config, params)
    kept = cache.init_cache(config, len(lengths), 160)
    for wanted in (before, lengths):
        rows = [list(random.integers(1, 61, n)) for n in wanted]
        kept = read(config, apart, kept, [row[:-1] for row in rows])
    cached = []
    for _ in range(5):
        last, positions = (
            np.array(part, np.int32) for part in zip(*((row[-1], len(row) - 1) for row in rows), strict=True)
        )
        scores, kept = decode_step(config, apart, kept, last, positions, 2)
        cached.append(scores)
        for row, token in zip(rows, random.integers(1, 61, len(rows)), strict=True):
            row.append(int(token))
    for row, length, got in zip(rows, lengths, np.stack(cached, axis=1), strict=True):
        whole = pack([np.asarray(row, np.int32)], 160)
        states = hidden(config, params, whole["tokens"], whole["positions"], whole["segment_ids"])
        expected = decoder.logits(config, params, states)[0, length - 1 : length + 4]
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=2e-5)


def read(config, params, kept, prompts):
    """All of them in one packed row, the last one first, with a real token as padding, to be seen if it leaked."""
    prompts = [(row, prompt) for row, prompt in reversed(list(enumerate(prompts))) if prompt]
    tokens, positions, segments = np.zeros((3, 1, 288), np.int32)
    tokens[:] = 60
    starts, rows = np.zeros((2, 4), np.int32)
    at = 0
    for i, (row, prompt) in enumerate(prompts):
        starts[i], rows[i], here = at, row, slice(at, at + len(prompt))
        tokens[0, here], positions[0, here], segments[0, here] = prompt, np.arange(len(prompt)), i + 1
        at = here.stop
    return fill(config, params, kept, tokens, positions, segments, starts, rows, jnp.int32(len(prompts)))


def test_a_position_beyond_the_cache_is_loud(config, params):
    kept = cache.init_cache(config, 2, 4)
    positions = np.array([cache.BLOCK - 1, cache.BLOCK], np.int32)
    scores, _ = decode_step(config, decoder.apart(config, params), kept, np.array([1, 1], np.int32), positions, 1)
    assert np.isfinite(scores[0]).all() and np.isnan(scores[1]).all()


def test_blocks():
    sizes = [cache.blocks_for(length) for length in (0, 1, 128, 129, 300, 385, 513, 700, 800, 2048)]
    assert sizes == [1, 1, 1, 2, 3, 4, 6, 6, 8, 16]
