"""All of FLAN 2021 on a few made-up rows: a TFDS directory, and a store prepared from it."""

import pathlib

import pytest
from made_up_rows import ROWS
from tfds_directory import source_splits, write_dataset

from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.data.store import Store
from tasks import catalog


@pytest.fixture(scope="session")
def made_up(tmp_path_factory) -> pathlib.Path:
    """A TFDS directory with all 67 names."""
    directory = tmp_path_factory.mktemp("tfds")
    for name, splits in source_splits().items():
        write_dataset(name, ROWS[name], splits, directory)
    return directory


@pytest.fixture(scope="session")
def store(made_up, tmp_path_factory) -> Store:
    """Every dataset of FLAN 2021, all splits, as bytes."""
    names = tuple(d.name for d in catalog.datasets().values() if d.benchmark == "flan2021")
    root = str(tmp_path_factory.mktemp("prepared") / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", str(made_up))
        prepare(PrepareConfig(names, root, "bytes", tasks="tasks", eval_examples=None, processes=1))
    return Store(root)
