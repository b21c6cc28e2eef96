"""A soft prompt is what its rows would be as the first tokens of every document."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoder_switches import SWITCHES
from packed_rows import drawn_params, hidden, pack

from flan_jax.models import decoder
from flan_jax.models.config import InvalidDecoderConfig
from flan_jax.models.prefix import PREFIX
from flan_jax.models.soft_prompt import behind_prompt, rows_of_vocabulary, with_prompt

LENGTH = 5
DOCUMENTS = [np.arange(1, 12, dtype=np.int32), np.arange(20, 29, dtype=np.int32), np.arange(5, 8, dtype=np.int32)]


def some_prompt(config):
    shape = LENGTH, config.embedding_dim or config.embed_dim
    return jnp.asarray(np.random.default_rng(3).normal(0, 0.3, shape), jnp.float32)


def of(config, params):
    behind = behind_prompt(config, LENGTH)
    return behind, with_prompt(behind, params, some_prompt(config))


def as_tokens(config, params, document):
    """States of a document behind tokens of its own, which a longer table of embeddings has: the definition."""
    longer = dataclasses.replace(config, vocab_size=config.vocab_size + LENGTH)
    rows = jnp.concatenate([params["embedding"], some_prompt(config)])
    virtual = np.arange(config.vocab_size, config.vocab_size + LENGTH, dtype=np.int32)
    row = pack([np.concatenate([virtual, document])], 20)
    found = hidden(longer, {**params, "embedding": rows}, row["tokens"], row["positions"], row["segment_ids"])
    return found[0, LENGTH : LENGTH + len(document)]


@pytest.mark.parametrize("switches", ["gemma-like", "opt-like"])
def test_every_packed_document_stands_behind_it(config, switches):
    config = dataclasses.replace(config, scan_layers=True, **SWITCHES[switches])
    params = drawn_params(config)
    behind, prompted = of(config, params)
    row = pack(DOCUMENTS, 26)
    together = hidden(behind, prompted, row["tokens"], row["positions"], row["segment_ids"])[0]
    start = 0
    for document in DOCUMENTS:
        mine = together[start : start + len(document)]
        np.testing.assert_allclose(mine, as_tokens(config, params, document), rtol=1e-4, atol=2e-5)
        start += len(document)


def test_its_gradient_is_the_sum_over_documents(config):
    params = drawn_params(config)
    behind, prompt = behind_prompt(config, LENGTH), some_prompt(config)

    @jax.jit
    def gradient(prompt, row):
        def loss(prompt):
            prompted = with_prompt(behind, params, prompt)
            states = decoder.apply(behind, prompted, row["tokens"], row["positions"], row["segment_ids"])
            return jnp.sum(jnp.sin(states) * (row["segment_ids"] > 0)[..., None])

        return jax.grad(loss)(prompt)

    alone = [gradient(prompt, pack([document], 26)) for document in DOCUMENTS]
    np.testing.assert_allclose(gradient(prompt, pack(DOCUMENTS, 26)), sum(alone), rtol=1e-4, atol=1e-4)


def test_branches_see_it_too(config):
    params = drawn_params(config)
    """Options after a shared context, as rank classification lays them out."""
    behind, prompted = of(config, params)
    random = np.random.default_rng(0)
    context, one, other = (random.integers(1, 61, n).astype(np.int32) for n in (9, 3, 4))
    row = pack([np.concatenate([context, one, other])], 20)
    branches = np.zeros((1, 20), np.int32)
    branches[0, 9:12], branches[0, 12:16] = 1, 2
    row["positions"][0, 9:12], row["positions"][0, 12:16] = 9 + np.arange(3), 9 + np.arange(4)
    states = hidden(behind, prompted, row["tokens"], row["positions"], row["segment_ids"], branches)[0]
    expected = as_tokens(config, params, np.concatenate([context, other]))
    np.testing.assert_allclose(states[12:16], expected[9:], rtol=1e-4, atol=2e-5)


def test_documents_have_its_length_less(config):
    assert behind_prompt(config, 5).max_length == config.max_length - 5
    learned = dataclasses.replace(config, position="learned", max_length=16)
    assert decoder.abstract_params(behind_prompt(learned, 5)) == decoder.abstract_params(learned)
    with pytest.raises(InvalidDecoderConfig, match=r"prompt of 5 leaves nothing .*SoftPrompt\.length"):
        behind_prompt(dataclasses.replace(config, max_length=5), 5)


def test_it_begins_as_rows_of_the_vocabulary(config):
    params = drawn_params(config)
    prompt = np.asarray(rows_of_vocabulary(params, 7, 0, 20))
    table = np.asarray(params["embedding"])
    found = [np.flatnonzero((table == row).all(axis=1))[0] for row in prompt]
    assert len(set(found)) == 7 and max(found) < 20


def test_a_reader_that_knows_nothing_of_prompts_is_loud(config):
    params = drawn_params(config)
    _, prompted = of(config, params)
    assert PREFIX in prompted["layers"]
    positions = jnp.arange(4)[None]
    with pytest.raises(TypeError, match="prefix"):
        states = decoder.embed(config, params, positions, positions)
        decoder.run_layers(config, prompted, states, positions, lambda q, k, v, window, cache: (v, None))
