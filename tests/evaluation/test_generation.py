import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.evaluation.generation import generate, prompt_width
from flan_jax.models.decoder import apply, logits
from tests.evaluation.questions import MODEL, make_request, tiny_params


def _prompts() -> list:
    draw = np.random.default_rng(2)
    contexts = [draw.integers(2, 61, length) for length in (5, 40, 1, 17, 32, 33, 9)]
    return [make_request(context, (), example_id=f"e{i}", new_tokens=6) for i, context in enumerate(contexts)]


REQUESTS = _prompts()


@pytest.fixture(scope="module")
def params():
    return tiny_params(5)


@pytest.fixture(scope="module")
def free(params) -> list[list[int]]:
    """Six tokens for every prompt; no token ends an answer."""
    return generate(MODEL, params, REQUESTS, eos=-1)


@jax.jit
def _after(params, tokens, last):
    hidden = apply(MODEL, params, tokens, jnp.arange(64)[None], jnp.ones((1, 64), jnp.int32))
    return logits(MODEL, params, hidden[0, last])


def _slowly(params, context, new_tokens: int) -> tuple[list[int], float]:
    """The most probable continuation without a cache, and the smallest lead of a best token over the second."""

    tokens, lead = [int(t) for t in context], np.inf
    for _ in range(new_tokens):
        row = np.zeros((1, 64), np.int32)
        row[0, : len(tokens)] = tokens
        scores = np.asarray(_after(params, row, len(tokens) - 1))
        lead = min(lead, float(np.diff(np.sort(scores)[-2:])[0]))
        tokens.append(int(scores.argmax()))
    return tokens[len(context) :], lead


def test_cached_batched_generation_equals_token_by_token(params, free):
    compared = 0
    for request, answer in zip(REQUESTS, free, strict=True):
        expected, lead = _slowly(params, request.context, 6)
        if lead > 1e-4:
            assert answer == expected
            compared += 1
    assert compared >= 5


def test_generation_stops_at_eos_and_leaves_it_out(params, free):
    eos = free[0][3]
    stopped = generate(MODEL, params, REQUESTS, eos=eos)
    for answer, full in zip(stopped, free, strict=True):
        assert answer == (full[: full.index(eos)] if eos in full else full)
    assert len(stopped[0]) <= 3


def test_generation_does_not_depend_on_order_or_batch(params, free):
    backwards = generate(MODEL, params, REQUESTS[::-1], eos=-1, tokens_per_batch=64)
    assert free == backwards[::-1]


def test_prompt_widths():
    assert [prompt_width(length) for length in (1, 32, 33, 48, 49, 65, 97, 129, 200)] == [
        32, 32, 48, 48, 64, 96, 128, 192, 256,
    ]  # fmt: skip
