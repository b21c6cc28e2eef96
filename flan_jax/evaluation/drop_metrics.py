"""DROP's exact match and F1 (Dua et al. 2019, the official evaluation): numbers must agree, several spans are aligned.

TFDS gives one text an answer, and a model writes one, so the bags that are aligned here are one of each side.
"""

import re
import string
from collections.abc import Sequence

from flan_jax.evaluation.text_metrics import ARTICLES

SEPARATORS = re.compile("[ -]")


def normalize_drop(text: str) -> str:
    """Lower case; words (cut at hyphens too) without punctuation or articles, a number as Python's float writes it."""
    words = (_word(word) for word in SEPARATORS.split(text.lower()))
    return " ".join(word for word in words if word)


def drop_match(prediction: str, references: Sequence[str]) -> float:
    """1 if the normalised text equals a normalised reference."""
    predicted = normalize_drop(prediction)
    return float(any(predicted == normalize_drop(reference) for reference in references))


def drop_f1(prediction: str, references: Sequence[str]) -> float:
    """The best F1 over the references of the sets of words, in 0..1 and rounded to hundredths as the official one is.

    It is 0 against a reference that has numbers, if the text has none of them.
    """
    predicted = set(normalize_drop(prediction).split())
    return max(_f1(predicted, set(normalize_drop(reference).split())) for reference in references)


def _f1(predicted: set[str], wanted: set[str]) -> float:
    numbers = {word for word in wanted if _is_number(word)}
    if numbers and not numbers & predicted:
        return 0.0
    same = len(predicted & wanted)
    precision = same / len(predicted) if predicted else 1.0
    recall = same / len(wanted) if wanted else 1.0
    return round(2 * precision * recall / (precision + recall), 2) if precision + recall else 0.0


def _word(word: str) -> str:
    if not _is_number(word):
        word = "".join(c for c in word if c not in string.punctuation)
    if _is_number(word):  # "$3" has become one
        word = str(float(word))
    return " ".join(ARTICLES.sub(" ", word).split())


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
