"""Runs in which not everything trains: what changes, what is kept, what is refused."""

import dataclasses
import pathlib
import shutil

import jax
import numpy as np
import pytest
from etils import epath

from flan_jax.models.lora import paths
from flan_jax.training import trainer as trainer_module
from flan_jax.training.checkpoints import (
    CheckpointError,
    CheckpointMismatch,
    checkpoint_digest,
    find_base,
    load_params,
    read_metadata,
    read_model,
)
from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.train_step import make_trainer
from flan_jax.training.trainable import Freeze, Lora, SoftPrompt, TuningError, read_tuning
from flan_jax.training.trainer import TrainConfig, TrainError, train

from .conftest import MODEL

KINDS = {
    "lora": Lora(rank=2, targets=("*/query", "*/output", "layers/mlp/*")),
    "prompt": SoftPrompt(length=5),
    "freeze": Freeze(names=("*",), but=("*/scale", "layers/mlp/up")),
}


def bits(tree):
    return {path: np.asarray(leaf).tobytes() for path, leaf in paths(tree).items()}


def trained_bits(config, step):
    """What a checkpoint itself holds, its optimiser's statistics included."""
    root = pathlib.Path(config.model_dir) / "checkpoints" / str(step)
    kept = {}
    for item in ("params", "optimizer"):
        from orbax.checkpoint import PyTreeCheckpointer

        leaves = jax.tree_util.tree_leaves_with_path(PyTreeCheckpointer().restore(root / item))
        kept |= {f"{item}{jax.tree_util.keystr(path)}": np.asarray(leaf).tobytes() for path, leaf in leaves}
    return kept


def size_of(folder: pathlib.Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def base(settings, tmp_path_factory):
    config = TrainConfig(model_dir=str(tmp_path_factory.mktemp("base")), **settings | {"steps": 2})
    train(config)
    return config.model_dir


@pytest.fixture(scope="module")
def of(settings, base, tmp_path_factory):
    """The settings of a run of 5 steps on top of the base."""

    def make(kind, **changes):
        own = {
            "model": None, "vocabulary": "", "initial_checkpoint": base, "steps": 5, "tune": KINDS[kind],
            "optimizer": OptimizerConfig(learning_rate=0.03),
        }  # fmt: skip
        folder = str(tmp_path_factory.mktemp(kind))
        return TrainConfig(**{"model_dir": folder, **settings, **own, **changes})

    return make


@pytest.fixture(scope="module", params=KINDS)
def tuned(request, of):
    """(kind, settings) of an undisturbed run."""
    config = of(request.param, validation_every=5, validation_batches=1)
    train(config)
    return request.param, config


def test_only_what_should_train_changes(tuned, base):
    kind, config = tuned
    model, params, metadata = load_params(config.model_dir)
    before, after = bits(load_params(base)[1]), bits(params)
    changed = {name for name in before if before[name] != after[name]}
    mlp = {f"layers/mlp/{name}" for name in ("gate", "up", "down")}
    expected = {
        "lora": {"layers/attention/query", "layers/attention/output", *mlp},
        "prompt": set(),
        "freeze": {"layers/mlp/up", "final_norm/scale", "layers/attention_norm/scale", "layers/mlp_norm/scale"},
    }
    assert changed == expected[kind]
    assert set(after) - set(before) == ({"layers/prefix"} if kind == "prompt" else set())
    assert metadata["tune"]["kind"] == type(config.tune).__name__
    assert model == read_model(config.model_dir)[0]


def test_it_learns(tuned):
    lines = trainer_module.read_metrics(tuned[1].model_dir)
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert np.isfinite(lines[-1]["validation_loss"])


def test_gradients_statistics_and_checkpoints_are_only_of_what_trains(tuned, base):
    kind, config = tuned
    arrays = load_params(config.model_dir)[2]["arrays"]
    trained = {name: shape for name, shape in arrays.items() if name.startswith("params/")}
    width = 32
    if kind == "prompt":
        assert trained == {"params/prompt": [5, width]}
    if kind == "lora":
        assert trained["params/layers/attention/output/a"] == [1, 4, 8, 2]
        assert trained["params/layers/attention/output/b"] == [1, 2, width]
        assert len(trained) == 2 * 5
    moments = [shape for name, shape in arrays.items() if name.startswith("optimizer/") and shape]
    assert sorted(moments) == sorted([*trained.values(), *trained.values()])  # AdamW has two of each
    size = size_of(pathlib.Path(config.model_dir) / "checkpoints" / "5")
    whole = size_of(pathlib.Path(base) / "checkpoints" / "2")
    if kind == "prompt":
        assert size < 32 * 1024
    assert size < whole


def test_a_run_that_was_killed_ends_in_the_same_bits(of, monkeypatch, tuned):
    kind, whole = tuned
    config = of(kind, validation_every=5, validation_batches=1)
    real = trainer_module.batches

    def killed(plan, sharding, start):
        for step, batch in real(plan, sharding, start):
            if step == 4:  # a checkpoint was made after step 3
                raise KeyboardInterrupt
            yield step, batch

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(trainer_module, "batches", killed)
        train(config)
    train(config)
    assert trained_bits(config, 5) == trained_bits(whole, 5)
    assert bits(load_params(config.model_dir)[1]) == bits(load_params(whole.model_dir)[1])


def test_it_is_refused_on_another_base_or_with_other_settings(of, base, tuned, tmp_path):
    kind, whole = tuned
    other = {"lora": Lora(rank=3, targets=KINDS["lora"].targets), "prompt": SoftPrompt(length=6), "freeze": Lora()}
    config = dataclasses.replace(whole, steps=6, tune=other[kind])
    told = {"lora": r"Lora\.rank: 2 there, 3 here", "prompt": r"SoftPrompt\.length: 5 there, 6 here"}
    with pytest.raises(CheckpointMismatch, match=told.get(kind, r"train\.tune: Freeze there, Lora here")):
        train(config)


def test_the_base_is_found_where_it_was_or_moved_along_and_refused_when_gone_or_another(of, tmp_path, base):
    config = of("prompt", steps=1)
    train(config)
    run, moved = epath.Path(tmp_path / "a" / pathlib.Path(config.model_dir).name), tmp_path / "a" / "base"
    shutil.copytree(config.model_dir, run)
    shutil.copytree(base, moved)
    metadata = read_metadata(run / "checkpoints" / "1")
    assert metadata["began_from"]["checkpoint"] == f"{base}/checkpoints/2"
    assert metadata["began_from"]["digest"] == checkpoint_digest(base)

    def found(**changes):
        began = metadata["began_from"] | {"from_run": "../base/checkpoints/2"} | changes
        return str(find_base(run / "checkpoints" / "1", {**metadata, "began_from": began}))

    assert found() == f"{base}/checkpoints/2"
    assert found(checkpoint="/nowhere/checkpoints/2") == f"{moved}/checkpoints/2"
    with pytest.raises(CheckpointError, match=r"SoftPrompt.* but another lies at"):
        found(digest="0" * 32)
    shutil.rmtree(moved)
    with pytest.raises(CheckpointError, match=r"nothing lies at /nowhere/checkpoints/2;\n  put that checkpoint back"):
        found(checkpoint="/nowhere/checkpoints/2")


def test_a_soft_prompt_is_no_start_of_another_run(of, tuned, tmp_path):
    kind, whole = tuned
    config = of("lora", initial_checkpoint=whole.model_dir, steps=1)
    if kind == "prompt":
        with pytest.raises(TrainError, match="is a soft prompt, which nothing is trained on top of"):
            train(config)
    else:  # of merged adapters, and of what was partly frozen, any run can begin
        train(config)
        assert load_params(config.model_dir)[2]["began_from"]["step"] == 5


@pytest.mark.parametrize(
    ("tuning", "told"),
    [
        (Lora(targets=("*/qeury",)), r"Lora\.targets=.*'\*/qeury' matches none of\n.*layers/attention/query"),
        (Lora(targets=("embedding",)), r"'embedding' matches none of\n  layers/attention"),
        (Freeze(names=("layers/mpl/*",)), r"Freeze\.names=.*'layers/mpl/\*' matches none of\n.*layers/mlp/up"),
        (Freeze(names=("*",)), r"freezes everything of\n.*embedding"),
        (Freeze(names=("head",), but=("*",)), r"freezes nothing of"),
        (Freeze(), r"Freeze\.names is empty"),
    ],
)
def test_patterns_that_match_nothing_are_refused_with_the_names_there_are(tuning, told):
    with pytest.raises(TuningError, match=told):
        make_trainer(MODEL, steps=1, tuning=tuning)


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: Lora(rank=0), r"--gin\.Lora\.rank=0 should be"),
        (lambda: Lora(alpha=0.0), r"--gin\.Lora\.alpha=0.0 should be"),
        (lambda: SoftPrompt(length=0), r"--gin\.SoftPrompt\.length=0 should be"),
        (lambda: SoftPrompt(ids=321).initial(MODEL, 0, {}), r"ids=321 is more than the 320 ids"),
        (lambda: read_tuning({"kind": "Lora", "rank": 2, "dropout": 0.1}), "this version does not know"),
    ],
)
def test_settings_without_meaning_are_refused(made, told):
    with pytest.raises(TuningError, match=told):
        made()


def test_what_is_left_as_it_is_needs_a_checkpoint(settings, tmp_path):
    with pytest.raises(TrainError, match=r"leaves a model as it is.*\n.*INITIAL_CHECKPOINT"):
        TrainConfig(model_dir=str(tmp_path), **settings | {"tune": Lora()})
