"""Token stores of any size without text: real files of random tokens with the lengths asked for."""

import pathlib
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import xxhash

from flan_jax.data.manifest import DataFile, TokenManifest
from flan_jax.data.store import Store
from flan_jax.data.token_table import SCHEMA
from flan_jax.data.vocabulary import Vocabulary

Lengths = tuple[np.ndarray, np.ndarray]  # tokens of inputs and of targets, an element a row


def flan_like_lengths(tasks: int, rows: int, seed: int = 0) -> dict[str, Lengths]:
    """Tasks from a line (a question, a sentence) to a page (an article), log-normal about each task's own length.

    Targets are an option's few words in two tasks of three and a sentence or a summary in the third, as in FLAN.
    """
    rng = np.random.default_rng(seed)
    lengths = {}
    for i in range(tasks):
        typical = np.exp(rng.uniform(np.log(30), np.log(500)))
        inputs = np.exp(rng.normal(np.log(typical), 0.5, rows)).astype(int).clip(5, 3000)
        sentences = np.exp(rng.normal(np.log(30), 0.6, rows)).astype(int).clip(1, 400)
        lengths[f"task_{i:02}"] = (inputs, sentences if i % 3 == 0 else rng.integers(1, 5, rows))
    return lengths


def write_store(
    root: pathlib.Path, vocabulary: Vocabulary, lengths: Mapping[str, Lengths], seed: int = 0, split: str = "train",
    templates: int = 10,
) -> Store:  # fmt: skip
    """A store with the token layer alone: templates in turn, tokens of at least 10, so that none is a special one."""
    store = Store(root)
    rng = np.random.default_rng(seed)
    for task, (inputs_lengths, targets_lengths) in lengths.items():
        path = store.tokens_path(vocabulary.digest, task, split)
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = len(inputs_lengths)
        no_options = pa.LargeListArray.from_arrays(pa.array(np.zeros(1, np.int64)), pa.array([], pa.int32()))
        columns = [
            _ragged(rng, inputs_lengths),
            _ragged(rng, targets_lengths),
            pa.LargeListArray.from_arrays(pa.array(np.zeros(rows + 1, np.int64)), no_options),
            pa.array(np.full(rows, -1, np.int32)),
            pa.array(np.arange(rows, dtype=np.int32) % templates),
            pa.array(np.zeros(rows, np.uint8)),
            pa.array([str(i) for i in range(rows)], pa.large_string()),
            pa.LargeListArray.from_arrays(np.arange(rows + 1), np.arange(rows, dtype=np.uint64)),  # all ask another
        ]
        with pa.ipc.new_file(str(path), SCHEMA) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=SCHEMA))
        content = path.read_bytes()
        TokenManifest(
            task=task,
            split=split,
            rows=rows,
            data=DataFile(path.name, len(content), xxhash.xxh3_128(content).hexdigest()),
            text_xxh3="",
            vocabulary_kind=vocabulary.kind,
            vocabulary_size=vocabulary.size,
            vocabulary_digest=vocabulary.digest,
            input_tokens=int(np.sum(inputs_lengths)),
            target_tokens=int(np.sum(targets_lengths)),
            longest=int(np.max(np.add(inputs_lengths, targets_lengths), initial=0)),
            length_histogram={},
            boundary_differs=0,
        ).write(path.with_suffix(".json"))
    return store


def _ragged(rng: np.random.Generator, lengths: np.ndarray) -> pa.LargeListArray:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = rng.integers(10, 2**31 - 1, offsets[-1], np.int32)
    return pa.LargeListArray.from_arrays(pa.array(offsets), pa.array(values))
