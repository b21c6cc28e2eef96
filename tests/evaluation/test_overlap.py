"""What is found is what comparing every run of words with every other finds."""

import pathlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.evaluation.ngrams import words
from flan_jax.evaluation.overlap import blocks, collect_grams, distinct_pairs, load_grams, merge_pairs, search

TEXTS = st.lists(st.lists(st.sampled_from(["a", "b", "C,"]), max_size=9).map(" ".join), max_size=6)


def runs_of(text: str, shortest: int, longest: int) -> list[tuple[str, ...]]:
    own = words(text)
    length = min(len(own), longest)
    return [tuple(own[i : i + length]) for i in range(len(own) - length + 1)] if length >= shortest else []


def within(run: tuple[str, ...], text: str) -> bool:
    own = words(text)
    return any(tuple(own[i : i + len(run)]) == run for i in range(len(own)))


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 4), st.integers(0, 3))
def test_search_finds_what_comparing_all_with_all_finds(evaluated, trained, shortest, more):
    grams = collect_grams(evaluated, shortest, shortest + more)
    longest = shortest + more
    wanted = [(number, run) for number, text in enumerate(evaluated) for run in runs_of(text, shortest, longest)]
    run_of: dict[int, tuple[str, ...]] = {}
    occurrences = zip(grams.occurrence_gram.tolist(), grams.occurrence_text.tolist(), wanted, strict=True)
    for gram, text, (number, run) in occurrences:
        assert text == number and run_of.setdefault(gram, run) == run
    assert len(set(run_of.values())) == len(run_of) == len(grams.keys)

    pairs, count = search(grams, trained)
    assert count == sum(len(words(text)) for text in trained)
    for gram, run in run_of.items():
        holding = {tuple(words(text)) for text in trained if within(run, text)}
        assert int((pairs.gram == gram).sum()) == len(holding)


def test_an_ngram_does_not_reach_into_the_next_text():
    grams = collect_grams(["one two three four"], 4, 4)
    assert not len(search(grams, ["one two", "three four"])[0].gram)
    assert len(search(grams, ["zero one two", "One; two - three FOUR five"])[0].gram) == 1


def test_a_short_text_is_looked_for_whole_and_a_shorter_one_not_at_all():
    grams = collect_grams(["a b c", "a b", "c d e f g"], 3, 4)
    assert np.diff(grams.bounds).tolist() == [1, 2]
    found, _ = search(grams, ["x a b c y", "d e f"])
    assert found.gram.tolist() == [0]


def test_nothing_to_search_for_or_in():
    nothing = collect_grams([], 8, 13)
    assert len(search(nothing, ["a b c d e f g h i"])[0].gram) == 0
    assert len(search(collect_grams(["a b c d e f g h i"], 8, 13), [])[0].gram) == 0
    assert len(merge_pairs([]).gram) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=20), st.integers(1, 3))
def test_pairs_are_distinct_and_capped(listed, most):
    gram, text = (np.array([pair[i] for pair in listed], t) for i, t in enumerate((np.int32, np.uint64)))
    distinct = sorted(set(listed))
    pairs = distinct_pairs(gram, text)
    assert list(zip(pairs.gram.tolist(), pairs.text.tolist(), strict=True)) == distinct
    capped = merge_pairs([pairs, pairs], most)
    assert np.bincount(capped.gram, minlength=4).tolist() == [
        min(most, sum(one == g for one, _ in distinct)) for g in range(4)
    ]


def test_saved_grams_are_the_same(tmp_path: pathlib.Path):
    grams = collect_grams(["a b c d", "b c"], 2, 3)
    grams.save(tmp_path)
    for one, other in zip(grams, load_grams(tmp_path), strict=True):
        np.testing.assert_array_equal(one, other)


def test_blocks_keep_every_text_in_order():
    texts = ["aaa", "b", "", "cccc", "d"]
    assert list(blocks(texts, 4)) == [["aaa", "b"], ["", "cccc"], ["d"]]
