"""Drawing rows so that splits are disjoint: a row belongs to the split that its key hashes to, whoever draws it.

Two datasets that tell the same story therefore put it into the same split, and no document tells a story that some
dataset tests.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from ..dataset import Generated

VERSION = "1"
SIZES = {"train": 2000, "validation": 100, "test": 200}

Example = tuple[str, dict[str, Any]]
"""A row's key (what must not be shared between splits) and the row."""


def split_of(key: str) -> str:
    """The split a key belongs to: 15% test, 10% validation, 75% train."""
    bucket = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little") % 100
    return "test" if bucket < 15 else "validation" if bucket < 25 else "train"


def generated(name: str, draw: Callable[[Random], Example], sizes: Mapping[str, int]) -> Generated:
    """A source whose split holds the first sizes[split] different rows that `draw` makes for it.

    Fewer when the world has no more: drawing stops after many repetitions in a row.
    """

    def rows(split: str) -> Iterator[dict[str, Any]]:
        random = Random(f"{name}/{split}/{VERSION}")  # a str seed goes through SHA-512: the same on every platform
        seen: set[str] = set()
        misses = 0
        while len(seen) < sizes[split] and misses < 3000:
            key, row = draw(random)
            text = repr(sorted(row.items()))
            if split_of(key) != split or text in seen:
                misses += 1
                continue
            seen.add(text)
            misses = 0
            yield row

    return Generated(rows=rows, version=VERSION)
