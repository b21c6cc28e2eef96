"""The scores of a text are those of the text without padding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.decoding.prompt_scores import score_prompt
from flan_jax.decoding.prompts import SHORTEST
from flan_jax.models.decoder import apply, logits
from flan_jax.models.sizes import padded
from flan_jax.models.soft_prompt import behind_prompt, with_prompt
from tests.evaluation.questions import MODEL
from tests.models.packed_rows import drawn_params

LENGTH = 97


@pytest.mark.parametrize("prompt", [0, 5])
def test_a_text_may_be_padded_past_the_learned_positions(prompt):
    """Also behind a soft prompt, which takes some of them."""
    config = dataclasses.replace(MODEL, position="learned", max_length=LENGTH + 3 + prompt)
    params = drawn_params(config)
    if prompt:
        rows = jnp.asarray(np.random.default_rng(2).normal(0, 0.3, (prompt, config.embed_dim)), jnp.float32)
        config = behind_prompt(config, prompt)
        params = with_prompt(config, params, rows)
    assert config.max_length == LENGTH + 3 < padded(LENGTH, SHORTEST)
    text = np.random.default_rng(1).integers(2, 61, LENGTH)

    @jax.jit
    def table(tokens):
        ones = jnp.ones_like(tokens)
        states = apply(config, params, tokens, jnp.arange(LENGTH)[None], ones)
        return jax.nn.log_softmax(logits(config, params, states), axis=-1)[0]

    expected = np.asarray(table(text[None].astype(np.int32)))[:-1]
    told = score_prompt(config, params, text)
    np.testing.assert_allclose(told.scores, expected[np.arange(LENGTH - 1), text[1:]], atol=1e-4)
    np.testing.assert_allclose(told.top_scores[:, 0], expected.max(-1), atol=1e-4)
