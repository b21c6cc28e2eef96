"""Questions asked as text: a context and its continuations, tokenised together and cut where the context ends.

A tokenizer may make one token of the end of a context and the beginning of its continuation.  Then no cut leaves both
whole, and there are two rules:

    common_prefix   the context is what encode(context) and encode(context + continuation) begin with alike, and the
                    rest is scored: what is asked is always what the tokenizer makes of the whole text
    harness         as lm-evaluation-harness does, the context is encode(context), and of encode(context + continuation)
                    as many tokens are left out: of "Ans" + "wer" it scores "er" behind "Ans"

Everywhere else both give the same tokens.  Spaces at the end of a context belong to the continuation in both.
"""

import dataclasses
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from flan_jax.data.vocabulary import Vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.option_scores import Behind
from flan_jax.evaluation.rows import Tokens

Cut = Literal["common_prefix", "harness"]

MOST_OPTIONS = 256
"""Tokens of continuations that stand behind one context, or four times its own: rows must not become too wide."""


class TextRequestError(FlanJaxError, ValueError):
    """A context and continuation of which nothing can be scored."""


class Pair(NamedTuple):
    """A context of one token at least, and the tokens to be scored behind it, at least one."""

    context: Tokens
    continuation: Tokens


def encode_pairs(
    vocabulary: Vocabulary, pairs: Sequence[tuple[str, str]], cut: Cut = "common_prefix"
) -> tuple[list[Pair], Counter[str]]:
    """The tokens of every (context, continuation), and counts: of pairs where `boundary_differs`, and of those with an
    `empty_context`, whose continuations stand behind BOS, or EOS where the vocabulary has no BOS.

    Every distinct text is tokenised once.  Raises TextRequestError for an empty continuation.
    """
    moved = [_spaces_moved(*pair) for pair in pairs]
    for context, continuation in pairs:
        if not continuation:
            raise TextRequestError(f"the continuation behind {context[-40:]!r} is empty; there is nothing to score")
    texts = dict.fromkeys(text for context, rest in moved for text in (context, context + rest) if text)
    ids = dict(zip(texts, encode_texts(vocabulary, list(texts), cut), strict=True))
    start = [] if vocabulary.bos_id is None else [vocabulary.bos_id]
    found, counts = [], Counter()
    for context, rest in moved:
        whole = ids[context + rest]
        if context:
            pair, differs = _cut_at([*start, *ids[context]], [*start, *whole], cut)
            counts["boundary_differs"] += differs
        else:
            counts["empty_context"] += 1
            pair = ([*start] or [vocabulary.eos_id], whole)
        if not pair[0] or not pair[1]:
            raise TextRequestError(
                f"of {context[-40:]!r} + {rest[:40]!r} no token is left to "
                + ("score" if pair[0] else "stand in front: they are one token; put a BOS into the vocabulary")
            )
        found.append(Pair(*(np.asarray(part, np.int32) for part in pair)))
    return found, +counts


def encode_texts(vocabulary: Vocabulary, texts: Sequence[str], cut: Cut) -> list[list[int]]:
    """The tokens of texts that documents begin with, without BOS.

    With the harness's cut a text that begins with a space gets no dummy prefix, whatever its tokenizer: as in
    transformers 5, where transformers 4 and SentencePiece itself give it one.
    """
    plain = cut == "harness"
    return vocabulary.encode([t if plain and t.startswith(" ") else vocabulary.opening(t) for t in texts])


def _spaces_moved(context: str, continuation: str) -> tuple[str, str]:
    bare = context.rstrip()
    return bare, context[len(bare) :] + continuation


def _cut_at(context: list[int], whole: list[int], cut: Cut) -> tuple[tuple[list[int], list[int]], bool]:
    """(context, continuation), and whether the whole begins otherwise than with the context alone."""
    if whole[: len(context)] == context and len(whole) > len(context):
        return (context, whole[len(context) :]), False
    if cut == "harness" and len(whole) > len(context):
        return (context, whole[len(context) :]), True
    alike = next((i for i, (a, b) in enumerate(zip(context, whole, strict=False)) if a != b), len(whole) - 1)
    alike = min(alike, len(whole) - 1)
    return (whole[:alike], whole[alike:]), True


@dataclasses.dataclass(frozen=True)
class Shared:
    """Pairs put together into questions: distinct contexts, and each distinct continuation once behind its own.

    Pair i is option `option[i]` of `questions[question[i]]`.
    """

    questions: tuple[Behind, ...]
    question: tuple[int, ...]
    option: tuple[int, ...]


def share_contexts(pairs: Sequence[Pair]) -> Shared:
    """The questions that pairs with equal contexts make; several, where all continuations of one would be too long."""
    contexts: list[Tokens] = []
    options: list[list[Tokens]] = []
    newest: dict[bytes, int] = {}  # by context, the question that takes its next continuation
    places: dict[tuple[bytes, bytes], tuple[int, int]] = {}
    tokens: list[int] = []
    for context, continuation in pairs:
        key = context.tobytes()
        if (key, continuation.tobytes()) in places:
            continue
        number = newest.get(key, -1)
        if number < 0 or tokens[number] + len(continuation) > max(MOST_OPTIONS, 4 * len(context)):
            number = newest[key] = len(contexts)
            contexts.append(context)
            options.append([])
            tokens.append(0)
        places[key, continuation.tobytes()] = number, len(options[number])
        options[number].append(continuation)
        tokens[number] += len(continuation)
    found = [places[context.tobytes(), continuation.tobytes()] for context, continuation in pairs]
    questions = tuple(Behind(context, tuple(own)) for context, own in zip(contexts, options, strict=True))
    return Shared(questions, tuple(question for question, _ in found), tuple(option for _, option in found))


def fit_pairs(
    pairs: Sequence[Pair], window: int, keep: int = 0, questions: Sequence[Hashable] | None = None
) -> tuple[list[Pair], int]:
    """The pairs with their contexts cut on the left to fit a window of so many tokens, and how many had to be cut.

    The first `keep` tokens (the BOS) stay; the last of a continuation is only predicted.  Pairs with equal `questions`
    are cut alike, as the longest of their continuations needs it; without, each for itself.  Raises TextRequestError
    where a continuation leaves room for no token of its context.
    """
    names: Sequence[Hashable] = range(len(pairs)) if questions is None else questions
    longest: dict[Hashable, int] = {}
    for name, pair in zip(names, pairs, strict=True):
        longest[name] = max(longest.get(name, 0), len(pair.continuation))
    fitted = []
    for name, (context, continuation) in zip(names, pairs, strict=True):
        room = window - longest[name] + 1
        if len(context) > room:
            if room <= keep:
                raise TextRequestError(
                    f"a continuation of {longest[name]} tokens leaves no room for a context in a window of {window}; "
                    "use a model trained with a larger DecoderConfig.max_length"
                )
            context = np.concatenate([context[:keep], context[len(context) - (room - keep) :]])
        fitted.append(Pair(context, continuation))
    return fitted, sum(len(a.context) < len(b.context) for a, b in zip(fitted, pairs, strict=True))
