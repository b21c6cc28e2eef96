"""Parts of splits: made on any machine, joined into the very files that one machine alone would have written.

A part is an Arrow file in memory.  Text parts carry the counts of their examples with them.
"""

import json
import pathlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa

from flan_jax.data.choosing import EVERY_HASH, Counts, example_hash
from flan_jax.data.manifest import TextManifest, TokenManifest
from flan_jax.data.store import Store
from flan_jax.data.task import Task
from flan_jax.data.text_layer import CHUNK, SCHEMA, TextPart, text_request, write_batches
from flan_jax.data.token_layer import TokenColumns, write_columns
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.errors import FlanJaxError

_COUNTS = b"counts"


class OtherTask(FlanJaxError):
    """A worker has another version of the task, its templates or its data than the machine that asked for the part."""


def text_part(
    task: Task, split: str, request: dict, rows: tuple[int, int | None], seed: int, eval_examples: int | None
) -> bytes:
    """Source rows start <= i < stop of a split (stop None: to the end), rendered: under a cap the lowest examples.

    Raises OtherTask unless the task here answers the request.
    """
    here = text_request(task, split, seed, eval_examples)
    if differing := [name for name in request if request[name] != here[name]]:
        raise OtherTask(
            f"{task.name}/{split}: {', '.join(differing)} differs between this worker and the machine that asked;"
            f" install the same flan-jax and tasks on both, and let TFDS_DATA_DIR hold the same data"
        )
    part = TextPart(task, split, request, rows)
    batches = list(part.batches())
    counts = part.counts.as_json(part.limit)
    return _file(SCHEMA.with_metadata({_COUNTS: json.dumps(counts).encode()}), batches)


def join_text(store: Store, task: Task, split: str, request: dict, parts: Iterable[bytes]) -> TextManifest:
    """The text layer file of a split from its parts, in order.  Holds one part, or with a cap all, at a time.

    Raises EmptySplit, DiskFull.
    """
    counts, limit = Counts(), EVERY_HASH
    tables = (_counted(part, counts) for part in parts)
    if (cap := request["eval_examples"]) is not None:
        table, limit = _capped(pa.concat_tables(tables), cap, task.name, counts)
        tables = iter([table])
    return write_batches(store, task, split, request, _chunks(tables), counts, lambda: limit)


def token_part(batches: Iterable[pa.RecordBatch], vocabulary: Vocabulary) -> bytes:
    """Some batches of a text layer file as tokens."""
    with tempfile.TemporaryDirectory() as folder:
        columns = TokenColumns(pathlib.Path(folder))
        for batch in batches:
            columns.append(batch, vocabulary)
        tokens = columns.batch()
        return _file(tokens.schema, [tokens])


def join_tokens(store: Store, vocabulary: Vocabulary, text: TextManifest, parts: Iterable[bytes]) -> TokenManifest:
    """The token layer file of a split from its parts, in order.  Raises DiskFull."""
    folder = store.tokens_path(vocabulary.digest, text.task, text.split).parent
    folder.mkdir(parents=True, exist_ok=True)
    columns = TokenColumns(folder)
    for part in parts:
        columns.extend(pa.ipc.open_file(pa.BufferReader(part)).get_batch(0))
    return write_columns(store, vocabulary, text, columns)


def _file(schema: pa.Schema, batches: Sequence[pa.RecordBatch]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    return sink.getvalue().to_pybytes()


def _counted(part: bytes, counts: Counts) -> pa.Table:
    table = pa.ipc.open_file(pa.BufferReader(part)).read_all()
    counts.add(json.loads((table.schema.metadata or {})[_COUNTS]))
    return table.replace_schema_metadata(None)


def _capped(table: pa.Table, cap: int, task: str, counts: Counts) -> tuple[pa.Table, int]:
    """The rows of the `cap` lowest examples, given the lowest of every part, and the limit as of `Lowest.limit`."""
    ids = table["example_id"].to_pylist()
    hashes = {example: example_hash(task, example) for example in ids}
    chosen = sorted(hashes, key=lambda example: hashes[example])[:cap]
    counts.kept = len(chosen)
    limit = hashes[chosen[-1]] + 1 if len(chosen) == cap else EVERY_HASH
    return table.filter(pa.array([hashes[example] < limit for example in ids], pa.bool_())), limit


def _chunks(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of CHUNK, the last one shorter."""
    waiting = SCHEMA.empty_table()
    for table in tables:
        waiting = pa.concat_tables([waiting, table])
        while len(waiting) >= CHUNK:
            yield _batch(waiting.slice(0, CHUNK))
            waiting = waiting.slice(CHUNK)
    if len(waiting):
        yield _batch(waiting)


def _batch(table: pa.Table) -> pa.RecordBatch:
    (batch,) = table.combine_chunks().to_batches()
    return batch
