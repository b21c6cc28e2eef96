import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.evaluation import ranking
from flan_jax.evaluation.ranking import BLOCK_STEP, choose, score_options, score_questions
from flan_jax.models.decoder import apply, build_decoder, logits
from flan_jax.models.sizes import padded
from flan_jax.training.partitioning import MeshConfig, make_mesh
from tests.evaluation.questions import MODEL, make_request, random_requests, tiny_params

REQUESTS = random_requests(24, longest_context=30)


@pytest.fixture(scope="module")
def params():
    return tiny_params()


@jax.jit
def _log_probabilities(params, tokens):
    hidden = apply(MODEL, params, tokens, jnp.arange(tokens.shape[1])[None], jnp.ones_like(tokens))
    return jax.nn.log_softmax(logits(MODEL, params, hidden), axis=-1)


def _alone(params, requests, width: int) -> tuple[list[np.ndarray], list[list[bool]]]:
    """Every option by itself: context and option in one unpacked row, all logits, in one fixed shape."""
    scores, greedy = [], []
    for request in requests:
        sums, first = [], []
        for option in request.options:
            row = np.concatenate([request.context, option])
            padded = np.zeros((1, width), np.int32)
            padded[0, : len(row)] = row
            table = np.asarray(_log_probabilities(params, padded))[0]
            places = np.arange(len(request.context), len(row))
            sums.append(table[places - 1, row[places]].astype(np.float64).sum())
            first.append(bool((table[places - 1].argmax(-1) == row[places]).all()))
        scores.append(np.array(sums))
        greedy.append(first)
    return scores, greedy


@pytest.fixture(scope="module")
def alone(params) -> list[np.ndarray]:
    return _alone(params, REQUESTS, 64)[0]


@pytest.mark.parametrize(("narrowest", "tokens_per_batch"), [(32, 256), (128, 512), (512, 2048)])
def test_packed_scores_equal_options_alone(params, alone, narrowest, tokens_per_batch):
    packed = score_options(MODEL, params, REQUESTS, narrowest=narrowest, tokens_per_batch=tokens_per_batch)
    for scores, expected in zip(packed, alone, strict=True):
        np.testing.assert_allclose(scores, expected, atol=2e-4, rtol=0)


def test_scores_do_not_depend_on_order_or_neighbours(params, alone):
    order = np.random.default_rng(1).permutation(len(REQUESTS))[:11]
    packed = score_options(MODEL, params, [REQUESTS[i] for i in order], narrowest=128, tokens_per_batch=256)
    for scores, i in zip(packed, order, strict=True):
        np.testing.assert_allclose(scores, alone[i], atol=2e-4, rtol=0)


def test_scores_do_not_depend_on_how_many_logits_are_held(params, alone, monkeypatch):
    monkeypatch.setattr(ranking, "MOST_LOGITS", 61 * 4 * 8)
    model = dataclasses.replace(MODEL, max_length=97)  # another static argument: compiled anew
    packed = score_options(model, params, REQUESTS, narrowest=128, tokens_per_batch=512)
    np.testing.assert_allclose(np.concatenate(packed), np.concatenate(alone), atol=2e-4, rtol=0)


def test_questions_that_begin_alike_are_scored_behind_what_they_share(params, monkeypatch):
    """Two blocks of 80 and 70 tokens, and questions that begin otherwise; read in as few tokens as is promised."""
    draw = np.random.default_rng(4)
    blocks = [draw.integers(2, 61, size).tolist() for size in (80, 70)]
    asked = random_requests(30, seed=3, longest_context=20)
    shared = [make_request([*(blocks[i] if (i := n % 3) < 2 else []), *r.context], r.options, example_id=f"{n}")
              for n, r in enumerate(asked)]  # fmt: skip
    seen = []
    original = ranking.token_scores
    monkeypatch.setattr(ranking, "token_scores", lambda *a: seen.append((a[2], a[3].size)) or original(*a))
    scores = score_options(MODEL, params, shared, narrowest=64, tokens_per_batch=512, mesh=make_mesh(MeshConfig()))
    assert {int(block.length) for block, _ in seen if block is not None} == {80, 70}
    assert sum(size for _, size in seen) < 0.6 * sum(len(request.context) for request in shared) + 1024
    expected, _ = _alone(params, shared, 128)
    np.testing.assert_allclose(np.concatenate(scores), np.concatenate(expected), atol=2e-4, rtol=0)


def test_what_greedy_generation_would_say_is_told(params):
    """The most probable first token, as an option, with tokens behind it, and another one."""
    asked = []
    for request in REQUESTS[:6]:
        row = np.zeros((1, 64), np.int32)
        row[0, : len(request.context)] = request.context
        best = int(np.asarray(_log_probabilities(params, row))[0, len(request.context) - 1].argmax())
        asked.append(make_request(request.context, ([best], [best, 5, 5], [7 if best != 7 else 6])))
    _, expected = _alone(params, asked, 64)
    got = score_questions(MODEL, params, asked, narrowest=128, tokens_per_batch=512)
    assert [one.greedy.tolist() for one in got] == expected
    assert all(one[0] and not one[2] for one in expected)


def test_blocks_are_padded_by_at_most_a_third():
    assert [padded(n, BLOCK_STEP) for n in (64, 65, 96, 97, 129, 192, 193, 257, 726)] == [
        64, 96, 96, 128, 192, 192, 256, 384, 768,
    ]  # fmt: skip


def test_learned_positions_continue_from_the_context():
    model = dataclasses.replace(MODEL, position="learned")
    params = build_decoder(model, 3)[1]
    both = score_options(model, params, [make_request((5, 6, 7), ((8, 9), (8, 9, 10)))], narrowest=32)[0]

    @jax.jit
    def log_probabilities(tokens):
        hidden = apply(model, params, tokens, jnp.arange(tokens.shape[1])[None], jnp.ones_like(tokens))
        return jax.nn.log_softmax(logits(model, params, hidden), axis=-1)

    table = np.asarray(log_probabilities(jnp.array([[5, 6, 7, 8, 9]])))[0]
    expected = [table[2, 8] + table[3, 9], table[2, 8] + table[3, 9] + table[4, 10]]
    np.testing.assert_allclose(both, expected, atol=2e-4)


def test_a_mesh_shares_the_rows_and_changes_nothing(params, alone):
    mesh = make_mesh(MeshConfig())
    packed = score_options(MODEL, params, REQUESTS, narrowest=128, tokens_per_batch=512, mesh=mesh)
    np.testing.assert_allclose(np.concatenate(packed), np.concatenate(alone), atol=2e-4, rtol=0)


def test_no_request_no_score(params):
    assert score_options(MODEL, params, []) == []


def test_ties_go_to_the_first_and_share_the_credit():
    assert choose(np.array([-3.0, -1.0, -2.0]), answer=1) == (1, 1, 1.0)
    assert choose(np.array([-1.0, -1.0 + 1e-7, -2.0]), answer=1) == (0, 2, 0.5)
    assert choose(np.array([-1.0, -1.0, -1.0, -9.0]), answer=3) == (0, 3, 0.0)
    assert choose(np.array([-1.0, -1.001]), answer=1) == (0, 1, 0.0)


def test_equal_options_tie(params):
    request = make_request((3, 4, 5), ((9, 10), (11,), (9, 10)))
    scores = score_options(MODEL, params, [request], narrowest=32)[0]
    assert choose(scores[[0, 2]], answer=0).tied == 2
