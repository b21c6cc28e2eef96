"""What the files beside a Hugging Face tokenizer say of it: special tokens, added tokens, BOS, the end of a document.

`transformers` 4 and 5 read them differently in places; where that matters, the comments say which is followed and why.
"""

import dataclasses
import json
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

from flan_jax.data.vocabulary import VocabularyError

logger = logging.getLogger(__name__)

CONFIG, NAMES, ADDED = "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"
DOCUMENT_ENDS = ("</s>", "<|endoftext|>", "<|end_of_text|>", "<eos>", "<｜end▁of▁sentence｜>")
TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|eom_id|>", "<end_of_turn>", "<|end|>", "<|eot|>")
"""Ends of a turn of a chat, which chat models have for their `eos_token`; their documents ended otherwise."""

CLASS_OF_MODEL = {
    **dict.fromkeys(("gpt2", "opt", "gptj"), "GPT2Tokenizer"),
    **dict.fromkeys(("llama", "mistral", "phi3"), "LlamaTokenizer"),
    **dict.fromkeys(("gemma", "gemma2", "gemma3", "gemma3_text"), "GemmaTokenizer"),
    **dict.fromkeys(("qwen2", "qwen3"), "Qwen2Tokenizer"),
    "gpt_neox": "GPTNeoXTokenizer",
}
EOS_OF_CLASS = {
    **dict.fromkeys(("GPT2Tokenizer", "GPTNeoXTokenizer", "Qwen2Tokenizer"), "<|endoftext|>"),
    "LlamaTokenizer": "</s>",
    "GemmaTokenizer": "<eos>",
}
BOS_BY_FLAG = {"LlamaTokenizer": None, "GemmaTokenizer": None, "GPTNeoXTokenizer": False}
"""Classes of `transformers` 4 that heed `add_bos_token` beside a `tokenizer.json`, and its value where it is absent."""


@dataclasses.dataclass(frozen=True)
class TokenizerSettings:
    """The settings of the tokenizer in a folder; `kind` is its class in `transformers`, "" where none is known."""

    folder: pathlib.Path
    config: Mapping[str, Any]
    names: Mapping[str, Any]
    indices: Mapping[str, int]  # of added_tokens.json
    kind: str
    ends: tuple[int, ...]  # generation_config.json's, or else config.json's

    def name(self, role: str) -> str | None:
        """The token that is called `role`, as "eos_token"."""
        # as transformers 5 has it: the map is older, and heeded unless the newer list of added tokens is there
        sources = (self.config,) if "added_tokens_decoder" in self.config else (self.names, self.config)
        for source in sources:
            token = source.get(role)
            if token is not None:
                return token["content"] if isinstance(token, dict) else str(token)
        return None

    def added(self) -> dict[int, dict[str, Any]]:
        """Tokens that were added to the vocabulary, by id, each as in `added_tokens` of a `tokenizer.json`."""
        found = {int(index): token for index, token in self.config.get("added_tokens_decoder", {}).items()}
        if not found:
            special = {self.name(f"{role}_token") for role in ("bos", "eos", "unk", "pad", "sep", "cls", "mask")}
            more = self.names.get("additional_special_tokens") or self.config.get("additional_special_tokens") or ()
            special |= {token["content"] if isinstance(token, dict) else token for token in more}
            found = {index: {"content": token, "special": token in special} for token, index in self.indices.items()}
        flags = {"single_word": False, "lstrip": False, "rstrip": False}
        return {
            index: {
                "id": index, **flags, "normalized": not token.get("special", False), "special": False,
                **{name: value for name, value in token.items() if name != "__type"},
            }
            for index, token in sorted(found.items())
        }  # fmt: skip

    def end(self, ids: Mapping[str, int], special: frozenset[str]) -> int:
        """The id that ends a document, of a vocabulary with these `ids`, of which `special` are no text.

        That is `eos_token`, unless this is the end of a chat's turn and there is one for documents.  Raises
        VocabularyError if none is known.
        """
        named = self.name("eos_token")
        if named is not None and named not in ids:
            raise VocabularyError(
                f"{self.folder}: the tokenizer has no id for its eos_token {named!r}\n"
                f'  name one that it has as "eos_token" in {CONFIG}'
            )
        if named is not None and named not in TURN_ENDS:
            return ids[named]
        told = [token for token in special if ids.get(token) in self.ends]
        told.sort(key=lambda token: self.ends.index(ids[token]))
        known = [token for token in told if token in DOCUMENT_ENDS]
        possible = [token for token in DOCUMENT_ENDS if token in special and token in ids]
        if named is None:
            return ids[self._unnamed_end(ids, known or told, possible)]
        end = (*known, *possible, named)[0]
        if end != named:
            logger.warning(
                "%s: eos_token %s ends a turn of a chat; documents end with %s (id %d), as its base model's",
                self.folder, named, end, ids[end],
            )  # fmt: skip
        return ids[end]

    def _unnamed_end(self, ids: Mapping[str, int], told: list[str], possible: list[str]) -> str:
        """Told by the model's own files, or by the class of its tokenizer, or the only token of such a name."""
        if len(told) == 1 or (told and told[0] in DOCUMENT_ENDS):
            return told[0]
        default = EOS_OF_CLASS.get(self.kind)
        if default is not None and default in ids and "eos_token" not in self.config:
            return default
        if len(possible) == 1:
            return possible[0]
        looked = f"it has {' and '.join(possible)}" if possible else f"looked for {', '.join(DOCUMENT_ENDS)}"
        raise VocabularyError(
            f"{self.folder} names no end-of-document token ({looked})\n"
            f'  put a {CONFIG} with "eos_token" beside the tokenizer'
        )

    @property
    def puts_bos(self) -> bool | None:
        """What `add_bos_token` says; None if nothing."""
        return self.config.get("add_bos_token")


def read_settings(folder: pathlib.Path, files: Mapping[str, bytes]) -> TokenizerSettings:
    """The settings in the tokenizer's `files`, and in those of the model in the same folder.

    Raises VocabularyError if a file is no JSON object, or the name of a class in it no text.
    """
    config, names, indices = (read_object(folder / name, files.get(name, b"{}")) for name in (CONFIG, NAMES, ADDED))
    model, generation = (
        read_object(path, path.read_bytes() if path.is_file() else b"{}")
        for path in (folder / "config.json", folder / "generation_config.json")
    )
    kind = _text(folder / CONFIG, config, "tokenizer_class") or _text(folder / "config.json", model, "tokenizer_class")
    kind = kind.removesuffix("Fast")
    if kind in ("PreTrainedTokenizer", "TokenizersBackend"):  # what any tokenizer may be saved as
        kind = ""
    elif not kind:
        kind = CLASS_OF_MODEL.get(_text(folder / "config.json", model, "model_type"), "")
    ends = generation.get("eos_token_id", model.get("eos_token_id"))
    listed = tuple(ends) if isinstance(ends, list) else () if ends is None else (ends,)
    return TokenizerSettings(folder, config, names, indices, kind, listed)


def _text(path: pathlib.Path, values: Mapping[str, Any], name: str) -> str:
    """A field of a file; "" where it is absent or null."""
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise VocabularyError(f"{path}: {name}={value!r} must be text; mend it or remove it")
    return value or ""


def read_object(path: pathlib.Path, content: bytes) -> dict[str, Any]:
    """The JSON object in a file.  Raises VocabularyError."""
    try:
        found = json.loads(content)
    except ValueError as error:
        raise VocabularyError(f"{path} is no JSON ({error}); fetch it again") from error
    if not isinstance(found, dict):
        raise VocabularyError(f"{path} is no JSON object; fetch it again")
    return found
