"""Vocabularies: text to token ids and back, one interface over bytes, SentencePiece and Hugging Face tokenizers."""

import hashlib
import json
import pathlib
import types
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np

from flan_jax.data.atomic import atomic_file
from flan_jax.errors import FlanJaxError

MANIFEST = "vocabulary.json"
TRAINING = "training.json"  # beside it: what `prepare` trained the vocabulary on
NAMED = 6  # tasks that a message lists by name


class VocabularyError(FlanJaxError):
    """A vocabulary that cannot be read, made or used; names the file and the setting."""


@runtime_checkable
class Vocabulary(Protocol):
    """Ids are in [0, size).  `pad_id` is always 0; padding is told by segment ids, so a vocabulary may use id 0 itself.

    `encode` adds no special token and no dummy prefix, so that the parts of a document can be encoded apart.
    `opening` is what to encode for a text that a document begins with: with `leading` in front, one space for
    vocabularies that were made with a dummy prefix (T5, LLaMA 2), else "".
    BOS may be the same token as EOS (OPT): what ends a document is its place, not its id.
    `digest` decides whether token files can be shared: a hash of the kind, the special ids and the file's content.
    `files` are those of the Hugging Face folder it was read from, by name and as they were; none if it was not.
    """

    kind: str
    size: int
    pad_id: int
    eos_id: int
    bos_id: int | None
    leading: str
    digest: str
    files: Mapping[str, bytes]

    def opening(self, text: str) -> str: ...

    def encode(self, texts: Sequence[str]) -> list[list[int]]: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def save(self, directory: str | pathlib.Path) -> None: ...


def load_vocabulary(spec: str) -> Vocabulary:
    """The vocabulary that `spec` names: "bytes", a SentencePiece `*.model`, a `tokenizer.json`, or a directory.

    A directory is one that was saved, or holds the tokenizer of a Hugging Face model; so does that of `tokenizer.json`.

    "sentencepiece:SIZE" is for `prepare`, which trains it; readers find it in the store (`store.find_vocabulary`).
    Raises VocabularyError.
    """
    if spec == "bytes":
        return ByteVocabulary()
    path = pathlib.Path(spec)
    if path.is_dir():
        return _load_directory(path)
    if not path.is_file():
        raise VocabularyError(
            f"vocabulary {spec!r} is not 'bytes', nor a file (*.model, tokenizer.json), nor a folder of one\n"
            f"  set --gin.VOCABULARY to one of these, or to 'sentencepiece:8000' to let prepare train one"
        )
    if path.suffix == ".json":
        from flan_jax.data.tokenizer_folder import read_json

        return read_json(path)
    from flan_jax.data.sentencepiece_vocabulary import SentencePieceVocabulary

    return SentencePieceVocabulary(path)


def _load_directory(directory: pathlib.Path) -> Vocabulary:
    if not (directory / MANIFEST).exists():
        from flan_jax.data.tokenizer_folder import FILES, read_folder

        if any((directory / name).is_file() for name in FILES):
            return read_folder(directory)
    try:
        manifest = json.loads((directory / MANIFEST).read_text())
        digest = manifest["digest"]
        vocabulary = _saved(directory, manifest)
    except (OSError, ValueError, KeyError) as error:
        raise VocabularyError(
            f"{directory} holds no readable {MANIFEST} ({error}); restore it, or set --gin.VOCABULARY"
        ) from error
    if vocabulary.digest != digest:
        raise VocabularyError(
            f"{directory} was saved as vocabulary {digest[:12]} but its file now reads as {vocabulary.digest[:12]}\n"
            f"  restore the file, or delete the directory and run flan-jax prepare again"
        )
    return vocabulary


def _saved(directory: pathlib.Path, manifest: Mapping[str, Any]) -> Vocabulary:
    kind, eos_id, bos_id = (manifest[name] for name in ("kind", "eos_id", "bos_id"))
    if kind == "bytes":
        return ByteVocabulary()
    path = directory / manifest["file"]
    names = (pathlib.Path(name).name for name in manifest.get("files", ()))  # older directories have none
    files = {name: (directory / name).read_bytes() for name in names}
    if kind == "tokenizer":
        from flan_jax.data.tokenizer_json import TokenizerJsonVocabulary

        return TokenizerJsonVocabulary(path, eos_id, bos_id, files=files)
    from flan_jax.data.sentencepiece_vocabulary import SentencePieceVocabulary

    prefix = bool(manifest["leading"]) if "leading" in manifest else None  # older directories say nothing of it
    return SentencePieceVocabulary(path, (eos_id, bos_id), prefix=prefix, size=manifest["size"], files=files)


def learned_from(directory: pathlib.Path) -> str:
    """The tasks that the vocabulary in a directory of the store was trained on, in words."""
    try:
        return listed(list(json.loads((directory / TRAINING).read_text())["tasks"]))
    except FileNotFoundError:
        return "tasks that were not written down"


def listed(tasks: Sequence[str]) -> str:
    more = f" and {len(tasks) - NAMED} more" if len(tasks) > NAMED else ""
    return ", ".join(tasks[:NAMED]) + more


def described(directory: pathlib.Path) -> str:
    """How to name a trained vocabulary, and which one it is."""
    return f"--gin.VOCABULARY=\"'{directory}'\"   trained on {learned_from(directory)}"


def vocabulary_digest(kind: str, eos_id: int, bos_id: int | None, content: bytes) -> str:
    """sha256 over everything that decides the ids of a text."""
    return hashlib.sha256(json.dumps([kind, eos_id, bos_id]).encode() + b"\0" + content).hexdigest()


def save_vocabulary(vocabulary: Vocabulary, directory: str | pathlib.Path, file: str, content: bytes) -> None:
    """Write `file` (if it has a name), the vocabulary's `files` and then the manifest that makes them loadable."""
    directory = pathlib.Path(directory)
    for name, written in {**vocabulary.files, **({file: content} if file else {})}.items():
        with atomic_file(directory / name) as out:
            out.write(written)
    names = ("kind", "size", "pad_id", "eos_id", "bos_id", "leading", "digest")
    manifest = {name: getattr(vocabulary, name) for name in names} | {"file": file, "files": sorted(vocabulary.files)}
    with atomic_file(directory / MANIFEST) as out:
        out.write(json.dumps(manifest, indent=1).encode())


class ByteVocabulary:
    """UTF-8 bytes, as in ByT5 (Xue et al. 2021): 0 is padding, 1 the end of a document, byte b is b + 3."""

    kind = "bytes"
    size = 259
    pad_id = 0
    eos_id = 1
    bos_id: int | None = None
    leading = ""
    digest = vocabulary_digest("bytes", 1, None, b"offset 3")
    files: Mapping[str, bytes] = types.MappingProxyType({})

    def opening(self, text: str) -> str:
        return text and self.leading + text

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [(np.frombuffer(text.encode(), np.uint8).astype(np.int32) + 3).tolist() for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(i - 3 for i in ids if 3 <= i < self.size).decode(errors="replace")

    def save(self, directory: str | pathlib.Path) -> None:
        save_vocabulary(self, directory, "", b"")
