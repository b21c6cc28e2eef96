"""The texts that are compared with each other: of examples in the store, and of files."""

import contextlib
import dataclasses
import io
import json
import pathlib
import re
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from flan_jax.data.store import Store
from flan_jax.data.task import Task
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.ngrams import words
from flan_jax.evaluation.overlap import blocks

PIECE = 1 << 20  # characters of a file read at once; a longer paragraph is searched in pieces
CODECS = {".gz": "gzip", ".bz2": "bz2", ".lz4": "lz4", ".zst": "zstd"}
_PARAGRAPHS = re.compile(r"\n\s*\n")
_LAST_WORD = re.compile(r"\S*\Z")
_TAIL = 4096  # characters, in which the last words of a piece are looked for first
_NO_WORD = 1 << 19  # so many letters in a row are none, and need not be kept for the next piece


class TextFileError(FlanJaxError, ValueError):
    """A text file that cannot be read as one; names the file and the line."""


@dataclasses.dataclass(frozen=True)
class EvaluationTexts:
    """The texts of the examples of several tasks, end to end; in the order of the tasks and of the store.

    bounds: task t has the examples `bounds[t]` to `bounds[t + 1]`, and `task_names[t]` and `clusters[t]`.
    example, field: of every text, its example's number and its field's, in `field_names`; the several options or
    references of an example stand under that name.
    """

    split: str
    task_names: tuple[str, ...]
    clusters: tuple[str, ...]
    bounds: Int64[np.ndarray, " K_1"]
    example_ids: list[str]
    field_names: list[str]
    texts: list[str]
    example: Int64[np.ndarray, " T"]
    field: Int64[np.ndarray, " T"]


def read_evaluation_texts(store: Store, tasks: Sequence[Task], split: str) -> EvaluationTexts:
    """The examples of a prepared split, each once, whatever number of templates it was put in."""
    ids: list[str] = []
    names: dict[str, int] = {}
    bounds, texts, example, field = [0], [], [], []
    for task in tasks:
        for example_id, own in _examples(store, task.name, split):
            for name, text in own:
                texts.append(text)
                example.append(len(ids))
                field.append(names.setdefault(name, len(names)))
            ids.append(example_id)
        bounds.append(len(ids))
    task_names, clusters = tuple(task.name for task in tasks), tuple(task.cluster for task in tasks)
    numbers = (np.array(column, np.int64) for column in (example, field))
    return EvaluationTexts(split, task_names, clusters, np.array(bounds), ids, list(names), texts, *numbers)


def _examples(store: Store, task: str, split: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Every example's id and its texts by field.  Rows without fields give their inputs and targets."""
    last = None
    columns = ("example_id", "fields", "options", "references", "inputs", "targets")
    for batch in store.open_text(task, split).to_batches():
        for example_id, fields, options, references, *rendered in zip(
            *(batch.column(name).to_pylist() for name in columns), strict=True
        ):
            if example_id == last:  # rows of an example stand together, one for each template
                continue
            last = example_id
            own = list(json.loads(fields).items()) or list(zip(("inputs", "targets"), rendered, strict=True))
            known = {text for _, text in own}
            for name, more in (("options", options), ("references", references)):
                own += [(name, text.strip()) for text in more if text.strip() not in known]
            yield example_id, own


@dataclasses.dataclass(frozen=True)
class TaskSource:
    """A prepared split, of `size` bytes: of each example what its fields and options hold, whatever its template.

    Rows without fields, documents above all, give their inputs and targets.  References other than the answer are
    never shown in training and are no part of it.
    """

    store: str
    name: str
    cluster: str
    split: str
    size: int

    def texts(self, shortest: int, longest: int) -> Iterator[tuple[list[str], int]]:
        """Lists of distinct texts that can have `shortest` words, and how many bytes of the source each list took."""
        del longest
        batches = Store(self.store, verify=False).open_text(self.name, self.split).to_batches()
        least = 2 * shortest - 1
        for batch in batches:
            rows = json.loads(f"[{','.join(batch.column('fields').to_pylist())}]")
            found = dict.fromkeys(text for row in rows for text in row.values() if len(text) >= least)
            options = batch.column("options").flatten().dictionary_encode().dictionary.to_pylist()
            found |= dict.fromkeys(text for text in options if len(text) >= least)
            bare = [not row for row in rows]
            if any(bare):
                for name in ("inputs", "targets"):
                    column = batch.column(name).filter(pa.array(bare)).to_pylist()
                    found |= dict.fromkeys(text for text in column if len(text) >= least)
            yield list(found), self.size // len(batches)


@dataclasses.dataclass(frozen=True)
class FileSource:
    """A file of training text, UTF-8, also compressed (.gz, .bz2, .lz4, .zst).

    Paragraphs, parted by empty lines, are its texts.  Of .jsonl every line is an object, and its values that are text
    are the texts.  Bytes that are no UTF-8 part words.
    """

    name: str
    size: int
    cluster: str = ""

    def texts(self, shortest: int, longest: int) -> Iterator[tuple[list[str], int]]:
        """As of a TaskSource.  Pieces of a long paragraph share `longest` - 1 words, so no n-gram is lost."""
        del shortest
        with contextlib.ExitStack() as stack:
            raw = stack.enter_context(open(self.name, "rb"))
            codec = CODECS.get(pathlib.Path(self.name).suffix)
            plain = stack.enter_context(pa.CompressedInputStream(raw, codec)) if codec else raw
            file = io.TextIOWrapper(plain, encoding="utf-8", errors="replace")
            lines = ".jsonl" in pathlib.Path(self.name).suffixes
            done = 0
            for texts in blocks(self._lines(file)) if lines else self._paragraphs(file, longest):
                yield texts, raw.tell() - done
                done = raw.tell()

    def _lines(self, file: io.TextIOBase) -> Iterator[str]:
        for number, line in enumerate(file, start=1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise TextFileError(f"{self.name}, line {number}: not JSON ({error})") from error
            if not isinstance(record, dict):
                raise TextFileError(f"{self.name}, line {number}: {line[:40]!r} is not a JSON object")
            yield from (value for value in record.values() if isinstance(value, str))

    def _paragraphs(self, file: io.TextIOBase, longest: int) -> Iterator[list[str]]:
        held = ""
        while piece := file.read(PIECE):
            *whole, held = _PARAGRAPHS.split(held + piece)
            if len(held) > PIECE:
                word = _LAST_WORD.findall(held[-_TAIL:])[0]  # may go on in the next piece
                begun = held.removesuffix(word)
                whole.append(begun)
                held = f"{last_words(begun, longest - 1)[-_NO_WORD:]} {word}"
            yield whole
        yield [held]


def last_words(text: str, count: int) -> str:
    """The last words of a text, normalised; all of them where there are fewer."""
    found = words(text[-_TAIL:])
    if len(found) <= count:
        found = words(text)
    return " ".join(found[-count:]) if count else ""
