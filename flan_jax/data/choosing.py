"""Which examples of a split are kept where a cap is set, and what becomes of the others: the same however it is read.

Examples are considered by the hash of their ids, lowest first, until as many are kept as the cap allows; those dropped
on the way count under their reasons, and all others as beyond the cap.  So neither order, nor seed, nor the parts that
a split is read in have a say, and an example stays chosen when others are added.
"""

import collections
import dataclasses
import heapq
from collections.abc import Iterable, Sequence
from typing import Any

import xxhash

from flan_jax.data.task import BEYOND_CAP, Rendered

EVERY_HASH = 2**64


def example_hash(task: str, example_id: str) -> int:
    """In [0, 2**64), the same for ever: decides who is chosen when not all are."""
    return xxhash.xxh3_64_intdigest(f"{task}\0{example_id}".encode())


class Lowest:
    """The `cap` examples offered whose ids hash lowest."""

    def __init__(self, cap: int, task: str):
        self._cap, self._task = cap, task
        self._heap: list[tuple[int, int, list[Rendered]]] = []

    @property
    def limit(self) -> int:
        """No example with this hash or a higher one can be chosen any more."""
        return EVERY_HASH if len(self._heap) < self._cap else 1 - self._heap[0][0]

    def wants(self, example_id: str) -> bool:
        return example_hash(self._task, example_id) < self.limit

    def offer(self, position: int, rows: list[Rendered]) -> None:
        entry = (-example_hash(self._task, rows[0].example_id), -position, rows)
        if len(self._heap) < self._cap:
            heapq.heappush(self._heap, entry)
        else:
            heapq.heappushpop(self._heap, entry)

    def chosen(self) -> list[list[Rendered]]:
        """The rows of each, in the order of their positions."""
        return [rows for _, _, rows in sorted(self._heap, key=lambda entry: -entry[1])]


@dataclasses.dataclass
class Counts:
    """What became of a split's source examples, and of the rows of those that were kept.

    Under a cap `notes` holds (hash of the example, of a row only?, reason) until it is known which were considered.
    """

    seen: int = 0
    kept: int = 0
    dropped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    rows_dropped: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    notes: list[tuple[int, bool, str]] = dataclasses.field(default_factory=list)

    def drop(self, reasons: Iterable[str], of_rows: bool) -> None:
        (self.rows_dropped if of_rows else self.dropped).update(reasons)

    def note(self, example: int, reasons: Sequence[str], of_rows: bool) -> None:
        self.notes += [(example, of_rows, reason) for reason in reasons if reason != BEYOND_CAP]

    def settle(self, limit: int) -> None:
        """Count what was noted of the examples that were considered, those whose hash is below `limit`."""
        for example, of_rows, reason in self.notes:
            if example < limit:
                self.drop([reason], of_rows)
        self.notes = []
        if beyond := self.seen - self.kept - self.dropped.total():
            self.dropped[BEYOND_CAP] = beyond

    def as_json(self, limit: int) -> dict[str, Any]:
        """What another machine needs to add these counts to its own; notes only as far as they can still count."""
        return vars(self) | {"notes": [note for note in self.notes if note[0] < limit]}

    def add(self, other: dict[str, Any]) -> None:
        self.seen += other["seen"]
        self.kept += other["kept"]
        self.dropped.update(other["dropped"])
        self.rows_dropped.update(other["rows_dropped"])
        self.notes += [(example, of_rows, reason) for example, of_rows, reason in other["notes"]]
