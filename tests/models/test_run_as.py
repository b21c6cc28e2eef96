"""How a model is run is apart from its shape: set once by gin, for a new model and for that of a checkpoint."""

import dataclasses

import pytest

from flan_jax import sweep
from flan_jax.configuration import configure
from flan_jax.gin_files import ConfigurationError
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import abstract_params
from flan_jax.models.run_as import RunAs

MODEL = DecoderConfig(
    vocab_size=8, num_layers=1, embed_dim=4, num_heads=1, mlp_dim=4, dtype="bfloat16", remat="full", scan_layers=True
)
PRETRAIN = ["models/microworld.gin", "runs/pretrain.gin"]


def test_what_is_not_set_stays_as_the_model_has_it():
    assert RunAs().applied_to(MODEL) == MODEL
    assert RunAs(scan_layers=False).applied_to(MODEL) == dataclasses.replace(MODEL, scan_layers=False)
    as_it_was = RunAs(dtype="float32", remat="none", scan_layers=False, attention="xla").applied_to(MODEL)
    assert as_it_was == dataclasses.replace(MODEL, dtype="float32", remat="none", scan_layers=False)


def test_no_such_setting_changes_the_parameters():
    run_as = RunAs(dtype="float32", scan_layers=True, remat="none", attention="other")
    assert abstract_params(run_as.applied_to(MODEL)) == abstract_params(MODEL)


def test_a_value_that_there_is_not_is_refused():
    with pytest.raises(ConfigurationError, match=r"RunAs\.dtype = 'float16'.*bfloat16"):
        configure("train", PRETRAIN, ["MODEL_DIR = '/m'", "RunAs.dtype = 'float16'"])


@pytest.mark.parametrize("setting", [field.name for field in dataclasses.fields(RunAs)])
def test_gin_has_one_place_for_it(setting):
    with pytest.raises(ConfigurationError, match=rf"DecoderConfig\.{setting}=(.|\n)*set   RunAs\.{setting}"):
        configure("train", PRETRAIN, ["MODEL_DIR = '/m'", f"DecoderConfig.{setting} = None"])


@pytest.mark.parametrize(
    ("command", "files", "bindings"),
    [
        ("train", PRETRAIN, ["MODEL_DIR = '/m'"]),
        ("train", ["runs/tune_leave_one_out.gin"], ["MODEL_DIR = '/m'", "HELD_OUT = 'x'", "INITIAL_CHECKPOINT = '/b'"]),
        ("evaluate", ["runs/evaluate.gin"], ["CHECKPOINT = '/b'", "MIXTURE = 'rte'"]),
        ("sweep", ["runs/quickstart.gin"], ["SWEEP_DIR = '/s'", "train.coordinator = None"]),
    ],
)
@pytest.mark.parametrize("hardware", ["gpu", "tpu_pod"])
def test_a_hardware_file_says_it_to_every_command_with_a_model(command, files, bindings, hardware):
    config = configure(command, [*files, f"hardware/{hardware}.gin"], bindings).config
    for one in [config.primer, config.pretrain, config.tune] if command == "sweep" else [config]:
        assert one.run_as == RunAs(dtype="bfloat16", scan_layers=True, remat="full")


def test_a_sweep_scores_a_base_that_was_given_as_it_is_to_be_run(monkeypatch, tmp_path):
    """A base of another machine is scored and tuned alike."""

    class Asked(Exception):
        pass

    def evaluate_params(model, *_, **__):
        raise Asked(model)

    monkeypatch.setattr(sweep, "evaluate_params", evaluate_params)
    monkeypatch.setattr(sweep, "load_params", lambda _: (MODEL, {}, {"step": 1, "plan_hash": "", "mixture": ""}))
    monkeypatch.setattr(sweep, "load_vocabulary", lambda _: None)
    monkeypatch.setattr(sweep, "choose_clusters", lambda *_: {"nli": ()})
    bindings = ["SWEEP_DIR = '/s'", f"STORE = '{tmp_path}'", "RunAs.dtype = 'float32'"]
    config = configure("sweep", ["runs/quickstart.gin"], bindings).config
    with pytest.raises(Asked) as asked:
        sweep._evaluate(config, sweep.Cell("base", "nli", 0), "/b/checkpoints/1", [])
    assert asked.value.args == (dataclasses.replace(MODEL, dtype="float32"),)
