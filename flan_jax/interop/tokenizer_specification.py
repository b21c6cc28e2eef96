"""A `tokenizer.json` that gives the ids of a SentencePiece model or of plain bytes."""

import json
import random
from collections.abc import Iterator
from typing import Any

import tokenizers

from ..data.sentencepiece_vocabulary import SentencePieceVocabulary, read_model
from ..data.vocabulary import ByteVocabulary, Vocabulary, VocabularyError

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
"""Types of pieces, as sentencepiece_model.proto numbers them."""

SPACE = "\u2581"
CHECKED = 500  # texts on which a specification is compared before it is given out

Specification = tuple[dict[str, Any], dict[str, str]]
"""The content of `tokenizer.json`, and the names of special tokens for `tokenizer_config.json`."""


def sentencepiece_specification(vocabulary: SentencePieceVocabulary) -> Specification:
    """Raises VocabularyError, naming the setting, for a model whose ids `tokenizers` would not give."""
    model = read_model(vocabulary.content)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    kinds = {piece.type for piece in model.pieces}
    for wrong, what in (
        (trainer.model_type != trainer.BPE, "is no BPE"),
        (bool(normalizer.precompiled_charsmap), f"normalises text ({normalizer.name})"),
        (not normalizer.escape_whitespaces, "does not escape white space"),
        (trainer.treat_whitespace_as_suffix, "puts white space behind words"),
        (UNUSED in kinds, "has unused pieces"),
    ):
        if wrong:
            raise VocabularyError(
                f"the SentencePiece model {vocabulary.digest[:12]} {what}, and no tokenizer.json gives the same ids; "
                f"give transformers its tokenizer.model by hand"
            )
    pieces = {piece.piece: (index, piece) for index, piece in enumerate(model.pieces)}
    special = {index: piece.piece for index, piece in pieces.values() if piece.type in (UNKNOWN, CONTROL)}
    defined = {index: piece.piece for index, piece in pieces.values() if piece.type == USER_DEFINED}
    unknown = next(piece.piece for _, piece in pieces.values() if piece.type == UNKNOWN)
    added = [_added(index, name, index in special) for index, name in sorted({**special, **defined}.items())]
    prefix = [{"type": "Prepend", "prepend": SPACE}] if vocabulary.leading else []
    spaces = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    strip = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if vocabulary.leading else []
    specification = _specification(
        {name: index for name, (index, _) in pieces.items()},
        _merges({name: piece.score for name, (_, piece) in pieces.items() if piece.type == NORMAL}),
        unknown,
        bool(trainer.byte_fallback),
        added,
    )
    specification["normalizer"] = {"type": "Sequence", "normalizers": [*prefix, spaces]}
    specification["decoder"] = _decoder(strip)
    names = {"unk_token": unknown, "eos_token": vocabulary.token(vocabulary.eos_id)}
    if trainer.pad_id >= 0:
        names["pad_token"] = vocabulary.token(trainer.pad_id)
    if vocabulary.bos_id is not None:
        names["bos_token"] = bos = vocabulary.token(vocabulary.bos_id)
        specification["post_processor"] = _bos_first(bos, vocabulary.bos_id)
    texts = _texts(
        [name.replace(SPACE, " ") for name, (_, piece) in pieces.items() if piece.type in (NORMAL, USER_DEFINED)]
    )
    _check(specification, vocabulary, list(texts))
    return specification, names


def bytes_specification(vocabulary: ByteVocabulary) -> Specification:
    """Every character is unknown, and so becomes its bytes."""
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    table = {name: index for index, name in enumerate(special.values())}
    added = [_added(index, name, True) for name, index in table.items()]
    table |= {f"<0x{byte:02X}>": byte + 3 for byte in range(256)}
    specification = _specification(table, [], "<unk>", True, added)
    specification["decoder"] = _decoder([])
    _check(specification, vocabulary, list(_texts(["a", "é", "日", "🙂", "\n", " ", "</s>", "<0x41>", "\x00"])))
    return specification, special


def _specification(
    table: dict[str, int], merges: list[list[str]], unknown: str, byte_fallback: bool, added: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": unknown, "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": byte_fallback, "ignore_merges": False,
            "vocab": table, "merges": merges,
        },
    }  # fmt: skip


def _merges(scores: dict[str, float]) -> list[list[str]]:
    """Every way to make a piece of two others, best piece first: SentencePiece ranks what results, not its parts."""
    ranked = sorted(scores, key=lambda piece: -scores[piece])
    halves = ([piece[:cut], piece[cut:]] for piece in ranked for cut in range(1, len(piece)))
    return [pair for pair in halves if pair[0] in scores and pair[1] in scores]


def _added(index: int, content: str, special: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": index, "content": content, **flags, "special": special}


def _decoder(more: list[dict[str, Any]]) -> dict[str, Any]:
    spaces = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
    return {"type": "Sequence", "decoders": [spaces, {"type": "ByteFallback"}, {"type": "Fuse"}, *more]}


def _bos_first(name: str, index: int) -> dict[str, Any]:
    text = {"Sequence": {"id": "A", "type_id": 0}}
    return {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": name, "type_id": 0}}, text],
        "pair": [{"SpecialToken": {"id": name, "type_id": 0}}, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {name: {"id": name, "ids": [index], "tokens": [name]}},
    }


def _texts(pieces: list[str]) -> Iterator[str]:
    """Texts of which merges collide: runs of the same pieces, and pieces that were never seen beside each other."""
    chosen = random.Random(0)
    yield from ("the lamp is  red,\nis it?", "naïve 東京 🙂\t1024", "▁ ▁▁  ", " ", "\n\n ")
    for _ in range(CHECKED):
        few = chosen.choices(pieces, k=chosen.randint(1, 3))
        yield "".join(chosen.choices(few, k=8)) + "".join(chosen.choices(pieces, k=8))


def _check(specification: dict[str, Any], vocabulary: Vocabulary, texts: list[str]) -> None:
    tokenizer = tokenizers.Tokenizer.from_str(json.dumps(specification))
    tokenizer.encode_special_tokens = True
    start = [] if vocabulary.bos_id is None else [vocabulary.bos_id]
    for text, ids in zip(texts, vocabulary.encode([vocabulary.opening(text) for text in texts]), strict=True):
        if (made := tokenizer.encode(text).ids) != start + ids:
            raise VocabularyError(
                f"no tokenizer.json was found with the ids of this vocabulary ({vocabulary.kind}, "
                f"{vocabulary.digest[:12]}): {text!r} is {start + ids} here and would be {made}"
            )
