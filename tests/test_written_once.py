"""What several places need is written in one: a second copy would go its own way."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
ONCE = {
    "the finaliser of SplitMix64": (r"(?i)0xbf58476d1ce4e5b9", "flan_jax/data/permutation.py"),
    "how a worker ends with its parent": (r"parent_process\(", "flan_jax/worker_process.py"),
    "the checksum of a file": (r"\.read\([^)]*\):\n\s+digest\.update|file_digest\(", "flan_jax/checksum.py"),
    "the hash of an example": (r"def \w*example_hash", "flan_jax/data/choosing.py"),
    "the choice among a row's own options": (r'Drop\("two options are the same"\)', "tasks/dataset.py"),
}  # fmt: skip


@pytest.mark.parametrize("what", ONCE)
def test_written_once(what: str):
    pattern, home = ONCE[what]
    paths = [path for package in ("flan_jax", "tasks") for path in sorted((ROOT / package).rglob("*.py"))]
    found = [str(path.relative_to(ROOT)) for path in paths if re.search(pattern, path.read_text(encoding="utf-8"))]
    assert found == [home]
