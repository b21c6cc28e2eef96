"""Hugging Face `tokenizer.json` files, read with the `tokenizers` library."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

import tokenizers

from flan_jax.data.vocabulary import VocabularyError, save_vocabulary, vocabulary_digest

FILE = "tokenizer.json"
_EOS_NAMES = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<|im_end|>")


class TokenizerJsonVocabulary:
    """A Hugging Face fast tokenizer without dummy prefix; special tokens written out in a text stay plain text."""

    kind = "tokenizer"
    pad_id = 0

    def __init__(self, path: str | pathlib.Path, eos_id: int | None = None, bos_id: int | None = None):
        """`eos_id` and `bos_id` are found in `tokenizer_config.json` beside the file, or by name, when not given.

        Raises VocabularyError if the file is not a tokenizer or no end-of-document token is found.
        """
        path = pathlib.Path(path)
        try:
            self._content = path.read_bytes()
            specification, prefixed = _without_dummy_prefix(json.loads(self._content))
            self._tokenizer = tokenizers.Tokenizer.from_str(json.dumps(specification))
        except Exception as error:  # the library raises plain Exception
            raise VocabularyError(f"{path} is not a tokenizer.json ({error}); set --gin.VOCABULARY") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.leading = " " if prefixed else ""
        self.size = max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1
        self.eos_id = _find_eos(self._tokenizer, path) if eos_id is None else eos_id
        self.bos_id = _find_bos(self._tokenizer, self.eos_id) if eos_id is None else bos_id
        self._tokenizer.encode_special_tokens = True  # "</s>" in a data set's text must not end the document
        self.digest = vocabulary_digest(self.kind, self.eos_id, self.bos_id, self._content)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([int(i) for i in ids if 0 <= i < self.size], skip_special_tokens=True)

    def save(self, directory: str | pathlib.Path) -> None:
        save_vocabulary(self, directory, FILE, self._content)


def _without_dummy_prefix(node: Any) -> tuple[Any, bool]:
    """The specification without the parts that put a space before a text, and whether there were any."""
    removed = False
    if isinstance(node, list):
        parts = [_without_dummy_prefix(part) for part in node if not _prepends(part)]
        return [part for part, _ in parts], len(parts) < len(node) or any(found for _, found in parts)
    if not isinstance(node, dict):
        return node, False
    node = dict(node)
    for stage in ("normalizer", "pre_tokenizer", "normalizers", "pretokenizers"):
        if stage in node:
            if _prepends(node[stage]):
                node[stage], found = None, True
            else:
                node[stage], found = _without_dummy_prefix(node[stage])
            removed |= found
    if node.get("type") == "Metaspace" and node.get("prepend_scheme", "always") != "never":
        node.update(prepend_scheme="never")
        node.pop("add_prefix_space", None)
        removed = True
    if node.get("type") == "ByteLevel" and node.get("add_prefix_space"):
        node.update(add_prefix_space=False)
        removed = True
    return node, removed


def _prepends(node: Any) -> bool:
    return isinstance(node, dict) and node.get("type") == "Prepend"


def _find_eos(tokenizer: tokenizers.Tokenizer, path: pathlib.Path) -> int:
    config = path.with_name("tokenizer_config.json")
    named = json.loads(config.read_text()).get("eos_token") if config.is_file() else None
    named = named["content"] if isinstance(named, dict) else named
    for name in (named,) if named else _EOS_NAMES:
        if (token := tokenizer.token_to_id(name)) is not None:
            return token
    raise VocabularyError(
        f"{path} names no end-of-document token (looked for {named or ', '.join(_EOS_NAMES)})\n"
        f'  put a tokenizer_config.json with "eos_token" beside it'
    )


def _find_bos(tokenizer: tokenizers.Tokenizer, eos_id: int) -> int | None:
    """The token the tokenizer itself puts first (LLaMA), if any (GPT-2 and Pythia put none)."""
    plain = tokenizer.encode("a", add_special_tokens=False).ids
    first = tokenizer.encode("a").ids[:1]
    return first[0] if first and first != plain[:1] and first[0] != eos_id else None
