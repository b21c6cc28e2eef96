"""A run: what it leaves behind, how it resumes, and how it refuses."""

import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from flan_jax.data.mixing import Rates
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.training import trainer as trainer_module
from flan_jax.training.checkpoints import CheckpointError, CheckpointMismatch, checkpoint_steps, load_params
from flan_jax.training.metrics_log import read_metrics
from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.partitioning import make_mesh
from flan_jax.training.train_step import NonFiniteLoss
from flan_jax.training.trainer import TrainConfig, TrainError, train

from .conftest import MODEL


def losses(config):
    return [(line["step"], line["loss"]) for line in read_metrics(config.model_dir)]


def params_bits(config, step=None):
    import jax

    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(load_params(config.model_dir, step)[1])]


@pytest.fixture(scope="module")
def whole(settings, tmp_path_factory):
    """An undisturbed run of 8 steps: its settings, what it returned, and the steps its hook saw."""
    extra = {"validation_every": 4, "validation_batches": 2, "hook_every": 3, "tensorboard": True}
    config = TrainConfig(model_dir=str(tmp_path_factory.mktemp("whole")), **settings | extra)
    seen = []
    last = train(config, "train.steps = 8", hooks=[lambda step, params: seen.append(step) or {"hooked": step}])
    return config, last, seen


def stop_after(steps, monkeypatch, error=KeyboardInterrupt):
    """The loop dies when it asks for the batch after `steps`."""
    real = trainer_module.batches

    def batches(plan, sharding, start):
        for step, batch in real(plan, sharding, start):
            if step == steps:
                raise error
            yield step, batch

    monkeypatch.setattr(trainer_module, "batches", batches)


def test_a_run_leaves_what_others_need(whole):
    config, last, seen = whole
    run = pathlib.Path(config.model_dir)
    lines = read_metrics(run)
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert last == lines[-1]
    assert lines[-1]["loss"] < lines[0]["loss"]
    wanted = {
        "loss",
        "grad_norm",
        "learning_rate",
        "target_tokens",
        "fill",
        "tokens_per_second",
        "seconds_per_step",
        "data_wait",
    }
    assert wanted <= lines[-1].keys()
    assert [line["step"] for line in lines if "validation_loss" in line] == [4, 8]
    assert seen == [3, 6]
    assert [line["hooked"] for line in lines if "hooked" in line] == [3, 6]
    assert checkpoint_steps(run) == [6, 8]
    model, _, metadata = load_params(run)
    assert model == config.model
    assert metadata["operative_config"] == "train.steps = 8"
    assert json.loads((run / "model.json").read_text()) == dataclasses.asdict(model)
    assert (run / "vocabulary" / "vocabulary.json").exists()
    assert list((run / "tensorboard").iterdir())


def test_a_finished_run_started_again_does_nothing(whole):
    config, last, _ = whole
    before = {path: path.stat().st_mtime_ns for path in pathlib.Path(config.model_dir).rglob("*")}
    assert train(config) == last
    assert {path: path.stat().st_mtime_ns for path in pathlib.Path(config.model_dir).rglob("*")} == before


def test_an_interrupted_run_ends_in_the_same_bits(whole, config, monkeypatch):
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    assert checkpoint_steps(config.model_dir) == [3]
    train(config)
    assert losses(config) == losses(whole[0])
    assert params_bits(config) == params_bits(whole[0])


def test_a_truncated_checkpoint_costs_only_the_steps_since_the_one_before(whole, config, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        stop_after(7, patch)
        with pytest.raises(KeyboardInterrupt):
            train(config)
    newest = pathlib.Path(config.model_dir) / "checkpoints" / "6"
    victim = max((path for path in newest.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    victim.write_bytes(victim.read_bytes()[:-100])
    train(config)
    assert "checkpoint 6 is damaged" in caplog.text
    assert losses(config) == losses(whole[0])
    assert params_bits(config) == params_bits(whole[0])


def test_sigterm_saves_and_exits_with_143(config):
    settings = dataclasses.replace(config, steps=20_000, checkpoint_every=20_000, model_dir=config.model_dir + "_term")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.run_from_json"],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": "."},
    )
    process.stdin.write(json.dumps(dataclasses.asdict(settings)))
    process.stdin.close()
    while len(read_metrics(settings.model_dir)) < 3 and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143
    assert checkpoint_steps(settings.model_dir) == [read_metrics(settings.model_dir)[-1]["step"]]


@pytest.fixture
def poisoned(monkeypatch):
    """Batch 4 has an infinite weight."""
    real = trainer_module.batches

    def batches(plan, sharding, start):
        for step, batch in real(plan, sharding, start):
            if step == 4:
                batch = batch._replace(loss_weights=np.where(batch.loss_weights > 0, np.inf, 0).astype(np.float32))
            yield step, batch

    monkeypatch.setattr(trainer_module, "batches", batches)


def test_a_loss_that_is_not_finite_stops_the_run_and_says_where(config, poisoned):
    with pytest.raises(NonFiniteLoss) as error:
        train(config)
    for words in (
        "update 5",
        "batch 4",
        "of more",
        "checkpoint 3 is the last good one",
        "train.on_non_finite",
    ):
        assert words in str(error.value)
    assert checkpoint_steps(config.model_dir) == [3]


def test_a_loss_that_is_not_finite_can_be_skipped_and_counted(config, poisoned):
    last = train(dataclasses.replace(config, on_non_finite="skip"))
    assert last["step"] == 8
    assert last["skipped"] == 1
    assert np.isfinite(last["loss"])
    assert load_params(config.model_dir)[2]["skipped"] == 1


def test_tuning_begins_from_a_checkpoint_with_a_fresh_optimizer(whole, config):
    base = whole[0].model_dir
    tuned = dataclasses.replace(config, model=None, initial_checkpoint=base, steps=1, seed=7)
    first = train(tuned)
    assert first["step"] == 1
    assert first["loss"] < read_metrics(base)[0]["loss"] - 0.2
    assert load_params(tuned.model_dir)[2]["initial_checkpoint"] == base
    lower = dataclasses.replace(
        tuned, optimizer=dataclasses.replace(tuned.optimizer, learning_rate=0.0), model_dir=tuned.model_dir + "0"
    )
    train(lower)
    assert params_bits(lower) == params_bits(whole[0])


def test_another_shape_is_refused(whole, config):
    base = whole[0]
    wide = dataclasses.replace(config.model, mlp_dim=96)
    with pytest.raises(CheckpointMismatch, match=r"layers/mlp/down is \(1, 64, 32\) .*\(1, 96, 32\)"):
        train(dataclasses.replace(config, model=wide, initial_checkpoint=base.model_dir))
    with pytest.raises(CheckpointMismatch, match=r"DecoderConfig\.mlp_dim: 64 there, 96 here"):
        train(dataclasses.replace(base, model=wide))


OPTIMIZER = OptimizerConfig(name="adafactor", learning_rate=1e-2, schedule="linear", warmup_steps=2, clip_norm=2.0)
DECISIVE = {
    "train.seed": {"seed": 1},
    "train.loss_on": {"loss_on": "all"},
    "train.tokens_per_batch": {"tokens_per_batch": 512},
    "train.initial_checkpoint": {"initial_checkpoint": "/elsewhere"},
    "Rates.rate_maximum": {"rates": Rates(rate_maximum=10)},
    "DecoderConfig.rope_theta": {"model": dataclasses.replace(MODEL, rope_theta=5e5)},
    "DecoderConfig.activation": {"model": dataclasses.replace(MODEL, activation="relu")},
    "DecoderConfig.dtype": {"model": dataclasses.replace(MODEL, dtype="bfloat16")},
    "OptimizerConfig.b2": {"optimizer": OptimizerConfig(b2=0.9)},
}


@pytest.mark.parametrize("setting", DECISIVE)
def test_a_run_is_not_continued_with_what_would_make_it_another(whole, setting):
    before = params_bits(whole[0])
    with pytest.raises(
        CheckpointMismatch, match=rf"checkpoints/8 was made with other settings:\n(.*\n)*    {setting}: "
    ):
        train(dataclasses.replace(whole[0], steps=9, **DECISIVE[setting]))
    assert params_bits(whole[0]) == before


def test_every_setting_that_differs_is_named_with_both_values(whole):
    with pytest.raises(CheckpointMismatch) as error:
        train(dataclasses.replace(whole[0], steps=9, optimizer=OPTIMIZER, seed=3))
    for words in (
        "train.seed: 0 there, 3 here",
        "train.steps: absent there, 9 here",  # it decides where the learning rate goes by it
        "OptimizerConfig.name: adamw there, adafactor here",
        "OptimizerConfig.learning_rate: 0.001 there, 0.01 here",
        "OptimizerConfig.schedule: constant there, linear here",
        "OptimizerConfig.warmup_steps: 0 there, 2 here",
        "OptimizerConfig.clip_norm: 1.0 there, 2.0 here",
        "--gin.MODEL_DIR",
    ):
        assert words in str(error.value)


def test_a_longer_run_continues_a_shorter_one_bit_for_bit_however_it_is_run(whole, config):
    """More steps, and what changes no parameter beyond rounding: here not even that."""
    train(dataclasses.replace(config, steps=5))
    assert checkpoint_steps(config.model_dir) == [3, 5]
    watched = {"log_every": 2, "checkpoint_every": 4, "keep": 1, "on_non_finite": "skip", "validation_every": 8}
    scanned = dataclasses.replace(config.model, max_length=256)
    train(dataclasses.replace(config, model=scanned, **watched))
    assert params_bits(config) == params_bits(whole[0])
    assert losses(config)[5:] == [line for line in losses(whole[0])[5:] if line[0] % 2 == 0 or line[0] == 6]


def test_a_learning_rate_that_goes_by_the_steps_forbids_more_of_them(config):
    short = dataclasses.replace(config, steps=3, optimizer=OptimizerConfig(schedule="cosine"))
    train(short)
    with pytest.raises(CheckpointMismatch, match=r"train\.steps: 3 there, 8 here"):
        train(dataclasses.replace(short, steps=8))


def test_a_damaged_initial_checkpoint_is_refused_where_an_older_one_is_whole(whole, config, tmp_path):
    base = shutil.copytree(whole[0].model_dir, tmp_path / "base")
    (base / "checkpoints" / "8" / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"base/checkpoints/8 is damaged(.|\n)*there: 6, 8"):
        train(dataclasses.replace(config, model=None, initial_checkpoint=str(base)))
    assert checkpoint_steps(config.model_dir) == []


def test_wrong_vocabulary_for_the_initial_checkpoint(whole, config, monkeypatch):
    real = trainer_module.load_params

    def of_another_vocabulary(*args, **kwargs):
        model, params, metadata = real(*args, **kwargs)
        return model, params, {**metadata, "vocabulary_digest": "0" * 64}

    monkeypatch.setattr(trainer_module, "load_params", of_another_vocabulary)
    with pytest.raises(CheckpointMismatch, match=r"reads vocabulary 000000(.|\n)*--gin.VOCABULARY"):
        train(dataclasses.replace(config, initial_checkpoint=whole[0].model_dir))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tokens_per_batch": 64}, "one row of row_length=128"),
        ({"steps": 0}, "train.steps=0"),
        ({"model": None}, r"--gin.INITIAL_CHECKPOINT(.|\n)*--gin.train.model=@DecoderConfig\(\)"),
    ],
)
def test_settings_that_make_no_sense(config, changes, words):
    with pytest.raises(TrainError, match=words):
        dataclasses.replace(config, **changes)


def test_a_vocabulary_too_large_for_the_model(config):
    small = dataclasses.replace(config.model, vocab_size=100)
    with pytest.raises(
        TrainError, match=r"vocab_size=100 is less than the \d+ ids of bytes.*DecoderConfig.vocab_size="
    ):
        train(dataclasses.replace(config, model=small))


def test_a_vocabulary_too_large_for_a_model_that_is_the_checkpoint_s(whole):
    """The model is not set, so no setting of it can be the remedy."""

    class Larger(ByteVocabulary):
        size = 1000

    resumed = dataclasses.replace(whole[0], model=None, initial_checkpoint="/gone")
    with pytest.raises(TrainError, match=r"less than the 1000 ids of bytes;   --gin.VOCABULARY=\"'.*/vocabulary'\"$"):
        trainer_module.initial_model(resumed, Larger(), make_mesh())
