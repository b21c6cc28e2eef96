"""The token layer of one split, memory-mapped: numpy views of the file, nothing copied."""

import functools
import pathlib

import numpy as np
import pyarrow as pa
from jaxtyping import Bool, Int, UInt64

from flan_jax.data.manifest import corrupt

RAGGED = pa.large_list(pa.int32())
SCHEMA = pa.schema(
    [
        ("inputs_tokens", RAGGED),
        ("targets_tokens", RAGGED),
        ("option_tokens", pa.large_list(RAGGED)),
        ("answer", pa.int32()),
        ("template", pa.int32()),
        ("boundary_differs", pa.uint8()),
        ("example_id", pa.large_string()),
        ("question", pa.large_list(pa.uint64())),
    ]
)


def read_mapped(path: pathlib.Path) -> pa.RecordBatchFileReader:
    """Open an Arrow IPC file by memory map.  Raises FileNotFoundError and CorruptStore."""
    try:
        return pa.ipc.open_file(pa.memory_map(str(path)))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise corrupt(path, str(error)) from error


class TokenTable:
    """Rows of token ids.  Row i of `x_values` is `x_values[x_offsets[i]:x_offsets[i + 1]]`.

    inputs_values, targets_values: int32 [tokens];  inputs_offsets, targets_offsets: int64 [rows + 1]
    option_values: int32 [tokens];  option_offsets: int64 [options + 1];  option_row_offsets: int64 [rows + 1], into
    the options.  answer, template: int32 [rows];  boundary_differs: bool [rows];  question: uint64 [rows, K], hashes of
    what is asked (questions.py).  No row has EOS or BOS.
    """

    def __init__(self, path: pathlib.Path):
        """Raises FileNotFoundError; CorruptStore if the file is not a token layer in one record batch."""
        reader = read_mapped(path)
        if not reader.schema.equals(SCHEMA) or reader.num_record_batches != 1:
            raise corrupt(path, "it is not a token layer file")
        self._batch = reader.get_batch(0)
        self.num_rows: int = self._batch.num_rows
        self.inputs_values, self.inputs_offsets = _ragged(self._batch.column("inputs_tokens"))
        self.targets_values, self.targets_offsets = _ragged(self._batch.column("targets_tokens"))
        options = self._batch.column("option_tokens")
        self.option_row_offsets: Int[np.ndarray, " rows_1"] = options.offsets.to_numpy()
        self.option_values, self.option_offsets = _ragged(options.values)
        self.answer: Int[np.ndarray, " rows"] = self._batch.column("answer").to_numpy()
        self.template: Int[np.ndarray, " rows"] = self._batch.column("template").to_numpy()
        hashes = self._batch.column("question").values.to_numpy()  # every row of a task has as many
        self.question: UInt64[np.ndarray, "rows K"] = hashes.reshape(self.num_rows, -1 if len(hashes) else 1)
        self.boundary_differs: Bool[np.ndarray, " rows"] = self._batch.column("boundary_differs").to_numpy().view(bool)

    @functools.cached_property
    def example_id(self) -> np.ndarray:
        """Object array of str [rows], read when first asked for."""
        return self._batch.column("example_id").to_numpy(zero_copy_only=False)

    def inputs(self, row: int) -> Int[np.ndarray, " tokens"]:
        return self.inputs_values[self.inputs_offsets[row] : self.inputs_offsets[row + 1]]

    def targets(self, row: int) -> Int[np.ndarray, " tokens"]:
        return self.targets_values[self.targets_offsets[row] : self.targets_offsets[row + 1]]

    def options(self, row: int) -> list[Int[np.ndarray, " tokens"]]:
        first, last = self.option_row_offsets[row], self.option_row_offsets[row + 1]
        return [self.option_values[self.option_offsets[i] : self.option_offsets[i + 1]] for i in range(first, last)]


def _ragged(column: pa.LargeListArray) -> tuple[Int[np.ndarray, " tokens"], Int[np.ndarray, " rows_1"]]:
    return column.values.to_numpy(), column.offsets.to_numpy()
