"""TFRecord files read without TensorFlow, whose import costs three seconds and half a gigabyte in every worker.

A record is its length (8 bytes, little-endian), a checksum of that, the data, a checksum of them (4 bytes each).  The
checksum is CRC-32C, masked; that of the data is computed for many records at once, a column of bytes at a time.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from flan_jax.errors import FlanJaxError

CHECKED_TOGETHER = 1024
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK = 0xA282EAD8


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_table_entry(byte) for byte in range(256)]


class CorruptRecords(FlanJaxError):
    """A TFRecord file that ends too early or whose bytes are not those written; names file and record."""


def read_records(file: BinaryIO, name: str, start: int, stop: int) -> Iterator[bytes]:
    """The data of records start <= i < stop, checked.  Raises CorruptRecords; `name` is the file's, for its message."""
    for number in range(start):
        file.seek(_length(file, name, number) + _FOOTER.size, 1)
    for first in range(start, stop, CHECKED_TOGETHER):
        records, checksums = [], []
        for number in range(first, min(first + CHECKED_TOGETHER, stop)):
            length = _length(file, name, number)
            data = file.read(length + _FOOTER.size)
            if len(data) < length + _FOOTER.size:
                raise CorruptRecords(f"{name} ends within record {number}; prepare this dataset again")
            records.append(data[:length])
            checksums.extend(_FOOTER.unpack(data[length:]))
        wrong = np.flatnonzero(masked_crc32c(records) != np.array(checksums, np.uint32))
        if wrong.size:
            raise CorruptRecords(
                f"{name}: the checksum of record {first + wrong[0]} is wrong; prepare this dataset again"
            )
        yield from records


def _length(file: BinaryIO, name: str, number: int) -> int:
    """Read a record's header; checked at once, for a wrong length would be blamed on a later record."""
    header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        raise CorruptRecords(f"{name} ends before record {number}; prepare this dataset again")
    length, checksum = _HEADER.unpack(header)
    crc = 0xFFFFFFFF
    for byte in header[:8]:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    if (((crc >> 15) | (crc << 17)) + _MASK) & 0xFFFFFFFF != checksum:
        raise CorruptRecords(f"{name}: the length of record {number} is wrong; prepare this dataset again")
    return length


def masked_crc32c(records: Sequence[bytes]) -> np.ndarray:
    """TensorFlow's masked CRC-32C of every record, uint32 [N]: rotated right by 15 bits, plus a constant."""
    crc = crc32c(records)
    return ((crc >> 15) | (crc << 17)) + np.uint32(_MASK)


def crc32c(records: Sequence[bytes]) -> np.ndarray:
    """CRC-32C (Castagnoli, RFC 3720 appendix B.4) of every record, uint32 [N].

    Longest records first, so that those which still have a byte at a column are always a prefix.
    """
    table = np.array(_TABLE, np.uint32)
    lengths = np.fromiter(map(len, records), np.int64, len(records))
    order = np.argsort(-lengths, kind="stable")
    data = np.frombuffer(b"".join([records[i] for i in order]), np.uint8)
    ordered = lengths[order]
    starts = np.cumsum(ordered) - ordered
    columns = int(ordered[0]) if len(ordered) else 0
    active = len(ordered) - np.searchsorted(ordered[::-1], np.arange(columns), side="right")
    crc = np.full(len(records), 0xFFFFFFFF, np.uint32)
    for column, count in enumerate(active.tolist()):
        part = crc[:count]
        crc[:count] = table[(part ^ data[starts[:count] + column]) & 0xFF] ^ (part >> 8)
    result = np.empty_like(crc)
    result[order] = ~crc
    return result
