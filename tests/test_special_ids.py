"""Ids that elsewhere mean padding, or an end, are tokens like any other: only their place says what they are."""

import jax
import numpy as np
import pytest

from flan_jax.evaluation.generation import generate
from flan_jax.evaluation.ranking import score_options
from flan_jax.models.decoder import Params, apply, build_decoder
from flan_jax.training.loss import token_cross_entropy
from tests.evaluation.questions import MODEL, make_request
from tests.training.conftest import packed

OTHER = 7  # changes places with id 0


def swapped(tokens) -> np.ndarray:
    tokens = np.asarray(tokens)
    return np.where(tokens == 0, OTHER, np.where(tokens == OTHER, 0, tokens)).astype(np.int32)


@pytest.fixture(scope="module")
def params() -> tuple[Params, Params]:
    """A model, and the same one with the rows of id 0 and of another in each other's places."""
    made = build_decoder(MODEL, 3)[1]
    order = swapped(np.arange(MODEL.vocab_size))
    return made, {**made, "embedding": made["embedding"][order], "head": made["head"][:, order]}


def questions(change=np.asarray) -> list:
    draw = np.random.default_rng(4)
    made = []
    for number in range(6):
        context, *options = (draw.integers(0, 12, size) for size in (9 + number, 3, 4))
        context[[0, -1]], options[0][0] = 0, 0
        made.append(make_request(change(context), [change(option) for option in options], example_id=f"e{number}"))
    return made


def said(params, prompts, eos: int = -1) -> list[list[int]]:
    return [answer.tokens for answer in generate(MODEL, params, prompts, eos, str)]


def test_id_0_is_ranked_as_any_other(params):
    plain = score_options(MODEL, params[0], questions())
    moved = score_options(MODEL, params[1], questions(swapped))
    np.testing.assert_allclose(np.concatenate(moved), np.concatenate(plain), atol=1e-5)


def test_id_0_is_generated_after_as_any_other(params):
    prompts = [make_request(q.context, (), example_id=q.example_id, new_tokens=5) for q in questions()]
    moved = [make_request(q.context, (), example_id=q.example_id, new_tokens=5) for q in questions(swapped)]
    plain = said(params[0], prompts)
    assert [swapped(answer).tolist() for answer in said(params[1], moved)] == plain


def test_id_0_is_learnt_as_any_other(params):
    """Also as an input and a target within a document, while padding may be any id."""

    @jax.jit
    def loss(params, batch):
        hidden = apply(MODEL, params, batch["tokens"], batch["positions"], batch["segment_ids"])
        return token_cross_entropy(MODEL, params, hidden, batch["tokens"], batch["loss_weights"], 0)

    batch = packed(3, 48, seed=2, vocabulary=MODEL.vocab_size)
    batch["tokens"][batch["tokens"] % 3 == 1] = 0
    moved = batch | {"tokens": swapped(batch["tokens"])}
    (plain, weights), (other, others) = loss(params[0], batch), loss(params[1], moved)
    assert weights == others == batch["loss_weights"].sum()
    np.testing.assert_allclose(other, plain, rtol=1e-6)


def test_an_end_that_stands_first_ends_nothing(params):
    """BOS is EOS in OPT: every prompt begins with it, and only a generated one ends an answer."""
    end = 5
    prompts = [
        make_request([end, *q.context, end, *q.context], (), example_id=q.example_id, new_tokens=8) for q in questions()
    ]
    free = said(params[0], prompts)
    ends = {token for answer in free for token in answer}
    assert len(ends) > 2
    for chosen in ends:
        expected = [answer[: answer.index(chosen)] if chosen in answer else answer for answer in free]
        assert said(params[0], prompts, chosen) == expected
