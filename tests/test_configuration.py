"""Gin files and flags: what is misspelt, missing or of the wrong type is refused with place and nearest name."""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Literal

import pytest

from flan_jax import configuration, gin_files
from flan_jax.gin_files import ConfigurationError


@dataclasses.dataclass(frozen=True)
class Optimizer:
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"


@dataclasses.dataclass(frozen=True)
class Train:
    model_dir: str
    mixture: str
    steps: int = 10
    rates: Sequence[float] | None = None
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)

    def __post_init__(self):
        if self.steps < 0:
            raise ConfigurationError(f"steps = {self.steps}: must not be negative")


@dataclasses.dataclass(frozen=True)
class Sweep:
    pretrain: Train
    tune: Train


CONFIGURABLES = {f"Tiny{name}": f"{__name__}:{name}" for name in ("Train", "Optimizer", "Sweep")}

RUN = """\
# Train on a mixture.
#   flan-jax train --gin_file=run.gin --gin.MODEL_DIR="'/tmp/x'"
# Required: MODEL_DIR
include 'defaults.gin'
MODEL_DIR = %gin.REQUIRED
TinyTrain.model_dir = %MODEL_DIR
TinyTrain.mixture = 'microworld'
TinyTrain.steps = %STEPS
TinyTrain.optimizer = @TinyOptimizer()
"""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "run.gin").write_text(RUN)
    (tmp_path / "defaults.gin").write_text("STEPS = 20\nTinyOptimizer.learning_rate = 3e-4\n")
    return tmp_path


def build(folder: pathlib.Path, *bindings: str, command: str = "TinyTrain", file: str = "run.gin"):
    return configuration.configure(command, [file], bindings, [str(folder)], CONFIGURABLES)


def test_files_then_flags_later_wins(folder):
    configured = build(folder, "MODEL_DIR = '/m'", "STEPS = 30", "TinyOptimizer.schedule = 'cosine'")
    assert configured.config == Train("/m", "microworld", 30, None, Optimizer(3e-4, "cosine"))


def test_operative_configuration_builds_the_same_again(folder, tmp_path):
    configured = build(folder, "MODEL_DIR = '/m'")
    (tmp_path / "operative.gin").write_text(configured.operative)
    assert build(tmp_path, file="operative.gin").config == configured.config


def test_one_call_leaves_nothing_for_the_next(folder):
    build(folder, "MODEL_DIR = '/m'", "STEPS = 30")
    assert build(folder, "MODEL_DIR = '/m'").config.steps == 20


def test_scopes_give_the_same_configurable_different_values(folder):
    (folder / "sweep.gin").write_text(
        "TinyTrain.model_dir = ''\nTinyTrain.mixture = 'm'\nTinyTrain.optimizer = @TinyOptimizer()\n"
        "TinySweep.pretrain = @pretrain/TinyTrain()\nTinySweep.tune = @tune/TinyTrain()\n"
        "pretrain/TinyTrain.steps = 7\ntune/TinyOptimizer.learning_rate = 0.5\n"
    )
    sweep = build(folder, command="TinySweep", file="sweep.gin").config
    assert (sweep.pretrain.steps, sweep.tune.steps) == (7, 10)
    assert (sweep.pretrain.optimizer.learning_rate, sweep.tune.optimizer.learning_rate) == (1e-3, 0.5)


@pytest.mark.parametrize(
    ("binding", "words"),
    [
        ("STEP = 5", ["--gin.STEP=5", "did you mean 'STEPS'", "MODEL_DIR, STEPS"]),
        ("TinyTrain.stepps = 5", ["TinyTrain has no setting 'stepps'", "did you mean 'steps'"]),
        ("tuen/TinyTrain.steps = 5", ["tuen/TinyTrain.steps=5", "nothing is made in a scope 'tuen'"]),
        ("TinyTrian.steps = 5", ["'TinyTrian'", "did you mean 'TinyTrain'"]),
        ("TinyTrain.optimizer = @Tinyoptimizer()", ["did you mean 'TinyOptimizer'"]),
        ("MODEL_DIR = /tmp/x", ["--gin.MODEL_DIR=/tmp/x", "--gin.MODEL_DIR=\"'/tmp/x'\""]),
        ("TinyTrain.steps = '5'", ["TinyTrain.steps = '5'", "should be int"]),
        ("TinyTrain.steps = True", ["TinyTrain.steps = True", "should be int"]),
        ("TinyTrain.rates = 'a'", ["TinyTrain.rates = 'a'", "Sequence[float]"]),
        ("TinyOptimizer.schedule = 'cos'", ["TinyOptimizer.schedule = 'cos'", "constant", "cosine"]),
        ("TinyTrain.steps = -1", ["steps = -1: must not be negative"]),
        ("TinyTrain.mixture = %MIXTURE", ["needs --gin.MIXTURE=..."]),
    ],
)
def test_a_bad_flag_is_refused_with_the_way_out(folder, binding, words):
    bindings = [binding] if binding.startswith("MODEL_DIR") else ["MODEL_DIR = '/m'", binding]
    with pytest.raises(ConfigurationError) as refused:
        build(folder, *bindings)
    for word in words:
        assert word in str(refused.value)
    assert "In call to configurable" not in str(refused.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("TinyTrain.stepps = 5", ["run.gin:10: TinyTrain has no setting 'stepps'", "did you mean 'steps'"]),
        ("TinyTrian.steps = 5", ["run.gin:10: nothing configurable is called 'TinyTrian'"]),
        ("include 'default.gin'", ["run.gin:10: there is no gin file 'default.gin'", "--gin_search_paths"]),
        ("include 'run.gin'", ["includes itself"]),
        ("TinyTrain.steps = = 5", ["run.gin:10: gin cannot read this"]),
        ("import os", ["run.gin:10", "TASKS"]),
    ],
)
def test_a_bad_line_is_refused_with_file_and_line(folder, line, words):
    (folder / "run.gin").write_text(RUN + line + "\n")
    with pytest.raises(ConfigurationError) as refused:
        build(folder, "MODEL_DIR = '/m'")
    for word in words:
        assert word in str(refused.value)


def test_a_macro_of_the_user_s_own_file_that_nothing_uses_is_a_misspelling(folder):
    (folder / "mine.gin").write_text("include 'run.gin'\nMODEL_DIR = '/m'\nSTEP = 5\n")
    with pytest.raises(
        ConfigurationError, match=r"mine\.gin:3: STEP .* no file given uses it; did you mean 'STEPS'(.|\n)*%STEP"
    ):
        build(folder, file="mine.gin")


def test_a_file_for_several_commands_may_set_what_other_runs_know(folder, caplog):
    """As STORE, which shipped runs use: said, but not refused."""
    (folder / "mine.gin").write_text("include 'run.gin'\nMODEL_DIR = '/m'\nSTORE = '/s'\n")
    assert build(folder, file="mine.gin").config.model_dir == "/m"
    assert "mine.gin:3: STORE has no effect on flan-jax TinyTrain" in caplog.text


def test_a_setting_that_reaches_nothing_is_refused_with_what_would_build_it(folder):
    (folder / "bare.gin").write_text("TinyTrain.model_dir = ''\nTinyTrain.mixture = 'm'\n")
    with pytest.raises(ConfigurationError, match=r"rate=1\.0 would have no(.|\n)*--gin\.TinyTrain\.optimizer=@TinyOpt"):
        build(folder, "TinyOptimizer.learning_rate = 1.0", file="bare.gin")
    (folder / "bare.gin").write_text(
        "TinyTrain.model_dir = ''\nTinyTrain.mixture = 'm'\nTinyOptimizer.schedule = 'cosine'"
    )
    with pytest.raises(
        ConfigurationError,
        match=r"bare\.gin:3: TinyOptimizer.schedule would have no effect: .* builds no TinyOptimizer",
    ):
        build(folder, file="bare.gin")
    built = build(folder, "TinyTrain.optimizer = @TinyOptimizer()", file="bare.gin")
    assert built.config.optimizer.schedule == "cosine"


def test_a_setting_whose_place_is_taken_in_every_scope_is_refused(folder):
    sweep = (
        "TinyTrain.model_dir = ''\nTinyTrain.mixture = 'm'\nSTEPS = 7\n"
        "TinySweep.pretrain = @pretrain/TinyTrain()\nTinySweep.tune = @tune/TinyTrain()\npretrain/TinyTrain.steps = 9\n"
    )
    (folder / "sweep.gin").write_text(sweep + "tune/TinyTrain.steps = %STEPS\n")
    with pytest.raises(
        ConfigurationError, match=r"TinyTrain\.steps=5 would have no (.|\n)*tune/TinyTrain\.steps = %STEPS"
    ):
        build(folder, "TinyTrain.steps = 5", command="TinySweep", file="sweep.gin")
    (folder / "sweep.gin").write_text(sweep.replace("STEPS = 7\n", ""))
    assert build(folder, "TinyTrain.steps = 5", command="TinySweep", file="sweep.gin").config.tune.steps == 5
    with pytest.raises(ConfigurationError, match="not built in the scope 'tune', only outside scopes"):
        build(folder, "tune/TinySweep.tune = @TinyTrain()", command="TinySweep", file="sweep.gin")


TUNE = ["HELD_OUT = 'nli'", "MODEL_DIR = '/m'", "INITIAL_CHECKPOINT = '/b'"]
EVALUATE = ["CHECKPOINT = '/b'", "MIXTURE = 'rte'"]


@pytest.mark.parametrize("hardware", ["cpu", "gpu", "tpu_pod"])
@pytest.mark.parametrize(
    ("command", "files", "bindings"),
    [
        ("train", ["models/llama_1b.gin", "runs/pretrain.gin"], ["MODEL_DIR = '/m'"]),
        ("train", ["runs/tune_leave_one_out.gin", "mixtures/flan2021.gin"], TUNE),
        ("sweep", ["runs/quickstart.gin"], ["SWEEP_DIR = '/s'", "train.coordinator = None"]),
        ("evaluate", ["runs/evaluate.gin"], EVALUATE),
    ],
)
def test_shipped_files_go_together(command, files, bindings, hardware):
    """Each holds something for the run, and what it holds for others raises no alarm."""
    configuration.configure(command, [*files, f"hardware/{hardware}.gin"], bindings)


def test_what_is_required_is_listed_with_the_run_s_usage(folder):
    with pytest.raises(ConfigurationError) as refused:
        build(folder)
    assert "needs --gin.MODEL_DIR=..." in str(refused.value)
    assert "flan-jax train --gin_file=run.gin" in str(refused.value)


def test_a_setting_nobody_set_is_named(folder):
    (folder / "bare.gin").write_text("TinyTrain.model_dir = ''\n")
    with pytest.raises(ConfigurationError, match="mixture"):
        build(folder, file="bare.gin")


def test_a_misspelt_run_file_suggests_a_shipped_one():
    with pytest.raises(ConfigurationError, match=r"did you mean 'runs/pretrain\.gin'"):
        configuration.configure("train", ["runs/pretrian.gin"])


def test_shipped_files_are_found_installed_and_in_a_checkout(tmp_path, monkeypatch):
    assert (gin_files.gin_configs_directory() / "runs").is_dir()
    (tmp_path / "flan_jax" / "gin_configs").mkdir(parents=True)
    monkeypatch.setattr(gin_files, "__file__", str(tmp_path / "flan_jax" / "gin_files.py"))
    assert gin_files.gin_configs_directory() == tmp_path / "flan_jax" / "gin_configs"


def test_instances_are_of_the_class_itself(folder):
    """Not of a subclass made by gin: a configuration is a static argument of jit and compares by class."""
    assert type(build(folder, "MODEL_DIR = '/m'").config) is Train
