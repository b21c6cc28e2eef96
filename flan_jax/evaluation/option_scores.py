"""What options are ranked by: the sum of their tokens' log-probabilities, means of it, or what the context adds to it.

sum             log p(option | context), in nats: FLAN (Wei et al. 2021, section 2.4); `acc` of lm-evaluation-harness
per_token       its mean over the tokens scored
per_character   its mean over characters, without the space in front: `acc_norm` of the harness
per_byte        its mean over UTF-8 bytes, likewise: `acc_bytes`
pmi             less log p(option) after nothing but the start of a document: `acc_mutual_info`
pmi_answer      less log p(option) after "Answer:" (Brown et al. 2020, section 2.4), as HELM and OLMES have it
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int32

from flan_jax.data.vocabulary import Vocabulary
from flan_jax.evaluation.rows import Question, Tokens

SCORES = ("sum", "per_token", "per_character", "per_byte", "pmi", "pmi_answer")
NEED_UNCONDITIONAL = ("pmi", "pmi_answer")
ANSWER = "Answer:"

LONGEST = 128
"""Tokens of options that are asked behind one unconditional context: more questions pack better than long ones."""


class Behind(NamedTuple):
    """A context and the options behind it: a `Question` and nothing more."""

    context: Tokens
    options: tuple[Tokens, ...]


def unconditional_contexts(vocabulary: Vocabulary) -> tuple[Tokens, Tokens]:
    """The contexts of `pmi` and of `pmi_answer`.

    The first is BOS, or where the vocabulary has none, EOS, which then stands between documents.
    """
    start = [] if vocabulary.bos_id is None else [vocabulary.bos_id]
    (answer,) = vocabulary.encode([vocabulary.opening(ANSWER)])
    return np.array(start or [vocabulary.eos_id], np.int32), np.array([*start, *answer], np.int32)


class Unconditional(NamedTuple):
    """Every distinct option of some questions, each asked once behind every unconditional context.

    `place` is the number of an option, by its tokens' bytes; `questions` ask them in that order, one context after the
    other.
    """

    questions: tuple[Behind, ...]
    place: dict[bytes, int]

    def table(self, sums: Sequence[Float64[np.ndarray, " _"]]) -> Float64[np.ndarray, "C N"]:
        """The scores of every option, by its number, behind each of C contexts, from those of all `questions`."""
        return np.concatenate([np.zeros(0), *sums]).reshape(-1, max(len(self.place), 1))

    def numbers(self, options: Sequence[Tokens]) -> list[int]:
        return [self.place[_key(option)] for option in options]


def _key(option: Tokens) -> bytes:
    return np.asarray(option, np.int32).tobytes()


def ask_unconditionally(questions: Sequence[Question], contexts: Sequence[Tokens]) -> Unconditional:
    """What is to be asked to have the options' scores behind each of `contexts`."""
    distinct = {_key(option): option for question in questions for option in question.options}
    parts: list[list[Tokens]] = []
    tokens = LONGEST
    for option in distinct.values():
        if tokens + len(option) > LONGEST:
            parts.append([])
            tokens = 0
        parts[-1].append(option)
        tokens += len(option)
    asked = tuple(Behind(context, tuple(part)) for context in contexts for part in parts)
    return Unconditional(asked, {key: number for number, key in enumerate(distinct)})


def option_scores(
    sums: Float64[np.ndarray, " K"],
    tokens: Int32[np.ndarray, " K"],
    texts: Sequence[str],
    unconditional: Sequence[Sequence[float]],
) -> dict[str, Float64[np.ndarray, " K"]]:
    """The scores by name; without those that need `unconditional` ones, of both contexts, where there are none."""
    bare = [text.removeprefix(" ") for text in texts]
    scores = {
        "sum": sums,
        "per_token": sums / tokens,
        "per_character": sums / np.array([len(text) for text in bare]),
        "per_byte": sums / np.array([len(text.encode()) for text in bare]),
    }
    for name, without in zip(NEED_UNCONDITIONAL, unconditional, strict=bool(unconditional)):
        scores[name] = sums - np.asarray(without)
    return scores
