import numpy as np

from flan_jax.evaluation.common_blocks import group_by_block
from tests.evaluation.questions import make_request


def _questions(*contexts):
    return [make_request(context) for context in contexts]


BEGIN, OTHER = list(range(1, 101)), list(range(200, 290))


def test_questions_that_begin_alike_are_one_group_in_any_order():
    asked = _questions(
        *([*BEGIN, 300 + i] for i in range(5)), *([*OTHER, 9, i] for i in range(4)), [5, 6], [*BEGIN[:60]]
    )
    for order in (range(len(asked)), np.random.default_rng(0).permutation(len(asked))):
        groups = group_by_block([asked[i] for i in order], worth=200)
        found = {tuple(group.block.tolist()): {int(order[i]) for i in group.members} for group in groups}
        assert found == {tuple(BEGIN): set(range(5)), (*OTHER, 9): set(range(5, 9)), (): {9, 10}}


def test_a_block_leaves_a_token_of_every_context():
    (group,) = group_by_block(_questions(BEGIN, BEGIN, BEGIN), worth=100)
    assert group.block.tolist() == BEGIN[:-1]


def test_what_saves_too_little_is_left_alone():
    asked = _questions([*BEGIN, 7], [*BEGIN, 8])
    assert [len(group.block) for group in group_by_block(asked, worth=100)] == [100]
    assert [len(group.block) for group in group_by_block(asked, worth=101)] == [0]
    short = _questions(*([*range(1, 64), 100 + i] for i in range(50)))  # 63 tokens in common
    assert [len(group.block) for group in group_by_block(short, worth=1)] == [0]


def test_a_few_that_share_more_do_not_shorten_the_block_of_the_many():
    """Nor does one neighbour that shares less."""
    many = [[*BEGIN, 300 + i, *range(50)] for i in range(10)]
    odd = [[*BEGIN[:70], 299, 1]]
    groups = group_by_block(_questions(*many, *odd), worth=200)
    assert [(len(group.block), len(group.members)) for group in groups] == [(100, 10), (0, 1)]


def test_nothing_asked_is_no_group():
    assert group_by_block([], worth=1) == []
