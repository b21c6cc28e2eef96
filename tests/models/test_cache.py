"""Generation with a cache says what reading everything anew says."""

import dataclasses

import jax
import numpy as np
import pytest
from packed_rows import hidden, pack

from flan_jax.models import cache, decoder

prefill = jax.jit(cache.prefill, static_argnums=0)
decode_step = jax.jit(cache.decode_step, static_argnums=0)


@pytest.mark.parametrize(
    "changes",
    [{}, {"scan_layers": True, "position": "learned", "norm": "layer", "max_length": 16, "num_kv_heads": 4}],
)
def test_cached_logits_equal_uncached_ones_for_prompts_of_several_lengths(config, changes):
    config = dataclasses.replace(config, **changes)
    compare_cached_with_uncached(config, decoder.build_decoder(config, seed=0)[1])


def test_cached_logits_equal_uncached_ones_with_every_switch(switched, switched_params):
    compare_cached_with_uncached(switched, switched_params)


def compare_cached_with_uncached(config, params):
    random = np.random.default_rng(0)
    rows = [list(random.integers(1, 61, n)) for n in (6, 3)]
    prompts = np.full((2, 6), 60, np.int32)  # padding that is a real token, to be seen if it leaked
    for prompt, row in zip(prompts, rows, strict=True):
        prompt[: len(row)] = row
    lengths = np.array([6, 3], np.int32)
    scores, kept = prefill(config, params, cache.init_cache(config, 2, 12), prompts, lengths)
    cached = [scores]
    for step in range(4):
        chosen = random.integers(1, 61, 2).astype(np.int32)
        for row, token in zip(rows, chosen, strict=True):
            row.append(token)
        scores, kept = decode_step(config, params, kept, chosen, lengths + step)
        cached.append(scores)
    for row, length, got in zip(rows, lengths, np.stack(cached, axis=1), strict=True):
        whole = pack([np.asarray(row, np.int32)], 10)
        states = hidden(config, params, whole["tokens"], whole["positions"], whole["segment_ids"])
        expected = decoder.logits(config, params, states)[0, length - 1 : length + 4]
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


def test_a_position_beyond_the_cache_is_loud(config, params):
    kept = cache.init_cache(config, 2, 4)
    scores, _ = decode_step(config, params, kept, np.array([1, 1], np.int32), np.array([3, 4], np.int32))
    assert np.isfinite(scores[0]).all() and np.isnan(scores[1]).all()
