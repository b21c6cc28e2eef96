"""Split rules: FLAN's numbers on the true sizes, and disjoint on any size."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.splits import RowRange, Rows, held_out_labels, official, resolve

TEXT_FORMATTING = [
    {"train": Rows("train", start, start + 30_000), "validation": Rows("train", start + 30_000, start + 30_200),
     "test": Rows("train", -3000)}
    for start in (0, 30_200, 60_400)
]  # fmt: skip
"""Three tasks that share the rows of one split."""


@pytest.mark.parametrize("size", [30, 47, 500, 700, 20_000, 93_000, 2_414_895])
def test_tasks_that_share_a_split_stay_apart_at_any_size(size: int):
    tasks = [{ours: dataclasses.replace(rows, of=94_000) for ours, rows in task.items()} for task in TEXT_FORMATTING]
    taken = [rows for task in tasks for ours, rows in resolve(task, {"train": size}).items() if ours != "test"]
    assert all(len(rows) for rows in taken)
    numbers = [number for rows in taken for number in range(rows.start, rows.stop)]
    assert len(set(numbers)) == len(numbers)
    test = resolve(tasks[0], {"train": size})["test"]
    assert test.stop == size and test.start > max(numbers)


def test_capped_with_the_last_rows_held_out():
    ranges = resolve(held_out_labels(), {"train": 87_599, "validation": 10_570})
    assert ranges == {
        "train": RowRange("train", 0, 30_000),
        "validation": RowRange("train", 87_399, 87_599),
        "test": RowRange("validation", 0, 10_570),
    }


def test_train_smaller_than_the_cap_gives_up_what_validation_takes():
    ranges = resolve(held_out_labels(), {"train": 2_490, "validation": 277, "test": 3_000})
    assert ranges["train"] == RowRange("train", 0, 2_290)
    assert ranges["validation"] == RowRange("train", 2_290, 2_490)


def test_official_splits():
    ranges = resolve(official(), {"train": 610_320, "validation": 1_999, "test": 1_999})
    assert [len(ranges[split]) for split in ("train", "validation", "test")] == [30_000, 200, 1_999]


def test_split_that_is_not_prepared_is_left_out():
    assert set(resolve(official(), {"train": 10, "validation": 10})) == {"train", "validation"}


def test_three_parts_of_one_split():
    rules = {"train": Rows("train", 0, -600), "validation": Rows("train", -600, -500), "test": Rows("train", -500)}
    assert [len(r) for r in resolve(rules, {"train": 2_259}).values()] == [1_659, 100, 500]


@given(size=st.integers(3, 70_000), validation=st.integers(0, 500))
@pytest.mark.parametrize("rules", [
    official(), held_out_labels(), held_out_labels(validation=50), held_out_labels(test="train"),
    {"train": Rows("train", 0, -600), "validation": Rows("train", -600, -500), "test": Rows("train", -500)},
    {"train": Rows("train", 30_200, 60_200), "validation": Rows("train", 60_200, 60_400), "test": Rows("train", -3000)},
    {ours: dataclasses.replace(rows, of=94_000) for ours, rows in TEXT_FORMATTING[1].items()},
])  # fmt: skip
def test_disjoint_and_inside_at_any_size(rules: dict[str, Rows], size: int, validation: int):
    sizes = {"train": size, "validation": validation, "test": 100}
    ranges = resolve(rules, sizes)
    for ours, rows in ranges.items():
        assert 0 <= rows.start <= rows.stop <= sizes[rows.split]
        if ours != "train":
            train = ranges["train"]
            assert train.split != rows.split or not set(range(train.start, train.stop)) & set(
                range(rows.start, rows.stop)
            )


@pytest.mark.parametrize("size", [3, 10, 100, 599])
def test_small_directory_keeps_most_for_training(size: int):
    ranges = resolve(held_out_labels(), {"train": size})
    assert len(ranges["validation"]) == min(200, size // 3)
    assert len(ranges["train"]) == size - len(ranges["validation"])


@pytest.mark.parametrize("rules", [held_out_labels(test="test"), held_out_labels(validation=100)])
def test_a_single_row_is_trained_on(rules: dict[str, Rows]):
    ranges = resolve(rules, {"train": 1, "validation": 1, "test": 1})
    assert [len(ranges[split]) for split in ("train", "validation", "test")] == [1, 0, 1]
