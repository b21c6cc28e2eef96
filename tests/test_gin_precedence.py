"""Which of two values for one setting holds: what files include are defaults, in whatever order files are named."""

import pathlib

import pytest

from flan_jax.configuration import configure

TUNE = ["HELD_OUT = 'nli'", "MODEL_DIR = '/m'", "INITIAL_CHECKPOINT = '/b'"]


@pytest.fixture
def write(tmp_path):
    def write(name: str, *lines: str) -> str:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("\n".join(lines) + "\n")
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize("turned_around", [False, True])
def test_a_mixture_that_is_named_wins_over_the_one_that_the_run_includes(turned_around):
    files = ["mixtures/flan2021.gin", "runs/tune_leave_one_out.gin"]
    config = configure("train", files[:: -1 if turned_around else 1], TUNE).config
    assert (config.mixture, config.row_length, config.rates.rate_maximum) == ("flan2021_loo_nli", 1280, 3000)


@pytest.mark.parametrize("turned_around", [False, True])
def test_a_model_that_is_named_wins_over_the_one_that_a_sweep_includes(turned_around):
    files = ["models/llama_110m.gin", "runs/quickstart.gin"]
    config = configure("sweep", files[:: -1 if turned_around else 1], ["SWEEP_DIR = '/s'"]).config
    assert config.pretrain.model.num_layers == config.tune.model.num_layers == 12


def test_a_file_of_one_s_own_that_includes_a_run_brings_its_defaults_as_such(write):
    mine = write("mine.gin", "include 'runs/tune_leave_one_out.gin'", *TUNE)
    assert configure("train", ["mixtures/flan2021.gin", mine]).config.mixture == "flan2021_loo_nli"


def test_what_one_s_own_file_includes_wins_over_the_defaults_of_a_run_after_it(write):
    mine = write("mine.gin", "include 'mixtures/flan2021.gin'", *TUNE)
    assert configure("train", [mine, "runs/tune_leave_one_out.gin"]).config.mixture == "flan2021_loo_nli"


def test_what_a_file_says_wins_over_what_it_includes_wherever_the_include_stands(write):
    mine = write("mine.gin", *TUNE, "STEPS = 5", "include 'runs/tune_leave_one_out.gin'")
    assert configure("train", [mine]).config.steps == 5


def test_of_two_files_that_are_named_the_later_wins_and_a_flag_over_both(write):
    five, six = write("five.gin", "STEPS = 5"), write("six.gin", "STEPS = 6")
    files = ["runs/tune_leave_one_out.gin", six, five]
    assert configure("train", files, TUNE).config.steps == 5
    assert configure("train", files, [*TUNE, "STEPS = 7"]).config.steps == 7


def test_a_shipped_file_that_overrides_one_s_own_is_told(write, caplog):
    mine = write("mine.gin", "MODEL_DIR = '/m'", "STEPS = 5", "SEED = 3")
    config = configure("train", [mine, "models/microworld.gin", "runs/pretrain.gin"]).config
    assert (config.steps, config.seed, config.model_dir) == (3000, 3, "/m")
    assert "mine.gin:2: STEPS = 5 is overridden by" in caplog.text and "runs/pretrain.gin:" in caplog.text
    assert "SEED" not in caplog.text and "MODEL_DIR" not in caplog.text


def test_a_run_includes_shipped_files_and_not_what_is_called_the_same_here(write, tmp_path, monkeypatch):
    write("training.gin", "STORE = 'mine'")
    monkeypatch.chdir(pathlib.Path(tmp_path))
    assert configure("train", ["runs/tune_leave_one_out.gin"], TUNE).config.store == "runs/store"
