"""Few-shot questions on real data: exemplars are training rows, whole and readable, in front of every test question."""

from flan_jax.data.exemplars import FewShot
from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.data.store import Store
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
