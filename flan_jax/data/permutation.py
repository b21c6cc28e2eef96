"""Keyed permutations: a shuffle of any size that needs no memory and gives every position by itself.

`permuted` is a Feistel network with cycle walking (Black & Rogaway 2002, "Ciphers with arbitrary finite domains").  The
index is split into two halves of bits; each round adds a keyed hash of one half to the other, which can be undone, so
the network is a bijection on 2**bits numbers.  Results that fall outside [0, n) are fed in again until they fall
inside: the walk stays on one cycle of the bijection, so it ends, and what is left is a bijection on [0, n).  As
2**bits < 2n, fewer than two passes are needed on average.

Only wrapping uint64 products, xors and shifts are used, no generator of NumPy's, so that a plan made today is the plan
made by another NumPy on another machine.  This is for shuffling, not for secrets.
"""

import hashlib

import numpy as np
from jaxtyping import Int64, Integer, UInt64

ROUNDS = 8  # 4 make a pseudo-random permutation of large domains; more keep the small ones (n < 32) even
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def derive_key(*parts: str | int) -> int:
    """A 64-bit key from a purpose and its numbers, the same on every machine (`hash()` is not)."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def mixed(bits: UInt64[np.ndarray, " N"]) -> UInt64[np.ndarray, " N"]:
    """SplitMix64's finaliser: every bit of the result depends on every bit of the argument (Steele et al. 2014)."""
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX_1
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX_2
    return bits ^ (bits >> np.uint64(31))


def keyed_hash(key: UInt64[np.ndarray, " N"], counter: Integer[np.ndarray, " N"]) -> UInt64[np.ndarray, " N"]:
    """A fresh 64-bit number for every (key, counter)."""
    return mixed(key + (counter.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def permuted(
    index: Integer[np.ndarray, " N"], n: int | Integer[np.ndarray, " N"], key: int | UInt64[np.ndarray, " N"]
) -> Int64[np.ndarray, " N"]:
    """Where the permutation of [0, n) chosen by `key` sends each index.

    `n` and `key` may differ by element, so one call serves a window that touches many tasks and epochs.  Raises
    ValueError if an index lies outside [0, n).
    """
    values = index.astype(np.uint64)
    sizes = np.broadcast_to(np.asarray(n, np.uint64), values.shape)
    keys = np.broadcast_to(np.asarray(key, np.uint64), values.shape)
    if values.size and (values >= sizes).any():  # a negative index wraps to a huge one
        raise ValueError("an index lies outside [0, n)")
    bits = np.frexp((sizes - np.uint64(1)).astype(np.float64))[1].astype(np.uint64)  # bit lengths, exact below 2**53
    walking = np.arange(values.size)
    while walking.size:
        values[walking] = _feistel(values[walking], bits[walking], keys[walking])
        walking = walking[values[walking] >= sizes[walking]]
    return values.astype(np.int64)


def _feistel(
    values: UInt64[np.ndarray, " N"], bits: UInt64[np.ndarray, " N"], keys: UInt64[np.ndarray, " N"]
) -> UInt64[np.ndarray, " N"]:
    """One pass over the 2**bits numbers.  The halves may differ by a bit: they keep their places, none is swapped."""
    one = np.uint64(1)
    low_bits = bits >> one
    low_mask, high_mask = (one << low_bits) - one, (one << (bits - low_bits)) - one
    low, high = values & low_mask, values >> low_bits
    for _ in range(ROUNDS // 2):
        keys = keys + _GOLDEN
        high = high ^ (mixed(low ^ keys) & high_mask)
        keys = keys + _GOLDEN
        low = low ^ (mixed(high ^ keys) & low_mask)
    return (high << low_bits) | low
