"""Small genuine TFDS directories, written by TFDS itself from the schemas of its builders."""

import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from tasks import catalog
from tasks.dataset import Tfds

SHARD = 4  # rows in a file, so that splits have several


def source_splits() -> dict[str, list[str]]:
    """TFDS name -> the official splits that our datasets take rows from."""
    found: dict[str, dict[str, None]] = {}
    for dataset in catalog.datasets().values():
        if isinstance(dataset.source, Tfds):
            splits = found.setdefault(dataset.source.name, {})
            splits.update(dict.fromkeys(rule.split for rule in dataset.splits.values()))
    return {name: list(splits) for name, splits in found.items()}


def write_dataset(
    name: str, rows: Iterable[Mapping[str, Any]], splits: Iterable[str], data_dir: pathlib.Path
) -> pathlib.Path:
    """Write the same rows into every split and return the dataset's own directory."""
    rows = list(rows)
    return write_splits(name, dict.fromkeys(splits, rows), data_dir)


def write_splits(name: str, rows: Mapping[str, Iterable[Mapping[str, Any]]], data_dir: pathlib.Path) -> pathlib.Path:
    """Write the rows of every split and return the dataset's own directory."""
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=str(data_dir))
    directory = pathlib.Path(builder.data_path)
    directory.mkdir(parents=True)
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=SHARD)
    writer.initialize_splits(list(rows))
    writer.add_examples({split: list(of_split) for split, of_split in rows.items()})
    writer.close_all()
    return directory
