"""Tokenizer files of Hugging Face folders: read as a vocabulary, and written for `transformers.AutoTokenizer`."""

import json
import pathlib
from typing import Any

from ..data.atomic import atomic_file
from ..data.sentencepiece_vocabulary import SentencePieceVocabulary, read_model
from ..data.tokenizer_folder import read_folder
from ..data.tokenizer_json import FILE, TokenizerJsonVocabulary
from ..data.tokenizer_settings import CONFIG, read_settings
from ..data.vocabulary import ByteVocabulary, Vocabulary, VocabularyError
from .tokenizer_specification import bytes_specification, sentencepiece_specification

MODEL = "tokenizer.model"
CHOSEN = {"qwen2": "Qwen2Tokenizer"}  # classes that transformers 5 chooses, whatever tokenizer_config.json says


def read_tokenizer(directory: str | pathlib.Path) -> Vocabulary:
    """The vocabulary of a Hugging Face folder, with BOS and EOS as its family has them in plain language modelling.

    BOS is what the tokenizer itself puts first: the post-processor of `tokenizer.json`; without that file
    `add_bos_token`, or if this is absent the class (LLaMA and Gemma: yes).  EOS is `eos_token`, but for chat models, of
    which it ends a turn: theirs is the end of a document, and a warning says so.
    Raises VocabularyError naming the file and the remedy where any of it cannot be known.
    """
    directory = pathlib.Path(directory)
    if not directory.is_dir():
        raise VocabularyError(f"{directory} is no folder; name one that holds a tokenizer")
    return read_folder(directory)


def write_tokenizer(folder: str | pathlib.Path, vocabulary: Vocabulary) -> list[str]:
    """Write files from which AutoTokenizer gives the ids of `vocabulary`; their names.

    Files that the vocabulary was read from are written as they were.  For other vocabularies a `tokenizer.json` is
    made.  Raises VocabularyError where none would give the same ids.
    """
    folder = pathlib.Path(folder)
    _check_class(vocabulary, folder)
    files = vocabulary.files or _made(vocabulary)
    for name, content in files.items():
        with atomic_file(folder / name) as out:
            out.write(content)
    return sorted(files)


def special_ids(vocabulary: Vocabulary) -> dict[str, int]:
    """`bos_token_id`, `eos_token_id` and `pad_token_id` for `config.json`; those that there are.

    A BOS is told also where the tokenizer has one and puts it before no text, as GPT-2's.
    """
    found: dict[str, int | None] = {"bos_token_id": vocabulary.bos_id, "eos_token_id": vocabulary.eos_id}
    if isinstance(vocabulary, ByteVocabulary):
        found["pad_token_id"] = vocabulary.pad_id
    elif isinstance(vocabulary, SentencePieceVocabulary | TokenizerJsonVocabulary):
        settings = read_settings(pathlib.Path(), vocabulary.files)
        added = {token["content"]: index for index, token in settings.added().items()}
        for role in ("bos", "pad"):
            name = settings.name(f"{role}_token")
            if found.get(f"{role}_token_id") is None and name is not None:
                found[f"{role}_token_id"] = added.get(name, vocabulary.token_id(name))
        if not vocabulary.files and isinstance(vocabulary, SentencePieceVocabulary):
            pad_id = read_model(vocabulary.content).trainer_spec.pad_id
            found["pad_token_id"] = pad_id if pad_id >= 0 else None
    return {name: index for name, index in found.items() if index is not None}


def _check_class(vocabulary: Vocabulary, folder: pathlib.Path) -> None:
    """Raises VocabularyError if transformers would load the files by a class that is not theirs."""
    path = folder / "config.json"
    model_type = json.loads(path.read_bytes()).get("model_type") if path.is_file() else None
    own = read_settings(pathlib.Path(), vocabulary.files).kind  # "": saved without its class, maybe that of this model
    if model_type in CHOSEN and own != CHOSEN[model_type] and (own or not vocabulary.files):
        raise VocabularyError(
            f"beside a {model_type!r} transformers loads any tokenizer as {CHOSEN[model_type]}, which gives other ids "
            f"than this one ({own or vocabulary.kind}); export the model as another family"
        )


def _made(vocabulary: Vocabulary) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    names: dict[str, Any] = {}
    if isinstance(vocabulary, TokenizerJsonVocabulary):
        files[FILE] = vocabulary.content
        names["eos_token"] = vocabulary.token(vocabulary.eos_id)
        if vocabulary.bos_id is not None:
            names["bos_token"] = vocabulary.token(vocabulary.bos_id)
    elif isinstance(vocabulary, SentencePieceVocabulary):
        specification, names = sentencepiece_specification(vocabulary)
        files[MODEL] = vocabulary.content
        files[FILE] = _json(specification)
    elif isinstance(vocabulary, ByteVocabulary):
        specification, names = bytes_specification(vocabulary)
        files[FILE] = _json(specification)
    else:
        raise VocabularyError(f"a vocabulary of kind {vocabulary.kind!r} has no files for transformers")
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **names}
    return {**files, CONFIG: _json(said)}


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"
