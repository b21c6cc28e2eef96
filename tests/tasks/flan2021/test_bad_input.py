"""Data that are not what they should be: every error names dataset, split and row, or file and record."""

import json
import pathlib
import shutil
from collections.abc import Callable

import pytest

from flan_jax.data.manifest import TextManifest
from flan_jax.data.prepare import PrepareConfig, PrepareFailed, prepare
from flan_jax.data.store import Store, StoreMismatch
from flan_jax.data.task import Rendered
from tasks import get_task
from tasks.reading import DatasetMissing, DatasetVersionMissing, RecordsMissing, SchemaChanged
from tasks.registry import RowError, SplitMissing
from tasks.tfrecord import CorruptRecords, masked_crc32c

RTE = "super_glue/rte/1.0.2"


@pytest.fixture
def data_dir(made_up, tmp_path) -> Callable[..., pathlib.Path]:
    """A data directory with some datasets of the made-up one, to be damaged."""

    def copy(*names: str) -> pathlib.Path:
        for name in names:
            shutil.copytree(made_up / name, tmp_path / "data" / name)
        return tmp_path / "data"

    return copy


def rendered(name: str, data_dir: pathlib.Path, split: str = "train") -> list[Rendered]:
    return [row for row in get_task(name, data_dir=str(data_dir)).render(split, (0,), 0) if isinstance(row, Rendered)]


def edit(path: pathlib.Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def schema(path: pathlib.Path, change: Callable[[dict], None]) -> None:
    edit(path / "features.json", lambda content: change(content["featuresDict"]["features"]))


def first_file(path: pathlib.Path, split: str) -> pathlib.Path:
    return min(path.glob(f"*-{split}.tfrecord*"))


# ---- schema ----------------------------------------------------------------------------------------------------------


def test_renamed_field(data_dir):
    directory = data_dir(RTE)
    schema(directory / RTE, lambda features: features.update(claim=features.pop("hypothesis")))
    with pytest.raises(
        RowError, match=r"rte \(super_glue/rte:1.0.2, split train, row 0\): the row has no 'hypothesis'; it has .*claim"
    ):
        rendered("rte", directory)


def test_missing_field_within_another(data_dir):
    directory = data_dir("openbookqa/0.1.0")
    schema(
        directory / "openbookqa/0.1.0",
        lambda features: features["question"]["featuresDict"]["features"].pop("choice_C"),
    )
    with pytest.raises(RowError, match=r"openbookqa \(.*split test, row 0\): the row has no 'choice_C'"):
        rendered("openbookqa", directory, "test")


def test_field_that_the_records_do_not_have(data_dir):
    """As if records of an older version lay beside a newer description."""
    directory = data_dir("cnn_dailymail/3.4.0")
    schema(directory / "cnn_dailymail/3.4.0", lambda features: features.update(highlights=features["article"]))
    for path in (directory / "cnn_dailymail/3.4.0").glob("*.tfrecord*"):
        rewrite(path, lambda record: record.replace(b"highlights", b"highlightz"))
    with pytest.raises(
        RowError, match=r"cnn_dailymail \(.*, split train, row 0\): field 'highlights' has 0 values instead of one"
    ):
        rendered("cnn_dailymail", directory)


def test_number_where_text_is_expected(data_dir):
    directory = data_dir("glue/sst2/2.0.0")
    schema(directory / "glue/sst2/2.0.0", lambda features: features.update(sentence=features["idx"]))
    with pytest.raises(RowError, match=r"sst2 \(glue/sst2:2.0.0, split train, row 0\): "):
        rendered("sst2", directory)


# ---- labels ----------------------------------------------------------------------------------------------------------


def relabelled(path: pathlib.Path, names: list[str]) -> None:
    (path / "label.labels.txt").write_text("".join(f"{name}\n" for name in names))
    schema(path, lambda features: features["label"]["classLabel"].update(numClasses=str(len(names))))


def test_class_names_in_another_order(data_dir):
    directory = data_dir(RTE)
    relabelled(directory / RTE, ["not_entailment", "entailment"])
    with pytest.raises(SchemaChanged, match=r"rte/1.0.2.*classes of 'label' are not_entailment, entailment; the opt"):
        rendered("rte", directory)


def test_a_class_too_many(data_dir):
    directory = data_dir("snli/1.1.0")
    relabelled(directory / "snli/1.1.0", ["entailment", "neutral", "contradiction", "unsure"])
    with pytest.raises(SchemaChanged, match=r"snli.*are entailment, neutral, contradiction, unsure"):
        rendered("snli", directory)


def test_label_field_is_gone(data_dir):
    directory = data_dir(RTE)
    schema(directory / RTE, lambda features: features.pop("label"))
    with pytest.raises(SchemaChanged, match=r"super_glue/rte/1.0.2.* has no field 'label'; it has [a-z, ]*premise"):
        rendered("rte", directory)


def test_unknown_label_number(data_dir):
    """Class names are as they should be, but a record holds the number of none of them."""
    directory = data_dir("wsc273/1.0.0")
    path = first_file(directory / "wsc273/1.0.0", "test")
    rewrite(path, lambda record: record.replace(LABEL + b"\x01", LABEL + b"\x07"))
    with pytest.raises(RowError, match=r"wsc273 \(wsc273:1.0.0, split test, row 1\): label 7 is not one of the 2 opt"):
        rendered("wsc273", directory, "test")


LABEL = b"\n\x05label\x12\x05\x1a\x03\n\x01"
"""How a record of `wsc273` holds its label, but for the last byte, which is the label."""


def rewrite(path: pathlib.Path, change: Callable[[bytes], bytes]) -> None:
    """Change every record of a file and write it with right lengths and checksums."""
    from tasks.tfrecord import read_records

    with path.open("rb") as file:
        count = len(path.read_bytes())
        records = []
        while file.tell() < count:
            records += read_records(file, str(path), 0, 1)
    changed = [*map(change, records)]
    assert changed != records
    lengths = [len(record).to_bytes(8, "little") for record in changed]
    checks = [int(crc).to_bytes(4, "little") for crc in masked_crc32c(lengths + changed)]
    parts = zip(lengths, checks[: len(changed)], changed, checks[len(changed) :], strict=True)
    path.write_bytes(b"".join(map(b"".join, parts)))


# ---- versions and files ----------------------------------------------------------------------------------------------


def test_directory_of_another_version(data_dir):
    directory = data_dir(RTE)
    (directory / RTE).rename(directory / "super_glue/rte/1.0.1")
    with pytest.raises(DatasetVersionMissing, match=r"wanted in version 1\.0\.2; versions in .*: 1\.0\.1\."):
        rendered("rte", directory)


def test_older_version_with_the_same_fields_is_read_and_named(data_dir):
    directory = data_dir("winogrande/1.2.0")
    newer = get_task("winogrande", data_dir=str(directory))
    whole = rendered("winogrande", directory)
    (directory / "winogrande/1.2.0").rename(directory / "winogrande/1.1.0")
    edit(directory / "winogrande/1.1.0/dataset_info.json", lambda info: info.update(version="1.1.0"))
    older = get_task("winogrande", data_dir=str(directory))
    assert rendered("winogrande", directory) == whole
    assert (newer.source, older.source) == ("winogrande:1.2.0", "winogrande:1.1.0")
    assert newer.source_digest != older.source_digest and newer.fingerprint == older.fingerprint


def test_nothing_there(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", "/elsewhere")
    with pytest.raises(DatasetMissing, match=rf"squad/v1.1:3.0.0 is not in {tmp_path}") as missing:
        rendered("squad_v1", tmp_path)
    assert missing.value.build == (f"tfds build {{}} --data_dir={tmp_path}", "squad/v1.1:3.0.0")
    assert "not set" not in str(missing.value)
    monkeypatch.delenv("TFDS_DATA_DIR")
    with pytest.raises(DatasetMissing, match=r"export TFDS_DATA_DIR=\S+ +# it is not set now"):
        rendered("squad_v1", tmp_path)


def test_missing_file(data_dir):
    directory = data_dir(RTE)
    path = first_file(directory / RTE, "train")
    path.unlink()
    with pytest.raises(RecordsMissing, match=rf"{path} is not there, though .*/super_glue/rte/1.0.2 tells of it"):
        rendered("rte", directory)
    assert rendered("rte", directory, "test")  # of other files


def test_missing_split(data_dir):
    directory = data_dir(RTE)
    edit(directory / RTE / "dataset_info.json", lambda info: info.update(splits=info["splits"][:1]))
    with pytest.raises(SplitMissing, match=r"super_glue/rte:1.0.2 in .* has no split 'validation'; it has train"):
        rendered("rte", directory, "test")


# ---- records ---------------------------------------------------------------------------------------------------------


def test_changed_byte(data_dir):
    directory = data_dir(RTE)
    path = max((directory / RTE).glob("*-train.tfrecord*"))  # rows 4 and 5, held out for validation
    content = bytearray(path.read_bytes())
    content[-20] ^= 1
    path.write_bytes(content)
    where = rf"super_glue/rte/1.0.2, split train, {path} \(its record 0 is row 4\): the checksum of record 1 is wrong"
    with pytest.raises(CorruptRecords, match=where):
        rendered("rte", directory, "validation")
    assert rendered("rte", directory)  # of the other file


def test_cut_file(data_dir):
    directory = data_dir(RTE)
    path = first_file(directory / RTE, "train")
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(CorruptRecords, match=rf"rte/1.0.2, split train, {path} .* ends within record 3"):
        rendered("rte", directory)


def test_whole_record_that_is_no_example(data_dir):
    directory = data_dir(RTE)
    path = first_file(directory / RTE, "validation")
    rewrite(path, lambda record: b"\xff" * 20)
    with pytest.raises(CorruptRecords, match=rf"split validation, {path} .*: record 0 is no tf.train.Example"):
        rendered("rte", directory, "test")


def test_text_that_is_not_utf8(data_dir):
    directory = data_dir(RTE)
    rewrite(first_file(directory / RTE, "train"), lambda record: record.replace(b"Vaasa", b"Va\xffsa"))
    with pytest.raises(RowError, match=r"rte \(.*, split train, row 0\): 'utf-8' codec can't decode byte 0xff"):
        rendered("rte", directory)


# ---- what becomes of a store -----------------------------------------------------------------------------------------


@pytest.fixture
def prepared(data_dir, tmp_path, monkeypatch) -> tuple[pathlib.Path, PrepareConfig]:
    directory = data_dir(RTE, "glue/sst2/2.0.0")
    monkeypatch.setenv("TFDS_DATA_DIR", str(directory))
    config = PrepareConfig(("rte", "sst2"), str(tmp_path / "store"), "bytes", tasks="tasks", processes=1)
    prepare(config)
    return directory, config


def made(config: PrepareConfig) -> dict[tuple[str, str], str]:
    return {(split.text.task, split.text.split): split.made for split in prepare(config).splits if split.made}


def shrink(info: dict) -> None:
    """The first split has its first file only."""
    info["splits"][0].update(shardLengths=info["splits"][0]["shardLengths"][:1], numBytes="1")


def test_bad_data_leave_the_older_split_and_the_other_datasets(prepared):
    directory, config = prepared
    before: TextManifest = Store(config.store).text_manifest("rte", "train")
    schema(directory / RTE, lambda features: features.pop("premise"))
    edit(directory / RTE / "dataset_info.json", shrink)
    message = r"(?s)3 of the splits.*rte/train: rte \(super_glue/rte:1.0.2, split train, row 0\): .*no 'premise'"
    with pytest.raises(PrepareFailed, match=message):
        prepare(config)
    assert Store(config.store).text_manifest("rte", "train") == before
    assert Store(config.store).text_manifest("sst2", "train").kept == 4


def test_other_rows_in_the_data_directory_are_noticed(prepared):
    directory, config = prepared
    assert made(config) == {}
    edit(directory / RTE / "dataset_info.json", shrink)
    with pytest.raises(StoreMismatch, match=r"(?s)text/rte/train was rendered .*other rows of super_glue/rte:1.0.2"):
        Store(config.store).check(get_task("rte"), "train")
    Store(config.store, accept_stale=True).check(get_task("rte"), "train")
    assert made(config) == {("rte", split): "the source's rows changed" for split in ("train", "validation", "test")}
    Store(config.store).check(get_task("rte"), "train")
    assert made(config) == {}


def test_a_store_is_used_where_the_data_are_not(prepared, monkeypatch, tmp_path):
    _, config = prepared
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "nowhere"))
    assert get_task("rte").source_digest == ""
    Store(config.store).check(get_task("rte"), "train")
    assert made(config) == {}
