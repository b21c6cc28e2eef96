"""Where the real data lies; the tests that read it are skipped, and say so, where there is none."""

import os

import pytest

ROOT = os.environ.get("FLAN_JAX_TEST_DATA")


@pytest.fixture(scope="session")
def data_dir() -> str:
    """The prepared TFDS data sets."""
    if not ROOT:
        pytest.skip("set FLAN_JAX_TEST_DATA to a folder that holds tfds/ to run this")
    return f"{ROOT}/tfds"


@pytest.fixture(scope="session")
def metadata_dir() -> str:
    """Schemas and true sizes of all 67 names, without records."""
    if not ROOT:
        pytest.skip("set FLAN_JAX_TEST_DATA to a folder that holds tfds_metadata/ to run this")
    return f"{ROOT}/tfds_metadata"
