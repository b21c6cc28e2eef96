"""The catalogue page: datasets, templates and real examples in one HTML file."""

import os
import pathlib

from flan_jax.errors import FlanJaxError

STORE = "runs/store"


class NoStore(FlanJaxError):
    """The store that was named is not there."""


def write_catalogue(
    output: str | os.PathLike[str],
    store: str | os.PathLike[str] | None = None,
    module: str = "flan_jax_tasks",
    vocabulary: str | None = None,
    examples: int = 2,
) -> pathlib.Path:
    """Write the catalogue of a tasks module to `output`; returns its path.

    store: whose rows to show; None for STORE, where it is there.   vocabulary: whose tokens to show, needed where the
    store has several.   examples: shown of each template.
    Raises NoStore, BrowseError, TasksModuleError, VocabularyError, CorruptStore, DiskFull.
    """
    from flan_jax.data.atomic import atomic_file
    from flan_jax.report.browse.gather import gather
    from flan_jax.report.browse.page import render

    root = pathlib.Path(STORE if store is None else store)
    if store is not None and not root.is_dir():
        raise NoStore(
            f"there is no store {root}\n"
            f"  make it:   flan-jax prepare --gin.STORE=\"'{root}'\" --gin.MIXTURE=...\n"
            f"  or leave --store away, for the templates without examples"
        )
    page = render(gather(module, root, vocabulary, examples))
    path = pathlib.Path(output)
    with atomic_file(path) as file:
        file.write(page.encode())
    return path
