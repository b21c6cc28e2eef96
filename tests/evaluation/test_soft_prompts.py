"""Whatever is scored or generated behind a soft prompt is what it is with the prompt's rows as its first tokens."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.evaluation.generation import generate
from flan_jax.evaluation.ranking import score_options
from flan_jax.models.soft_prompt import behind_prompt, with_prompt
from tests.evaluation.questions import MODEL, make_request, tiny_params

LENGTH = 4
SIZE = MODEL.vocab_size
VIRTUAL = np.arange(SIZE, SIZE + LENGTH)


@pytest.fixture(scope="module")
def models():
    """(behind a prompt, with the prompt's rows as tokens of padding, which score nothing): decoder and parameters."""
    params = tiny_params(5)
    prompt = jnp.asarray(np.random.default_rng(0).normal(0, 0.5, (LENGTH, MODEL.embed_dim)), jnp.float32)
    behind = behind_prompt(MODEL, LENGTH)
    as_tokens = {**params, "embedding": jnp.concatenate([params["embedding"], prompt])}
    if not MODEL.tied_embeddings:
        as_tokens["head"] = jnp.pad(params["head"], ((0, 0), (0, LENGTH)))
    longer = dataclasses.replace(MODEL, padded_vocab_size=SIZE + LENGTH)
    return (behind, with_prompt(behind, params, prompt)), (longer, as_tokens)


def contexts(lengths, shared=0):
    draw = np.random.default_rng(3)
    common = draw.integers(2, SIZE, shared)
    return [np.concatenate([common, draw.integers(2, SIZE, length)]) for length in lengths]


@pytest.mark.parametrize("shared", [0, 70])
def test_scores_of_options(models, shared):
    """Also where questions begin alike, so that what they begin with is read once."""
    draw = np.random.default_rng(4)
    options = [tuple(draw.integers(2, SIZE, n) for n in (1, 3, 2)) for _ in range(6)]
    texts = contexts((5, 9, 3, 12, 7, 4), shared)
    asked, virtual = (
        [
            make_request(np.concatenate([front, text]), one, example_id=f"e{i}")
            for i, (text, one) in enumerate(zip(texts, options, strict=True))
        ]
        for front in (VIRTUAL[:0], VIRTUAL)
    )
    (behind, prompted), (longer, as_tokens) = models
    found = score_options(behind, prompted, asked, narrowest=128, tokens_per_batch=256)
    expected = score_options(longer, as_tokens, virtual, narrowest=128, tokens_per_batch=256)
    plain = score_options(MODEL, tiny_params(5), asked, narrowest=128, tokens_per_batch=256)
    for one, other, without in zip(found, expected, plain, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-4)
        assert np.abs(one - without).max() > 1e-2


def test_generated_tokens(models):
    asked, virtual = (
        [
            make_request(np.concatenate([front, text]), (), example_id=f"e{i}", new_tokens=5)
            for i, text in enumerate(contexts((5, 40, 2)))
        ]
        for front in (VIRTUAL[:0], VIRTUAL)
    )
    (behind, prompted), (longer, as_tokens) = models
    decode = lambda tokens: " ".join(map(str, tokens))  # noqa: E731
    found = [answer.tokens for answer in generate(behind, prompted, asked, -1, decode)]
    assert found == [answer.tokens for answer in generate(longer, as_tokens, virtual, -1, decode)]
    assert found != [answer.tokens for answer in generate(MODEL, tiny_params(5), asked, -1, decode)]
