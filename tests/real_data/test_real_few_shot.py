"""Few-shot questions on real data: exemplars are training rows, whole and readable, in front of every test question."""

import json

import pytest

from flan_jax.data.exemplars import FewShot
from flan_jax.data.plan import PlanConfig, build_plan
from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.data.store import Store
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.evaluation.requests import build_requests
from tasks import get_task


def test_real_questions_stand_behind_real_training_rows(data_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    config = PrepareConfig(
        "rte", str(tmp_path), "sentencepiece:1000", eval_examples=5, processes=1, tasks="tasks", vocabulary_rows=1000
    )
    prepared = prepare(config)
    store, task = Store(tmp_path), get_task("rte")
    vocabulary = store.find_vocabulary(prepared.vocabulary)
    train = {row["example_id"]: row for row in store.open_text("rte", "train").to_pylist()}
    for templates in ("mixed", "same"):
        requests, counts = build_requests(
            store,
            vocabulary,
            task,
            "test",
            window=1088,
            shots=task.few_shot or 0,
            few_shot=FewShot(templates=templates),
        )
        assert counts["exemplars"] > 2 * len(requests) and not counts["exemplar_boundary_differs"]
        for request in requests:
            shown = [train[one] for one in request.exemplars]
            forward = {info.index for info in task.templates if info.forward}
            assert {row["template"] for row in shown} <= (forward if templates == "mixed" else {request.template})
            text = "\n\n".join([*(row["inputs"] + row["targets"] for row in shown), request.inputs])
            assert vocabulary.decode(request.context.tolist()) == text and len(request.context) <= 960


@pytest.mark.parametrize(("name", "field"), [("e2e_nlg", "meaning_representation"), ("common_gen", "concepts")])
def test_no_row_with_the_same_input_is_shown(name, field, data_dir, tmp_path, monkeypatch):
    """These describe one input in several rows, each in other words: one would give away the answer of another."""
    monkeypatch.setenv("TFDS_DATA_DIR", data_dir)
    prepare(PrepareConfig(name, str(tmp_path), "bytes", eval_examples=60, processes=1, tasks="tasks"))
    store, task, vocabulary = Store(tmp_path), get_task(name), ByteVocabulary()
    asked = {
        split: {row["example_id"]: json.loads(row["fields"])[field] for row in store.open_text(name, split).to_pylist()}
        for split in ("train", "test")
    }
    assert len({*asked["train"].values()}) < len(asked["train"])

    few_shot = FewShot(budget=20_000)
    requests, _ = build_requests(store, vocabulary, task, "test", window=30_000, shots=16, few_shot=few_shot)
    shown = [
        (asked["test"][request.example_id], asked["train"][one]) for request in requests for one in request.exemplars
    ]

    plan = build_plan(store, vocabulary, PlanConfig((name,), 60, 8, row_length=8192, shots=16, few_shot=few_shot))
    ids = store.open_text(name, "train")["example_id"].to_pylist()
    for step in range(plan.steps):
        documents, _ = plan.step_documents(step, 0, plan.rows_per_batch)
        for question, exemplars in zip(documents.example, documents.exemplars, strict=True):
            shown += [(asked["train"][ids[question]], asked["train"][ids[one]]) for one in exemplars[exemplars >= 0]]
    assert len(shown) > 10_000 and not any(question == exemplar for question, exemplar in shown)
