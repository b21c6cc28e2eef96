"""`flan-jax serve`: where it listens, and what keeps it from starting."""

import importlib.util

import pytest

from flan_jax.cli import main
from flan_jax.serving import server


def test_it_listens_to_this_machine_alone_unless_told_otherwise(monkeypatch):
    asked = []
    monkeypatch.setattr(server, "serve", asked.append)
    assert main(["serve", "--model_dir=m"]) == 0
    assert main(["serve", "--model_dir=m", "--host=::1", "--port=0", "--rows=3", "--name=x"]) == 0
    assert [(one.host, one.port, one.rows, one.name) for one in asked] == [
        ("127.0.0.1", 8000, 16, None), ("::1", 0, 3, "x"),
    ]  # fmt: skip
    listening = server.listen(server.ServeConfig(model_dir="m").host, 0)
    assert listening.getsockname()[0] == "127.0.0.1"
    listening.close()


def test_a_port_that_is_taken_is_named(capsys):
    taken = server.listen("127.0.0.1", 0)
    port = taken.getsockname()[1]
    assert main(["serve", "--model_dir=/nowhere", f"--port={port}"]) == 2
    said = capsys.readouterr().err
    assert f"cannot listen on 127.0.0.1:{port}" in said and "--port" in said
    taken.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model_dir=/nowhere", "--port=0"], ["CheckpointError", "/nowhere"]),
        (["--model_dir=m", "--rows=0"], ["--rows=0"]),
        (["--model_dir=m", "--port=99999"], ["cannot listen", "99999"]),
        (["--model_dir=m", "--host=no.such.host.invalid"], ["cannot listen", "no.such.host.invalid"]),
    ],
)
def test_what_keeps_it_from_starting_is_said(arguments, words, capsys):
    assert main(["serve", *arguments]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and all(word in said for word in words)


def test_missing_packages_are_named(monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "uvicorn" else found(name))
    assert main(["serve", "--model_dir=m"]) == 2
    assert "serving needs uvicorn: pip install 'flan-jax[serve]'" in capsys.readouterr().err
