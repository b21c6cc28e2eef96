"""Fields and directions from the store to the figures: questions of several rows, translations that go both ways."""

import dataclasses
import json

import numpy as np
import pytest

from flan_jax.data.task import Rendered, Task, TemplateInfo
from flan_jax.evaluation.metrics import get_metrics
from flan_jax.evaluation.requests import RequestError, build_requests
from flan_jax.evaluation.results import Results, generated_row, ranked_row, read_results, rows_table
from flan_jax.evaluation.summary import results_table
from tests.evaluation.prepared import VOCABULARY, generated, make_store, ranked

REPLIES = 3
OPTIONS = (" no", " yes")


def _replies(split, templates, seed):
    """4 questions with 3 replies each, of which the first is right."""
    for question in range(4):
        for reply in range(REPLIES):
            for template in (0, 1):
                answer = int(reply == 0)
                fields = {"question_id": f"0-{question}", "paragraph": "long"}
                yield Rendered(f"{question}? {reply}", OPTIONS[answer], OPTIONS, answer, (), template,
                               f"{split}-{question}-{reply}", fields)  # fmt: skip


MULTIRC: Task = dataclasses.replace(ranked("replies", metrics=("multirc", "accuracy")), render=_replies)
PAIR: Task = dataclasses.replace(
    generated("pair", metrics=("exact_match",), references=()),
    templates=(TemplateInfo(0, direction="English to Oru"), TemplateInfo(1, direction="Oru to English")),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("store"), MULTIRC, PAIR)


@pytest.fixture(scope="module")
def results(store) -> Results:
    """Replies judged rightly but for one under template 1; translations right out of English alone."""
    replies, _ = build_requests(store, VOCABULARY, MULTIRC, "test", window=128)
    pair, _ = build_requests(store, VOCABULARY, PAIR, "test", window=128)
    rows = []
    for request in replies:
        right = (request.example_id, request.template) != ("test-2-1", 1)
        chosen = request.answer if right else 1 - request.answer
        rows.append(ranked_row(request, np.array([0.0, 1.0 if chosen else -1.0])))
    rows += [generated_row(request, " six" if request.template == 0 else " ten", 1) for request in pair]
    metrics = {task.name: tuple(m.name for m in get_metrics(task.metrics)) for task in (MULTIRC, PAIR)}
    ways = {"pair": {info.index: info.direction for info in PAIR.templates}}
    return Results(rows_table(rows, metrics), metrics, "test", None, {}, replicates=200, directions=ways)


def test_rows_keep_the_fields_that_metrics_read_and_no_more(results):
    (row, *_) = results.task_rows("replies", "test").to_pylist()
    assert json.loads(row["fields"]) == {"question_id": "0-0"}
    assert results.task_rows("pair", "test")["fields"].null_count == 12


def test_a_question_counts_under_each_template_by_itself(results):
    by_metric = {score.metric: score for score in results.summary.tasks if score.task == "replies"}
    assert by_metric["multirc_em"].per_template == {0: 100.0, 1: 75.0}
    assert by_metric["accuracy"].per_template == pytest.approx({0: 100.0, 1: 100 * 11 / 12})
    assert results.scores("replies", "test", get_metrics(["accuracy"])[0]).document_count == 4


def test_directions_are_told_apart_in_the_table_and_survive_a_round_trip(results, tmp_path):
    figures = results.summary.primary("pair")
    assert [(one.direction, one.mean) for one in figures.directions] == [
        ("English to Oru", 100.0), ("Oru to English", 0.0),
    ]  # fmt: skip
    assert figures.mean == 50.0 and results.summary.cluster("closed_book_qa").mean == 50.0
    table = results_table(results.summary)
    assert "\n    Oru to English" in table and "means over its directions" in table
    again = read_results(results.write(tmp_path / "out"))
    assert again.summary == results.summary and again.directions == results.directions
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written["metric_details"]["multirc_em"].startswith("questions with every reply")
    (pair,) = [task for task in written["tasks"] if task["task"] == "pair"]
    assert [one["direction"] for one in pair["directions"]] == ["English to Oru", "Oru to English"]
    assert pair["se"] == 0.0


def test_a_metric_whose_field_is_not_there_is_refused(tmp_path):
    task = dataclasses.replace(ranked("bare", metrics=("record",)))
    store = make_store(tmp_path / "store", task)
    with pytest.raises(RequestError, match=r"bare/test, example 'test-0', .* reads the field 'rest', and the row has "):
        build_requests(store, VOCABULARY, task, "test", window=128)
