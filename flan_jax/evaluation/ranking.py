"""Rank classification: the log-probability of every option of a question, contexts computed once.

The score of an option is the sum of its tokens' log-probabilities given the context, in nats; what else options are
ranked by is derived from it (`option_scores.py`).  What many contexts begin with is computed once for all of them.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Float64, Int

from flan_jax.decoding.placing import fetch, place
from flan_jax.evaluation.common_blocks import group_by_block
from flan_jax.evaluation.rows import Question, RankingBatch, Tokens, pack
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params, apply, logits
from flan_jax.models.shared_block import Block, apply_behind, read_block
from flan_jax.models.sizes import padded

T = TypeVar("T")

MOST_LOGITS = 2**27
"""Logits held at once; beyond it the wanted columns are taken in parts."""

BLOCK_STEP = 64
"""Blocks are padded to BLOCK_STEP × 1, 1.5, 2, 3, 4, 6, ...: few shapes, at most a third of them padding."""

TIE = (1e-5, 2e-6)
"""Scores closer than this (absolute, plus relative) are tied: float32 sums over equal tokens differ by that much."""


Keep = Callable[[Sequence[int], Sequence[Float64[np.ndarray, " _"]]], object]
"""What is told of questions that are answered: their numbers, and the sums of their options in nats."""


class TokenScores(NamedTuple):
    """log p of every scored token, float32, in nats, and whether no token has a higher one."""

    nats: Float[Array, "R S"]
    greedy: Bool[Array, "R S"]


class OptionScores(NamedTuple):
    """For every option of a question the summed log-probability of its tokens, in nats, and whether each of them is
    the most probable one: whether greedy generation would begin with the option."""

    nats: Float64[np.ndarray, " K"]
    greedy: Bool[np.ndarray, " K"]


block_of = jax.jit(read_block, static_argnums=0)


@partial(jax.jit, static_argnums=0)
def token_scores(
    config: DecoderConfig,
    params: Params,
    block: Block | None,
    tokens: Int[Array, "R T"],
    positions: Int[Array, "R T"],
    segment_ids: Int[Array, "R T"],
    branch_ids: Int[Array, "R T"],
    columns: Int[Array, "R W"],
    slots: Int[Array, "R S"],
    targets: Int[Array, "R S"],
) -> TokenScores:
    """log p(targets[r, s]) after column `columns[r, slots[r, s]]`, all documents standing behind the block, if any.

    Logits are computed at the wanted columns only.
    """
    if block is None:
        hidden = apply(config, params, tokens, positions, segment_ids, branch_ids)
    else:
        hidden = apply_behind(config, params, block, tokens, positions, segment_ids, branch_ids)
    wanted = jnp.take_along_axis(hidden, columns[:, :, None], axis=1)
    rows, width, _ = wanted.shape
    part = width
    while part > 1 and part * rows * config.vocab_size > MOST_LOGITS:
        part = part // 2 if part % 2 == 0 else 1  # always a divisor of the width

    def read(scores: TokenScores, start: Int[Array, ""]) -> tuple[TokenScores, None]:
        scored = logits(config, params, jax.lax.dynamic_slice_in_dim(wanted, start, part, axis=1))
        normaliser, highest = jax.nn.logsumexp(scored, axis=-1), scored.max(axis=-1)
        slot = slots - start
        inside = (slot >= 0) & (slot < part)
        slot = jnp.clip(slot, 0, part - 1)
        row = jnp.arange(rows)[:, None]
        found = scored[row, slot, targets]
        nats = jnp.where(inside, found - normaliser[row, slot], scores.nats)
        return TokenScores(nats, jnp.where(inside, found >= highest[row, slot], scores.greedy)), None

    nothing = TokenScores(jnp.zeros(slots.shape, jnp.float32), jnp.zeros(slots.shape, bool))
    return jax.lax.scan(read, nothing, jnp.arange(0, width, part))[0]


def score_options(
    config: DecoderConfig, params: Params, questions: Sequence[Question], *, narrowest: int = 256,
    tokens_per_batch: int = 4096, mesh: Mesh | None = None, advance: Callable[[int], object] = lambda questions: None,
    keep: Keep = lambda numbers, sums: None,
) -> list[Float64[np.ndarray, " K"]]:  # fmt: skip
    """The summed log-probability of every option of every question, in nats: `score_questions` without the rest."""
    scores = score_questions(
        config, params, questions, narrowest=narrowest, tokens_per_batch=tokens_per_batch, mesh=mesh, advance=advance,
        keep=keep,
    )  # fmt: skip
    return [one.nats for one in scores]


def score_questions(
    config: DecoderConfig,
    params: Params,
    questions: Sequence[Question],
    *,
    narrowest: int = 256,
    tokens_per_batch: int = 4096,
    mesh: Mesh | None = None,
    advance: Callable[[int], object] = lambda questions: None,
    keep: Keep = lambda numbers, sums: None,
) -> list[OptionScores]:
    """The scores of every option of every question, in the order of `questions`.

    narrowest: least row width; tokens_per_batch: columns computed at once.  With a mesh, rows are shared over data ×
    fsdp, and every process must ask the same questions; all get all scores.  `advance(n)` is told of n more questions,
    and `keep` after every batch which they are and their options' sums.
    """
    if not len(questions):
        return []
    ends = np.cumsum([len(question.options) for question in questions])
    sums, greedy = np.zeros(ends[-1]), np.ones(ends[-1], bool)
    batches = _batches(questions, ends, narrowest, tokens_per_batch, mesh)
    for batch, scores in _ahead(_dispatched(config, params, batches, mesh)):
        real = batch.option >= 0
        np.add.at(sums, batch.option[real], fetch(scores.nats)[real].astype(np.float64))
        np.logical_and.at(greedy, batch.option[real], fetch(scores.greedy)[real])
        advance(batch.questions)
        done = np.unique(np.searchsorted(ends, batch.option[real], side="right")).tolist()  # none is in two batches
        keep(done, [sums[ends[i] - len(questions[i].options) : ends[i]] for i in done])
    parts = zip(np.split(sums, ends[:-1]), np.split(greedy, ends[:-1]), strict=True)
    return [OptionScores(*part) for part in parts]


def _batches(
    questions: Sequence[Question], ends: Int[np.ndarray, " Q"], narrowest: int, tokens_per_batch: int, mesh: Mesh | None
) -> Iterator[tuple[Tokens, RankingBatch]]:
    """The batches of all questions, each with the block that it stands behind, its options numbered through all."""
    shards = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
    for block, members in group_by_block(questions, tokens_per_batch):
        asked = [questions[index] for index in members]
        numbers = np.concatenate([np.arange(ends[i] - len(questions[i].options), ends[i]) for i in members])
        for batch in pack(
            asked, narrowest=narrowest, tokens_per_batch=tokens_per_batch, multiple=shards, block=len(block)
        ):
            yield block, batch._replace(option=np.where(batch.option >= 0, numbers[batch.option], -1))


def _dispatched(
    config: DecoderConfig, params: Params, batches: Iterator[tuple[Tokens, RankingBatch]], mesh: Mesh | None
) -> Iterator[tuple[RankingBatch, TokenScores]]:
    """Every batch, begun; a block is read when its first batch comes."""
    tokens, block = None, None
    for own, batch in batches:
        if own is not tokens:
            tokens, block = own, None
            if len(own):
                columns = np.zeros(padded(len(own), BLOCK_STEP), np.int32)
                columns[: len(own)] = own
                length = np.asarray(len(own), np.int32)
                block = block_of(config, params, *(place(array, mesh, PartitionSpec()) for array in (columns, length)))
        arrays = (batch.tokens, batch.positions, batch.segment_ids, batch.branch_ids)
        arrays += (batch.columns, batch.slots, batch.targets)
        yield batch, token_scores(config, params, block, *(place(array, mesh) for array in arrays))


def _ahead(dispatched: Iterator[T]) -> Iterator[T]:
    """The same, the next one started before the last is waited for, so that packing and computing overlap."""
    waiting = next(dispatched, None)
    while waiting is not None:
        following = next(dispatched, None)
        yield waiting
        waiting = following


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
