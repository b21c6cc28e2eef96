"""Where the tokens of a text begin and end in it."""

import functools
from collections.abc import Callable, Sequence

from flan_jax.data.vocabulary import Vocabulary

UNFINISHED = "\N{REPLACEMENT CHARACTER}"


class TokenText:
    """Cuts token ids into the texts of the single tokens, for one vocabulary."""

    def __init__(self, vocabulary: Vocabulary):
        self._decode: Callable[[Sequence[int]], str] = vocabulary.decode
        self._alone = functools.lru_cache(maxsize=None)(lambda token: vocabulary.decode([token]))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """A text for every id, which joined are what the ids decode to.

        A character made of several tokens belongs to the last of them; the others get "".
        """
        alone = [self._alone(token) for token in ids]
        whole = self._decode(ids)
        return alone if "".join(alone) == whole else self._in_context(ids, whole)

    def _in_context(self, ids: Sequence[int], whole: str) -> list[str]:
        """For tokens that read otherwise alone: each is what the text grows by when it is added.

        Only the tokens since the last one before that are decoded again, as a tokenizer looks back no further; what is
        not settled by then, because a character is not finished or the text shrank, goes to the last token.
        """
        pieces, before, settled = [], 0, 0
        for position in range(len(ids)):
            context = self._decode(ids[before:settled])
            text = self._decode(ids[before : position + 1])
            if len(text) > len(context) and text.startswith(context) and not text.endswith(UNFINISHED):
                pieces.append(text[len(context) :])
                before, settled = settled, position + 1
            else:
                pieces.append("")
        if pieces and "".join(pieces) != whole:
            found = "".join(pieces)
            pieces = [*pieces[:-1], whole[len(found) :]] if whole.startswith(found) else [""] * (len(ids) - 1) + [whole]
        return pieces
