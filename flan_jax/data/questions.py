"""Which rows ask the same, so that none is shown as an exemplar, its answer with it, before another.

A row has one number or several, each a hash of what some templates show of the example.  Rows that have a number of
the same column in common ask the same in the words of some template, and so do rows that both do so with a third one.
"""

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
import xxhash
from jaxtyping import Int64, UInt64


def question_hashes(question_fields: Sequence[Sequence[str]], inputs: str, fields: Mapping[str, str]) -> list[int]:
    """In [0, 2**64): one number for each of the sets of fields; the rendered inputs' where a task names no fields.

    Letters' case, white space and forms of the same character make no difference.
    """
    asked = [[fields[name] for name in names] for names in question_fields] or [[inputs]]
    return [xxhash.xxh3_64_intdigest("\0".join(map(_normalised, texts)).encode()) for texts in asked]


def _normalised(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def same_questions(hashes: UInt64[np.ndarray, "N K"]) -> Int64[np.ndarray, " N"]:
    """For every row a number in [0, N) that it has in common with the rows that ask the same, and with no other."""
    groups = [np.unique(column, return_inverse=True)[1] for column in hashes.T]
    number = np.arange(len(hashes))
    while True:  # every row takes the least number of those it shares something with, until none changes any more
        before = number
        for group in groups:
            least = np.full(len(hashes), len(hashes))
            np.minimum.at(least, group, number)
            number = least[group]
        if np.array_equal(number, before):
            return number
