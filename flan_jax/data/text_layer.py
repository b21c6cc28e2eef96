"""The text layer: a task's rendered examples in one Arrow file a split, with what was seen, kept and dropped."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from flan_jax.data.atomic import atomic_file
from flan_jax.data.choosing import EVERY_HASH, Counts, Lowest, example_hash
from flan_jax.data.manifest import DataFile, TextManifest
from flan_jax.data.questions import question_hashes
from flan_jax.data.store import Store, template_digest
from flan_jax.data.task import Dropped, Rendered, Task
from flan_jax.errors import FlanJaxError

CHUNK = 4096  # rows held in memory, and rows of a record batch
TOLD_EVERY = 1024  # examples
SCHEMA = pa.schema(
    [
        ("inputs", pa.string()),
        ("targets", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.int32()),
        ("references", pa.list_(pa.string())),
        ("template", pa.int32()),
        ("example_id", pa.string()),
        ("fields", pa.string()),
        ("question", pa.list_(pa.uint64())),  # see questions.py
    ]
)

_AS_JSON = json.JSONEncoder(ensure_ascii=False).encode


class BadExample(FlanJaxError):
    """A rendered example breaks the contract of the text layer; names task, example and template."""


class EmptySplit(FlanJaxError):
    """Nothing of a split was kept; says why."""


def text_request(task: Task, split: str, seed: int, eval_examples: int | None) -> dict:
    """The part of the manifest that decides the rows: if it is unchanged, so are they."""
    hashed = split == "train" or task.kind == "documents"
    return {
        "fingerprint": task.fingerprint,
        "templates": "hashed" if hashed else "forward",
        "seed": seed if hashed else None,
        "eval_examples": None if split == "train" else eval_examples,
        "source_digest": task.source_digest,
    }


def changed_since(manifest: TextManifest, request: dict[str, Any]) -> str:
    """What of the request is not as the manifest has it, in words; "" if the rows are those asked for.

    Rows that are not here to be compared count as unchanged.
    """
    here = {key: value for key, value in request.items() if (key, value) != ("source_digest", "")}
    words = {"fingerprint": "templates or source", "source_digest": "the source's rows"}
    changed = [words.get(key, key) for key, value in here.items() if value != getattr(manifest, key)]
    return ", ".join(changed) + " changed" if changed else ""


def write_text(
    store: Store, task: Task, split: str, request: dict, progress: Callable[[int], None] = lambda examples: None
) -> TextManifest:
    """Render `split` and write it with its manifest.  `progress` is told how many more examples were seen.

    Holds CHUNK rows at a time, or with a cap the rows of `eval_examples` examples.
    Raises BadExample, EmptySplit, DiskFull, and whatever reading the source raises; the older file then stays.
    """
    part = TextPart(task, split, request, progress=progress)
    return write_batches(store, task, split, request, part.batches(), part.counts, lambda: part.limit)


class TextPart:
    """What is kept of a split, or of its source rows start <= i < stop; the examples are counted as they pass."""

    def __init__(
        self,
        task: Task,
        split: str,
        request: dict,
        rows: tuple[int, int | None] = (0, None),
        progress: Callable[[int], None] = lambda examples: None,
    ):
        self.counts = Counts()
        self._task, self._progress = task, progress
        self._grouped = request["templates"] == "forward"
        cap = request["eval_examples"]
        self._lowest = None if cap is None else Lowest(cap, task.name)
        # The seed of forward templates has no effect; 0 stands for "none".
        arguments = split, request["templates"], request["seed"] or 0
        wants = self._lowest.wants if self._lowest else lambda example_id: True
        self._stream = task.render_rows(*arguments, *rows, wants) if task.render_rows else task.render(*arguments)

    @property
    def limit(self) -> int:
        """See `Lowest.limit`."""
        return self._lowest.limit if self._lowest else EVERY_HASH

    def batches(self) -> Iterator[pa.RecordBatch]:
        """CHUNK rows a batch, the last one shorter."""
        examples = self._examples()
        if self._lowest:
            for position, rows in enumerate(examples):
                self._lowest.offer(position, rows)
            examples = iter(self._lowest.chosen())
        flat = (row for rows in self._counted(examples) for row in rows)
        while chunk := list(itertools.islice(flat, CHUNK)):
            yield _batch(chunk, self._task.question_fields)

    def _examples(self) -> Iterator[list[Rendered]]:
        """The rows of every example that has any; an example without is counted under the first reason given."""
        grouped = itertools.groupby(self._stream, lambda row: row.example_id) if self._grouped else None
        told = 0
        for group in (group for _, group in grouped) if grouped else zip(self._stream):
            self.counts.seen += 1
            rows: list[Rendered] = []
            reasons: list[str] = []
            for row in group:
                reason = row.reason if isinstance(row, Dropped) else _fault(self._task, row)
                if reason is None and isinstance(row, Rendered):
                    rows.append(row)
                else:
                    reasons.append(reason or "")
            if reasons:
                self._drop(row.example_id, reasons if rows else reasons[:1], bool(rows))
            if rows:
                yield rows
            if self.counts.seen - told >= TOLD_EVERY:
                self._progress(self.counts.seen - told)
                told = self.counts.seen
        self._progress(self.counts.seen - told)

    def _drop(self, example_id: str, reasons: list[str], of_rows: bool) -> None:
        if self._lowest:
            self.counts.note(example_hash(self._task.name, example_id), reasons, of_rows)
        else:
            self.counts.drop(reasons, of_rows)

    def _counted(self, examples: Iterable[list[Rendered]]) -> Iterator[list[Rendered]]:
        for rows in examples:
            self.counts.kept += 1
            yield rows


def write_batches(
    store: Store,
    task: Task,
    split: str,
    request: dict,
    batches: Iterable[pa.RecordBatch],
    counts: Counts,
    limit: Callable[[], int],
) -> TextManifest:
    """Write a split's batches, CHUNK rows each but the last, with its manifest.  Raises EmptySplit, DiskFull.

    counts: complete when the batches are all there, and then settled at `limit()`.
    """
    rows = 0
    path = store.text_path(task.name, split)
    manifest_path = path.with_suffix(".json")
    with atomic_file(path) as out:
        with pa.ipc.new_file(out, SCHEMA) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        counts.settle(limit())
        if not rows:
            why = ", ".join(f"{reason}: {count}" for reason, count in counts.dropped.items())
            raise EmptySplit(f"{task.name}/{split} ({task.source}): {counts.seen} examples seen, none kept ({why})")
        out.settle()  # a full disk fails here, with the older split still whole
        manifest_path.unlink(missing_ok=True)  # from here to the new manifest the split does not exist
    manifest = TextManifest(
        task=task.name,
        split=split,
        rows=rows,
        data=DataFile(path.name, out.size, out.xxh3),
        cluster=task.cluster,
        benchmark=task.benchmark,
        kind=task.kind,
        metrics=task.metrics,
        source=task.source,
        licence=task.licence,
        citation=task.citation,
        template_file=task.template_file,
        template_digest=template_digest(task.template_file),
        seen=counts.seen,
        kept=counts.kept,
        dropped=dict(sorted(counts.dropped.items())),
        rows_dropped=dict(sorted(counts.rows_dropped.items())),
        **request,
    )
    manifest.write(manifest_path)
    return manifest


def _fault(task: Task, row: Rendered) -> str | None:
    """Why a row cannot be learned from, if so.  Raises BadExample where the fault is the task's, not the data's."""
    if not row.targets.strip():
        return "empty target"
    if task.kind == "documents":
        return None
    if not row.inputs.strip():
        return "empty input"
    spaced = row.targets.startswith(" ") and all(option.startswith(" ") for option in row.options)
    if row.inputs[-1].isspace() or not spaced:
        raise BadExample(
            f"{task.name}: example {row.example_id!r} under template {row.template} ({task.template_file})"
            f": inputs must not end in white space, targets and options must start with one space; got"
            f" inputs …{row.inputs[-20:]!r}, targets {row.targets[:20]!r}, options {row.options}"
        )
    if not -1 <= row.answer < len(row.options) or bool(row.options) != (row.answer >= 0):
        raise BadExample(
            f"{task.name}: example {row.example_id!r}: answer {row.answer} is not one of its {len(row.options)} options"
        )
    return None


def _batch(rows: list[Rendered], question_fields: tuple[tuple[str, ...], ...]) -> pa.RecordBatch:
    columns: list[Sequence[Any]] = list(zip(*rows, strict=True))
    columns[-1] = tuple(_AS_JSON(dict(fields)) for fields in columns[-1])
    columns.append(_questions(rows, question_fields))
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _questions(rows: list[Rendered], question_fields: tuple[tuple[str, ...], ...]) -> list[list[int]]:
    """The hashes of every row's question, made once for the rows of an example that stand together."""
    found: list[list[int]] = []
    for before, row in itertools.pairwise([None, *rows]):
        assert row is not None
        if before is not None and question_fields and before.example_id == row.example_id:
            found.append(found[-1])
        else:
            found.append(question_hashes(question_fields, row.inputs, row.fields))
    return found
