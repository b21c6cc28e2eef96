"""The store: a folder of Arrow files with manifests, and the rules for reading it.

    text/<task>/<split>.arrow                   rendered examples, readable with pandas, DuckDB or `datasets`
    tokens/<vocabulary>/<task>/<split>.arrow    the same rows as token ids, memory-mapped
    vocabularies/<name>/                        every vocabulary used; <vocabulary> is its digest, 12 digits
    left_out/<task>/<split>.json                why prepare was allowed to go on without this split
Beside every .arrow lies its manifest .json, written last: a file without one does not exist for readers.
"""

import hashlib
import json
import pathlib
import threading
from collections.abc import Sequence
from typing import NoReturn

import pyarrow as pa

from flan_jax.checksum import file_xxh3
from flan_jax.data import vocabulary as vocabularies
from flan_jax.data.manifest import CorruptStore as CorruptStore
from flan_jax.data.manifest import DataFile, TextManifest, TokenManifest, corrupt, read_manifest
from flan_jax.data.task import Task
from flan_jax.data.token_table import TokenTable, read_mapped
from flan_jax.errors import FlanJaxError

_verified: set[tuple[str, int, int, str]] = set()  # path, size, mtime, checksum: once a process, as hashing reads all
_verified_lock = threading.Lock()


class NotPrepared(FlanJaxError):
    """A split that was asked for is not in the store; says how to make it."""


class StoreMismatch(FlanJaxError):
    """A split in the store was made from something else than is asked for now; says what, and both ways out."""


class Store:
    """Reads the store below `root`.

    accept_stale: read splits whose templates or source have changed since; each is noted in `stale`, for results to
        record.
    verify: check the checksum of a file when this process first opens it (several GB/s); opening is instant without.
    """

    def __init__(self, root: str | pathlib.Path, accept_stale: bool = False, verify: bool = True):
        self.root = pathlib.Path(root)
        self.accept_stale = accept_stale
        self.verify = verify
        self.stale: set[str] = set()

    def text_path(self, task: str, split: str) -> pathlib.Path:
        return self.root / "text" / task / f"{split}.arrow"

    def tokens_path(self, digest: str, task: str, split: str) -> pathlib.Path:
        return self.root / "tokens" / digest[:12] / task / f"{split}.arrow"

    def left_out_path(self, task: str, split: str) -> pathlib.Path:
        return self.root / "left_out" / task / f"{split}.json"

    def left_out(self, task: str, split: str) -> str:
        """Why this split was left out when the store was prepared, "" if it was not."""
        try:
            return json.loads(self.left_out_path(task, split).read_bytes())["reason"]
        except FileNotFoundError:
            return ""

    def without(self, tasks: Sequence[str], splits: Sequence[str]) -> tuple[str, ...]:
        """Those of the tasks of which any of these splits was left out."""
        return tuple(task for task in tasks if any(self.left_out(task, split) for split in splits))

    def text_manifest(self, task: str, split: str) -> TextManifest:
        """Raises NotPrepared, CorruptStore."""
        path = self.text_path(task, split).with_suffix(".json")
        return read_manifest(TextManifest, path) or self._missing(path, task)

    def token_manifest(self, digest: str, task: str, split: str) -> TokenManifest:
        """Raises NotPrepared, CorruptStore; StoreMismatch if the text was rendered anew since."""
        path = self.tokens_path(digest, task, split).with_suffix(".json")
        manifest = read_manifest(TokenManifest, path) or self._missing(path, task)
        text = read_manifest(TextManifest, self.text_path(task, split).with_suffix(".json"))
        if text and text.data.xxh3 != manifest.text_xxh3:
            self._mismatch(
                f"{path.with_suffix('')} was tokenised from text {manifest.text_xxh3[:8]}…"
                f" but the text is now {text.data.xxh3[:8]}…"
            )
        return manifest

    def open_text(self, task: str, split: str) -> pa.Table:
        """Columns inputs, targets, options, answer, references, template, example_id, fields (JSON), question (hashes,
        see questions.py).  Memory-mapped."""
        path = self.text_path(task, split)
        self.check_data(path, self.text_manifest(task, split).data, self.verify)
        return read_mapped(path).read_all()

    def open_tokens(self, digest: str, task: str, split: str) -> TokenTable:
        """Row for row the tokens of `open_text(task, split)`."""
        path = self.tokens_path(digest, task, split)
        self.check_data(path, self.token_manifest(digest, task, split).data, self.verify)
        return TokenTable(path)

    def check(self, task: Task, split: str, digest: str | None = None) -> None:
        """Is the split prepared (and tokenised, given a vocabulary digest) from what `task` is now?

        Raises NotPrepared, CorruptStore, and StoreMismatch unless `accept_stale`.
        """
        text = self.text_manifest(task.name, split)
        if text.fingerprint != task.fingerprint:
            now = template_digest(task.template_file)
            what = (
                f"templates {text.template_digest[:8]}… but {task.template_file} is now {now[:8]}…"
                if text.template_digest != now
                else f"{text.source} {text.fingerprint[:8]}… but the task is now {task.source} {task.fingerprint[:8]}…"
            )
            self._mismatch(f"{self.text_path(task.name, split).with_suffix('')} was rendered from {what}")
        elif task.source_digest not in ("", text.source_digest):
            what = f"{text.source} as it was then; the data directory now has other rows of {task.source}"
            self._mismatch(f"{self.text_path(task.name, split).with_suffix('')} was rendered from {what}")
        if digest is not None:
            self.token_manifest(digest, task.name, split)

    def check_data(self, path: pathlib.Path, data: DataFile, verify: bool = True) -> None:
        """Raises CorruptStore unless the file has the size, and if `verify` the checksum, that its manifest says."""
        try:
            status = path.stat()
        except FileNotFoundError as error:
            raise corrupt(path, "its manifest is there but the file is missing") from error
        if status.st_size != data.size:
            raise corrupt(path, f"{status.st_size} bytes instead of {data.size}")
        key = (str(path.resolve()), status.st_size, status.st_mtime_ns, data.xxh3)
        if not verify or key in _verified:
            return
        if (found := file_xxh3(path)) != data.xxh3:
            raise corrupt(path, f"checksum {found[:8]}… instead of {data.xxh3[:8]}…")
        with _verified_lock:
            _verified.add(key)

    def vocabulary_directory(self, digest: str) -> pathlib.Path:
        """Where the vocabulary with this digest (or its first 12 digits) lies.  Raises NotPrepared."""
        for path in sorted(self.root.glob(f"vocabularies/*/{vocabularies.MANIFEST}")):
            if json.loads(path.read_text())["digest"].startswith(digest):
                return path.parent
        raise NotPrepared(f"{self.root}/vocabularies holds no vocabulary {digest[:12]}; run flan-jax prepare with it")

    def find_vocabulary(self, spec: str) -> vocabularies.Vocabulary:
        """`load_vocabulary`, and for "sentencepiece:SIZE" the one that prepare trained in this store.

        Raises VocabularyError: unknown, or several were trained (on different text) and one must be named.
        """
        if not spec.startswith("sentencepiece:"):
            return vocabularies.load_vocabulary(spec)
        found = self.trained_vocabularies(spec)
        if len(found) == 1:
            return vocabularies.load_vocabulary(str(found[0]))
        if not found:
            raise vocabularies.VocabularyError(f"{self.root}/vocabularies has no {spec}; flan-jax prepare trains it")
        raise vocabularies.VocabularyError(
            f"{self.root}/vocabularies has {len(found)} of {spec}, trained on different text; name one:\n"
            + "\n".join(f"  {vocabularies.described(path)}" for path in found)
        )

    def trained_vocabularies(self, spec: str) -> list[pathlib.Path]:
        """Where the vocabularies lie that prepare trained for a "sentencepiece:SIZE"."""
        pattern = spec.replace(":", "-")
        return sorted(path.parent for path in self.root.glob(f"vocabularies/{pattern}-*/{vocabularies.MANIFEST}"))

    def _missing(self, path: pathlib.Path, task: str) -> NoReturn:
        if why := self.left_out(task, path.stem):
            raise NotPrepared(
                f"{task}/{path.stem} was left out of {self.root} when it was prepared: {why}\n"
                f"  get it, and run flan-jax prepare again\n"
                f"  or go on without it:   --gin.UNAVAILABLE=\"'skip'\" (recorded)"
            )
        raise NotPrepared(
            f"{path.with_suffix('')} is not prepared\n"
            f"  make it:   flan-jax prepare, with this TASKS, STORE and VOCABULARY and a MIXTURE that has {task!r}"
        )

    def _mismatch(self, what: str) -> None:
        if self.accept_stale:
            self.stale.add(what)
            return
        raise StoreMismatch(
            f"{what}\n"
            f"  make it anew:   flan-jax prepare, with the settings it was made with; only what changed is made\n"
            f"  or keep it:     --gin.train.accept_stale=True, in evaluate --gin.evaluate.accept_stale=True, in"
            f" contamination --gin.contamination.accept_stale=True (recorded)"
        )


def template_digest(file: str) -> str:
    """sha256 of the template file, "" if the task has none."""
    path = pathlib.Path(file)
    return hashlib.sha256(path.read_bytes()).hexdigest() if file and path.is_file() else ""
