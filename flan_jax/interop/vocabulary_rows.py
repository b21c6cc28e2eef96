"""Tables with a row for each token: which they are, made longer as they are read, and cut as they are written.

A checkpoint has as many rows as its `vocab_size`.  Tokens added to its tokenizer since get the mean of the rows there
are: scores of what the model never saw begin where they are least surprising (Hewitt 2021).  Rows beyond are padding.
"""

import jax
import jax.numpy as jnp
import numpy as np

from ..models.config import DecoderConfig
from ..models.decoder import logical_axes


def vocabulary_axes(config: DecoderConfig) -> dict[str, int]:
    """Paths of the parameters that have an entry for each token, with the axis it is on."""
    leaves = jax.tree_util.tree_leaves_with_path(logical_axes(config), is_leaf=lambda leaf: isinstance(leaf, tuple))
    named = {"/".join(str(key.key) for key in path): axes for path, axes in leaves}
    return {path: axes.index("vocab") for path, axes in named.items() if "vocab" in axes}


class Lengthened:
    """A stored table with more entries on one axis: the mean of those there up to `tokens`, zeros up to `rows`.

    Indexed by slices, of which it reads what they cover and no more; the mean, once, where it is asked for.
    """

    def __init__(self, table: np.ndarray, axis: int, tokens: int, rows: int, dtype: str):
        self.table, self.axis, self.tokens, self.dtype = table, axis, tokens, jnp.dtype(dtype)
        self.shape = (*table.shape[:axis], rows, *table.shape[axis + 1 :])
        self._mean: np.ndarray | None = None

    def __getitem__(self, index: tuple[slice, ...]) -> np.ndarray:
        start, stop, _ = index[self.axis].indices(self.shape[self.axis])
        there = self.table.shape[self.axis]
        stored = slice(min(start, there), min(stop, there))
        parts = [np.asarray(self.table[self._at(index, stored)], self.dtype)]
        shape = list(parts[0].shape)
        if added := max(0, min(stop, self.tokens) - max(start, there)):
            shape[self.axis] = added
            parts.append(np.broadcast_to(self.mean[self._at(index, slice(None))], shape))
        if zeros := max(0, stop - max(start, self.tokens)):
            shape[self.axis] = zeros
            parts.append(np.zeros(shape, self.dtype))
        return np.concatenate(parts, self.axis)

    @property
    def mean(self) -> np.ndarray:
        if self._mean is None:
            self._mean = np.asarray(self.table.mean(self.axis, np.float64, keepdims=True), self.dtype)
        return self._mean

    def _at(self, index: tuple[slice, ...], here: slice) -> tuple[slice, ...]:
        return (*index[: self.axis], here, *index[self.axis + 1 :])


def without_padding(config: DecoderConfig, path: str, parameter: np.ndarray) -> np.ndarray:
    """A parameter as checkpoints have it: without the padding of the vocabulary."""
    axis = vocabulary_axes(config).get(path)
    if axis is None or config.vocab_rows == config.vocab_size:
        return parameter
    return parameter[(slice(None),) * axis + (slice(config.vocab_size),)]
