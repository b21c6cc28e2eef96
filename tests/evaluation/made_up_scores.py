"""Scores from tables of right and wrong, for tests."""

from collections.abc import Mapping

import numpy as np

from flan_jax.evaluation.aggregation import Scores, tabulate
from flan_jax.evaluation.metrics import METRICS

ACCURACY = METRICS["accuracy"]


def scores_of(
    correct: np.ndarray, task: str = "t", split: str = "test", cluster: str = "c",
    documents: Mapping[str, str] | None = None, directions: Mapping[int, str] | None = None,
) -> Scores:  # fmt: skip
    """correct: [templates, examples]; examples are called e0000, e0001, ..."""
    templates, examples = np.indices(correct.shape)
    statistics = np.stack([correct.ravel(), np.ones(correct.size)], -1).astype(float)
    names = [f"e{i:04}" for i in examples.ravel()]
    return tabulate(
        task, cluster, split, ACCURACY, templates.ravel().tolist(), names, statistics, documents, directions
    )


def clustered(draw: np.random.Generator, examples: int, shift: float = 0.0) -> np.ndarray:
    """Ten templates that mostly agree on an example: right with a probability that the example decides."""
    difficulty = draw.beta(0.5, 0.5, examples)
    return draw.random((10, examples)) < np.clip(difficulty + shift, 0, 1)
