"""The token layer: a text layer file's rows as token ids of one vocabulary, laid out to be memory-mapped."""

import itertools
import mmap
import pathlib
import tempfile
from collections.abc import Callable, Iterable

import numpy as np
import pyarrow as pa

from flan_jax.data.atomic import atomic_file, explain_full_disk
from flan_jax.data.manifest import DataFile, TextManifest, TokenManifest
from flan_jax.data.store import Store
from flan_jax.data.token_table import SCHEMA, read_mapped
from flan_jax.data.vocabulary import Vocabulary

WINDOW = 32  # characters


def write_tokens(
    store: Store,
    vocabulary: Vocabulary,
    text: TextManifest,
    progress: Callable[[int], None] = lambda rows: None,
) -> TokenManifest:
    """Tokenise the text file that `text` describes, and write the tokens with their manifest.

    Inputs, targets and options are encoded apart; a row where they come out otherwise joined is marked.
    Holds one record batch of text at a time.  Raises CorruptStore, DiskFull.
    """
    source = store.text_path(text.task, text.split)
    store.check_data(source, text.data, store.verify)
    reader = read_mapped(source)
    path = store.tokens_path(vocabulary.digest, text.task, text.split)
    path.parent.mkdir(parents=True, exist_ok=True)
    with explain_full_disk(path):
        columns = TokenColumns(path.parent)
        for number in range(reader.num_record_batches):
            batch = reader.get_batch(number)
            columns.append(batch, vocabulary)
            progress(batch.num_rows)
    return write_columns(store, vocabulary, text, columns)


def write_columns(store: Store, vocabulary: Vocabulary, text: TextManifest, columns: "TokenColumns") -> TokenManifest:
    """Write all of a split's tokens with their manifest.  Raises DiskFull."""
    path = store.tokens_path(vocabulary.digest, text.task, text.split)
    manifest_path = path.with_suffix(".json")
    with explain_full_disk(path):
        tokens = columns.batch()
    with atomic_file(path) as out:
        with pa.ipc.new_file(out, SCHEMA) as writer:
            writer.write_batch(tokens)
        out.settle()  # a full disk fails here, with the older split still whole
        manifest_path.unlink(missing_ok=True)  # from here to the new manifest the split does not exist
    input_lengths, target_lengths = columns.inputs.lengths(), columns.targets.lengths()
    lengths = input_lengths + target_lengths
    manifest = TokenManifest(
        task=text.task,
        split=text.split,
        rows=tokens.num_rows,
        data=DataFile(path.name, out.size, out.xxh3),
        text_xxh3=text.data.xxh3,
        vocabulary_kind=vocabulary.kind,
        vocabulary_size=vocabulary.size,
        vocabulary_digest=vocabulary.digest,
        input_tokens=int(input_lengths.sum()),
        target_tokens=int(target_lengths.sum()),
        longest=int(lengths.max(initial=0)),
        length_histogram=_histogram(lengths),
        boundary_differs=int(sum(marks.sum() for marks in columns.boundary_differs)),
    )
    manifest.write(manifest_path)
    return manifest


class _Ragged:
    """Lists of int32 of any length: values on disk until they are one Arrow array, lengths in memory."""

    def __init__(self, folder: pathlib.Path):
        self._values = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - nameless, so gone with this object or process
        self._lengths: list[np.ndarray] = []

    def append(self, rows: Iterable[list[int]]) -> None:
        rows = list(rows)
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        self.extend(np.fromiter(itertools.chain.from_iterable(rows), np.int32, int(lengths.sum())), lengths)

    def extend(self, values: np.ndarray, lengths: np.ndarray) -> None:
        self._values.write(values.data)
        self._lengths.append(lengths)

    def lengths(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int64), *self._lengths])

    def array(self) -> pa.LargeListArray:
        self._values.flush()
        size = self._values.tell()
        buffer = pa.py_buffer(mmap.mmap(self._values.fileno(), size, access=mmap.ACCESS_READ) if size else b"")
        values = pa.Array.from_buffers(pa.int32(), size // 4, [None, buffer])
        return pa.LargeListArray.from_arrays(pa.array(_offsets(self.lengths())), values)


class TokenColumns:
    """The token layer's columns while they grow, their values in nameless files below `folder`."""

    def __init__(self, folder: pathlib.Path):
        self.inputs, self.targets, self.options = _Ragged(folder), _Ragged(folder), _Ragged(folder)
        self._option_counts: list[np.ndarray] = []
        self.boundary_differs: list[np.ndarray] = []
        self._plain: dict[str, list[pa.Array]] = {"answer": [], "template": [], "example_id": [], "question": []}

    def append(self, batch: pa.RecordBatch, vocabulary: Vocabulary) -> None:
        inputs: list[str] = batch.column("inputs").to_pylist()
        targets: list[str] = batch.column("targets").to_pylist()
        options: list[list[str]] = batch.column("options").to_pylist()
        if vocabulary.leading:
            targets = [t if i else vocabulary.opening(t) for i, t in zip(inputs, targets, strict=True)]
            inputs = [vocabulary.opening(i) for i in inputs]
        target_ids = _encode_distinct(vocabulary, targets)
        self.inputs.append(vocabulary.encode(inputs))
        self.targets.append(target_ids)
        self.options.append(_encode_distinct(vocabulary, list(itertools.chain.from_iterable(options))))
        self._option_counts.append(np.fromiter(map(len, options), np.int64, len(options)))
        self.boundary_differs.append(_boundary_differs(inputs, targets, target_ids, vocabulary))
        for name, arrays in self._plain.items():
            arrays.append(batch.column(name))

    def extend(self, part: pa.RecordBatch) -> None:
        """Rows that were tokenised elsewhere, as `batch` gave them there."""
        options = part.column("option_tokens")
        lists = (part.column("inputs_tokens"), part.column("targets_tokens"), options.values)
        for column, tokens in zip((self.inputs, self.targets, self.options), lists, strict=True):
            column.extend(tokens.values.to_numpy(), np.diff(tokens.offsets.to_numpy()))
        self._option_counts.append(np.diff(options.offsets.to_numpy()))
        self.boundary_differs.append(part.column("boundary_differs").to_numpy().view(bool))
        for name, arrays in self._plain.items():
            arrays.append(part.column(name))

    def batch(self) -> pa.RecordBatch:
        per_row = pa.array(_offsets(np.concatenate(self._option_counts)))
        columns = {
            "inputs_tokens": self.inputs.array(),
            "targets_tokens": self.targets.array(),
            "option_tokens": pa.LargeListArray.from_arrays(per_row, self.options.array()),
            "boundary_differs": pa.array(np.concatenate(self.boundary_differs).view(np.uint8)),
        } | {name: pa.concat_arrays(arrays) for name, arrays in self._plain.items()}
        return pa.RecordBatch.from_arrays([columns[field.name].cast(field.type) for field in SCHEMA], schema=SCHEMA)


def _boundary_differs(
    inputs: list[str], targets: list[str], target_ids: list[list[int]], vocabulary: Vocabulary
) -> np.ndarray:
    """bool [rows]: does the end of the inputs, joined with the targets, tokenise otherwise than apart?

    Only the inputs' last words, about WINDOW characters from a space on, are joined: what a tokenizer does at a
    boundary depends on no more, and tokenising all of the inputs a second time would double the work.
    """
    tails = [text[max(text.rfind(" ", 0, max(len(text) - WINDOW, 0)), 0) :] for text in inputs]
    apart = [tail + target for tail, target in zip(_encode_distinct(vocabulary, tails), target_ids, strict=True)]
    joint = _encode_distinct(vocabulary, [tail + target for tail, target in zip(tails, targets, strict=True)])
    return np.array([a != b for a, b in zip(apart, joint, strict=True)], bool)


def _encode_distinct(vocabulary: Vocabulary, texts: list[str]) -> list[list[int]]:
    """`encode` for texts of which many are equal, as options and short targets are."""
    distinct = list(dict.fromkeys(texts))
    ids = dict(zip(distinct, vocabulary.encode(distinct), strict=True))
    return [ids[text] for text in texts]


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])


def _histogram(lengths: np.ndarray) -> dict[str, int]:
    """Rows by length, in bins up to 16, 32, 64, ... tokens; the last bin is the one that holds the longest row."""
    bins = np.maximum(np.ceil(np.log2(np.maximum(lengths, 1))).astype(int), 4)
    return {str(2**power): int(np.sum(bins == power)) for power in range(4, int(bins.max(initial=3)) + 1)}
