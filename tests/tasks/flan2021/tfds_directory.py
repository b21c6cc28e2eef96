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
    import tensorflow_datasets as tfds

    builder = tfds.builder(name, data_dir=str(data_dir))
    directory = pathlib.Path(builder.data_path)
    directory.mkdir(parents=True)
    splits, rows = list(splits), list(rows)
    writer = tfds.core.SequentialWriter(builder.info, max_examples_per_shard=SHARD)
    writer.initialize_splits(splits)
    writer.add_examples(dict.fromkeys(splits, rows))
    writer.close_all()
    return directory
