"""Which rows of a source make our train, validation and test: FLAN's rules, as data.

FLAN trains on at most 30,000 examples a dataset and keeps 200 for choosing a template (paper, section 2.1).  Where the
official test labels are hidden, the official validation serves as test and the last rows of train as validation.
"""

import dataclasses
from collections.abc import Mapping, Sequence

CAP = 30_000
VALIDATION = 200


@dataclasses.dataclass(frozen=True)
class Rows:
    """rows[start:stop] of one split of the source, with Python's meaning of negative and absent bounds.

    of: the bounds are meant for a split of at least so many rows; in a smaller one they shrink in proportion.
    """

    split: str
    start: int | None = None
    stop: int | None = None
    of: int | None = None


@dataclasses.dataclass(frozen=True)
class RowRange:
    """The rows start <= row < stop of one split of the source, after the rule has met its true size."""

    split: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def part(self, start: int, stop: int | None) -> "RowRange":
        """Rows start <= i < stop of these, as far as there are so many."""
        last = self.stop if stop is None else min(self.start + stop, self.stop)
        return RowRange(self.split, min(self.start + start, last), last)


def official(train: int = CAP, validation: int = VALIDATION) -> dict[str, Rows]:
    """All three splits have labels: the first rows of train and of validation, and the whole test."""
    return {"train": Rows("train", 0, train), "validation": Rows("validation", 0, validation), "test": Rows("test")}


def held_out_labels(
    train: int = CAP, validation: int = VALIDATION, test: str = "validation", source: str = "train"
) -> dict[str, Rows]:
    """Test labels are hidden: the official split `test` is the test, and the last rows of train are the validation."""
    return {"train": Rows(source, 0, train), "validation": Rows(source, -validation), "test": Rows(test)}


def resolve(rules: Mapping[str, Rows], sizes: Mapping[str, int]) -> dict[str, RowRange]:
    """The rows of each of our splits, given the true sizes of the source's splits.

    A prepared directory may hold less than the rule was written for (and TFDS does not clip slices): bounds are clipped
    to the split; rows counted from the end are at most a third of the split; train gives up what another split takes.
    Of a split with 30 rows or more all of ours get some, those that shrink with it too; a single row is trained on.
    Our splits whose source split is absent are left out.  The result is disjoint.
    """
    ranges = {}
    for ours, rule in rules.items():
        if rule.split in sizes:
            size = sizes[rule.split]
            beside = [other for other in rules.values() if other.split == rule.split]
            start, stop, _ = slice(*_bounds(rule, size, beside)).indices(size)
            of_train = ours != "train" and rules.get("train") in beside
            if of_train and size == 1:
                start = stop  # the only row is trained on
            elif of_train and rule.of is not None:
                start = min(start, max(0, stop - 1))  # shrunk to nothing, it still takes train's last row
            ranges[ours] = RowRange(rule.split, start, max(start, stop))
    train = ranges.get("train")
    for ours, held in ranges.items():
        if train is not None and ours != "train" and held.split == train.split:
            start, stop = train.start, train.stop
            if start < held.stop and held.start < stop:  # they overlap: keep what lies before, or else what lies after
                start, stop = (start, held.start) if start < held.start else (held.stop, max(stop, held.stop))
            ranges["train"] = train = RowRange(train.split, start, stop)
    return ranges


def _bounds(rule: Rows, size: int, beside: Sequence[Rows]) -> tuple[int | None, int | None]:
    """A rule's bounds in a split of this size; `beside` are all rules that take rows from it."""
    if rule.of is not None:
        scale = min(1.0, size / rule.of)
    else:
        bounds = [bound for other in beside for bound in (other.start, other.stop) if bound is not None]
        tail = max(0, *(-bound for bound in bounds)) if bounds else 0
        scale = min(1.0, max(1, size // 3) / tail) if tail else 1.0

    def shrunk(bound: int | None) -> int | None:
        """Brought nearer to the end it is counted from; to the start only where the rule says what it is meant for."""
        if bound is None or scale == 1.0:
            return bound
        return -max(1, int(-bound * scale)) if bound < 0 else int(bound * scale) if rule.of is not None else bound

    return shrunk(rule.start), shrunk(rule.stop)
