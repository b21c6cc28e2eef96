"""Hugging Face `tokenizer.json` files, read with the `tokenizers` library."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import tokenizers

from flan_jax.data.vocabulary import VocabularyError, save_vocabulary, vocabulary_digest

FILE = "tokenizer.json"
_STAGES = ("normalizer", "pre_tokenizer", "normalizers", "pretokenizers", "decoders")


class TokenizerJsonVocabulary:
    """A Hugging Face fast tokenizer without dummy prefix; special tokens written out in a text stay plain text."""

    kind = "tokenizer"
    pad_id = 0

    def __init__(
        self,
        path: str | pathlib.Path,
        eos_id: int,
        bos_id: int | None,
        *,
        content: bytes | None = None,
        files: Mapping[str, bytes] | None = None,
    ):
        """content: the `tokenizer.json` instead of the file at `path`, where that had to be completed.
        files: see `Vocabulary`.

        Raises VocabularyError if the file is not a tokenizer.
        """
        try:
            self.content = pathlib.Path(path).read_bytes() if content is None else content
            specification, prefixes = _without_dummy_prefix(json.loads(self.content))
            for token in specification.get("added_tokens", ()):  # some files do not call them special
                token["special"] |= token["id"] in (eos_id, bos_id)
            self.tokenizer = tokenizers.Tokenizer.from_str(json.dumps(specification))
        except Exception as error:  # the library raises plain Exception
            raise VocabularyError(f"{path} is not a tokenizer.json ({error}); set --gin.VOCABULARY") from error
        self.tokenizer.no_padding()
        self.tokenizer.no_truncation()
        self.tokenizer.encode_special_tokens = True  # "</s>" in a data set's text must not end the document
        self.leading = " " if prefixes else ""
        self._unless_there = "Prepend" not in prefixes
        self.size = max(self.tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.eos_id, self.bos_id = eos_id, bos_id
        self.files: Mapping[str, bytes] = dict(files or {})
        self.digest = vocabulary_digest(self.kind, self.eos_id, self.bos_id, self.content)

    def opening(self, text: str) -> str:
        return text if not text or (self._unless_there and text.startswith(" ")) else self.leading + text

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode([int(i) for i in ids if 0 <= i < self.size], skip_special_tokens=True)

    def token_id(self, token: str) -> int | None:
        return self.tokenizer.token_to_id(token)

    def token(self, index: int) -> str:
        return self.tokenizer.id_to_token(index) or ""

    def save(self, directory: str | pathlib.Path) -> None:
        completed = FILE in self.files and self.files[FILE] != self.content
        save_vocabulary(self, directory, f"completed_{FILE}" if completed else FILE, self.content)


def _without_dummy_prefix(node: Any) -> tuple[Any, set[str]]:
    """The specification without the parts that put a space before a text, and the types of those.

    Where a space is put first, the decoder takes one off again, which goes with it.
    """
    found: set[str] = set()
    if isinstance(node, list):
        kept = []
        for part in node:
            if _type(part) == "Prepend":
                found.add("Prepend")
                continue
            part, inside = _without_dummy_prefix(part)
            kept.append(part)
            found |= inside
        return kept, found
    if not isinstance(node, dict):
        return node, found
    node = dict(node)
    for stage in _STAGES:
        if _type(node.get(stage)) == "Prepend":
            node[stage] = None
            found.add("Prepend")
        elif stage in node:
            node[stage], inside = _without_dummy_prefix(node[stage])
            found |= inside
    if _type(node) == "Metaspace" and node.get("prepend_scheme", "always") != "never":
        node.update(prepend_scheme="never")
        node.pop("add_prefix_space", None)
        found.add("Metaspace")
    if _type(node) == "ByteLevel" and node.get("add_prefix_space"):
        node.update(add_prefix_space=False)
        found.add("ByteLevel")
    if "decoder" in node and found:
        node["decoder"] = _without_stripping(_without_dummy_prefix(node["decoder"])[0])
    return node, found


def _without_stripping(decoder: Any) -> Any:
    if _type(decoder) == "Strip":
        return None
    if _type(decoder) == "Sequence":
        return {**decoder, "decoders": [part for part in decoder["decoders"] if _type(part) != "Strip"]}
    return decoder


def _type(node: Any) -> str:
    return str(node.get("type", "")) if isinstance(node, dict) else ""
