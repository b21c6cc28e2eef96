"""What generated tokens come to as text: where stop strings end it, and how much of it is sure to stay."""

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

UNFINISHED = "\ufffd"
"""What the beginning of a character decodes to while the rest of its bytes are still to come."""


class Text:
    """The text of a growing answer, cut before the first stop string.

    A stop ends the text at the token with which it is complete, however many tokens are added at once: the result is
    that of adding one token at a time.
    """

    def __init__(self, decode: Decode, stop: Sequence[str] = ()):
        self._decode, self._stop = decode, tuple(stop)
        self.tokens: list[int] = []
        self.whole = ""
        self.stopped = False

    def add(self, tokens: Sequence[int]) -> None:
        """More tokens.  Those after the one that completes a stop string are not taken."""
        before = len(self.tokens)
        self.tokens.extend(tokens)
        self.whole = self._decode(self.tokens)
        if not self._stop or self._first_stop(self.whole) is None:
            return
        for end in range(before + 1, len(self.tokens) + 1):
            text = self._decode(self.tokens[:end])
            cut = self._first_stop(text)
            if cut is not None:
                del self.tokens[end:]
                self.whole, self.stopped = text[:cut], True
                return

    @property
    def sure(self) -> str:
        """As much of the text as no further token can take back: no part of a stop string, no part of a character."""
        if self.stopped:
            return self.whole
        text = self.whole.rstrip(UNFINISHED)
        held = max((_overlap(text, stop) for stop in self._stop), default=0)
        return text[: len(text) - held]

    def _first_stop(self, text: str) -> int | None:
        found = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        return min(found, default=None)


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of the text are the beginning of the stop string."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
