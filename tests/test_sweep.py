"""The sweep: which runs and cells there are, that it continues, and that another sweep's directory is refused."""

import dataclasses
import json
import pathlib

import pytest

from flan_jax import sweep as sweeping
from flan_jax.data.prepare import PrepareConfig, Prepared
from flan_jax.evaluation.results import read_results
from flan_jax.models.config import DecoderConfig
from flan_jax.sweep import Cell, SweepConfig, SweepError, finished, list_cells, list_runs, sweep, table
from flan_jax.training.checkpoints import CheckpointError, checkpoint_steps
from flan_jax.training.trainer import TrainConfig

MODEL = DecoderConfig(vocab_size=300, num_layers=1, embed_dim=8, num_heads=1, mlp_dim=8)


def config_at(directory: pathlib.Path, **settings) -> SweepConfig:
    train = TrainConfig(
        model_dir="",
        store=str(directory / "store"),
        mixture="microworld",
        vocabulary="bytes",
        steps=3,
        model=MODEL,
        tasks="small_world",
    )
    prepare = PrepareConfig(
        mixture=("microworld", "microworld_documents"), store=str(directory / "store"), vocabulary="bytes"
    )
    pretrain = dataclasses.replace(train, mixture="microworld_documents", loss_on="all")
    given = {"directory": str(directory / "sweep"), "prepare": prepare, "tune": train, "pretrain": pretrain}
    return SweepConfig(**(given | settings))


@pytest.fixture
def stood_in(monkeypatch, tmp_path):
    """Training and evaluating replaced by notes of what was asked: (log, the step names to fail at)."""
    log: list[str] = []
    fail_at: set[str] = set()
    runs = tmp_path / "sweep" / "runs"

    def train(config, operative):
        start = config.initial_checkpoint and config.initial_checkpoint.removeprefix(f"{runs}/")
        log.append(f"train {pathlib.Path(config.model_dir).name} on {config.mixture} from {start}")
        if log[-1].split()[1] in fail_at:
            raise KeyboardInterrupt
        (pathlib.Path(config.model_dir) / "checkpoints" / str(config.steps)).mkdir(parents=True)

    def evaluate(config, cell, checkpoint, tasks):
        model = checkpoint.removeprefix(f"{runs}/")
        log.append(f"evaluate {cell.name} with {model} on {','.join(task.name for task in tasks)}")
        path = pathlib.Path(config.directory) / "cells" / cell.name
        path.mkdir(parents=True)
        (path / "summary.json").write_text("{}")

    monkeypatch.setattr(sweeping, "prepare", lambda config: Prepared("bytes", "", ()))
    monkeypatch.setattr(sweeping, "train", train)
    monkeypatch.setattr(sweeping, "_evaluate", evaluate)
    monkeypatch.setattr(sweeping, "_collect", lambda directory, cells: ())
    return log, fail_at


def test_the_base_and_the_upper_bound_are_one_run_a_seed(stood_in, tmp_path):
    log, _ = stood_in
    sweep(config_at(tmp_path, held_out=("nli", "translation"), seeds=(7,)))
    assert log == [
        "train base-seed7 on microworld_documents from None",
        "evaluate base-nli-seed7 with base-seed7/checkpoints/3 on small_nli",
        "train tuned-nli-seed7 on microworld_loo_nli from base-seed7/checkpoints/3",
        "evaluate tuned-nli-seed7 with tuned-nli-seed7/checkpoints/3 on small_nli",
        "train upper-seed7 on microworld from base-seed7/checkpoints/3",
        "evaluate upper-nli-seed7 with upper-seed7/checkpoints/3 on small_nli",
        "evaluate base-translation-seed7 with base-seed7/checkpoints/3 on small_translation",
        "train tuned-translation-seed7 on microworld_loo_translation from base-seed7/checkpoints/3",
        "evaluate tuned-translation-seed7 with tuned-translation-seed7/checkpoints/3 on small_translation",
        "evaluate upper-translation-seed7 with upper-seed7/checkpoints/3 on small_translation",
    ]


def test_a_stopped_sweep_continues_and_a_finished_one_does_nothing(stood_in, tmp_path):
    log, fail_at = stood_in
    config = config_at(tmp_path, held_out=("nli",))
    fail_at.add("tuned-nli-seed0")
    with pytest.raises(KeyboardInterrupt):
        sweep(config)
    fail_at.clear()
    log.clear()
    sweep(config)
    assert [line.split(" with ")[0].split(" on ")[0] for line in log] == [
        "train tuned-nli-seed0", "evaluate tuned-nli-seed0", "train upper-seed0", "evaluate upper-nli-seed0",
    ]  # fmt: skip
    log.clear()
    sweep(config)
    assert log == []


def test_more_seeds_clusters_and_kinds_extend_a_sweep(stood_in, tmp_path):
    log, _ = stood_in
    sweep(config_at(tmp_path, held_out=("nli",), kinds=("base",)))
    log.clear()
    sweep(config_at(tmp_path, held_out=("nli", "sentiment"), kinds=("base",), seeds=(0, 1)))
    assert [line.split()[1] for line in log] == [
        "base-sentiment-seed0",
        "base-seed1",
        "base-nli-seed1",
        "base-sentiment-seed1",
    ]


def test_other_settings_in_the_same_directory_are_refused(stood_in, tmp_path):
    config = config_at(tmp_path, held_out=("nli",))
    sweep(config)
    changed = dataclasses.replace(config, tune=dataclasses.replace(config.tune, steps=5))
    with pytest.raises(SweepError, match=r"tune\.steps: 3 there, 5 now(.|\n)*SWEEP_DIR"):
        sweep(changed)


def test_tasks_that_changed_since_are_not_mixed_with_the_old_cells(stood_in, tmp_path, monkeypatch):
    import small_world

    config = config_at(tmp_path, held_out=("nli",), kinds=("base",))
    sweep(config)
    real = small_world.get_task
    monkeypatch.setattr(small_world, "get_task", lambda name: dataclasses.replace(real(name), fingerprint=f"{name}-2"))
    with pytest.raises(
        SweepError, match=r"templates(.|\n)*small_nli: 'small_nli-1' there, 'small_nli-2' now(.|\n)*DIR"
    ):
        sweep(dataclasses.replace(config, seeds=(0, 1)))


def test_another_vocabulary_is_not_mixed_with_the_old_cells(stood_in, tmp_path, monkeypatch):
    config = config_at(tmp_path, held_out=("nli",), kinds=("base",))
    sweep(config)
    monkeypatch.setattr(sweeping, "prepare", lambda config: Prepared("bytes", "b2", ()))
    with pytest.raises(SweepError, match=r"other vocabulary:\n  digest: '' there, 'b2' now(.|\n)*--gin.SWEEP_DIR"):
        sweep(dataclasses.replace(config, seeds=(0, 1)))


def test_a_given_base_is_one_step_of_it_throughout(stood_in, tmp_path):
    log, _ = stood_in
    base = tmp_path / "base" / "checkpoints"
    config = config_at(tmp_path, held_out=("nli",), kinds=("base", "tuned"))
    tune = dataclasses.replace(config.tune, initial_checkpoint=str(tmp_path / "base"))
    config = dataclasses.replace(config, pretrain=None, tune=tune)
    with pytest.raises(CheckpointError, match="no checkpoint"):
        sweep(config)
    (base / "9").mkdir(parents=True)
    sweep(config)
    assert [line.split(" with ")[-1].split(" from ")[-1] for line in log] == [
        f"{base}/9 on small_nli",
        f"{base}/9",
        "tuned-nli-seed0/checkpoints/3 on small_nli",
    ]
    (base / "12").mkdir()
    with pytest.raises(SweepError, match=r"tune\.initial_checkpoint: '.*/9' there, '.*/12' now"):
        sweep(config)


def test_all_clusters_are_held_out_if_none_is_named(tmp_path):
    from flan_jax.data.task import load_registry

    clusters = sweeping.choose_clusters(load_registry("small_world"), config_at(tmp_path))
    assert list(clusters) == ["nli", "sentiment", "translation"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kinds": ("tunde",)}, "there are base, tuned, upper"),
        ({"seeds": ()}, "--gin.SEEDS"),
        ({"pretrain": None}, "initial_checkpoint"),
    ],
)
def test_settings_that_cannot_be_run_are_refused(tmp_path, settings, words):
    with pytest.raises(SweepError, match=words):
        config_at(tmp_path, **settings)


def test_an_unknown_cluster_is_refused_with_those_there_are(stood_in, tmp_path):
    with pytest.raises(SweepError, match=r"no cluster 'nil'; it has nli, sentiment, translation"):
        sweep(config_at(tmp_path, held_out=("nil",)))


def test_a_given_base_is_tuned_without_pretraining(tmp_path):
    config = config_at(tmp_path)
    config = dataclasses.replace(
        config, pretrain=None, tune=dataclasses.replace(config.tune, initial_checkpoint="/llama")
    )
    assert list_runs(config, Cell("base", "nli", 0), "bytes") == []
    (tuned,) = list_runs(config, Cell("tuned", "nli", 3), "v")
    assert (tuned.initial_checkpoint, tuned.seed, tuned.vocabulary) == ("/llama", 3, "v")
    assert [cell.name for cell in list_cells({"nli": []}, config)] == [
        "base-nli-seed0",
        "tuned-nli-seed0",
        "upper-nli-seed0",
    ]


def test_a_real_sweep_leaves_a_checkpoint_results_and_a_table(finished_sweep):
    for kind in ("base", "tuned", "upper"):
        cell = Cell(kind, "nli", 0)
        assert finished(finished_sweep, cell)
        assert checkpoint_steps(finished_sweep / "runs" / cell.run) == [4]
        provenance = read_results(finished_sweep / "cells" / cell.name).provenance
        assert provenance["cell"] == cell._asdict() and provenance["checkpoint"]["step"] == 4
    (result,) = json.loads((finished_sweep / "results.json").read_text())
    assert result["cluster"] == "nli" and set(result["scores"]) == {"base", "tuned", "upper"}
    assert set(result["gains"]) == {"tuned", "upper"}
    for kind, gain in result["gains"].items():
        expected = result["scores"][kind]["value"] - result["scores"]["base"]["value"]
        assert gain["value"] == pytest.approx(expected) and gain["low"] <= gain["value"] <= gain["high"]


def test_the_printed_table(finished_sweep):
    from flan_jax.report.clusters import cluster_results

    shown = table(cluster_results(sweeping.read_cells(finished_sweep)))
    assert "held-out cluster" in shown and "nli" in shown and "tuned - base" in shown
