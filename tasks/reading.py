"""Rows of a prepared TFDS directory, read in the order of its files.

TFDS says what is there and where; records are read and decoded here, as protocol buffers: parsing example by example in
a tf.data graph, as TFDS does, costs several times more for short texts.  TensorFlow itself is imported only where a
dataset has to be prepared or its files are not TFRecord.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from flan_jax.data.task import SourceUnavailable
from flan_jax.errors import FlanJaxError

from .data_directory import data_directory, found_name
from .dataset import Row, Tfds
from .splits import RowRange
from .tfrecord import CorruptRecords, read_records


class DatasetMissing(SourceUnavailable):
    """The data are not where they are looked for: says where that is and how to get them there."""


class DatasetVersionMissing(SourceUnavailable):
    """The dataset is there, in other versions: names them."""


class ManualDownloadMissing(SourceUnavailable):
    """A dataset that TFDS cannot download: says what to put where."""


class SchemaChanged(FlanJaxError):
    """The source's label field is not the one that the options were written for."""


class RecordsMissing(SourceUnavailable):
    """The directory describes the dataset, but files with its records are not there: names the first."""


class UnsupportedFeature(FlanJaxError):
    """A feature of the TFDS dataset that is neither text nor a number nor a list of those."""


def open_builder(source: Tfds, data_dir: str | None = None, download: bool = False) -> Any:
    """The TFDS builder of a prepared directory.  Downloads and prepares only when asked to.

    Raises DatasetMissing, DatasetVersionMissing or ManualDownloadMissing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow_datasets as tfds

    directory = data_directory(data_dir)
    name, _, version = source.name.partition(":")
    found = found_name(source, directory)
    nothing = "://" not in directory and not os.path.isdir(os.path.join(directory, found.replace(":", "/")))
    if nothing and not download and name.partition("/")[0] in tfds.list_builders(with_community_datasets=False):
        raise _missing(source, directory)  # asking the builder itself would import TensorFlow
    try:
        builder = tfds.builder(found, data_dir=directory)
    except AssertionError as error:  # neither prepared in this version nor offered in it by the installed TFDS
        raise _version_missing(name, version, directory, str(error)) from error
    except tfds.core.DatasetNotFoundError as error:
        raise DatasetMissing(f"TFDS knows no dataset {name!r}, and {directory} holds none of that name") from error
    if not builder.info.splits and download:
        builder.download_and_prepare()
    if not builder.info.splits:
        raise _missing(source, directory)
    return builder


def _missing(source: Tfds, directory: str) -> SourceUnavailable:
    name, _, version = source.name.partition(":")
    if source.manual:
        return ManualDownloadMissing(
            f"{source.name} is not in {directory}, and TFDS cannot download it.\n"
            f"  put {source.manual} into {os.path.join(directory, 'downloads', 'manual')},\n"
            f"  then:   tfds build {source.name} --data_dir={directory}"
        )
    if _versions(directory, name):
        return _version_missing(name, version, directory, "")
    unset = "" if os.environ.get("TFDS_DATA_DIR") else "   # it is not set now"
    build = f"tfds build {{}} --data_dir={directory}"
    missing = DatasetMissing(
        f"{source.name} is not in {directory}.\n"
        f"  prepare it there:     {build.replace('{}', source.name)}\n"
        f"  or say where it is:   export TFDS_DATA_DIR=/path/to/tensorflow_datasets{unset}"
    )
    missing.build = build, source.name
    return missing


def _versions(directory: str, name: str) -> list[str]:
    folder = os.path.join(directory, name)
    return sorted(d for d in os.listdir(folder) if d[:1].isdigit()) if os.path.isdir(folder) else []


def _version_missing(name: str, version: str, directory: str, reason: str) -> DatasetVersionMissing:
    present = ", ".join(_versions(directory, name)) or "none"
    return DatasetVersionMissing(
        f"{name} is wanted in version {version}; versions in {directory}: {present}.\n"
        f"  prepare the wanted one there:   tfds build {name}:{version} --data_dir={directory}"
        + (f"\n  TFDS says: {reason.splitlines()[0]}" if reason else "")
    )


def check_labels(builder: Any, field: str, names: tuple[str, ...]) -> None:
    """Raises SchemaChanged where a label field has other classes, or others in number or order, than `names`."""
    features = builder.info.features
    if field not in features:
        present = ", ".join(features)
        raise SchemaChanged(f"{builder.info.full_name} in {builder.data_path} has no field {field!r}; it has {present}")
    found = tuple(getattr(features[field], "names", ()))
    unnamed = tuple(map(str, range(len(names))))  # prepared without names: their number is all that can be checked
    if found not in (names, unnamed):
        raise SchemaChanged(
            f"{builder.info.full_name} in {builder.data_path}: the classes of {field!r} are "
            f"{', '.join(found) or 'none'}; the options were written for {', '.join(names)}.  "
            "Prepare the version that the catalogue names, or mend the dataset's labels and options in tasks/"
        )


def split_sizes(builder: Any) -> dict[str, int]:
    """Rows of every split of a prepared dataset."""
    return {name: info.num_examples for name, info in builder.info.splits.items()}


def read_rows(builder: Any, rows: RowRange) -> Iterator[Row]:
    """The rows of a range in the order of the split's files: text as str, labels and numbers as int or float.

    Raises UnsupportedFeature, CorruptRecords, RecordsMissing.
    """
    from google.protobuf.message import DecodeError
    from tensorflow_datasets.proto import tf_example_pb2

    example: Any = getattr(tf_example_pb2, "Example")  # noqa: B009 - made at run time, unknown to type checkers
    decode = feature_decoders(builder.info.features)
    info = builder.info.splits[rows.split]
    if missing := [str(path) for path in info.filepaths if not path.exists()]:
        yield from _rows_from_tfds(builder, rows, missing[0])
        return
    first = 0
    for path, length in zip(info.filepaths, info.shard_lengths, strict=True):
        start, stop = max(rows.start - first, 0), min(rows.stop - first, length)
        name = f"{builder.info.full_name}, split {rows.split}, {path} (its record 0 is row {first})"
        first += length
        if start >= stop:
            continue
        for number, record in enumerate(_records(builder.info.file_format, path, name, start, stop), start):
            try:
                features = example.FromString(record).features.feature
            except DecodeError as error:
                raise CorruptRecords(f"{name}: record {number} is no tf.train.Example ({error})") from error
            yield TfdsRow(features, decode)


def _rows_from_tfds(builder: Any, rows: RowRange, missing: str) -> Iterator[Row]:
    """What TFDS itself gives where there are no files to read: made-up rows within `tfds.testing.mock_data`."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    wanted = tfds.core.ReadInstruction(rows.split, from_=rows.start, to=rows.stop, unit="abs")
    try:
        for row in builder.as_dataset(split=wanted).as_numpy_iterator():
            yield _plain(row)
    except tf.errors.NotFoundError as error:
        raise RecordsMissing(
            f"{missing} is not there, though {builder.data_path} tells of it; copy it there or prepare the dataset anew"
        ) from error


def _plain(value: Any) -> Any:
    """A value of TFDS as `TfdsRow` has it."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, np.ndarray):
        return [_plain(inner) for inner in value]
    return value.decode("utf-8") if isinstance(value, bytes) else value.item()


def _records(file_format: Any, path: Any, name: str, start: int, stop: int) -> Iterator[bytes]:
    from tensorflow_datasets.core import file_adapters

    if file_format is file_adapters.FileFormat.TFRECORD:
        with path.open("rb") as file:
            yield from read_records(file, name, start, stop)
    else:
        dataset: Any = file_adapters.ADAPTER_FOR_FORMAT[file_format].make_tf_data(path)
        yield from dataset.skip(start).take(stop - start).as_numpy_iterator()


class TfdsRow(Mapping[str, Any]):
    """One decoded example.  A field is decoded when it is asked for: some datasets carry whole web pages along."""

    __slots__ = ("decoders", "features")

    def __init__(self, features: Any, decoders: Mapping[str, Callable[[Any], Any]]):
        self.features = features
        self.decoders = decoders

    def __getitem__(self, name: str) -> Any:
        return self.decoders[name](self.features)

    def __iter__(self) -> Iterator[str]:
        return iter(self.decoders)

    def __len__(self) -> int:
        return len(self.decoders)


def feature_decoders(features: Any) -> dict[str, Callable[[Any], Any]]:
    """Functions from the stored record to the value of each field, by the field's name."""
    return {name: _decoder(feature, name) for name, feature in features.items()}


def _decoder(feature: Any, path: str) -> Callable[[Any], Any]:
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        inner = {name: _decoder(child, f"{path}/{name}") for name, child in feature.items()}
        return lambda stored: {name: decode(stored) for name, decode in inner.items()}
    if isinstance(feature, tfds.features.Sequence):
        if isinstance(feature.feature, tfds.features.FeaturesDict):
            inner = {name: _values(child, f"{path}/{name}") for name, child in feature.feature.items()}
            return lambda stored: {name: decode(stored) for name, decode in inner.items()}
        return _values(feature.feature, path)
    values = _values(feature, path)

    def only(stored: Any) -> Any:
        found = values(stored)
        if len(found) != 1:
            raise ValueError(f"field {path!r} has {len(found)} values instead of one; was it written for this schema?")
        return found[0]

    return only


def _values(feature: Any, path: str) -> Callable[[Any], list[Any]]:
    """All values stored under one path, as a list."""
    import tensorflow_datasets as tfds

    if feature.shape != () or not isinstance(feature, tfds.features.Tensor):
        raise UnsupportedFeature(f"field {path!r} is a {feature}; only text, numbers and lists of them can be read")
    dtype: Any = feature.np_dtype
    kind = np.dtype(dtype).kind
    if kind == "O":
        return lambda stored: [value.decode("utf-8") for value in stored[path].bytes_list.value]
    if kind == "b":
        return lambda stored: [bool(value) for value in stored[path].int64_list.value]
    if kind in "iu":
        return lambda stored: list(stored[path].int64_list.value)
    return lambda stored: list(stored[path].float_list.value)
