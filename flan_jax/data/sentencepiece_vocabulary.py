"""SentencePiece vocabularies (Kudo and Richardson 2018): loading `*.model` files and training one from text."""

import io
import itertools
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import sentencepiece

from flan_jax.data.atomic import atomic_file
from flan_jax.data.vocabulary import VocabularyError, save_vocabulary, vocabulary_digest

TRAINING_THREADS = 4  # the sums of the EM algorithm depend on it: fixed, so that the same text gives the same bytes
FILE = "sentencepiece.model"
WORDS_REMEMBERED = 1 << 17  # about 50 MB, twice
_SPACE = "\u2581"  # what SentencePiece makes of a space
_WORD = re.compile(rf"[ {_SPACE}]*[^ {_SPACE}\n]+|[ {_SPACE}]+|\n")


class SentencePieceVocabulary:
    """A SentencePiece model, used without dummy prefix and with white space kept, whatever it was trained with."""

    kind = "sentencepiece"
    pad_id = 0

    def __init__(
        self,
        path: str | pathlib.Path,
        special: tuple[int, int | None] | None = None,
        *,
        prefix: bool | None = None,
        size: int | None = None,
        files: Mapping[str, bytes] | None = None,
    ):
        """special: ids of EOS and BOS; those the model defines, where not given.   prefix: is it used with a dummy
        prefix?  None: if it was trained so.   size: ids with those of added tokens.   files: see `Vocabulary`.

        Raises VocabularyError if the file is not a SentencePiece model or defines no end-of-sentence id.
        """
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self.content = pathlib.Path(path).read_bytes()
            self._processor.LoadFromSerializedProto(self.content)
        except (OSError, RuntimeError) as error:
            raise VocabularyError(f"{path} is not a SentencePiece model ({error}); set --gin.VOCABULARY") from error
        self._pieces = self._processor.GetPieceSize()
        self.size = max(self._pieces, size or 0)
        self.eos_id, self.bos_id = special or self._own_special(path)
        trained = self._processor.Encode("a", out_type=str)[0].startswith(_SPACE)
        self.leading = " " if (trained if prefix is None else prefix) else ""
        self._processor.OverrideNormalizerSpec(add_dummy_prefix="false", remove_extra_whitespaces="false")
        self.files: Mapping[str, bytes] = dict(files or {})
        rule = b"" if prefix in (None, trained) else b"\0other prefix"
        self.digest = vocabulary_digest(self.kind, self.eos_id, self.bos_id, self.content + rule)
        self._words = _Words(self._processor) if _splits_into_words(self._processor, self.content) else None

    def _own_special(self, path: str | pathlib.Path) -> tuple[int, int | None]:
        eos_id, bos_id = self._processor.eos_id(), self._processor.bos_id()
        if eos_id < 0:
            raise VocabularyError(f"{path} has no end-of-sentence id; train it with one, or set --gin.VOCABULARY")
        return eos_id, bos_id if bos_id >= 0 else None

    def opening(self, text: str) -> str:
        return text and self.leading + text

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        if self._words is None:
            return self._processor.Encode(list(texts), out_type=int)
        ids = self._words.__getitem__
        return [list(itertools.chain.from_iterable(map(ids, _WORD.findall(text)))) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.Decode([int(i) for i in ids if 0 <= i < self._pieces])

    def token_id(self, token: str) -> int | None:
        index = self._processor.PieceToId(token)
        return index if index != self._processor.unk_id() or token == self._processor.IdToPiece(index) else None

    def token(self, index: int) -> str:
        return self._processor.IdToPiece(index)

    def save(self, directory: str | pathlib.Path) -> None:
        same = [name for name, content in self.files.items() if content == self.content]
        save_vocabulary(self, directory, (same or [FILE])[0], self.content)


class _Words(dict[str, list[int]]):
    """The ids of words met before: several times as fast as merging their characters each time they come.

    When it is full, words become older ones, and of those the ones not met again until it is full once more are lost.
    """

    def __init__(self, processor: Any):
        self._processor = processor
        self._older: dict[str, list[int]] = {}

    def __missing__(self, word: str) -> list[int]:
        if len(self) >= WORDS_REMEMBERED:
            self._older = dict(self)
            self.clear()
        ids = self._older.get(word)
        self[word] = ids = self._processor.EncodeAsIds(word) if ids is None else ids
        return ids


def read_model(content: bytes) -> Any:
    """The ModelProto: pieces and the settings of trainer and normaliser."""
    from sentencepiece import sentencepiece_model_pb2

    model: Any = getattr(sentencepiece_model_pb2, "ModelProto")()  # noqa: B009 - made at run time, unknown to checkers
    model.ParseFromString(content)
    return model


def _splits_into_words(processor: Any, content: bytes) -> bool:
    """Are the ids of a text those of its words, one after the other?

    They are in a BPE without normalisation of which no piece spans two words or stands across a newline: merges look at
    neighbours only.  Not in a unigram model, where the sums of a whole text decide between paths.
    """
    model = read_model(content)
    if model.trainer_spec.model_type != model.trainer_spec.BPE or model.normalizer_spec.precompiled_charsmap:
        return False
    unknown = processor.unk_id()  # runs of unknown characters are one id, which must not reach across
    known = all(unknown not in processor.EncodeAsIds(text) for text in (" ", "\n"))
    return known and all(_WORD.fullmatch(piece.piece) for piece in model.pieces)


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """Line by line: a newline is a piece of its own, so nothing is lost, and long documents stay within the limit."""
    for text in texts:
        yield from (line for line in text.split("\n") if line)


def train_sentencepiece(
    texts: Iterable[str], size: int, path: str | pathlib.Path, model_type: Literal["unigram", "bpe"] = "bpe"
) -> SentencePieceVocabulary:
    """Train on `texts`, write the model to `path` and load it.  The same texts in the same order give the same bytes.

    No normalisation, no dummy prefix, white space kept, "\\n" a piece of its own, unknown characters as bytes;
    padding 0, end of document 1, unknown 2, no beginning.  Raises VocabularyError if the text cannot fill or fit
    `size` pieces.
    """
    model = io.BytesIO()
    lines = list(_lines(texts))  # a list, as the trainer takes an error of an iterator for its end
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=model_type,
            vocab_size=size,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            user_defined_symbols=["\n"],
            byte_fallback=True,
            pad_id=0,
            eos_id=1,
            unk_id=2,
            bos_id=-1,
            max_sentence_length=1 << 20,
            num_threads=TRAINING_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise _explained(str(error), size) from error
    with atomic_file(pathlib.Path(path)) as out:
        out.write(model.getvalue())
    return SentencePieceVocabulary(path)


def _explained(message: str, size: int) -> VocabularyError:
    most = re.search(r"value <= (\d+)", message)
    least = re.search(r"required_chars\. \d+ vs (\d+)", message)
    if most:
        return VocabularyError(
            f"the text has no {size} pieces, at most {most[1]}; set --gin.VOCABULARY=\"'sentencepiece:{most[1]}'\""
        )
    if least:
        return VocabularyError(
            f"{size} pieces cannot hold the text's characters and bytes, at least {least[1]} are needed;"
            f" set --gin.VOCABULARY=\"'sentencepiece:{least[1]}'\""
        )
    if "sentences_.empty()" in message:
        return VocabularyError("there is no text to train a vocabulary on; set --gin.prepare.vocabulary_mixture")
    return VocabularyError(f"SentencePiece could not be trained with {size} pieces: {message}")
