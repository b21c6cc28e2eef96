"""SentencePiece vocabularies (Kudo and Richardson 2018): loading `*.model` files and training one from text."""

import io
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import sentencepiece

from flan_jax.data.atomic import atomic_file
from flan_jax.data.vocabulary import VocabularyError, save_vocabulary, vocabulary_digest

TRAINING_THREADS = 4  # the sums of the EM algorithm depend on it: fixed, so that the same text gives the same bytes
FILE = "sentencepiece.model"


class SentencePieceVocabulary:
    """A SentencePiece model, used without dummy prefix and with white space kept, whatever it was trained with."""

    kind = "sentencepiece"
    pad_id = 0

    def __init__(self, path: str | pathlib.Path):
        """Raises VocabularyError if the file is not a SentencePiece model or defines no end-of-sentence id."""
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._content = pathlib.Path(path).read_bytes()
            self._processor.LoadFromSerializedProto(self._content)
        except (OSError, RuntimeError) as error:
            raise VocabularyError(f"{path} is not a SentencePiece model ({error}); set --gin.VOCABULARY") from error
        self.size = self._processor.GetPieceSize()
        self.eos_id = self._processor.eos_id()
        if self.eos_id < 0:
            raise VocabularyError(f"{path} has no end-of-sentence id; train it with one, or set --gin.VOCABULARY")
        self.bos_id = self._processor.bos_id() if self._processor.bos_id() >= 0 else None
        bare, spaced = self._processor.Encode(["a", " a"], out_type=str)
        self.leading = " " if bare == spaced and bare[0].startswith("\u2581") else ""
        self._processor.OverrideNormalizerSpec(add_dummy_prefix="false", remove_extra_whitespaces="false")
        self.digest = vocabulary_digest(self.kind, self.eos_id, self.bos_id, self._content)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        return self._processor.Encode(list(texts), out_type=int)

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.Decode([int(i) for i in ids if 0 <= i < self.size])

    def save(self, directory: str | pathlib.Path) -> None:
        save_vocabulary(self, directory, FILE, self._content)


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
