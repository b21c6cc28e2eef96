import dataclasses
import json
import types

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest

from flan_jax.data.store import NotPrepared, StoreMismatch
from flan_jax.data.task import Mixture
from flan_jax.evaluation import evaluate as evaluate_module
from flan_jax.evaluation.evaluate import (
    EvaluateConfig,
    EvaluationError,
    Scoring,
    evaluate,
    evaluate_params,
    find_tasks,
)
from flan_jax.evaluation.metrics import METRICS, MetricError
from flan_jax.evaluation.provenance import parameter_digest
from flan_jax.evaluation.results import ResultsError, read_results
from flan_jax.evaluation.summary import differences_table, results_table
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from tests.evaluation.prepared import VOCABULARY, generated, make_store, ranked

MODEL = DecoderConfig(vocab_size=259, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=64)
SCORING = Scoring(max_new_tokens=4, row_width=128, tokens_per_batch=1024, replicates=100)
TASKS = (
    ranked("one", metrics=("accuracy", "macro_f1", "exact_match")),
    ranked("two", options=((" yes", " no"), (" it is", " it is not", " maybe"))),
    generated("counting"),
)


@pytest.fixture(scope="module")
def params():
    return build_decoder(MODEL, 0)[1]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), *TASKS)


@pytest.fixture(scope="module")
def results(params, store):
    return evaluate_params(MODEL, params, VOCABULARY, store, TASKS, SCORING, provenance={"plan_hash": "abc"})


def test_every_request_has_a_row(results):
    rows = results.rows
    assert rows.num_rows == 2 * (23 + 23 + 12)
    ids = rows["id"].to_pylist()
    assert ids == sorted(set(ids))
    one = rows.filter(np.array(rows["task"].to_pylist()) == "one").to_pylist()
    for row in one:
        assert row["chosen"] == int(np.argmax(row["scores"]))
        assert row["correct"] == float(row["chosen"] == row["answer"])
        assert row["prediction"] == row["options"][row["chosen"]].strip()
        assert row["option_tokens"] == [4, 3]
    counting = rows.filter(np.array(rows["task"].to_pylist()) == "counting").to_pylist()
    assert all(row["scores"] == [] and row["references"] == ["six", "6"] for row in counting)
    assert all(row["generated_tokens"] <= 4 for row in counting)


def test_figures_follow_from_the_rows(results):
    figures = results.summary.primary("two")
    rows = results.task_rows("two", "test").to_pylist()
    by_template = {t: [r["correct"] for r in rows if r["template"] == t] for t in (0, 1)}
    assert figures.per_template == pytest.approx({t: 100 * np.mean(values) for t, values in by_template.items()})
    dev = results.task_rows("two", "validation").to_pylist()
    on_dev = [np.mean([r["correct"] for r in dev if r["template"] == t]) for t in (0, 1)]
    assert figures.best_dev_template == int(np.argmax(on_dev))
    assert figures.selected_on == "validation"
    nli = results.summary.cluster("nli")
    assert nli.mean == pytest.approx((figures.mean + results.summary.primary("one").mean) / 2)
    assert {score.metric for score in results.summary.tasks if score.task == "counting"} == {"squad_f1", "squad_em"}
    assert [ranking.task for ranking in results.summary.rankings] == ["one", "two"]
    assert "one" in results_table(results.summary)


def test_what_it_was_made_with_is_recorded(results, params):
    known = results.provenance
    assert known["parameter_digest"] == parameter_digest(params)
    assert known["vocabulary_digest"] == VOCABULARY.digest
    assert known["plan_hash"] == "abc"
    assert known["templates"]["one"] == [0, 1]
    assert known["scoring"]["split"] == "test"
    assert known["code"].startswith(("git ", "flan-jax "))
    assert "sacrebleu" in known["libraries"]


def test_results_survive_a_round_trip(results, tmp_path):
    results.write(tmp_path / "out")
    again = read_results(tmp_path / "out")
    assert again.rows.equals(results.rows)
    assert again.summary == results.summary
    assert again.provenance == json.loads(json.dumps(results.provenance))
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["clusters"][0]["cluster"] == "nli"
    assert summary["tasks"][0]["per_template"]["0"] == results.summary.tasks[0].per_template[0]
    assert pq.read_table(tmp_path / "out" / "rows.parquet").num_rows == results.rows.num_rows


def test_unfinished_results_are_no_results(results, tmp_path):
    results.write(tmp_path)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 cut off")
    with pytest.raises(ResultsError, match="holds no complete results"):
        read_results(tmp_path)
    with pytest.raises(ResultsError, match="evaluate again"):
        read_results(tmp_path / "absent")


def test_task_order_changes_nothing(results, params, store):
    again = evaluate_params(MODEL, params, VOCABULARY, store, TASKS[::-1], SCORING)
    assert again.rows.drop_columns(["scores"]).equals(results.rows.drop_columns(["scores"]))
    np.testing.assert_allclose(
        again.rows["scores"].combine_chunks().flatten(), results.rows["scores"].combine_chunks().flatten(), atol=2e-4
    )


def test_two_models_are_compared(results, store):
    from flan_jax.evaluation.aggregation import compare

    other = evaluate_params(MODEL, build_decoder(MODEL, 1)[1], VOCABULARY, store, TASKS, SCORING)
    rows = compare({0: results.primary_scores()}, {0: other.primary_scores()}, replicates=50)
    assert [row.name for row in rows] == ["one", "two", "counting", "nli", "closed_book_qa"]
    assert rows[3].difference == pytest.approx(other.summary.cluster("nli").mean - results.summary.cluster("nli").mean)
    assert "nli" in differences_table(rows)


def test_without_a_selection_split_there_is_no_best_template(params, store):
    scoring = dataclasses.replace(SCORING, selection_split=None, examples=4)
    results = evaluate_params(MODEL, params, VOCABULARY, store, TASKS[:1], scoring)
    assert results.summary.primary("one").best_dev is None
    assert results.summary.primary("one").examples == 4
    assert set(results.rows["split"].to_pylist()) == {"test"}


def test_what_does_not_fit_is_refused(params, store, tmp_path):
    def run(*tasks, scoring=SCORING, params=params, model=MODEL):
        return evaluate_params(model, params, VOCABULARY, store, tasks, scoring)

    with pytest.raises(MetricError, match="unknown metric 'acuracy'"):
        run(dataclasses.replace(TASKS[0], metrics=("acuracy",)))
    with pytest.raises(MetricError, match="counting/test: metric 'accuracy' needs options"):
        _ = run(dataclasses.replace(TASKS[2], metrics=("accuracy",))).summary
    with pytest.raises(EvaluationError, match="no metric is declared"):
        run(dataclasses.replace(TASKS[0], metrics=()))
    with pytest.raises(EvaluationError, match="has no split 'dev'"):
        run(TASKS[0], scoring=Scoring(split="dev"))
    with pytest.raises(NotPrepared):
        run(dataclasses.replace(TASKS[0], name="absent"))
    with pytest.raises(StoreMismatch):
        run(dataclasses.replace(TASKS[0], fingerprint="one-2"))
    with pytest.raises(EvaluationError, match="259 tokens and the model 200"):
        run(TASKS[0], model=dataclasses.replace(MODEL, vocab_size=200))
    with pytest.raises(EvaluationError, match="are not numbers"):
        run(TASKS[0], params=jax.tree.map(lambda leaf: leaf * np.nan, params))


def registry():
    def get_task(name):
        return {task.name: task for task in TASKS}[name]

    def get_mixture(name):
        return {"toy": Mixture("toy", ("one",), ("two", "counting")), "bare": Mixture("bare", ("one",))}[name]

    return types.SimpleNamespace(get_task=get_task, get_mixture=get_mixture)


def test_names_stand_for_tasks_and_mixtures():
    assert [task.name for task in find_tasks(registry(), "toy")] == ["two", "counting"]
    assert [task.name for task in find_tasks(registry(), ("bare", "two", "one"))] == ["one", "two"]
    with pytest.raises(EvaluationError, match="'x' is neither a mixture"):
        find_tasks(registry(), "x")


def test_a_checkpoint_is_evaluated_with_its_own_vocabulary_only(params, store, tmp_path, monkeypatch, capsys):
    metadata = {"step": 7, "seed": 3, "plan_hash": "f00", "vocabulary_digest": VOCABULARY.digest}
    monkeypatch.setattr(evaluate_module, "load_params", lambda directory, step, mesh: (MODEL, params, metadata))
    monkeypatch.setattr(evaluate_module, "load_registry", lambda module: registry())
    VOCABULARY.save(tmp_path / "run" / "vocabulary")
    config = EvaluateConfig(
        checkpoint=str(tmp_path / "run"), store=str(store.root), mixture="bare", replicates=50, row_width=128,
        tokens_per_batch=1024,
    )  # fmt: skip
    results = evaluate(config)
    output = tmp_path / "run" / "evaluations" / "7-bare-test"
    assert read_results(output).provenance["checkpoint"] == {"directory": str(tmp_path / "run"), "step": 7}
    printed = capsys.readouterr().out
    assert "one" in printed and str(output) in printed
    assert results.provenance["training_seed"] == 3
    metadata["vocabulary_digest"] = "0123456789abcdef"
    with pytest.raises(EvaluationError, match=r"was trained with vocabulary 0123456789ab, but .* is"):
        evaluate(config)


def test_the_digest_of_parameters_changes_with_them(params):
    before = parameter_digest(params)
    assert before == parameter_digest(jax.tree.map(np.asarray, params))
    table = np.asarray(params["embedding"])
    swapped = table.copy()
    swapped[[3, 4]] = swapped[[4, 3]]
    nudged = table.copy()
    nudged[0, 0] = np.nextafter(nudged[0, 0], np.float32(9))
    digests = {parameter_digest({**params, "embedding": one}) for one in (swapped, nudged, table.T, -table)}
    assert len(digests | {before}) == 5
    assert parameter_digest({"a": np.float16([1, 2])}) != parameter_digest({"b": np.float16([1, 2])})


def test_metric_names_of_the_rows_exist(results):
    assert all(name in METRICS for names in results.metrics.values() for name in names)
