"""Composition: from token rows to documents, and from documents to the arrays a model reads.

A document is [BOS, where the vocabulary has one] + inputs + targets + EOS.  Inputs give way, from the left, where the
whole would be too long, since what is asked stands at their end; targets are never cut.
"""

import dataclasses
from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float32, Int32, Integer

LossOn = Literal["targets", "all"]


@runtime_checkable
class TokenRows(Protocol):
    """The columns of a token table that composition reads: row i of inputs is values[offsets[i]:offsets[i + 1]]."""

    num_rows: int
    inputs_values: Int32[np.ndarray, " A"]
    inputs_offsets: Integer[np.ndarray, " B"]
    targets_values: Int32[np.ndarray, " C"]
    targets_offsets: Integer[np.ndarray, " B"]


@dataclasses.dataclass(frozen=True)
class SpecialTokens:
    """Ids that composition adds.  `bos` is None where the vocabulary has none."""

    pad: int
    bos: int | None
    eos: int

    @property
    def overhead(self) -> int:
        """Tokens a document has beside inputs and targets."""
        return 1 if self.bos is None else 2


class Documents(NamedTuple):
    """Which documents, as columns: token row `example` of task `task`, its inputs from token `inputs_start` on."""

    task: Int32[np.ndarray, " N"]
    example: Int32[np.ndarray, " N"]
    inputs_start: Int32[np.ndarray, " N"]
    inputs_length: Int32[np.ndarray, " N"]
    targets_length: Int32[np.ndarray, " N"]

    def take(self, index: Integer[np.ndarray, " K"] | slice) -> "Documents":
        return Documents(*(column[index] for column in self))

    def lengths(self, special: SpecialTokens) -> Int32[np.ndarray, " N"]:
        """Tokens of each whole document."""
        return self.inputs_length + self.targets_length + np.int32(special.overhead)


class Batch(NamedTuple):
    """Packed rows.  Padding is token `pad`, position 0, segment 0, weight 0.

    Segments count from 1 in each row and positions restart in each segment.  loss_weights[r, t] weighs the prediction
    *of* tokens[r, t], made from what stands before it in its segment; the first token of a document has none.
    """

    tokens: Int32[np.ndarray, "R T"]
    positions: Int32[np.ndarray, "R T"]
    segment_ids: Int32[np.ndarray, "R T"]
    loss_weights: Float32[np.ndarray, "R T"]


class Fit(NamedTuple):
    """What of each example a document of at most the given lengths takes; `fits` is False for the over-long ones."""

    fits: Bool[np.ndarray, " N"]
    inputs_start: Int32[np.ndarray, " N"]


def fit(
    inputs_lengths: Integer[np.ndarray, " N"],
    targets_lengths: Integer[np.ndarray, " N"],
    inputs_limit: int,
    targets_limit: int,
    row_length: int,
    special: SpecialTokens,
) -> Fit:
    """Inputs keep their last tokens, at most `inputs_limit` and at most what the targets leave of a row.

    An example is over-long if its targets exceed `targets_limit` tokens, or a row without any inputs.
    """
    space = row_length - special.overhead - targets_lengths
    kept = np.minimum(inputs_lengths, np.minimum(inputs_limit, np.maximum(space, 0)))
    fits = (targets_lengths <= targets_limit) & (space >= 0)
    return Fit(fits, (inputs_lengths - kept).astype(np.int32))


def compose(
    documents: Documents,
    row_of_document: Integer[np.ndarray, " N"],
    rows: int,
    row_length: int,
    tables: Sequence[TokenRows],
    special: SpecialTokens,
    loss_on: LossOn,
) -> Batch:
    """Lay documents, given row by row (`row_of_document` ascends), side by side into `rows` rows.

    Only the copying of token rows loops, once a document: the rest is done on all tokens of the batch at once.
    """
    lengths = documents.lengths(special).astype(np.int64)
    ends = np.cumsum(lengths)
    per_row = np.bincount(row_of_document, minlength=rows)
    first = np.repeat(np.cumsum(per_row) - per_row, per_row)  # the first document of each document's row
    before = ends - lengths
    begins = before - before[first] + row_of_document * row_length

    tokens = np.full(rows * row_length, special.pad, np.int32)
    _copy_tokens(tokens, documents, begins + (special.bos is not None), tables)
    if special.bos is not None:
        tokens[begins] = special.bos
    tokens[begins + lengths - 1] = special.eos

    within = np.arange(int(lengths.sum())) - np.repeat(before, lengths)
    place = within + np.repeat(begins, lengths)
    positions, segment_ids = np.zeros_like(tokens), np.zeros_like(tokens)
    positions[place] = within
    segment_ids[place] = np.repeat(np.arange(len(lengths)) - first + 1, lengths)

    first_weighted = np.ones_like(lengths)  # nothing predicts the first token of a document
    if loss_on == "targets":
        first_weighted = np.maximum(first_weighted, lengths - documents.targets_length - 1)
    loss_weights = np.zeros(rows * row_length, np.float32)
    loss_weights[place] = within >= np.repeat(first_weighted, lengths)

    return Batch(*(column.reshape(rows, row_length) for column in (tokens, positions, segment_ids, loss_weights)))


def _copy_tokens(
    tokens: Int32[np.ndarray, " RT"],
    documents: Documents,
    begins: Integer[np.ndarray, " N"],
    tables: Sequence[TokenRows],
) -> None:
    """Copy each document's inputs and targets to `begins` and on."""
    columns = {
        task: (table.inputs_offsets, table.inputs_values, table.targets_offsets, table.targets_values)
        for task in np.unique(documents.task).tolist()
        for table in (tables[task],)
    }
    for task, example, start, inputs_length, targets_length, at in zip(
        *(column.tolist() for column in documents), begins.tolist(), strict=True
    ):
        inputs_offsets, inputs_values, targets_offsets, targets_values = columns[task]
        source = int(inputs_offsets[example]) + start
        tokens[at : at + inputs_length] = inputs_values[source : source + inputs_length]
        at += inputs_length
        source = int(targets_offsets[example])
        tokens[at : at + targets_length] = targets_values[source : source + targets_length]
