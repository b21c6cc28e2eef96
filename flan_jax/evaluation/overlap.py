"""Which n-grams of the evaluation texts occur in other texts.

The n-grams of a text of w words: all runs of `longest` (13) words; the whole text where it has fewer, but at least
`shortest` (8); none below that.  Their hashes are kept sorted; texts to be searched go by in blocks, so memory depends
on the evaluation side alone.  Of every word of a block it is asked first whether the `shortest` words from there begin
any n-gram at all: nearly always a bit says no, so lengths 8 to 13 together cost about as much as one.
"""

import pathlib
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8, UInt64

from flan_jax.evaluation.ngrams import gram_hashes, hash_words

BLOCK = 1 << 18  # characters hashed at once: fits in a cache
FILTER_BITS = 16  # of the filter, for each n-gram in it


class Grams(NamedTuple):
    """The distinct n-grams of T texts, numbered by length and then by hash, and where they occur.

    keys: hashes; those of length `lengths[i]` are `keys[bounds[i] : bounds[i + 1]]`, sorted.
    heads: sorted hashes of the first `lengths[0]` words of any; `head_filter` has a bit set for each.
    occurrence_*: of every occurrence, in order of texts, the n-gram's number, the text's and the word it begins at.
    """

    lengths: Int64[np.ndarray, " L"]
    bounds: Int64[np.ndarray, " L_1"]
    keys: UInt64[np.ndarray, " G"]
    heads: UInt64[np.ndarray, " H"]
    head_filter: UInt8[np.ndarray, " F"]
    occurrence_gram: Int32[np.ndarray, " O"]
    occurrence_text: Int32[np.ndarray, " O"]
    occurrence_word: Int32[np.ndarray, " O"]

    def save(self, folder: pathlib.Path) -> None:
        """For `load_grams`: other processes then share one copy in memory."""
        for name, array in self._asdict().items():
            np.save(folder / f"{name}.npy", array, allow_pickle=False)


def load_grams(folder: pathlib.Path) -> Grams:
    """What `Grams.save` wrote, memory-mapped."""
    return Grams(*(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in Grams._fields))


class Pairs(NamedTuple):
    """Found n-grams, each with the hash of the text it was found in; sorted and distinct."""

    gram: Int32[np.ndarray, " P"]
    text: UInt64[np.ndarray, " P"]


NO_PAIRS = Pairs(np.zeros(0, np.int32), np.zeros(0, np.uint64))


def collect_grams(texts: Iterable[str], shortest: int, longest: int) -> Grams:
    """The n-grams of the evaluation texts; texts are numbered in order.  0 < shortest <= longest."""
    nothing = np.zeros(0, np.int64)
    found = [(nothing, np.zeros(0, np.uint64), np.zeros(0, np.uint64), nothing, nothing)]
    count = 0
    for block in blocks(texts):
        words = hash_words(block)
        left, sizes = words.left(), np.diff(words.offsets)
        size = np.repeat(sizes, sizes)  # of the text that a word is in
        length = np.minimum(size, longest)
        first = np.flatnonzero((length >= shortest) & (left >= length))
        text = np.repeat(np.arange(len(block)), sizes)[first]
        places = first - words.offsets[text]
        heads = gram_hashes(words, first, shortest)
        found.append((length[first], gram_hashes(words, first, length[first]), heads, text + count, places))
        count += len(block)
    length, gram, heads, text, place = map(np.concatenate, zip(*found, strict=True))
    lengths = np.arange(shortest, longest + 1)
    keys, numbers, bounds = [], np.zeros(len(gram), np.int32), [0]
    for n in lengths:
        own = length == n
        distinct, inverse = np.unique(gram[own], return_inverse=True)
        keys.append(distinct)
        numbers[own] = inverse + bounds[-1]
        bounds.append(bounds[-1] + len(distinct))
    heads = np.unique(heads)
    return Grams(
        lengths, np.array(bounds), np.concatenate(keys), heads, _filter(heads), numbers, text.astype(np.int32),
        place.astype(np.int32),
    )  # fmt: skip


def search(grams: Grams, texts: Sequence[str]) -> tuple[Pairs, int]:
    """The n-grams that occur in a block of texts, and the number of its words."""
    words = hash_words(texts)
    left = words.left()
    first = np.flatnonzero(left >= grams.lengths[0])
    heads = gram_hashes(words, first, int(grams.lengths[0]))
    first = first[_maybe(grams.head_filter, heads)]
    first = first[_places(grams.heads, gram_hashes(words, first, int(grams.lengths[0])))[1]]
    found, at = [], []
    for i, length in enumerate(grams.lengths.tolist()):
        begins = first[left[first] >= length]
        keys = grams.keys[grams.bounds[i] : grams.bounds[i + 1]]
        place, there = _places(keys, gram_hashes(words, begins, length))
        found.append(place[there] + grams.bounds[i])
        at.append(begins[there])
    gram, word = np.concatenate(found).astype(np.int32), np.concatenate(at)
    text = np.searchsorted(words.offsets, word, side="right") - 1
    starts = words.offsets[text]
    return distinct_pairs(gram, gram_hashes(words, starts, words.offsets[text + 1] - starts)), len(words.hashes)


def distinct_pairs(gram: Int32[np.ndarray, " N"], text: UInt64[np.ndarray, " N"], most: int | None = None) -> Pairs:
    """Every pair once; of each n-gram at most `most`, those of the least hashes."""
    order = np.lexsort((text, gram))
    gram, text = gram[order], text[order]
    new = np.ones(len(gram), np.bool_)
    new[1:] = (gram[1:] != gram[:-1]) | (text[1:] != text[:-1])
    gram, text = gram[new], text[new]
    if most is not None:
        rank = np.arange(len(gram)) - np.searchsorted(gram, gram)
        gram, text = gram[rank < most], text[rank < most]
    return Pairs(gram, text)


def merge_pairs(parts: Sequence[Pairs], most: int | None = None) -> Pairs:
    """The distinct pairs of several; see `distinct_pairs`."""
    if not parts:
        return NO_PAIRS
    return distinct_pairs(np.concatenate([p.gram for p in parts]), np.concatenate([p.text for p in parts]), most)


def blocks(texts: Iterable[str], size: int = BLOCK) -> Iterator[list[str]]:
    """The texts in lists of at least `size` characters, the last of fewer."""
    block: list[str] = []
    held = 0
    for text in texts:
        block.append(text)
        held += len(text)
        if held >= size:
            yield block
            block, held = [], 0
    if block:
        yield block


def _places(
    keys: UInt64[np.ndarray, " K"], hashes: UInt64[np.ndarray, " N"]
) -> tuple[Int64[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """Where each hash stands in the sorted keys, and whether it does."""
    place = np.searchsorted(keys, hashes)
    place[place == len(keys)] = 0
    return place, (keys.take(place) == hashes if len(keys) else np.zeros(len(hashes), np.bool_))


def _filter(heads: UInt64[np.ndarray, " H"]) -> UInt8[np.ndarray, " F"]:
    """A power of two of bytes, at least FILTER_BITS bits a hash."""
    bits = max(int(FILTER_BITS * len(heads) - 1).bit_length(), 10)
    bit = heads >> np.uint64(64 - bits)
    table = np.zeros(1 << bits, np.bool_)
    table[bit] = True
    return np.packbits(table, bitorder="little")


def _maybe(head_filter: UInt8[np.ndarray, " F"], hashes: UInt64[np.ndarray, " N"]) -> Bool[np.ndarray, " N"]:
    """False only where a hash is surely not in the filter."""
    bits = 8 * len(head_filter)
    bit = hashes >> np.uint64(65 - bits.bit_length())
    return (head_filter.take(bit >> np.uint64(3)) >> (bit & np.uint64(7)).astype(np.uint8)) & 1 != 0
