"""A test that is left out says why at the end of every run, beside those that failed."""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[1]
TESTS = """
import pytest

def test_skipped():
    pytest.skip("there is no such machine here")

def test_failing():
    assert False
"""


def test_reasons_stand_at_the_end(tmp_path: pathlib.Path):
    (tmp_path / "test_two.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), str(tmp_path / "test_two.py")]
    run = subprocess.run([*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, check=False)
    *_, end = run.stdout.partition("short test summary info")
    assert "there is no such machine here" in end and "test_failing" in end, run.stdout
