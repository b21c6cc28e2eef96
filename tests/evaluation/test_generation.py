import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.decoding.settings import Decoding, DecodingError
from flan_jax.evaluation.generation import generate, group_by_length
from flan_jax.models.decoder import apply, logits
from tests.evaluation.questions import MODEL, make_request, tiny_params


def _prompts() -> list:
    draw = np.random.default_rng(2)
    contexts = [draw.integers(2, 61, length) for length in (5, 40, 1, 130, 32, 33, 9)]
    return [
        make_request(context, (), example_id=f"e{i}", new_tokens=(6, 3)[i % 2]) for i, context in enumerate(contexts)
    ]


REQUESTS = _prompts()


def decode(tokens) -> str:
    return "".join(chr(ord("A") + token) for token in tokens)


@pytest.fixture(scope="module")
def params():
    return tiny_params(5)


def said(params, requests=REQUESTS, eos=-1, decoding=None, **settings) -> list[list[int]]:
    return [answer.tokens for answer in generate(MODEL, params, requests, eos, decode, decoding, **settings)]


@pytest.fixture(scope="module")
def free(params) -> list[list[int]]:
    """As many tokens as each may have; no token ends an answer."""
    return said(params)


@jax.jit
def _after(params, tokens, last):
    hidden = apply(MODEL, params, tokens, jnp.arange(136)[None], jnp.ones((1, 136), jnp.int32))
    return logits(MODEL, params, hidden[0, last])


def _slowly(params, request) -> tuple[list[int], float]:
    """The most probable continuation without a cache, and the smallest lead of a best token over the second."""

    tokens, lead = [int(t) for t in request.context], np.inf
    for _ in range(request.max_new_tokens):
        row = np.zeros((1, 136), np.int32)
        row[0, : len(tokens)] = tokens
        scores = np.asarray(_after(params, row, len(tokens) - 1))
        lead = min(lead, float(np.diff(np.sort(scores)[-2:])[0]))
        tokens.append(int(scores.argmax()))
    return tokens[len(request.context) :], lead


def test_cached_batched_generation_equals_token_by_token(params, free):
    compared = 0
    for request, answer in zip(REQUESTS, free, strict=True):
        expected, lead = _slowly(params, request)
        if lead > 1e-4:
            assert answer == expected
            compared += 1
    assert compared >= 5


def test_generation_stops_at_eos_and_leaves_it_out(params, free):
    eos = free[0][3]
    stopped = said(params, eos=eos)
    for answer, full in zip(stopped, free, strict=True):
        assert answer == (full[: full.index(eos)] if eos in full else full)
    assert len(stopped[0]) <= 3


METHODS = {
    "greedy": Decoding(),
    "sample": Decoding(method="sample", temperature=0.9, top_p=0.9, seed=3),
    "beam": Decoding(method="beam", beams=2),
}


@pytest.mark.parametrize("method", METHODS)
def test_generation_does_not_depend_on_order_or_batch(params, method):
    decoding, told = METHODS[method], []
    forwards = said(params, decoding=decoding, advance=told.append)
    assert sum(told) == len(REQUESTS)
    assert forwards == said(params, REQUESTS[::-1], decoding=decoding, tokens_per_batch=256)[::-1]
    assert [len(answer) for answer in forwards] == [request.max_new_tokens for request in REQUESTS]


def test_short_requests_get_a_cache_of_their_own_where_they_are_many():
    sizes = [100, 900, 300, 120, 70]
    assert group_by_length(sizes, 4096) == [(1024, [1, 2, 3, 0, 4])]
    few, many = group_by_length([*sizes, *[64] * 125], 4096)
    assert few == (1024, [1, 2]) and many == (128, [3, 0, 4, *range(5, 130)])
    assert group_by_length([], 4096) == []


def test_another_seed_draws_other_answers(params, free):
    drawn = {seed: said(params, decoding=Decoding(method="sample", seed=seed)) for seed in (3, 4)}
    assert drawn[3] != drawn[4] and free not in drawn.values()


def test_stop_strings_cut_the_text(params, free):
    stop = decode(free[0][2:4])
    for method in ("greedy", "beam"):
        decoding = Decoding(method=method, beams=1, stop=(stop,))
        answer = generate(MODEL, params, REQUESTS[:1], -1, decode, decoding)[0]
        assert (answer.tokens, answer.text) == (free[0][:4], decode(free[0][:2]))


def test_beam_search_finds_what_is_at_least_as_probable(params):
    one, four = (
        generate(MODEL, params, REQUESTS, -1, decode, Decoding(method="beam", beams=beams, length_penalty=0.0))
        for beams in (1, 4)
    )
    better = [four_.score - one_.score for one_, four_ in zip(one, four, strict=True)]
    assert min(better) > -1e-4 and max(better) > 1e-3


def test_a_greater_length_penalty_prefers_longer_answers(params):
    eos = said(params)[0][1]
    lengths = [
        sum(len(tokens) for tokens in said(params, eos=eos, decoding=Decoding(method="beam", length_penalty=alpha)))
        for alpha in (0.0, 3.0)
    ]
    assert lengths[0] < lengths[1]


def test_a_model_that_diverged_is_told(params):
    broken = {**params, "embedding": params["embedding"] * jnp.nan}
    for decoding in METHODS.values():
        with pytest.raises(DecodingError, match="not numbers"):
            generate(MODEL, broken, REQUESTS[:1], -1, decode, decoding)
