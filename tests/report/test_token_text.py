"""Token boundaries: every id gets a text, and the texts joined are what the ids decode to."""

import pathlib

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from flan_jax.data.sentencepiece_vocabulary import train_sentencepiece
from flan_jax.data.vocabulary import ByteVocabulary, load_vocabulary
from flan_jax.report.browse.token_text import TokenText

TEXTS = [
    "the red lamp in the old mill",
    " yes",
    "two  spaces ",
    "line\n\nline",
    "Zürich 東京 🙂",
    "\ufffd a \ufffd",
    "",
]


def byte_level(folder: pathlib.Path) -> pathlib.Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=300, special_tokens=["</s>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS[:1] * 50, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("v")
    text = ["the red lamp in the old mill and the mill"] * 40
    sentencepiece = train_sentencepiece(text, 285, folder / "v.model")
    return {"bytes": ByteVocabulary(), "spm": sentencepiece, "json": load_vocabulary(str(byte_level(folder)))}


@pytest.mark.parametrize("kind", ["bytes", "spm", "json"])
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_join_to_the_text(vocabularies, kind, text):
    vocabulary = vocabularies[kind]
    [ids] = vocabulary.encode([text])
    pieces = TokenText(vocabulary).pieces(ids)
    assert len(pieces) == len(ids) and "".join(pieces) == text


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs",)), max_size=30))
def test_bytes_of_a_character_go_to_its_last(text):
    vocabulary = ByteVocabulary()
    [ids] = vocabulary.encode([text])
    assert [piece for piece in TokenText(vocabulary).pieces(ids) if piece] == list(text)


def test_a_word_is_cut_where_its_tokens_meet(vocabularies):
    [ids] = vocabularies["spm"].encode(["the mill"])
    pieces = TokenText(vocabularies["spm"]).pieces(ids)
    assert len(pieces) == len(ids) < len("the mill") and "".join(pieces) == "the mill"
    assert pieces == [vocabularies["spm"].decode([i]) for i in ids]
