"""The checksum that stores, plans and checkpoints are checked by: xxh3, 128 bits."""

from typing import Any, Protocol, runtime_checkable

import xxhash

READ_BYTES = 1 << 22


@runtime_checkable
class Openable(Protocol):
    """A path, local or in a bucket."""

    def open(self, mode: str, /) -> Any: ...


def file_xxh3(path: Openable) -> str:
    """32 hexadecimal digits over a file's bytes, read piece by piece.  Raises OSError."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
