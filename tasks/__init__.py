"""What is learned: datasets, templates and mixtures.

Set `TASKS` to another module that offers the same two functions to use your own.
Importing this loads no TensorFlow; that happens when the rows of a TFDS dataset are read.
"""

from flan_jax.data.catalogue import Catalogue
from flan_jax.data.task import Mixture, Task


def get_task(name: str, data_dir: str | None = None, download: bool = False) -> Task:
    """The task of that name.  `data_dir` overrides $TFDS_DATA_DIR.  Raises UnknownName with the nearest names."""
    from .registry import task

    return task(name, data_dir, download)


def get_mixture(name: str) -> Mixture:
    """The mixture of that name, or that of the one task of that name.  Raises UnknownName with the nearest names."""
    from .registry import mixture

    return mixture(name)


def get_catalogue() -> Catalogue:
    """Every dataset and mixture, with what readers want to know of them, for `flan-jax browse`."""
    from .cards import catalogue

    return catalogue()


__all__ = ["get_catalogue", "get_mixture", "get_task"]
