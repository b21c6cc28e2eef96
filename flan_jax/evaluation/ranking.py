"""Rank classification: the log-probability of every option of a question, contexts computed once.

The score of an option is the sum of its tokens' log-probabilities given the context, in nats; means per token and
per character are derived from it.  Ranking by sums is what FLAN (Wei et al. 2021, section 2.4) does.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Float64, Int

from flan_jax.evaluation.requests import Request
from flan_jax.evaluation.rows import RankingBatch, pack
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, apply, logits

T = TypeVar("T")

MOST_LOGITS = 2**27
"""Logits held at once; beyond it the wanted columns are taken in parts."""

TIE = (1e-5, 2e-6)
"""Scores closer than this (absolute, plus relative) are tied: float32 sums over equal tokens differ by that much."""


@partial(jax.jit, static_argnums=0)
def token_scores(
    config: DecoderConfig,
    params: Params,
    tokens: Int[Array, "R T"],
    positions: Int[Array, "R T"],
    segment_ids: Int[Array, "R T"],
    branch_ids: Int[Array, "R T"],
    columns: Int[Array, "R W"],
    slots: Int[Array, "R S"],
    targets: Int[Array, "R S"],
) -> Float[Array, "R S"]:
    """log p(targets[r, s]) after column `columns[r, slots[r, s]]`, float32, in nats.

    Logits are computed at the wanted columns only, which W, a power of two, counts.
    """
    hidden = apply(config, params, tokens, positions, segment_ids, branch_ids)
    wanted = jnp.take_along_axis(hidden, columns[:, :, None], axis=1)
    rows, width, _ = wanted.shape
    part = width
    while part > 1 and part * rows * config.vocab_size > MOST_LOGITS:
        part //= 2

    def read(scores: Float[Array, "R S"], start: Int[Array, ""]) -> tuple[Float[Array, "R S"], None]:
        scored = logits(config, params, jax.lax.dynamic_slice_in_dim(wanted, start, part, axis=1))
        normaliser = jax.nn.logsumexp(scored, axis=-1)
        slot = slots - start
        inside = (slot >= 0) & (slot < part)
        slot = jnp.clip(slot, 0, part - 1)
        row = jnp.arange(rows)[:, None]
        return jnp.where(inside, scored[row, slot, targets] - normaliser[row, slot], scores), None

    return jax.lax.scan(read, jnp.zeros(slots.shape, jnp.float32), jnp.arange(0, width, part))[0]


def score_options(
    config: DecoderConfig,
    params: Params,
    requests: Sequence[Request],
    *,
    narrowest: int = 256,
    tokens_per_batch: int = 4096,
    mesh: Mesh | None = None,
    advance: Callable[[int], object] = lambda questions: None,
) -> list[Float64[np.ndarray, " K"]]:
    """The summed log-probability of every option of every request, in nats, in the order of `requests`.

    narrowest: least row width; tokens_per_batch: columns computed at once.  With a mesh, rows are shared over data ×
    fsdp, and every process must ask the same requests; all get all scores.  `advance(n)` is told of n more questions.
    """
    sums = np.zeros(sum(len(request.options) for request in requests))
    shards = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
    batches = pack(requests, narrowest=narrowest, tokens_per_batch=tokens_per_batch, multiple=shards)
    for batch, scores in _ahead(_dispatched(config, params, batches, mesh)):
        real = batch.option >= 0
        np.add.at(sums, batch.option[real], fetch(scores)[real].astype(np.float64))
        advance(batch.questions)
    ends = np.cumsum([len(request.options) for request in requests])
    return np.split(sums, ends[:-1]) if len(requests) else []


def _dispatched(
    config: DecoderConfig, params: Params, batches: Iterator[RankingBatch], mesh: Mesh | None
) -> Iterator[tuple[RankingBatch, Array]]:
    for batch in batches:
        arrays = (batch.tokens, batch.positions, batch.segment_ids, batch.branch_ids)
        arrays += (batch.columns, batch.slots, batch.targets)
        yield batch, token_scores(config, params, *(place(array, mesh) for array in arrays))


def _ahead(dispatched: Iterator[T]) -> Iterator[T]:
    """The same, the next one started before the last is waited for, so that packing and computing overlap."""
    waiting = next(dispatched, None)
    while waiting is not None:
        following = next(dispatched, None)
        yield waiting
        waiting = following


def place(array: np.ndarray, mesh: Mesh | None) -> Array:
    """A batch array on the devices, its rows shared over data × fsdp; every process gives the whole of it."""
    if mesh is None:
        return jnp.asarray(array)
    sharding = NamedSharding(mesh, PartitionSpec(("data", "fsdp")))
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def fetch(array: Array) -> np.ndarray:
    """The whole array on this host, gathered from the other processes where they hold parts of it."""
    if array.is_fully_addressable:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


class Choice(NamedTuple):
    """What the scores choose: the first of the tied best options, how many tie, and the answer's share of the credit.

    `credit` is 1 / tied if the answer is among the tied, as HELM counts; first-option credit favours index 0.
    """

    index: int
    tied: int
    credit: float


def choose(scores: Float64[np.ndarray, " K"], answer: int) -> Choice:
    """The choice among options by their scores, higher being better."""
    best = float(scores.max())
    tied = np.flatnonzero(scores >= best - TIE[0] - TIE[1] * abs(best))
    return Choice(int(tied[0]), len(tied), float(answer in tied) / len(tied))
