"""Stop strings are looked for in text, wherever tokens begin and end."""

import pytest

from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.decoding.stopping import Text

PIECES = ["He", "llo", ". ", "So", " it", "\n\n", "Q", ": ", "é"]


def decode(tokens) -> str:
    return "".join(PIECES[token] for token in tokens)


ALL = list(range(len(PIECES)))


@pytest.mark.parametrize("at_once", [1, 2, 3, 9])
@pytest.mark.parametrize(
    ("stop", "text", "tokens"),
    [
        ((), "Hello. So it\n\nQ: é", 9),
        (("\n",), "Hello. So it", 6),  # only a part of a token
        (("o. S",), "Hell", 4),  # across three tokens
        (("\n\nQ: ", "it\n\nQ"), "Hello. So ", 7),  # of two, the one that is complete with an earlier token
        (("S", "lo. So"), "Hel", 4),  # both are complete with the same token: before the one that begins first
        (("never",), "Hello. So it\n\nQ: é", 9),
    ],
)
def test_the_text_ends_before_the_first_stop(at_once, stop, text, tokens):
    growing = Text(decode, stop)
    for start in range(0, len(ALL), at_once):
        if not growing.stopped:
            growing.add(ALL[start : start + at_once])
    assert (growing.whole, len(growing.tokens)) == (text, tokens)
    assert growing.stopped == (tokens < 9)


def test_what_is_shown_is_never_taken_back():
    for stop in ((), ("\n\nQ:",), (". Sob", "it\n"), ("Q: é!",)):
        growing, shown = Text(decode, stop), ""
        for token in ALL:
            if not growing.stopped:
                growing.add([token])
            assert growing.sure.startswith(shown)
            shown = growing.sure
        assert growing.whole.startswith(shown)


def test_a_part_of_a_character_is_held_back():
    vocabulary = ByteVocabulary()
    (tokens,) = vocabulary.encode(["aé"])
    growing = Text(vocabulary.decode)
    growing.add(tokens[:2])
    assert growing.sure == "a"
    growing.add(tokens[2:])
    assert growing.sure == "aé"
