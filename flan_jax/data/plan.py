"""The pack plan: which documents stand in which row of which step, made once for a mixture, seed, lengths, vocabulary.

STORE/plans/<hash>/plan.arrow holds a list of documents per row, `rows_per_batch` rows a step; plan.json beside it
states what the mixture came to: shares, fill, epochs, what was truncated or left out.  The hash digests everything that
decides the plan, so one that is there is the one that would be made.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import pathlib
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import xxhash
from jaxtyping import Int32, Int64

from flan_jax.data.atomic import explain_full_disk
from flan_jax.data.composition import Documents, LossOn, SpecialTokens, TokenRows
from flan_jax.data.mixing import MixingError, Rates
from flan_jax.data.packing import PackedWindow, packed_windows
from flan_jax.data.pool import Pool, build_pool
from flan_jax.data.store import Store
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.errors import FlanJaxError

PLANNER_VERSION = 1  # raise it whenever the same request would make another plan (tests/data/test_plan.py pins one)
RECORD_BATCH_ROWS = 4096

_DOCUMENT = pa.struct(
    [pa.field(name, pa.int32(), nullable=False) for name in Documents._fields]
    + [pa.field("exemplars", pa.list_(pa.int32()), nullable=False)]  # token rows of the same task, shown before it
)


class PlanError(FlanJaxError):
    """A plan cannot be made, read or followed as asked."""


@dataclasses.dataclass(frozen=True)
class PlanConfig:
    """What decides a plan, beside the tokens.  Lengths are in tokens; BOS and EOS count towards row_length only."""

    tasks: tuple[str, ...]
    steps: int
    rows_per_batch: int
    row_length: int = 1024
    inputs_length: int = 1024  # longer inputs lose their beginning
    targets_length: int = 256  # examples with longer targets are left out, and counted
    seed: int = 0
    rates: Rates = dataclasses.field(default_factory=Rates)
    loss_on: LossOn = "targets"
    split: str = "train"

    def __post_init__(self):
        for name in ("steps", "rows_per_batch", "row_length", "targets_length"):
            if getattr(self, name) < 1:
                raise PlanError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.inputs_length < 0:
            raise PlanError(f"inputs_length is {self.inputs_length}; it must not be negative")
        if self.loss_on not in ("targets", "all"):
            raise PlanError(f"loss_on is {self.loss_on!r}; use 'targets' or 'all'")
        if twice := sorted({name for name in self.tasks if self.tasks.count(name) > 1}):
            raise PlanError(f"the mixture names {', '.join(twice)} more than once; weigh tasks with Rates.explicit")


@dataclasses.dataclass(frozen=True)
class TaskSummary:
    """One task's part in a plan.  Shares are of the plan's documents, their target tokens (with EOS), all tokens."""

    task: str
    source_rows: int
    over_long: int
    beyond_cap: int
    usable: int
    requested_share: float
    documents: int
    epochs: float
    truncated_inputs: int
    target_tokens: int
    tokens: int
    share_of_examples: float
    share_of_target_tokens: float
    share_of_tokens: float


@dataclasses.dataclass(frozen=True)
class Plan:
    """An opened plan with the token tables it points into.  Reading it copies nothing."""

    directory: pathlib.Path
    hash: str
    config: PlanConfig
    vocabulary_digest: str
    special: SpecialTokens
    tasks: tuple[TaskSummary, ...]  # Documents.task indexes this
    documents: int
    fill: float  # tokens that are not padding, as a share
    tables: tuple[TokenRows, ...] = dataclasses.field(repr=False, compare=False)
    chunks: tuple[PackedWindow, ...] = dataclasses.field(repr=False, compare=False)

    @property
    def steps(self) -> int:
        return self.config.steps

    @property
    def rows_per_batch(self) -> int:
        return self.config.rows_per_batch

    @property
    def row_length(self) -> int:
        return self.config.row_length

    @property
    def realised_shares(self) -> dict[str, TaskSummary]:
        """What every task came to, by name."""
        return {summary.task: summary for summary in self.tasks}

    def step_documents(self, step: int, start: int, stop: int) -> tuple[Documents, Int64[np.ndarray, " N"]]:
        """The documents of rows [start, stop) of a step, row by row, and the row of each, counted from `start`.

        Raises PlanError if the step lies outside the plan.
        """
        if not 0 <= step < self.steps:
            raise PlanError(f"step {step} lies outside the {self.steps} steps of plan {self.hash}; raise steps")
        per_chunk = _rows_per_chunk(self.rows_per_batch)
        chunk, row = divmod(step * self.rows_per_batch, per_chunk)
        documents, row_offsets = self.chunks[chunk]
        offsets = row_offsets[row + start : row + stop + 1]
        rows = np.repeat(np.arange(stop - start), np.diff(offsets))
        return documents.take(slice(int(offsets[0]), int(offsets[-1]))), rows


def build_plan(store: Store, vocabulary: Vocabulary, config: PlanConfig) -> Plan:
    """Open the plan for this request, made first if it is not there.

    The store holds config.split of every task in tokens of the vocabulary (else NotPrepared).  Any number of processes
    may do this at once: they make the same plan, and the first to finish leaves it.  Raises MixingError or PlanError
    naming the setting at fault, and what the store raises.
    """
    if not config.tasks:
        raise MixingError("the mixture is empty; name at least one task, e.g. --gin.MIXTURE=\"'microworld'\"")
    config = dataclasses.replace(config, tasks=tuple(sorted(config.tasks)))  # a mixture is a set
    special = SpecialTokens(vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id)
    if config.row_length <= special.overhead:
        raise PlanError(f"row_length is {config.row_length}: too short for a document; raise it")
    manifests = {task: store.token_manifest(vocabulary.digest, task, config.split) for task in config.tasks}
    request = {
        "planner_version": PLANNER_VERSION,
        "config": dataclasses.asdict(config),
        "vocabulary": {"digest": vocabulary.digest, **dataclasses.asdict(special)},
        "tokens": {task: manifest.data.xxh3 for task, manifest in manifests.items()},
    }
    digest = hashlib.blake2b(json.dumps(request, sort_keys=True).encode(), digest_size=8).hexdigest()
    directory = store.root / "plans" / digest
    tables = tuple(store.open_tokens(vocabulary.digest, task, config.split) for task in config.tasks)
    if not directory.exists():
        lengths = (config.inputs_length, config.targets_length, config.row_length)
        pool = build_pool(config.tasks, tables, config.rates, lengths, special, config.seed)
        _write(directory, pool, config, special, request)
    return _open(directory, config, vocabulary.digest, special, tables)


def _write(directory: pathlib.Path, pool: Pool, config: PlanConfig, special: SpecialTokens, request: Mapping) -> None:
    """Write under another name, then rename the folder: a plan is there whole or not at all.

    The name is random and no process id: containers that share a disk often run under the same one.
    """
    partial = directory.with_name(f".{directory.name}.{secrets.token_hex(4)}")
    with explain_full_disk(partial), contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, partial, ignore_errors=True)
        partial.mkdir(parents=True)
        rows = config.steps * config.rows_per_batch
        windows = packed_windows(pool.stream(), rows, config.row_length, special, config.seed)
        tally = np.zeros((4, len(pool.names)), np.int64)
        _write_rows(partial / "plan.arrow", _tallied(windows, tally, special), _rows_per_chunk(config.rows_per_batch))
        summary = {
            "hash": directory.name,
            "checksum": _checksum(partial / "plan.arrow"),
            "documents": int(tally[0].sum()),
            "fill": float(tally[3].sum() / (rows * config.row_length)),
            "tasks": [dataclasses.asdict(summary) for summary in _summaries(pool, tally)],
            "request": request,
        }
        (partial / "plan.json").write_text(json.dumps(summary, indent=1))
        try:
            os.rename(partial, directory)
        except OSError:
            if not directory.exists():  # else another process was first, with the same plan
                raise


def _tallied(
    windows: Iterator[PackedWindow], tally: Int64[np.ndarray, "4 M"], special: SpecialTokens
) -> Iterator[PackedWindow]:
    """Count, as the windows pass: documents, truncated inputs, target tokens and tokens of each task."""
    for window in windows:
        documents = window.documents
        counted = (None, documents.inputs_start > 0, documents.targets_length + 1, documents.lengths(special))
        for total, weights in zip(tally, counted, strict=True):
            total += np.bincount(documents.task, weights, minlength=len(total)).astype(np.int64)
        yield window


def _summaries(pool: Pool, tally: Int64[np.ndarray, "4 M"]) -> Iterator[TaskSummary]:
    shares = tally / tally.sum(axis=1, keepdims=True).clip(1)
    for i, (name, task) in enumerate(zip(pool.names, pool.tasks, strict=True)):
        documents, truncated, target_tokens, tokens = tally[:, i].tolist()
        yield TaskSummary(
            task=name,
            source_rows=task.source_rows,
            over_long=task.over_long,
            beyond_cap=task.beyond_cap,
            usable=len(task.example),
            requested_share=float(pool.shares[i]),
            documents=documents,
            epochs=documents / len(task.example),
            truncated_inputs=truncated,
            target_tokens=target_tokens,
            tokens=tokens,
            share_of_examples=float(shares[0, i]),
            share_of_target_tokens=float(shares[2, i]),
            share_of_tokens=float(shares[3, i]),
        )


def _rows_per_chunk(rows_per_batch: int) -> int:
    """Rows of a record batch: whole steps, so that a step is read from one."""
    return rows_per_batch * max(1, RECORD_BATCH_ROWS // rows_per_batch)


def _write_rows(path: pathlib.Path, windows: Iterator[PackedWindow], rows_per_chunk: int) -> None:
    schema = pa.schema([pa.field("documents", pa.list_(_DOCUMENT), nullable=False)])
    with pa.ipc.new_file(str(path), schema) as writer:
        waiting = schema.empty_table()
        for window in windows:
            waiting = pa.concat_tables([waiting, pa.table([_documents_column(window)], schema=schema)])
            while len(waiting) >= rows_per_chunk:
                writer.write_table(waiting.slice(0, rows_per_chunk).combine_chunks())
                waiting = waiting.slice(rows_per_chunk)
        if len(waiting):
            writer.write_table(waiting.combine_chunks())


def _documents_column(window: PackedWindow) -> pa.Array:
    none = pa.ListArray.from_arrays(np.zeros(len(window.documents.task) + 1, np.int32), pa.array([], pa.int32()))
    columns = [pa.array(column) for column in window.documents]
    values = pa.StructArray.from_arrays([*columns, none], fields=list(_DOCUMENT))
    return pa.ListArray.from_arrays(pa.array(window.row_offsets), values)


def _open(
    directory: pathlib.Path, config: PlanConfig, digest: str, special: SpecialTokens, tables: Sequence[TokenRows]
) -> Plan:
    try:
        summary = json.loads((directory / "plan.json").read_text())
        if _checksum(directory / "plan.arrow") != summary["checksum"]:
            raise ValueError("the checksum of plan.arrow differs")
    except (OSError, ValueError, KeyError) as error:
        raise PlanError(f"the plan in {directory} is damaged ({error}); delete the folder, and run again") from error
    with pa.memory_map(str(directory / "plan.arrow")) as source, pa.ipc.open_file(source) as reader:
        chunks = tuple(_chunk(reader.get_batch(i).column(0)) for i in range(reader.num_record_batches))
    tasks = tuple(TaskSummary(**task) for task in summary["tasks"])
    return Plan(
        directory, summary["hash"], config, digest, special, tasks, summary["documents"], summary["fill"],
        tuple(tables), chunks,
    )  # fmt: skip


def _chunk(column: pa.ListArray) -> PackedWindow:
    offsets: Int32[np.ndarray, " R"] = column.offsets.to_numpy()
    return PackedWindow(Documents(*(column.values.field(name).to_numpy() for name in Documents._fields)), offsets)


def _checksum(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, xxhash.xxh3_128).hexdigest()
