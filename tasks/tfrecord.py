"""TFRecord files read without TensorFlow, whose import costs three seconds and half a gigabyte in every worker.

A record is its length (8 bytes, little-endian), a checksum of that, the data, a checksum of them (4 bytes each).  The
checksum is CRC-32C, masked; that of the data is computed for many records at once.
"""

import struct
from collections.abc import Iterator, Sequence
from typing import BinaryIO

import numpy as np

from flan_jax.errors import FlanJaxError

CHECKED_TOGETHER = 1024  # records, or so many that they come to
BYTES_TOGETHER = 1 << 22
_BLOCK = 256  # bytes
_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_MASK = 0xA282EAD8


def _table_entry(byte: int) -> int:
    for _ in range(8):
        byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_TABLE = [_table_entry(byte) for byte in range(256)]


def _after_zeros(crc: np.ndarray, count: int) -> np.ndarray:
    """What registers, uint32 [N], become after `count` zero bytes."""
    table = np.array(_TABLE, np.uint32)
    for _ in range(count):
        crc = table[crc & 0xFF] ^ (crc >> 8)
    return crc


_TWO_BYTES = _after_zeros(np.arange(1 << 16, dtype=np.uint32), 2)
_BLOCK_LATER = [_after_zeros(np.arange(256, dtype=np.uint32) << np.uint32(8 * byte), _BLOCK) for byte in range(4)]


class CorruptRecords(FlanJaxError):
    """A TFRecord file that ends too early or whose bytes are not those written; names file and record."""


def read_records(file: BinaryIO, name: str, start: int, stop: int) -> Iterator[bytes]:
    """The data of records start <= i < stop, checked.  Raises CorruptRecords; `name` is the file's, for its message."""
    for number in range(start):
        file.seek(_length(file, name, number) + _FOOTER.size, 1)
    number = start
    while number < stop:
        records, checksums, size = [], [], 0
        while number + len(records) < stop and len(records) < CHECKED_TOGETHER and size < BYTES_TOGETHER:
            length = _length(file, name, number + len(records))
            data = file.read(length + _FOOTER.size)
            if len(data) < length + _FOOTER.size:
                raise CorruptRecords(f"{name} ends within record {number + len(records)}; prepare this dataset again")
            records.append(data[:length])
            checksums.extend(_FOOTER.unpack(data[length:]))
            size += length
        wrong = np.flatnonzero(masked_crc32c(records) != np.array(checksums, np.uint32))
        if wrong.size:
            raise CorruptRecords(
                f"{name}: the checksum of record {number + wrong[0]} is wrong; prepare this dataset again"
            )
        yield from records
        number += len(records)


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

    A register that starts at 0 stays so over leading zero bytes, and one that starts with all bits set is one that
    starts at 0 before four inverted bytes.  So records are filled up in front to whole blocks; the blocks of all of
    them run through side by side, two bytes at a time, and those of a record are then joined: a register a block later
    is a linear function of what it was.
    """
    lengths = np.fromiter(map(len, records), np.int64, len(records))
    blocks = np.maximum(-(-lengths // _BLOCK), 1)
    ends = np.cumsum(blocks)
    data = np.zeros(int(blocks.sum()) * _BLOCK, np.uint8)
    for record, end in zip(records, (ends * _BLOCK).tolist(), strict=True):
        data[end - len(record) : end] = np.frombuffer(record, np.uint8)
    for place in range(4):
        data[(ends * _BLOCK - lengths + place)[place < lengths]] ^= 0xFF
    crc = np.zeros(len(data) // _BLOCK, np.uint32)
    for pair in np.ascontiguousarray(data.view("<u2").reshape(-1, _BLOCK // 2).T):
        crc = _TWO_BYTES[(crc ^ pair) & 0xFFFF] ^ (crc >> 16)
    whole = _joined(crc, ends - blocks, blocks)
    inverted_after_the_end = np.uint64(0xFFFFFFFF) >> (8 * np.minimum(lengths, 4)).astype(np.uint64)
    return ~(whole ^ inverted_after_the_end.astype(np.uint32))


def _joined(crc: np.ndarray, first: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """The registers of records, uint32 [N], from those of their blocks: `blocks` many from `first` on.

    Records with the most blocks come first, so that those which still have one are always a prefix.
    """
    order = np.argsort(-blocks, kind="stable")
    whole = crc[first[order]]
    for number in range(1, int(blocks.max(initial=1))):
        count = np.searchsorted(-blocks[order], -number, side="left")
        part = whole[:count]
        later = np.bitwise_xor.reduce([table[(part >> (8 * byte)) & 0xFF] for byte, table in enumerate(_BLOCK_LATER)])
        whole[:count] = later ^ crc[first[order[:count]] + number]
    result = np.empty_like(whole)
    result[order] = whole
    return result
