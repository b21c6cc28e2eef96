"""The text layer: a task's rendered examples in one Arrow file a split, with what was seen, kept and dropped."""

import collections
import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
import xxhash

from flan_jax.data.atomic import atomic_file
from flan_jax.data.manifest import DataFile, TextManifest
from flan_jax.data.store import Store, template_digest
from flan_jax.data.task import Dropped, Rendered, Task
from flan_jax.errors import FlanJaxError

CHUNK = 4096  # rows held in memory, and rows of a record batch
BEYOND_CAP = "beyond the eval_examples cap"
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
    ]
)


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
    }


class _Counts:
    def __init__(self) -> None:
        self.seen = 0
        self.kept = 0
        self.dropped: collections.Counter[str] = collections.Counter()
        self.rows_dropped: collections.Counter[str] = collections.Counter()


def write_text(
    store: Store, task: Task, split: str, request: dict, progress: Callable[[int], None] = lambda rows: None
) -> TextManifest:
    """Render `split` and write it with its manifest.  `progress` is told of every chunk's rows.

    Holds CHUNK rows at a time, or with a cap the rows of `eval_examples` examples.
    Raises BadExample, EmptySplit, DiskFull, and whatever reading the source raises; the older file then stays.
    """
    counts, rows = _Counts(), 0
    path = store.text_path(task.name, split)
    manifest_path = path.with_suffix(".json")
    # The seed of forward templates has no effect; 0 stands for "none".
    stream = task.render(split, request["templates"], request["seed"] or 0)
    examples = _kept(task, stream, request["templates"] == "forward", counts)
    if request["eval_examples"] is not None:
        examples = _capped(examples, request["eval_examples"], task.name)
    with atomic_file(path) as out:
        with pa.ipc.new_file(out, SCHEMA) as writer:
            flat = itertools.chain.from_iterable(_counted(examples, counts))
            while chunk := list(itertools.islice(flat, CHUNK)):
                writer.write_batch(_batch(chunk))
                rows += len(chunk)
                progress(len(chunk))
        if beyond := counts.seen - counts.kept - counts.dropped.total():
            counts.dropped[BEYOND_CAP] = beyond
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


def _kept(task: Task, stream: Iterable[Rendered | Dropped], grouped: bool, counts: _Counts) -> Iterator[list[Rendered]]:
    """The rows of every example that has any; an example without is counted under the first reason given."""
    for group in (g for _, g in itertools.groupby(stream, lambda row: row.example_id)) if grouped else zip(stream):
        counts.seen += 1
        rows: list[Rendered] = []
        reasons: list[str] = []
        for row in group:
            reason = row.reason if isinstance(row, Dropped) else _fault(task, row)
            if reason is None and isinstance(row, Rendered):
                rows.append(row)
            else:
                reasons.append(reason or "")
        if rows:
            counts.rows_dropped.update(reasons)
            yield rows
        else:
            counts.dropped[reasons[0]] += 1


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


def example_hash(task: str, example_id: str) -> int:
    """In [0, 2**64), the same for ever: decides who is chosen when not all are."""
    return xxhash.xxh3_64_intdigest(f"{task}\0{example_id}".encode())


def _capped(examples: Iterable[list[Rendered]], cap: int, task: str) -> list[list[Rendered]]:
    """The `cap` examples whose ids hash lowest, in source order.

    The choice depends on neither position nor seed: an example stays chosen when others are added or the seed changes.
    """
    heap: list[tuple[int, int, list[Rendered]]] = []
    for position, rows in enumerate(examples):
        entry = (-example_hash(task, rows[0].example_id), -position, rows)
        if len(heap) < cap:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return [rows for _, _, rows in sorted(heap, key=lambda entry: -entry[1])]


def _counted(examples: Iterable[list[Rendered]], counts: _Counts) -> Iterator[list[Rendered]]:
    for rows in examples:
        counts.kept += 1
        yield rows


def _batch(rows: list[Rendered]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True))
    columns[-1] = tuple(json.dumps(dict(fields), ensure_ascii=False) for fields in columns[-1])
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)
