"""A prepared store of the tasks in `browse_tasks.py`, and the catalogue page of it."""

import pathlib

import pytest


@pytest.fixture(scope="session")
def browse_store(tmp_path_factory) -> pathlib.Path:
    """rain, its plain form, notes and pages, in bytes; not to be written to."""
    from flan_jax.data.prepare import PrepareConfig, prepare

    root = tmp_path_factory.mktemp("browse") / "store"
    tasks = ("rain", "rain_plain", "notes", "pages")
    prepare(PrepareConfig(mixture=tasks, store=str(root), vocabulary="bytes", tasks="browse_tasks", processes=1))
    return root


@pytest.fixture(scope="session")
def catalogue_page(browse_store, tmp_path_factory) -> pathlib.Path:
    from flan_jax.report.browse import write_catalogue

    return write_catalogue(tmp_path_factory.mktemp("page") / "catalogue.html", browse_store, "browse_tasks")
