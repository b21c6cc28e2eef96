"""Which rows ask the same: by the fields that templates show, and by the inputs where no fields are told."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flan_jax.data.manifest import FORMAT
from flan_jax.data.questions import question_hashes, same_questions
from flan_jax.data.store import Store
from flan_jax.data.task import Rendered
from flan_jax.data.text_layer import write_text
from tests.data import toy_tasks

ROW = {"text": "A cat  sat.", "other": "x", "answer": "yes"}


def test_only_the_fields_that_are_shown_count():
    one = question_hashes([("text",), ("other",)], "1: A cat sat.", ROW)
    assert len(one) == 2 and len({*one}) == 2
    assert question_hashes([("text",), ("other",)], "2: A cat sat?", {**ROW, "answer": "no"}) == one
    assert question_hashes([("text",), ("other",)], "", {**ROW, "other": "y"})[0] == one[0]
    assert question_hashes([("text", "other")], "", ROW) != question_hashes([("other", "text")], "", ROW)


@pytest.mark.parametrize("same", ["a CAT sat.", " A cat\nsat. ", "Ａ cat sat."])
def test_case_white_space_and_width_make_no_difference(same: str):
    assert question_hashes([("text",)], "", ROW) == question_hashes([("text",)], "", {"text": same})
    assert question_hashes([("text",)], "", ROW) != question_hashes([("text",)], "", {"text": same + "!"})


def test_without_fields_the_inputs_tell():
    assert question_hashes([], "Is it so?", {}) == question_hashes([], "is it  so?", ROW)
    assert question_hashes([], "Is it so?", {}) != question_hashes([], "Is it not so?", {})


def test_the_hashes_are_those_that_stores_hold():
    """If this fails, prepared stores hold other hashes than are made now: raise FORMAT in flan_jax/data/manifest.py."""
    assert (FORMAT, question_hashes([("text", "other")], "", ROW)) == (2, [17215574967780783435])


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=25))
def test_rows_that_share_a_number_or_a_neighbour_are_one_question(rows: list[tuple[int, int]]):
    found = same_questions(np.asarray(rows, np.uint64).reshape(len(rows), 2))
    reached = {i: {i} for i in range(len(rows))}  # by hand: all that can be reached by steps of a shared number
    for _ in rows:
        for i, here in enumerate(rows):
            near = {j for j, there in enumerate(rows) if any(a == b for a, b in zip(here, there, strict=True))}
            reached[i] |= near | set().union(*(reached[j] for j in near))
    for i in range(len(rows)):
        assert {j for j in range(len(rows)) if found[j] == found[i]} == reached[i]


def test_the_text_layer_has_the_hashes_of_every_row(tmp_path):
    task = toy_tasks.classification("a")
    rows = [row for row in task.render("test", "forward", 0) if isinstance(row, Rendered) and row.targets]
    for fields in ((), (("text",),)):
        known = dataclasses.replace(task, question_fields=fields)
        request = {"fingerprint": "", "templates": "forward", "seed": None, "eval_examples": None, "source_digest": ""}
        write_text(Store(tmp_path), known, "test", request)
        stored = Store(tmp_path).open_text("a", "test")["question"].to_pylist()
        assert stored == [question_hashes(fields, row.inputs, row.fields) for row in rows]
        texts = {tuple(one) for one in stored}
        assert len(texts) == len({row.fields["text"] if fields else row.inputs for row in rows})
