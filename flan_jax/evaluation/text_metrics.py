"""Scores of one generated text against its references: exact match, SQuAD, TriviaQA, ROUGE, BLEU.

Every function maps one prediction and its references to a few numbers per example; `metrics.py` adds them up.
"""

import collections
import functools
import re
import string
from collections.abc import Callable, Sequence

ARTICLES = re.compile(r"\b(a|an|the)\b")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
TRIVIA_PUNCTUATION = frozenset(string.punctuation + "‘’´`")


def normalize_squad(text: str) -> str:
    """Lower case, no punctuation, no articles, single spaces (Rajpurkar et al. 2016, the official evaluation)."""
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(ARTICLES.sub(" ", text).split())


def normalize_trivia_qa(text: str) -> str:
    """As SQuAD's, but punctuation (curly quotes too) and underscores become spaces (Joshi et al. 2017, official)."""
    text = "".join(" " if c in TRIVIA_PUNCTUATION else c for c in text.replace("_", " ").lower())
    return " ".join(ARTICLES.sub(" ", text).split())


def token_f1(prediction: str, reference: str) -> float:
    """F1 of the two bags of words, in 0..1; two empty texts agree (SQuAD 2.0's rule)."""
    predicted, wanted = prediction.split(), reference.split()
    if not predicted or not wanted:
        return float(predicted == wanted)
    same = sum((collections.Counter(predicted) & collections.Counter(wanted)).values())
    return 2.0 * same / (len(predicted) + len(wanted))


def exact_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the text equals a reference, white space at the ends aside; case and punctuation count."""
    return float(any(prediction.strip() == reference.strip() for reference in references))


def normalized_match(normalize: Callable[[str], str], prediction: str, references: Sequence[str]) -> float:
    """1 if the normalised text equals a normalised reference."""
    predicted = normalize(prediction)
    return float(any(predicted == normalize(reference) for reference in references))


def normalized_f1(normalize: Callable[[str], str], prediction: str, references: Sequence[str]) -> float:
    """The best bag-of-words F1 over the references, in 0..1, after normalisation."""
    predicted = normalize(prediction)
    return max(token_f1(predicted, normalize(reference)) for reference in references)


def edit_similarity(prediction: str, references: Sequence[str]) -> float:
    """1 minus the Levenshtein distance in characters over the longer length, the best over the references; in 0..1."""
    from rapidfuzz.distance import Levenshtein

    return max(Levenshtein.normalized_similarity(prediction, reference) for reference in references)


@functools.cache
def _rouge_scorer(kind: str):
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer([kind], use_stemmer=False)


def rouge(kind: str, prediction: str, references: Sequence[str]) -> float:
    """F-measure in 0..1 by `rouge-score` without stemmer (as T5 and FLAN), the best over the references.

    For `rougeLsum` a new line is put after every sentence end, which is what the scorer splits on.
    """
    if kind == "rougeLsum":
        prediction = SENTENCE_END.sub("\n", prediction)
        references = [SENTENCE_END.sub("\n", reference) for reference in references]
    return _rouge_scorer(kind).score_multi(list(references), prediction)[kind].fmeasure


@functools.cache
def _bleu():
    from sacrebleu.metrics import BLEU

    return BLEU(effective_order=True)


def bleu_counts(prediction: str, references: Sequence[str]) -> list[int]:
    """[matches of 1..4-grams, totals of 1..4-grams, hypothesis length, reference length]: what corpus BLEU adds up."""
    score = _bleu().sentence_score(prediction, list(references))
    return [*score.counts, *score.totals, score.sys_len, score.ref_len]
