"""Metrics of which option was chosen: what each row adds, and the score of the sums in points of 100.

`chosen` and `right` are option indices, one a row.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Options = Int[np.ndarray, " N"]
Statistics = Float[np.ndarray, "N K"]
Sums = Float[np.ndarray, "... K"]
Points = Float[np.ndarray, "..."]


def mean(sums: Sums) -> Points:
    """100 × the first statistic over the last, the number of rows (or of questions)."""
    return np.asarray(100.0 * sums[..., 0] / sums[..., -1])


def accuracy(chosen: Options, right: Options) -> Statistics:
    return np.stack([chosen == right, np.ones(len(chosen))], axis=-1).astype(np.float64)


def question_match(chosen: Options, right: Options, questions: Sequence[str]) -> Statistics:
    """[all replies to the question judged rightly, 1] in the first row of every question, noughts in the others.

    questions: which question of which template a row is of.  MultiRC's exact match (Khashabi et al. 2018; SuperGLUE).
    """
    _, first, index = np.unique(np.asarray(questions, object).astype(str), return_index=True, return_inverse=True)
    wrong = np.bincount(index, weights=chosen != right, minlength=len(first))
    statistics = np.zeros((len(chosen), 2))
    statistics[first] = np.stack([wrong == 0, np.ones(len(first))], axis=-1)
    return statistics


def binary_counts(chosen: Options, right: Options) -> Statistics:
    """[found, wrongly chosen, missed] of the positive class, which is option 1."""
    return np.stack([(chosen == 1) & (right == 1), (chosen == 1) & (right != 1), (chosen != 1) & (right == 1)],
                    axis=-1).astype(np.float64)  # fmt: skip


def binary_f1(sums: Sums) -> Points:
    """F1 of the positive class; 0 where it is neither chosen nor right."""
    return np.asarray(100.0 * _f1(sums[..., 0], sums[..., 1], sums[..., 2]))


def class_counts(chosen: Options, right: Options) -> Statistics:
    """`binary_counts` of every option index that occurs."""
    classes = np.arange(max(chosen.max(initial=0), right.max(initial=0)) + 1)
    c, r = chosen[:, None] == classes, right[:, None] == classes
    return np.stack([c & r, c & ~r, ~c & r], axis=-1).reshape(len(chosen), -1).astype(np.float64)


def macro_f1(sums: Sums) -> Points:
    """The mean of the F1 of the classes that are chosen or right at all, as scikit-learn's."""
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    occurs = counts.sum(-1) > 0
    f1 = _f1(counts[..., 0], counts[..., 1], counts[..., 2])
    return np.asarray(100.0 * (f1 * occurs).sum(-1) / np.maximum(occurs.sum(-1), 1))


def matthews(sums: Sums) -> Points:
    """Matthews correlation of K classes (Gorodkin 2004) from `class_counts`; 0 where one class is all there is."""
    counts = sums.reshape(*sums.shape[:-1], -1, 3)
    true = counts[..., 0]
    chosen, right = true + counts[..., 1], true + counts[..., 2]
    rows = right.sum(-1)
    covariance = true.sum(-1) * rows - (chosen * right).sum(-1)
    variances = (rows**2 - (chosen**2).sum(-1)) * (rows**2 - (right**2).sum(-1))
    return correlation(covariance, variances)


def correlation(covariance: np.ndarray | np.floating, variances: np.ndarray | np.floating) -> Points:
    """100 × covariance / sqrt(product of the variances); 0 where one of the two does not vary."""
    varies = variances > 1e-9
    return np.asarray(100.0 * np.where(varies, covariance, 0.0) / np.sqrt(np.where(varies, variances, 1.0)))


def _f1(true: np.ndarray, wrongly_chosen: np.ndarray, missed: np.ndarray) -> np.ndarray:
    """F1 in 0..1; 0 where the class occurs neither in predictions nor in answers."""
    total = 2 * true + wrongly_chosen + missed
    return np.divide(2 * true, total, out=np.zeros(np.shape(total)), where=total > 0)
