"""Reading TFRecord without TensorFlow: the same records as TensorFlow wrote, and nothing that it did not."""

import importlib
import io
import pathlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.tfrecord import CorruptRecords, crc32c, masked_crc32c, read_records


def written(records: list[bytes]) -> bytes:
    lengths = [struct.pack("<Q", len(record)) for record in records]
    parts = zip(lengths, masked_crc32c(lengths), records, masked_crc32c(records), strict=True)
    return b"".join(n + struct.pack("<I", a) + r + struct.pack("<I", b) for n, a, r, b in parts)


def test_published_checksums():
    """RFC 3720, appendix B.4, and the usual check value."""
    vectors = {
        b"\0" * 32: 0x8A9136AA,
        b"\xff" * 32: 0x62A8AB43,
        bytes(range(32)): 0x46DD794E,
        b"123456789": 0xE3069283,
        b"": 0,
    }
    assert crc32c(list(vectors)).tolist() == list(vectors.values())


@given(records=st.lists(st.binary(max_size=50), max_size=8))
def test_checksum_of_a_record_does_not_depend_on_its_company(records: list[bytes]):
    assert crc32c(records).tolist() == [crc32c([record]).item() for record in records]


def byte_by_byte(record: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in record:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_checksums_of_records_of_every_length_about_the_blocks():
    random = np.random.default_rng(0)
    records = [random.bytes(size) for size in (*range(9), *range(250, 264), *range(508, 517), 1024, 5000, 70_001)]
    assert crc32c(records).tolist() == list(map(byte_by_byte, records))


@settings(max_examples=30)
@given(records=st.lists(st.binary(max_size=50), max_size=12), data=st.data())
def test_any_range_can_be_read(records: list[bytes], data: st.DataObject):
    start = data.draw(st.integers(0, len(records)))
    stop = data.draw(st.integers(start, len(records)))
    assert list(read_records(io.BytesIO(written(records)), "f", start, stop)) == records[start:stop]


def test_more_records_than_are_checked_together():
    records = [str(i).encode() * (i % 7) for i in range(3000)]
    assert list(read_records(io.BytesIO(written(records)), "f", 5, 2999)) == records[5:2999]


def test_long_records_are_checked_a_few_at_a_time(monkeypatch):
    monkeypatch.setattr("tasks.tfrecord.BYTES_TOGETHER", 1000)
    records = [bytes([i]) * (i * 97 % 2000) for i in range(60)]
    content = bytearray(written(records))
    assert list(read_records(io.BytesIO(bytes(content)), "f", 2, 59)) == records[2:59]
    content[-10] ^= 1
    with pytest.raises(CorruptRecords, match="f: the checksum of record 59 is wrong"):
        list(read_records(io.BytesIO(bytes(content)), "f", 0, 60))


@pytest.mark.parametrize("place", [0, 3, 9, 12, 15, 17, 20])
def test_a_changed_byte_is_found_and_named(place: int):
    content = bytearray(written([b"first", b"second", b"third"]))
    content[place + 21] ^= 4  # within the second record
    with pytest.raises(CorruptRecords, match=r"f.* record 1"):
        list(read_records(io.BytesIO(bytes(content)), "f", 0, 3))


@pytest.mark.parametrize("cut", [1, 4, 9, 20])
def test_a_file_cut_short_is_found(cut: int):
    content = written([b"first", b"second", b"third"])
    with pytest.raises(CorruptRecords, match=r"f ends (within|before) record 2"):
        list(read_records(io.BytesIO(content[:-cut]), "f", 0, 3))
    assert list(read_records(io.BytesIO(content[:-cut]), "f", 0, 2)) == [b"first", b"second"]


def test_tensorflow_writes_what_is_read(tmp_path: pathlib.Path):
    tf = importlib.import_module("tensorflow")
    records = [np.random.default_rng(i).bytes(37 * i) for i in range(40)]
    with tf.io.TFRecordWriter(str(tmp_path / "f")) as writer:
        for record in records:
            writer.write(record)
    assert (tmp_path / "f").read_bytes() == written(records)
    with (tmp_path / "f").open("rb") as file:
        assert list(read_records(file, "f", 0, 40)) == records
