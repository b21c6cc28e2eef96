"""Tokens as the texts they add, which a tokenizer does not give: a piece alone may lose its space, or be half a
character."""

from collections.abc import Callable, Sequence

from flan_jax.decoding.stopping import UNFINISHED, Decode

BEHIND = 8
"""Tokens of a prompt that what follows is decoded with, so that its first space is not lost."""


def decode_behind(decode: Decode, prompt: Sequence[int]) -> Decode:
    """Decodes what comes after the prompt, as it reads there."""
    tail = [int(token) for token in prompt[-BEHIND:]]
    base = decode(tail)

    def behind(tokens: Sequence[int]) -> str:
        whole = decode([*tail, *tokens])
        return whole[len(base) :] if whole.startswith(base) else decode(tokens)

    return decode if base.endswith(UNFINISHED) else behind


def piece_after(decode: Decode) -> Callable[[int | None, int], str]:
    """`piece(before, token)`: the text that a token adds after another (None: at the beginning)."""

    def piece(before: int | None, token: int) -> str:
        return decode([token]) if before is None else decode_behind(decode, [before])([token])

    return piece
