"""Continuous batching: what a request is answered is its own affair."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.decoding.engine import Ask, Engine, row_length
from flan_jax.decoding.prompts import SHORTEST, pack_prompts
from flan_jax.decoding.settings import DecodingError, random_bits
from flan_jax.models.decoder import apart
from flan_jax.models.sizes import padded
from tests.evaluation.questions import MODEL, tiny_params


@pytest.fixture(scope="module")
def params():
    return apart(MODEL, tiny_params(5))


def decode(tokens) -> str:
    return "".join(chr(ord("A") + token) for token in tokens)


STOPS = tuple("DHKPQUXZbefijn")


def asks() -> list[Ask]:
    """Of every kind: greedy, sampled, cut to a nucleus, with stop strings; of 1 to 150 tokens and 1 to 40 new ones."""
    draw = np.random.default_rng(1)
    made = []
    for i in range(14):
        how = ((0.0, 1.0), (1.0, 1.0), (0.7, 0.8))[i % 3]
        prompt = draw.integers(2, 61, (1, 2, 40, 150, 9)[i % 5])
        made.append(Ask(prompt, int(draw.integers(1, 41)), *how, random_bits(0, str(i)), STOPS if i % 4 == 0 else ()))
    return made


def engine(params, rows=4, eos=-1, **settings) -> Engine:
    return Engine(MODEL, params, eos, decode, rows=rows, length=row_length(190), **settings)


def answered(engine: Engine, asks) -> list:
    answers = [engine.submit(ask) for ask in asks]
    while engine.busy:
        engine.step()
    assert all(answer.finish for answer in answers)
    return answers


@pytest.fixture(scope="module")
def alone(params) -> list:
    """Each with an engine of one row to itself."""
    one = engine(params, rows=1)
    return [answered(one, [ask])[0] for ask in asks()]


def test_answers_do_not_depend_on_batch_or_order(params, alone):
    expected = [answer.tokens for answer in alone]
    together = answered(engine(params), asks())
    backwards = answered(engine(params, rows=16), asks()[::-1])[::-1]
    assert [answer.tokens for answer in together] == expected
    assert [answer.tokens for answer in backwards] == expected
    assert [answer.text.whole for answer in together] == [answer.text.whole for answer in alone]
    assert {answer.finish for answer in alone} == {"stop", "length"}


def test_an_answer_is_as_long_as_it_may_be_or_ends_at_a_stop(alone):
    for answer in alone:
        text, stop = decode(answer.tokens), answer.ask.stop
        stopped = [place for place, letter in enumerate(text) if letter in stop]
        assert answer.finish == ("stop" if stopped else "length")
        assert stopped in ([], [len(text) - 1]) and answer.text.whole == (text[:-1] if stopped else text)
        assert stopped or len(text) == answer.ask.max_new_tokens


def test_eos_ends_an_answer_and_is_left_out(params, alone):
    eos = next(answer.tokens[3] for answer in alone if len(answer.tokens) > 4 and not answer.ask.stop)
    for answer, free in zip(answered(engine(params, eos=eos), asks()), alone, strict=True):
        assert answer.tokens == (free.tokens[: free.tokens.index(eos)] if eos in free.tokens else free.tokens)
        assert (answer.finish == "eos") == (eos in free.tokens)


def test_log_probabilities_are_those_of_the_tokens_said(params, alone):
    """Half of the requests ask for them, and the others are answered as ever."""
    told = answered(engine(params), [dataclasses.replace(ask, told=i % 2 == 0) for i, ask in enumerate(asks())])
    assert [answer.tokens for answer in told] == [answer.tokens for answer in alone]
    assert not any(answer.scores or answer.top_tokens or answer.top_scores for answer in told[1::2])
    for answer in told[::2]:
        assert len(answer.scores) == len(answer.top_tokens) == len(answer.top_scores) == len(answer.tokens)
        for token, score, tops, scores in zip(
            answer.tokens, answer.scores, answer.top_tokens, answer.top_scores, strict=True
        ):
            assert scores == sorted(scores, reverse=True)
            assert score <= scores[0] < 0
            if not answer.ask.temperature:
                assert (token, score) == (tops[0], pytest.approx(scores[0]))


def test_a_cancelled_answer_makes_room(params):
    one = engine(params, rows=1)
    long, short = one.submit(Ask([3, 4], 150)), one.submit(Ask([5], 2))
    waiting = one.submit(Ask([6], 2))
    one.step()
    assert not long.finish and not short.tokens
    one.cancel(long)
    one.cancel(waiting)
    while one.busy:
        one.step()
    assert (long.finish, short.finish, waiting.finish, waiting.tokens) == ("cancelled", "length", "cancelled", [])
    assert len(long.tokens) < 150 and len(short.tokens) == 2


def test_what_cannot_be_answered_is_refused(params):
    one = engine(params, rows=1)
    for prompt, new, words in (([], 3, "no token"), ([3], 0, "at least 1"), ([3] * 200, 57, "200 tokens and 57 new")):
        with pytest.raises(DecodingError, match=words):
            one.submit(Ask(prompt, new))
    assert not one.busy


def test_a_model_that_diverged_is_told(params):
    broken = {**params, "final_norm": {"scale": params["final_norm"]["scale"] * jnp.nan}}
    one = engine(broken, rows=1)
    one.submit(Ask([3], 2))
    with pytest.raises(DecodingError, match="not numbers"):
        one.step()


def test_prompts_are_packed_in_few_shapes():
    assert [padded(length, SHORTEST) for length in (1, 32, 33, 48, 49, 65, 97, 129, 200)] == [
        32, 32, 48, 48, 64, 96, 128, 192, 256,
    ]  # fmt: skip
    prompts = [(row, np.arange(1, length + 1)) for row, length in enumerate((300, 1, 200, 20, 900))]
    packs = list(pack_prompts(prompts, 5))
    assert [pack.rows[: pack.count].tolist() for pack in packs] == [[0, 2], [3], [4]]
    assert packs[0].tokens[0, packs[0].starts[1] :][:199].tolist() == list(range(1, 200))
