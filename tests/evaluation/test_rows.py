import numpy as np
import pytest

from flan_jax.evaluation.rows import lay_out, pack, power_of_two, rows_for, width_for
from tests.evaluation.questions import make_request, random_requests


def test_a_question_shares_its_context_and_leaves_out_last_tokens():
    item = lay_out(make_request(context=(7, 8, 9), options=((1, 2, 3), (4,), (5, 6))))
    assert item.tokens.tolist() == [7, 8, 9, 1, 2, 5]
    assert item.positions.tolist() == [0, 1, 2, 3, 4, 3]
    assert item.branches.tolist() == [0, 0, 0, 1, 1, 3]
    assert item.columns.tolist() == [2, 3, 4, 5]
    assert item.slots.tolist() == [0, 1, 2, 0, 0, 3]
    assert item.targets.tolist() == [1, 2, 3, 4, 5, 6]
    assert item.options.tolist() == [0, 0, 0, 1, 2, 2]


@pytest.mark.parametrize("narrowest", [16, 64, 256])
def test_every_option_token_is_placed_once_behind_its_own_context(narrowest):
    requests = random_requests(40)
    first = np.cumsum([0] + [len(request.options) for request in requests])
    seen = np.zeros(first[-1], int)
    for batch in pack(requests, narrowest=narrowest, tokens_per_batch=1024):
        assert batch.tokens.shape[1] % narrowest == 0
        for r, s in np.argwhere(batch.option >= 0):
            option = batch.option[r, s]
            column = batch.columns[r, batch.slots[r, s]]
            question = int(np.searchsorted(first, option, side="right")) - 1
            tokens = requests[question].options[option - first[question]]
            context = requests[question].context
            index = batch.positions[r, column] + 1 - len(context)
            assert batch.targets[r, s] == tokens[index]
            same = (batch.segment_ids[r] == batch.segment_ids[r, column]) & (batch.branch_ids[r] == 0)
            np.testing.assert_array_equal(batch.tokens[r, same], context)
            seen[option] += 1
    np.testing.assert_array_equal(seen, [len(option) for request in requests for option in request.options])


def test_batches_are_well_filled_and_of_few_shapes():
    requests = random_requests(600, longest_option=3)
    batches = list(pack(requests, narrowest=256, tokens_per_batch=4096))
    assert sum(batch.questions for batch in batches) == 600
    assert np.mean([np.mean(batch.segment_ids > 0) for batch in batches]) > 0.85
    assert len({tuple(array.shape for array in batch[:-1]) for batch in batches}) <= 2


def test_rows_of_a_batch_are_even_shares():
    assert rows_for(33, 32, 1) == 20  # two batches of 20 rather than 32 and 1
    assert rows_for(5, 32, 1) == 8
    assert rows_for(64, 32, 1) == 32
    assert rows_for(7, 0, 4) == 4  # a batch is never empty, and devices get equal shares
    assert all(rows_for(rows, 24, 8) % 8 == 0 for rows in range(1, 100))


def test_widths_double_until_two_questions_fit():
    assert [width_for(length, 64) for length in (1, 32, 33, 100)] == [64, 64, 128, 256]
    assert [power_of_two(count) for count in (0, 1, 2, 3, 9)] == [1, 1, 2, 4, 16]
