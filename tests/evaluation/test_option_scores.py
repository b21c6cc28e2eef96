import numpy as np
import pytest

from flan_jax.evaluation.evaluate import Scoring, evaluate_params
from flan_jax.evaluation.option_scores import (
    LONGEST,
    SCORES,
    ask_unconditionally,
    option_scores,
    unconditional_contexts,
)
from flan_jax.evaluation.ranking import score_options
from flan_jax.evaluation.scoring import ScoringError
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from tests.evaluation.prepared import VOCABULARY, make_store, ranked
from tests.evaluation.questions import make_request
from tests.evaluation.test_requests import Beginning

MODEL = DecoderConfig(vocab_size=259, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=64)


def test_each_score_by_hand():
    """Characters and bytes are those of the text without the space in front; "é" is two bytes."""
    found = option_scores(
        np.array([-6.0, -8.0]), np.array([2, 4], np.int32), [" été", " no"], [[-1.0, -2.0], [-4.0, -9.0]]
    )
    assert {name: scores.tolist() for name, scores in found.items()} == {
        "sum": [-6.0, -8.0], "per_token": [-3.0, -2.0], "per_character": [-2.0, -4.0], "per_byte": [-1.2, -4.0],
        "pmi": [-5.0, -6.0], "pmi_answer": [-2.0, 1.0],
    }  # fmt: skip
    assert list(found) == list(SCORES)
    without = option_scores(np.array([-6.0]), np.array([2], np.int32), [" yes"], [])
    assert list(without) == ["sum", "per_token", "per_character", "per_byte"]


def test_the_contexts_without_a_question():
    """Nothing is BOS, or EOS where a vocabulary has no BOS."""
    assert [context.tolist() for context in unconditional_contexts(VOCABULARY)] == [[1], [b + 3 for b in b"Answer:"]]
    assert [context.tolist() for context in unconditional_contexts(Beginning())] == [
        [2], [2, *(b + 3 for b in b"Answer:")],
    ]  # fmt: skip


def test_every_distinct_option_is_asked_once_behind_each_context():
    questions = [make_request(options=((i % 7 + 1,) * 30, (9, 9), (i % 5 + 1,))) for i in range(40)]
    bare = ask_unconditionally(questions, [np.array([1], np.int32), np.array([2, 3], np.int32)])
    asked = [(one.context.tolist(), option.tolist()) for one in bare.questions for option in one.options]
    assert len(asked) == 2 * (7 + 1 + 5) and len({(*map(tuple, one),) for one in asked}) == len(asked)
    assert all(sum(map(len, one.options)) <= LONGEST for one in bare.questions) and len(bare.questions) > 2
    sums = [np.array([float(option.sum() + 1000 * len(one.context)) for option in one.options])
            for one in bare.questions]  # fmt: skip
    table = bare.table(sums)
    for question in questions:
        totals = [float(option.sum()) for option in question.options]
        got = table[:, bare.numbers(question.options)]
        assert got.tolist() == [[1000 + total for total in totals], [2000 + total for total in totals]]
    nothing = ask_unconditionally(questions, ())
    assert nothing.questions == () and nothing.table([])[:, nothing.numbers(questions[0].options)].tolist() == []


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """One task, ranked by each score; options of several lengths."""
    task = ranked("one", options=((" yes", " certainly not"), (" it is", " no", " maybe")))
    store, params = make_store(tmp_path_factory.mktemp("store"), task), build_decoder(MODEL, 0)[1]

    def run(rank_by: str, pmi: bool = True):
        scoring = Scoring(rank_by=rank_by, pmi=pmi, selection_split=None, replicates=20, tokens_per_batch=1024)
        return evaluate_params(MODEL, params, VOCABULARY, store, [task], scoring)

    return params, {name: run(name) for name in SCORES}, run("sum", pmi=False)


def test_one_setting_names_the_score_and_the_others_are_told_beside_it(evaluated):
    params, runs, _ = evaluated
    for name, results in runs.items():
        for row in results.rows.to_pylist():
            assert row["chosen"] == row[f"chosen_{name}"]
            assert row["prediction"] == row["options"][row["chosen"]].strip()
            by_name = option_scores(
                np.array(row["scores"]), np.array(row["option_tokens"], np.int32), row["options"], row["unconditional"]
            )
            assert all(row[f"chosen_{score}"] == int(values.argmax()) for score, values in by_name.items())
        (ranking,) = results.summary.rankings
        assert list(ranking.by_score) == list(SCORES)
        assert results.summary.primary("one").mean == pytest.approx(ranking.by_score[name])
        assert results.provenance["scoring"]["rank_by"] == name
    chosen = {name: tuple(results.rows["chosen"].to_pylist()) for name, results in runs.items()}
    assert len(set(chosen.values())) >= 3  # they do differ
    row = runs["pmi"].rows.to_pylist()[0]
    options = [np.array(tokens, np.int32) for tokens in VOCABULARY.encode(row["options"])]
    for context, found in zip(unconditional_contexts(VOCABULARY), row["unconditional"], strict=True):
        (expected,) = score_options(MODEL, params, [make_request(context, options)], narrowest=64)
        np.testing.assert_allclose(found, expected, atol=2e-4)


def test_without_pmi_the_rest_is_the_same(evaluated):
    _, runs, without = evaluated
    names = [f"chosen_{name}" for name in SCORES[:4]]
    assert without.rows.select(names).equals(runs["sum"].rows.select(names))
    assert set(without.rows["chosen_pmi"].to_pylist()) == {-1}
    assert set(without.rows["chosen_pmi_answer"].to_pylist()) == {-1}
    assert list(without.summary.rankings[0].by_score) == list(SCORES[:4])


def test_a_score_that_does_not_exist_or_was_not_asked_for_is_refused():
    with pytest.raises(ScoringError, match=r"Scoring.rank_by='mean' should be one of sum, per_token, .*pmi_answer"):
        Scoring(rank_by="mean")
    with pytest.raises(ScoringError, match=r"Scoring.rank_by='pmi' needs --gin.Scoring.pmi=True"):
        Scoring(rank_by="pmi", pmi=False)
