"""What would have no effect is refused, or, from a file for several commands, told: only what is in effect counts."""

import re

import pytest

from flan_jax.configuration import configure
from flan_jax.gin_files import ConfigurationError, find_gin_file, read_binding, read_file, search_directories
from flan_jax.gin_reach import reach

TUNE = ["HELD_OUT = 'nli'", "MODEL_DIR = '/m'", "INITIAL_CHECKPOINT = '/b'"]
EVALUATE = ["CHECKPOINT = '/b'", "MIXTURE = 'rte'"]
SWEEP = ["SWEEP_DIR = '/s'"]
TUNE_RUN, SWEEP_RUN, EVALUATE_RUN = ["runs/tune_leave_one_out.gin"], ["runs/quickstart.gin"], ["runs/evaluate.gin"]


@pytest.fixture
def mine(tmp_path):
    """Writes a file of the user's own with these lines."""

    def write(*lines: str) -> str:
        (tmp_path / "mine.gin").write_text("\n".join(lines) + "\n")
        return str(tmp_path / "mine.gin")

    return write


@pytest.mark.parametrize(
    ("command", "files", "bindings", "words"),
    [
        ("evaluate", EVALUATE_RUN, [*EVALUATE, "MeshConfig.data = 2"],
         ["--gin.MeshConfig.data=2", "--gin.evaluate.mesh=@MeshConfig()"]),
        ("evaluate", [*EVALUATE_RUN, "models/llama_1b.gin"], EVALUATE, ["flan-jax evaluate takes nothing"]),
        ("train", TUNE_RUN, [*TUNE, "DecoderConfig.num_layers = 2"],
         ["--gin.DecoderConfig.num_layers=2", "--gin.train.model=@DecoderConfig()"]),
        ("train", ["models/llama_17m.gin", *TUNE_RUN], TUNE,
         ["models/llama_17m.gin: flan-jax train takes nothing", "--gin.train.model=@DecoderConfig()"]),
        ("sweep", SWEEP_RUN, [*SWEEP, "OptimizerConfig.learning_rate = 1e-4"],
         ["tune/OptimizerConfig.learning_rate = %TUNE_LEARNING_RATE"]),
        ("sweep", SWEEP_RUN, [*SWEEP, "TUNE_STEPS = 5", "tune/train.steps = 3"],
         ["--gin.TUNE_STEPS=5", "tune/train.steps would read it, and is set otherwise by --gin.tune/train.steps=3"]),
        ("sweep", SWEEP_RUN, [*SWEEP, "PRIMER_STEPS = 5", "sweep.primer = None"],
         ["--gin.PRIMER_STEPS=5", "only primer/train.steps would read it", "in 'pretrain' and in 'tune'"]),
        ("train", TUNE_RUN, [*TUNE, "train.mixture = 'microworld'"],
         ["--gin.HELD_OUT='nli'", "builds no leave_one_out"]),
        ("train", TUNE_RUN, [*TUNE, "SIZE = 64", "ROW_LENGTH = %SIZE", "train.row_length = 64"],
         ["--gin.SIZE=64", "only ROW_LENGTH would read it", "--gin.train.row_length=64"]),
    ],
)  # fmt: skip
def test_what_a_shipped_run_takes_nothing_from_is_refused(command, files, bindings, words):
    with pytest.raises(ConfigurationError) as refused:
        configure(command, files, bindings)
    for word in words:
        assert word in str(refused.value)


def test_a_macro_that_nothing_reads_any_longer_is_not_required():
    without_held_out = [*TUNE[1:], "train.mixture = 'microworld'"]
    assert configure("train", TUNE_RUN, without_held_out).config.mixture == "microworld"


@pytest.mark.parametrize(
    ("command", "files", "bindings"),
    [
        ("sweep", SWEEP_RUN, SWEEP),
        ("sweep", SWEEP_RUN, [*SWEEP, "sweep.primer = None", "RUN = @tune/train()", "sweep.tune = %RUN"]),
        ("sweep", SWEEP_RUN, [*SWEEP, "WITH = @OptimizerConfig()", "train.optimizer = %WITH"]),
        ("train", TUNE_RUN, TUNE),
        ("evaluate", [*EVALUATE_RUN, "hardware/gpu.gin"], EVALUATE),
    ],
)
def test_what_is_reached_is_what_gin_builds(command, files, bindings, monkeypatch):
    monkeypatch.setattr("flan_jax.gin_checks.check_effect", lambda *_: None)
    operative = configure(command, files, bindings).operative
    paths = [find_gin_file(file, search_directories(), "here") for file in files]
    statements = [statement for path in paths for statement in read_file(path, search_directories())]
    statements = sorted(statements, key=lambda statement: statement.strength)
    reached = reach(command, [*statements, *(one for binding in bindings for one in read_binding(binding))])
    built = {"/".join(filter(None, (one.scope, one.name))) for one in reached.built}
    assert built == set(re.findall(r"^# Parameters for (.*):", operative, re.M))
    assert reached.macros == set(re.findall(r"^([A-Z_]+) =", operative, re.M))


@pytest.mark.parametrize(
    ("line", "run"),
    [
        ("SEEDS = (0, 1)", "runs/quickstart.gin"),
        ("HELD_OUT = ('nli',)", "runs/sweep_microworld.gin"),
        ("evaluate.tokens_per_batch = 512", "runs/evaluate.gin"),
        ("prepare.seed = 3", "runs/prepare.gin"),
        ("tune/train.keep = 5", "runs/sweep_microworld.gin"),
        ("DecoderConfig.num_layers = 2", "runs/pretrain.gin"),
        ("SIZE = 3\nevaluate.max_new_tokens = %SIZE", "runs/evaluate.gin"),
        ("include 'models/llama_17m.gin'", "runs/pretrain.gin"),
    ],
)
def test_what_a_file_of_one_s_own_says_for_other_runs_is_told_and_left_to_them(line, run, mine, caplog):
    files = ["runs/contamination.gin", mine(line)]
    configure("contamination", files, ["MIXTURE = 'rte'"])
    assert "no effect" in caplog.text and "flan-jax contamination" in caplog.text
    assert run in caplog.text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("SEEED = 1", ["mine.gin:1: SEEED", "no file given uses it", "use it, as %SEEED"]),
        ("tuen/train.keep = 5", ["mine.gin:1: tuen/train.keep", "nothing is made in a scope 'tuen'"]),
        ("evaluate.tokens_per_bach = 5", ["mine.gin:1", "did you mean 'tokens_per_batch'"]),
        ("odd/FewShot.budget = 5\nevaluate.few_shot = @even/FewShot()", ["mine.gin:1: odd/FewShot.budget"]),
    ],
)
def test_what_no_run_would_take_is_refused_in_a_file_of_one_s_own_too(line, words, mine):
    with pytest.raises(ConfigurationError) as refused:
        configure("contamination", ["runs/contamination.gin", mine(line)], ["MIXTURE = 'rte'"])
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("flag", ["SEEDS = (0, 1)", "evaluate.tokens_per_batch = 512"])
def test_a_flag_is_for_the_command_it_is_given_to(flag):
    with pytest.raises(ConfigurationError, match="would have no effect"):
        configure("contamination", ["runs/contamination.gin"], ["MIXTURE = 'rte'", flag])
