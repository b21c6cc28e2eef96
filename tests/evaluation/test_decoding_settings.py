"""How answers are generated is a setting of an evaluation, and is written into its results."""

import pytest

from flan_jax.configuration import ConfigurationError, configure
from flan_jax.decoding.settings import Decoding, DecodingError
from flan_jax.evaluation.evaluate import EvaluationError, evaluate_params
from flan_jax.evaluation.gathering import check_lengths
from flan_jax.evaluation.scoring import Scoring
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from tests.evaluation.prepared import VOCABULARY, generated, make_store

TASKS = (generated("counting"), generated("adding"))
MODEL = DecoderConfig(vocab_size=VOCABULARY.size, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=128)


def bound(*settings: str):
    flags = ["CHECKPOINT = 'c'", "MIXTURE = 'm'", *settings]
    return configure("evaluate", ["runs/evaluate.gin"], flags).config.decoding


def test_the_default_is_greedy_and_gin_sets_the_rest():
    assert bound() == Decoding()
    settings = ["Decoding.method = 'beam'", "Decoding.stop = ['\\n']", "Decoding.task_max_new_tokens = {'t': 9}"]
    assert bound(*settings) == Decoding(method="beam", stop=("\n",), task_max_new_tokens={"t": 9})
    for wrong in ("Decoding.method = 'best'", "Decoding.beems = 3", "Decoding.stop = '.'", "Decoding.top_p = 0.0"):
        with pytest.raises((ConfigurationError, DecodingError), match="Decoding"):
            bound(wrong)


@pytest.mark.parametrize(("name", "wrong"), [("method", "beams"), ("temperature", "hot"), ("top_p", True)])
def test_what_python_says_is_checked_too(name, wrong):
    decoding = Decoding()
    object.__setattr__(decoding, name, wrong)  # past the types, which are checked in tests only
    with pytest.raises(DecodingError, match=rf"Decoding\.{name}={wrong!r} should be"):
        decoding.__post_init__()


def test_a_length_for_a_task_that_is_not_evaluated_is_refused():
    check_lengths(["counting", "adding"], Decoding(task_max_new_tokens={"adding": 2}))
    with pytest.raises(EvaluationError, match=r"names 'ading'.*did you mean adding"):
        check_lengths(["counting", "adding"], Decoding(task_max_new_tokens={"ading": 2}))


def test_the_setting_is_followed_and_recorded(tmp_path):
    store = make_store(tmp_path / "store", *TASKS)
    decoding = Decoding(method="sample", temperature=1.5, task_max_new_tokens={"adding": 2}, seed=7)
    scoring = Scoring(max_new_tokens=5, replicates=20, decoding=decoding)
    params = build_decoder(MODEL, 0)[1]
    results = [evaluate_params(MODEL, params, VOCABULARY, store, TASKS, scoring) for _ in range(2)]
    recorded = results[0].provenance["scoring"]["decoding"]
    assert (recorded["method"], recorded["seed"], recorded["task_max_new_tokens"]) == ("sample", 7, {"adding": 2})
    rows = [one.rows.to_pylist() for one in results]
    assert [row["prediction"] for row in rows[0]] == [row["prediction"] for row in rows[1]]
    longest = {task.name: max(row["generated_tokens"] for row in rows[0] if row["task"] == task.name) for task in TASKS}
    assert longest == {"counting": 5, "adding": 2}
