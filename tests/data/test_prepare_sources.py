"""What is not there is listed with its remedy before any work, left out only when asked, and never forgotten."""

import dataclasses
import json

import pytest
import toy_tasks

from flan_jax.data.plan import build_plan
from flan_jax.data.prepare import PrepareConfig, PrepareError, prepare
from flan_jax.data.prepare_sources import SourcesUnavailable, estimate, listing, look, refuse
from flan_jax.data.store import NotPrepared, Store
from flan_jax.data.task import SourceSize
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.evaluation.evaluate import EvaluateConfig, EvaluationError, evaluate
from flan_jax.models.config import DecoderConfig
from flan_jax.training.checkpoints import load_params
from flan_jax.training.run_config import TrainConfig
from flan_jax.training.trainer import make_plan, train

BYTES = ByteVocabulary()
B = [("b", "train")]
C = [("c", "validation"), ("c", "test")]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    file = tmp_path / "toy.json"
    monkeypatch.setenv("TOY_TASKS", str(file))

    def settings(**values):
        file.write_text(json.dumps({"sized": True, **values}))

    settings()
    return settings


def run(folder, **settings):
    settings = {"mixture": "toy", "vocabulary": "bytes", "processes": 1, **settings}
    return prepare(PrepareConfig(store=str(folder), tasks="toy_tasks", **settings))


def test_all_that_is_missing_is_named_before_anything_is_made(toy, tmp_path):
    toy(missing=["b", "c"])
    with pytest.raises(SourcesUnavailable) as error:
        run(tmp_path / "s")
    message = str(error.value)
    assert "3 splits of 2 tasks" in message and "prepare.unavailable=\"'skip'\"" in message
    assert "b (train):\n  b is not in TFDS_DATA_DIR; put it there" in message and "c (validation, test):" in message
    assert not (tmp_path / "s" / "text").exists()


def test_several_that_can_be_built_are_built_by_one_line():
    missing = {(name, "train"): f"{name} is not here" for name in "xyz"}
    build = [("get {} --to=/d", name) for name in ("x:1", "y:2", "x:1")]
    with pytest.raises(SourcesUnavailable, match=r"\nfor name in x:1 y:2; do get \$name --to=/d; done\n"):
        refuse(missing, build)
    with pytest.raises(SourcesUnavailable) as error:
        refuse(missing, build[:1])
    assert "one line" not in str(error.value)


def test_what_is_left_out_when_asked_is_recorded_until_it_is_there(toy, tmp_path, capsys):
    toy(missing=["b", "c"])
    prepared = run(tmp_path / "s", unavailable="skip")
    out = capsys.readouterr().out
    assert sorted(prepared.left_out) == sorted(B + C) and "left out, not available: 3 splits of 2 tasks" in out
    store = Store(tmp_path / "s")
    assert store.open_tokens(BYTES.digest, "a", "train").num_rows == 40
    assert store.left_out("b", "train") == "b is not in TFDS_DATA_DIR; put it there" and not store.left_out(
        "a", "train"
    )
    toy(missing=["c"])
    prepared = run(tmp_path / "s", unavailable="skip")
    assert sorted(prepared.left_out) == sorted(C) and not store.left_out("b", "train") and store.left_out("c", "test")
    assert store.open_tokens(BYTES.digest, "b", "train").num_rows == 40


def test_reading_what_was_left_out_says_so(toy, tmp_path):
    toy(missing=["b"])
    run(tmp_path / "s", unavailable="skip")
    store = Store(tmp_path / "s")
    with pytest.raises(NotPrepared, match=r"(?s)b/train was left out .* put it there.*UNAVAILABLE"):
        store.check(toy_tasks.get_task("b"), "train", BYTES.digest)


def test_what_is_in_the_store_needs_no_source(toy, tmp_path):
    run(tmp_path / "s")
    toy(missing=["a", "b", "c"])
    assert not [split for split in run(tmp_path / "s").splits if split.made]


def test_a_vocabulary_learns_from_what_is_there_when_the_rest_is_left_out(toy, tmp_path):
    toy(missing=["b"])
    part = run(tmp_path / "s", unavailable="skip", vocabulary="sentencepiece:300")
    toy()
    assert run(tmp_path / "s", vocabulary="sentencepiece:300").vocabulary_digest == part.vocabulary_digest
    whole = run(tmp_path / "s", vocabulary="sentencepiece:300", vocabulary_mixture="toy")
    assert part.vocabulary_digest != whole.vocabulary_digest


def test_a_split_without_rows_is_not_available(toy):
    toy(size=0)
    sources = look({("a", split): toy_tasks.get_task("a") for split in ("train", "test")})
    assert (
        list(sources.missing) == [("a", "train")]
        and "no rows for the train split of a" in sources.missing["a", "train"]
    )
    assert sources.sizes == {("a", "test"): SourceSize(40, 2000)}


def test_a_line_that_all_remedies_share_comes_once():
    told = listing({("x", "train"): "x is not here\n  say where", ("y", "train"): "y is not here\n  say where"})
    assert told.count("say where") == 1 and told.index("y is not here") < told.index("say where")


def test_the_estimate_has_every_task_and_their_sum():
    sizes = {("a", "train"): SourceSize(1000, 2_000_000), ("a", "test"): SourceSize(500, 1_000_000)}
    lines = estimate({**sizes, ("b", "train"): SourceSize(7, 70), ("d", "train"): None}, processes=2).splitlines()
    assert lines[1].split()[:4] == ["a", "2", "1,500", "3.0"] and lines[2].split()[:3] == ["b", "1", "7"]
    assert lines[3].split()[:5] == ["2", "tasks", "3", "1,507", "3.0"] and "1 splits of unknown size" in lines[4]
    assert estimate({("d", "train"): None}, 2) == ""


def test_parts_without_a_pipeline_are_refused():
    with pytest.raises(PrepareError, match=r"prepare\.beam_parts is set without prepare\.beam"):
        PrepareConfig("toy", "s", "bytes", beam_parts="/parts")


def test_a_run_over_a_mixture_of_which_a_task_was_left_out_refuses_or_says_so(toy, tmp_path, capfd):
    toy(missing=["b"])
    run(tmp_path / "s", unavailable="skip")
    store = Store(tmp_path / "s")
    model = DecoderConfig(259, num_layers=1, embed_dim=8, num_heads=1, num_kv_heads=1, mlp_dim=8)
    config = TrainConfig(
        "toy", str(tmp_path / "s"), "bytes", str(tmp_path / "m"), steps=2, model=model, tasks="toy_tasks"
    )
    with pytest.raises(NotPrepared, match="b/train was left out"):
        make_plan(config, store, BYTES)
    plan = make_plan(dataclasses.replace(config, unavailable="skip"), store, BYTES)
    assert [task.task for task in plan.tasks] == ["a", "d"]
    assert json.loads((plan.directory / "plan.json").read_text())["request"]["config"]["left_out"] == ["b"]
    assert f"toy: without b, left out of {tmp_path / 's'}" in capfd.readouterr().err
    silent = build_plan(store, BYTES, dataclasses.replace(plan.config, left_out=()))
    assert silent.hash != plan.hash and silent.stream_hash != plan.stream_hash
    assert [chunk.row_offsets.tolist() for chunk in silent.chunks] == [c.row_offsets.tolist() for c in plan.chunks]


def test_training_and_evaluation_without_what_was_left_out_record_it(toy, tmp_path, capsys):
    toy(missing=["b", "c"])
    run(tmp_path / "s", unavailable="skip", eval_examples=4)
    model = DecoderConfig(260, num_layers=1, embed_dim=8, num_heads=1, num_kv_heads=1, mlp_dim=8, max_length=160)
    train(
        TrainConfig(
            "toy", str(tmp_path / "s"), "bytes", str(tmp_path / "m"), steps=1, model=model, tasks="toy_tasks",
            tokens_per_batch=256, row_length=128, tensorboard=False, unavailable="skip",
        )
    )  # fmt: skip
    assert load_params(str(tmp_path / "m"))[2]["left_out"] == ["b"]
    config = EvaluateConfig(
        checkpoint=str(tmp_path / "m"), store=str(tmp_path / "s"), mixture="toy", tasks="toy_tasks", replicates=10
    )
    with pytest.raises(NotPrepared, match=r"c/.* was left out"):
        evaluate(config)
    results = evaluate(dataclasses.replace(config, unavailable="skip"))
    assert results.tasks == ["a"] and results.provenance["left_out"] == ["c"]
    assert f"without c, left out of {tmp_path / 's'}" in capsys.readouterr().out
    with pytest.raises(EvaluationError, match="prepared without any task of c; get their data first"):
        evaluate(dataclasses.replace(config, mixture="c", unavailable="skip"))
