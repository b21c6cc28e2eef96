"""Correlations of a generated number with the number wanted, as sums over rows: Pearson's r and Spearman's ρ.

A text that is no number counts as -1, as in T5: outside of the scales in use, so never better than a number.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from flan_jax.evaluation.option_metrics import Points, Statistics, Sums, correlation


def moments(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
    x, y = _numbers(predictions), _numbers([first for first, *_ in references])
    return np.stack([np.ones_like(x), x, y, x * x, y * y, x * y], axis=-1)


def pearson(sums: Sums) -> Points:
    """100 × Pearson's r from summed `moments`."""
    n, x, y, xx, yy, xy = np.moveaxis(sums, -1, 0)
    variances = np.maximum(n * xx - x * x, 0.0) * np.maximum(n * yy - y * y, 0.0)
    return correlation(n * xy - x * y, variances)


def joint_counts(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Statistics:
    """[number of predicted levels, 1, one column for each pair of a predicted and a true level, in ascending order]."""
    levels, x = np.unique(_numbers(predictions), return_inverse=True)
    true_levels, y = np.unique(_numbers([first for first, *_ in references]), return_inverse=True)
    counts = np.zeros((len(x), 2 + len(levels) * len(true_levels)))
    counts[:, :2] = len(levels), 1
    counts[np.arange(len(x)), 2 + x * len(true_levels) + y] = 1
    return counts


def spearman(sums: Sums) -> Points:
    """100 × Pearson's r of the ranks, equal values sharing their mean rank.  Ranks follow from counts of levels."""
    levels = round(float((sums[..., 0] / sums[..., 1]).flat[0]))
    joint = sums[..., 2:].reshape(*sums.shape[:-1], levels, -1)

    def ranks(counts: np.ndarray) -> np.ndarray:
        return np.cumsum(counts, axis=-1) - (counts - 1) / 2

    x, y = joint.sum(-1), joint.sum(-2)
    rank_x, rank_y, n = ranks(x), ranks(y), x.sum(-1)
    summed = [
        n, (x * rank_x).sum(-1), (y * rank_y).sum(-1), (x * rank_x**2).sum(-1), (y * rank_y**2).sum(-1),
        np.einsum("...pr,...p,...r->...", joint, rank_x, rank_y),
    ]  # fmt: skip
    return pearson(np.stack(summed, axis=-1))


def _numbers(texts: Sequence[str]) -> Float[np.ndarray, " N"]:
    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            return -1.0
        return value if np.isfinite(value) else -1.0  # "nan" and "inf" are words a model may write

    return np.array([number(text) for text in texts], np.float64)
