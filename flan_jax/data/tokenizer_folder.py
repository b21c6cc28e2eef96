"""The vocabulary of a Hugging Face folder, with BOS and EOS as its family has them in plain language modelling.

A `tokenizer.json` says what the ids of a text are; without one, a SentencePiece model does, or for GPT-2's kind of
tokenizer (OPT's folders have no other) `vocab.json` with `merges.txt`.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

import sentencepiece
import tokenizers

from flan_jax.data.sentencepiece_vocabulary import SentencePieceVocabulary
from flan_jax.data.tokenizer_json import FILE, TokenizerJsonVocabulary
from flan_jax.data.tokenizer_settings import (
    ADDED,
    BOS_BY_FLAG,
    CONFIG,
    NAMES,
    TokenizerSettings,
    read_object,
    read_settings,
)
from flan_jax.data.vocabulary import Vocabulary, VocabularyError

MODELS = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model")
TABLES = ("vocab.json", "merges.txt")
FILES = (FILE, *MODELS, *TABLES, CONFIG, NAMES, ADDED, "chat_template.jinja")
"""Names of what is kept of a folder; the first six hold a vocabulary."""

SAMPLE = ("The lamp is  red,\nis it?", "naïve 東京 🙂\t1024 and 3.14", "don't #tag (x) == [y]")
_CONVERT = (
    'python -c "import sys, transformers as t; t.AutoTokenizer.from_pretrained(sys.argv[1])'
    '.save_pretrained(sys.argv[1])" {}'
)


def read_folder(folder: pathlib.Path) -> Vocabulary:
    """Raises VocabularyError, naming the file and the remedy, where the ids, BOS or EOS cannot be known."""
    files = {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
    settings = read_settings(folder, files)
    models = [name for name in MODELS if name in files]
    if FILE in files:
        vocabulary = _read_json(folder / FILE, settings, files)
        for name in models:
            _check_agreement(folder / name, folder / FILE, vocabulary)
        return vocabulary
    if models:
        return _read_model(folder / models[0], settings, files)
    if all(name in files for name in TABLES):
        return _read_tables(settings, files)
    raise VocabularyError(
        f"{folder} holds no tokenizer: neither {FILE} nor {' nor '.join(MODELS[:2])} nor {' with '.join(TABLES)}\n"
        f"  fetch it, or let transformers write it:   {_CONVERT.format(folder)}"
    )


def read_json(path: pathlib.Path) -> Vocabulary:
    """A `tokenizer.json`, with what the files beside it say; one of another name stands alone."""
    if path.name == FILE:
        return read_folder(path.parent)
    return _read_json(path, TokenizerSettings(path, {}, {}, {}, "", ()), {})


def _read_json(path: pathlib.Path, settings: TokenizerSettings, files: Mapping[str, bytes]) -> TokenizerJsonVocabulary:
    content = path.read_bytes()
    try:
        specification = json.loads(content)
        own = {token["content"]: token for token in specification.get("added_tokens", ())}
        more = {index: token for index, token in settings.added().items() if token["content"] not in own}
        if more:
            specification["added_tokens"] = [*own.values(), *more.values()]
            content = json.dumps(specification).encode()
        tokenizer = tokenizers.Tokenizer.from_str(content.decode())
    except Exception as error:  # the library raises plain Exception
        raise VocabularyError(f"{path} is not a tokenizer.json ({error}); set --gin.VOCABULARY") from error
    ids = tokenizer.get_vocab(with_added_tokens=True)
    for index, token in more.items():
        if ids.get(token["content"]) != index:
            raise VocabularyError(
                f"{path} gives the added token {token['content']!r} the id {ids.get(token['content'])}, and {CONFIG} "
                f"or {ADDED} beside it {index}\n  fetch the files again, or remove the token from those that are wrong"
            )
    special = {token["content"] for token in [*own.values(), *more.values()] if token["special"]}
    eos_id = settings.end(ids, frozenset(special))
    return TokenizerJsonVocabulary(path, eos_id, _first(tokenizer, path, settings), content=content, files=files)


def _first(tokenizer: tokenizers.Tokenizer, path: pathlib.Path, settings: TokenizerSettings) -> int | None:
    """The token the tokenizer itself puts first (LLaMA, OPT), if any (GPT-2 and Pythia put none)."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    encoding = tokenizer.encode("a")
    put = encoding.ids[: (*encoding.special_tokens_mask, 0).index(0)]
    if len(put) > 1:
        raise VocabularyError(
            f"{path} puts {len(put)} tokens before a text ({put}), where a document begins with one or none; "
            f"change its post_processor"
        )
    said = settings.puts_bos
    said = BOS_BY_FLAG.get(settings.kind) if said is None else said
    if settings.kind in BOS_BY_FLAG and said is not None and said != bool(put):
        raise VocabularyError(
            f"{path} puts {'a BOS' if put else 'no BOS'} before a text, and add_bos_token of {settings.kind} is {said};"
            f" versions of transformers differ in which they follow\n"
            f"  set add_bos_token to {'true' if put else 'false'} in {CONFIG}, or change the post_processor"
        )
    return put[0] if put else None


def _read_model(path: pathlib.Path, settings: TokenizerSettings, files: Mapping[str, bytes]) -> SentencePieceVocabulary:
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(path.read_bytes())
    except (OSError, RuntimeError) as error:
        raise VocabularyError(
            f"{path} is not a SentencePiece model ({error})\n"
            f"  let transformers write its {FILE}:   {_CONVERT.format(path.parent)}"
        ) from error
    pieces = processor.GetPieceSize()
    added = {index: token for index, token in settings.added().items() if index >= pieces}
    if text := [token["content"] for token in added.values() if not token["special"]]:
        raise VocabularyError(
            f"{path.parent} adds {text[0]!r} to {path.name}, to be found in any text, which only a {FILE} says how\n"
            f"  let transformers write it:   {_CONVERT.format(path.parent)}"
        )
    ids = {processor.IdToPiece(index): index for index in range(pieces)}
    special = {piece for piece, index in ids.items() if processor.IsControl(index)}
    ids |= {token["content"]: index for index, token in settings.added().items()}
    eos_id = settings.end(ids, frozenset(special | {token["content"] for token in added.values()}))
    prefix = False if settings.config.get("add_prefix_space") is False else None
    size = max([pieces, *(index + 1 for index in added)])
    bos_id = _first_of_model(processor, path, settings, ids)
    return SentencePieceVocabulary(path, (eos_id, bos_id), prefix=prefix, size=size, files=files)


def _first_of_model(
    processor: Any, path: pathlib.Path, settings: TokenizerSettings, ids: Mapping[str, int]
) -> int | None:
    """SentencePiece says which token is BOS, not whether it is used: `add_bos_token` does, or the tokenizer's class.

    LLaMA's and Gemma's put it, as those models were trained; transformers 5 leaves it out where the flag is absent.
    """
    puts = settings.puts_bos
    if puts is None and not settings.kind and processor.bos_id() >= 0:
        raise VocabularyError(
            f"{path} does not say whether its BOS stands before a text\n"
            f'  put a {CONFIG} with "add_bos_token": true or false beside it'
        )
    if not (settings.kind in ("LlamaTokenizer", "GemmaTokenizer") if puts is None else puts):
        return None
    bos_id = ids.get(settings.name("bos_token") or "", processor.bos_id())
    if bos_id < 0:
        raise VocabularyError(f"{path} has no BOS, which {CONFIG} beside it wants; set add_bos_token to false there")
    return bos_id


def _read_tables(settings: TokenizerSettings, files: Mapping[str, bytes]) -> TokenizerJsonVocabulary:
    """GPT-2's kind of tokenizer, as `transformers` makes it of its two tables."""
    folder = settings.folder
    if settings.kind != "GPT2Tokenizer":
        raise VocabularyError(
            f"{folder} has {' and '.join(TABLES)} for a {settings.kind or 'tokenizer of unknown class'}, no {FILE}\n"
            f"  let transformers write it:   {_CONVERT.format(folder)}"
        )
    vocabulary = read_object(folder / TABLES[0], files[TABLES[0]])
    lines = files[TABLES[1]].decode().split("\n")
    merges = [line.removesuffix("\r").split(" ") for line in lines if line.strip() and not line.startswith("#version")]
    if wrong := [merge for merge in merges if len(merge) != 2 or not all(part in vocabulary for part in merge)]:
        raise VocabularyError(f"{folder / TABLES[1]}: {' '.join(wrong[0])!r} is no merge of two tokens of {TABLES[0]}")
    special = {settings.name(f"{role}_token") for role in ("bos", "eos", "unk", "pad")} | {"<|endoftext|>"}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    own = {
        vocabulary[name]: {"id": vocabulary[name], "content": name, **flags} for name in special if name in vocabulary
    }
    added = own | settings.added()
    ids = vocabulary | {token["content"]: index for index, token in added.items()}
    eos_id = settings.end(ids, frozenset(token["content"] for token in added.values() if token["special"]))
    bos_id = None
    if settings.puts_bos:
        name = settings.name("bos_token") or "<|endoftext|>"
        if name not in ids:
            raise VocabularyError(f"{folder}: {CONFIG} wants BOS, and {TABLES[0]} has no {name!r}; name its bos_token")
        bos_id = ids[name]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    specification = {
        "version": "1.0",
        "added_tokens": [added[index] for index in sorted(added)],
        "normalizer": None,
        "pre_tokenizer": byte_level | {"add_prefix_space": bool(settings.config.get("add_prefix_space"))},
        "post_processor": byte_level,
        "decoder": byte_level,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": vocabulary, "merges": merges,
        },
    }  # fmt: skip
    content = json.dumps(specification).encode()
    return TokenizerJsonVocabulary(folder / TABLES[0], eos_id, bos_id, content=content, files=files)


def _check_agreement(model: pathlib.Path, path: pathlib.Path, vocabulary: TokenizerJsonVocabulary) -> None:
    """Raises VocabularyError if a SentencePiece model beside a `tokenizer.json` is of another vocabulary."""
    processor = sentencepiece.SentencePieceProcessor()
    try:
        processor.LoadFromSerializedProto(model.read_bytes())
    except RuntimeError:
        return  # LLaMA 3's file of this name is of another kind
    tokenizer = vocabulary.tokenizer
    added = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    for index in range(processor.GetPieceSize()):
        token, piece = tokenizer.id_to_token(index), processor.IdToPiece(index)
        # special tokens may be renamed, and Gemma's tab is a byte in one file and a character in the other
        if token != piece and token not in added and piece != "<0x09>":
            raise VocabularyError(
                f"id {index} is {token!r} in {path} and {piece!r} in {model.name}: they are of different models\n"
                f"  remove the one that is not this model's"
            )
    plain = SentencePieceVocabulary(model, (vocabulary.eos_id, vocabulary.bos_id))
    texts = [" " + text for text in SAMPLE]
    for text, one, other in zip(texts, vocabulary.encode(texts), plain.encode(texts), strict=True):
        if one != other:
            raise VocabularyError(
                f"{path} and {model.name} encode {text!r} differently\n  remove the one that is not this model's"
            )
