"""The command line: flags, help, errors without traceback."""

import pytest

from flan_jax import __version__
from flan_jax.cli import COMMANDS, main
from flan_jax.errors import FlanJaxError


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_each_run_with_what_it_requires(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    for run in COMMANDS[command].runs:
        assert run in shown and "Required:" in shown and "Often changed:" in shown


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(command in shown for command in ("prepare", "train", "evaluate", "generate", "sweep", "report"))


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"flan-jax {__version__}\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["train"], ["ConfigurationError", "--gin_file=runs/pretrain.gin"]),
        (["train", "--gin_file=runs/pretrian.gin"], ["did you mean 'runs/pretrain.gin'"]),
        (["prepare"], ["needs --gin.MIXTURE=...", "flan-jax prepare --gin.MIXTURE"]),
        (["prepare", "--gin.MIXTURE='x'", "--gin.STOR='y'"], ["--gin.STOR='y'", "did you mean 'STORE'"]),
        (["prepare", "--gin.MIXTURE"], ["--gin.NAME=VALUE"]),
        (["prepare", "--gin.prepare.sed=1"], ["prepare has no setting 'sed'", "did you mean 'seed'"]),
        (["report", "x", "--gin.SEED=1"], ["report takes no --gin flags"]),
        (["report", "/nowhere"], ["ReportError", "/nowhere", "flan-jax sweep"]),
    ],
)
def test_a_user_s_mistake_is_said_without_a_traceback(argv, words, capsys):
    assert main(argv) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    for word in words:
        assert word in said


def test_an_unknown_command_or_flag_is_refused(capsys):
    for argv in (["trian"], ["train", "--gin_fil=x"], []):
        with pytest.raises(SystemExit) as ended:
            main(argv)
        assert ended.value.code == 2
    assert "usage: flan-jax" in capsys.readouterr().err


def test_flags_may_stand_before_or_after_and_search_paths_are_split(tmp_path, monkeypatch):
    (tmp_path / "mine.gin").write_text("include 'runs/prepare.gin'\nMIXTURE = 'mine'\n")
    seen = []
    monkeypatch.setattr("flan_jax.data.prepare.prepare", seen.append)
    paths = f"--gin_search_paths=/nowhere,{tmp_path}"
    assert main(["prepare", "--gin.SEED=3", paths, "--gin_file=mine.gin", "--gin.STORE='s'"]) == 0
    assert (seen[0].mixture, seen[0].seed, seen[0].store) == ("mine", 3, "s")


def test_other_errors_keep_their_traceback(monkeypatch):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr("flan_jax.data.prepare.prepare", broken)
    with pytest.raises(ZeroDivisionError):
        main(["prepare", "--gin.MIXTURE='x'"])


def test_a_module_s_own_error_is_named(monkeypatch, capsys):
    class StoreOnFire(FlanJaxError):
        pass

    def broken(_):
        raise StoreOnFire("store burns; set --gin.STORE")

    monkeypatch.setattr("flan_jax.data.prepare.prepare", broken)
    assert main(["prepare", "--gin.MIXTURE='x'"]) == 2
    assert capsys.readouterr().err == "flan-jax: StoreOnFire: store burns; set --gin.STORE\n"
