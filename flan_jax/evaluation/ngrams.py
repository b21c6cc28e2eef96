"""The words of texts and their n-grams as 64-bit hashes, a block of texts at a time in numpy.

A word is a run of letters, digits and marks (Unicode categories L, N and M) in lower case; whatever else there is,
punctuation and white space, separates words.  So "It's well-known" and the tokenised "it 's well - known" are equal.

Hashes are polynomials modulo 2^64 with odd bases: those of all n-grams of a block are differences of one running sum.
Two n-grams of n are taken for one with a chance of 2^-64; of 10^9 against 10^6 about one in twenty thousand runs.
"""

import functools
import sys
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int64, UInt64

from flan_jax.data.permutation import mixed

_LETTER_BASE = 0x9E3779B97F4A7C15
_WORD_BASE = 0xD1B54A32D192ED03
_MODULUS = 1 << 64


class Words(NamedTuple):
    """Hashes of the words of several texts: those of text t are `hashes[offsets[t] : offsets[t + 1]]`.

    `sums` are running sums over the block, from which `gram_hashes` makes those of n-grams.
    """

    hashes: UInt64[np.ndarray, " W"]
    offsets: Int64[np.ndarray, " T_1"]
    sums: UInt64[np.ndarray, " W_1"]

    def left(self) -> Int64[np.ndarray, " W"]:
        """How many words its text has from each word on, itself counted."""
        return np.repeat(self.offsets[1:], np.diff(self.offsets)) - np.arange(len(self.hashes))


def words(text: str) -> list[str]:
    """The normalised words of a text, as text.  What `hash_words` hashes, said plainly."""
    return _normalised(text).split()


def _normalised(text: str) -> str:
    """Character by character: in lower case if it is of a word, else a space.

    Of "İ", whose small letter has two characters, the first.
    """
    category = unicodedata.category
    return "".join([character.lower()[0] if category(character)[0] in "LNM" else " " for character in text])


def hash_words(texts: Sequence[str]) -> Words:
    """The words of a block of texts.  Takes about 60 bytes for each character while it works."""
    codes = np.frombuffer("\n".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    values = _letters(1 << int(codes.max(initial=0)).bit_length()).take(codes)
    inside = np.zeros(len(codes) + 1, np.bool_)
    np.not_equal(values, 0, out=inside[1:])
    starts = np.flatnonzero(inside[1:] > inside[:-1])
    hashes = np.zeros(0, np.uint64)
    if len(starts):
        powers, inverses = _powers(_LETTER_BASE, len(codes))
        values *= powers[: len(codes)]
        hashes = mixed(np.add.reduceat(values, starts) * inverses.take(starts))
    ends = np.cumsum([0] + [len(text) + 1 for text in texts])
    offsets = np.searchsorted(starts, ends).astype(np.int64)
    sums = np.zeros(len(hashes) + 1, np.uint64)
    np.cumsum(hashes * _powers(_WORD_BASE, len(hashes))[0][: len(hashes)], out=sums[1:])
    return Words(hashes, offsets, sums)


def gram_hashes(
    block: Words, first: Int64[np.ndarray, " G"], length: int | Int64[np.ndarray, " G"]
) -> UInt64[np.ndarray, " G"]:
    """Hashes of the runs of `length` words from the words `first` on, through the ends of texts as well."""
    inverses = _powers(_WORD_BASE, len(block.sums))[1]
    return (block.sums.take(first + length) - block.sums.take(first)) * inverses.take(first)


@functools.cache
def _letters(count: int) -> UInt64[np.ndarray, " N"]:
    """A number for each of the first `count` characters, 0 for those that separate words."""
    folded = _normalised("".join(map(chr, range(min(count, sys.maxunicode + 1)))))
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    return np.where(codes == ord(" "), np.uint64(0), mixed(codes) | np.uint64(1))


def _powers(base: int, count: int) -> tuple[UInt64[np.ndarray, " N"], UInt64[np.ndarray, " N"]]:
    """base^i and base^-i modulo 2^64 for i < N, N at least `count`."""
    return _powers_up_to(base, 1 << max(count, 1 << 16).bit_length())


@functools.lru_cache(maxsize=8)
def _powers_up_to(base: int, count: int) -> tuple[UInt64[np.ndarray, " N"], UInt64[np.ndarray, " N"]]:
    def powers(of: int) -> np.ndarray:
        factors = np.full(count, of, np.uint64)
        factors[0] = 1
        return np.multiply.accumulate(factors)

    return powers(base), powers(pow(base, -1, _MODULUS))
