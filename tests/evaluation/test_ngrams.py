"""Hashes stand for normalised words and their runs, whatever the text."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flan_jax.evaluation.ngrams import gram_hashes, hash_words, words

HOSTILE = st.text(
    st.one_of(st.sampled_from("aAb '’-–.,\n\t0１éÉßİıΣς́한字\x00\U0001f600"), st.characters(exclude_categories=[])),
    max_size=30,
)


@settings(deadline=None)
@given(st.lists(HOSTILE, max_size=6))
def test_hashes_are_those_of_the_words(texts):
    block = hash_words(texts)
    said = [words(text) for text in texts]
    assert np.diff(block.offsets).tolist() == [len(own) for own in said]
    of_word: dict[str, int] = {}
    for word, hashed in zip((w for own in said for w in own), block.hashes.tolist(), strict=True):
        assert of_word.setdefault(word, hashed) == hashed
    assert len(set(of_word.values())) == len(of_word)


@settings(deadline=None)
@given(st.text("aB_c -.,'\n1", max_size=60))
def test_words_are_lower_case_runs_of_letters_and_digits(text):
    assert words(text) == re.findall(r"[a-z0-9]+", text.lower())


@pytest.mark.parametrize(("one", "other"), [
    ("It's WELL-known: (so)", "it 's well - known : ( so )"), ("don’t—go", "don't go"), ("*it*", "it"),
    ("ÉTÉ", "été"), ("a\n\n b", "a b"),
])  # fmt: skip
def test_case_punctuation_and_spaces_make_no_difference(one, other):
    assert hash_words([one]).hashes.tolist() == hash_words([other]).hashes.tolist()


def test_a_mark_is_of_its_word():
    assert words("नमस्ते, cafe\u0301") == ["नमस्ते", "cafe\u0301"]


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=5), st.integers(1, 4))
def test_equal_runs_have_equal_hashes_and_others_other_ones(texts, length):
    """Wherever they stand in the block, and through the end of a text as well as within."""
    block = hash_words([" ".join(own) for own in texts])
    flat = [word for own in texts for word in own]
    first = np.arange(max(len(flat) - length + 1, 0))
    runs = [tuple(flat[i : i + length]) for i in first]
    hashes = gram_hashes(block, first, length).tolist()
    assert len(set(zip(runs, hashes, strict=True))) == len(set(runs)) == len(set(hashes))


def test_order_and_letters_of_words_matter():
    seen = {tuple(hash_words([text]).sums.tolist()) for text in ("ab c", "a bc", "c ab", "abc", "ba c", "ab c c")}
    assert len(seen) == 6
    assert hash_words([]).hashes.tolist() == hash_words(["", " .. "]).hashes.tolist() == []
