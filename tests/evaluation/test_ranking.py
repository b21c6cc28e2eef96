import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.evaluation import ranking
from flan_jax.evaluation.ranking import choose, score_options
from flan_jax.models.decoder import apply, build_decoder, logits
from flan_jax.training.partitioning import MeshConfig, make_mesh
from tests.evaluation.questions import MODEL, make_request, random_requests, tiny_params

REQUESTS = random_requests(24, longest_context=30)


@pytest.fixture(scope="module")
def params():
    return tiny_params()


@pytest.fixture(scope="module")
def alone(params) -> list[np.ndarray]:
    """Every option by itself: context and option in one unpacked row, all logits, in one fixed shape."""

    @jax.jit
    def log_probabilities(tokens):
        columns = jnp.arange(tokens.shape[1])[None]
        hidden = apply(MODEL, params, tokens, columns, jnp.ones_like(tokens))
        return jax.nn.log_softmax(logits(MODEL, params, hidden), axis=-1)

    scores = []
    for request in REQUESTS:
        sums = []
        for option in request.options:
            row = np.concatenate([request.context, option])
            padded = np.zeros((1, 64), np.int32)
            padded[0, : len(row)] = row
            table = np.asarray(log_probabilities(padded))[0]
            places = np.arange(len(request.context), len(row))
            sums.append(table[places - 1, row[places]].astype(np.float64).sum())
        scores.append(np.array(sums))
    return scores


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
