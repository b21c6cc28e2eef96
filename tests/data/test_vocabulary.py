"""Vocabularies: nothing is lost between text and ids, and the parts of a document can be encoded apart."""

import importlib.util
import json
import pathlib
import tempfile

import pytest
import sentencepiece as sentencepiece_library
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from flan_jax.data.sentencepiece_vocabulary import SentencePieceVocabulary, train_sentencepiece
from flan_jax.data.vocabulary import ByteVocabulary, Vocabulary, VocabularyError, load_vocabulary

SEQIO_MODEL = "test_data/sentencepiece/sentencepiece.model"  # has a dummy prefix, as T5's


def sentences() -> list[str]:
    words = ["mira", "keeps", "a", "red", "lamp", "in", "the", "old", "mill", "and", "tomas", "sees", "it"]
    return [" ".join(words[(i * (k + 2) + k) % 13] for k in range(3 + i % 9)) + ".\nIs it so?" for i in range(300)]


@pytest.fixture(scope="module")
def sentencepiece(tmp_path_factory) -> SentencePieceVocabulary:
    return train_sentencepiece(sentences(), 290, tmp_path_factory.mktemp("v") / "v.model")


def byte_level(folder: pathlib.Path, eos: str = "<|endoftext|>") -> pathlib.Path:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=330, special_tokens=[eos], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(sentences(), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def llama_like(folder: pathlib.Path) -> pathlib.Path:
    """Shaped as LLaMA 2's file: a space is put first by a normaliser, <s> by a post-processor."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")  # no piece spans two words
    tokenizer.train_from_iterator(sentences(), trainer)
    tokenizer.pre_tokenizer = None
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_each_kind_is_a_vocabulary(sentencepiece, tmp_path):
    for vocabulary in (ByteVocabulary(), sentencepiece, load_vocabulary(str(byte_level(tmp_path)))):
        assert isinstance(vocabulary, Vocabulary)
        assert vocabulary.pad_id == 0 and vocabulary.eos_id >= 0 and vocabulary.bos_id is None


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(blacklist_categories=("Cs",))))
def test_bytes_give_the_text_back(text):
    vocabulary = ByteVocabulary()
    [ids] = vocabulary.encode([text])
    assert vocabulary.decode([*ids, vocabulary.eos_id, vocabulary.pad_id]) == text
    assert all(3 <= i < vocabulary.size for i in ids)


@pytest.mark.parametrize("text", ["", " ", " yes", "two  spaces ", "line\n\nline", "Zürich 東京 🙂", "tab\there", "▁"])
def test_sentencepiece_gives_the_text_back(sentencepiece, text):
    [ids] = sentencepiece.encode([text])
    assert sentencepiece.decode([*ids, sentencepiece.eos_id]) == text.replace("▁", " ")  # its own sign for a space


def test_byte_level_tokenizer_gives_the_text_back(tmp_path):
    vocabulary = load_vocabulary(str(byte_level(tmp_path)))
    for text in (" yes", "a  b\n", "Zürich 東京"):
        assert vocabulary.decode([*vocabulary.encode([text])[0], vocabulary.eos_id]) == text


def test_encoding_apart_equals_encoding_together(sentencepiece, tmp_path):
    inputs = [text.rstrip() for text in sentences()]
    for vocabulary in (ByteVocabulary(), sentencepiece, load_vocabulary(str(byte_level(tmp_path)))):
        [target] = vocabulary.encode([" the old mill"])
        joint = vocabulary.encode([text + " the old mill" for text in inputs])
        assert [ids + target for ids in vocabulary.encode(inputs)] == joint


def test_training_is_deterministic(tmp_path):
    for name in ("a", "b"):
        train_sentencepiece(iter(sentences()), 290, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert train_sentencepiece(sentences()[:200], 285, tmp_path / "c").digest != load_model(tmp_path / "a").digest


def load_model(path: pathlib.Path) -> SentencePieceVocabulary:
    return SentencePieceVocabulary(path)


def test_newline_is_a_piece_of_its_own(sentencepiece):
    ids = sentencepiece.encode(["a\na", "\n", "\n\n"])
    assert ids[2] == ids[1] * 2 and ids[1][0] in ids[0]


def test_an_error_in_the_training_text_is_not_taken_for_its_end(tmp_path):
    def texts():
        yield from sentences()
        raise RuntimeError("unreadable")

    with pytest.raises(RuntimeError, match="unreadable"):
        train_sentencepiece(texts(), 290, tmp_path / "v.model")


@pytest.mark.parametrize(("size", "remedy"), [(5000, "at most"), (100, "at least"), (0, "trained with 0")])
def test_a_size_the_text_cannot_have(tmp_path, size, remedy):
    with pytest.raises(VocabularyError, match=remedy):
        train_sentencepiece(sentences(), size, tmp_path / "v.model")
    assert not (tmp_path / "v.model").exists()


def test_no_text_to_train_on(tmp_path):
    with pytest.raises(VocabularyError, match="no text"):
        train_sentencepiece([], 300, tmp_path / "v.model")


def test_a_saved_vocabulary_loads_the_same(sentencepiece, tmp_path):
    (tmp_path / "hf").mkdir()
    for number, vocabulary in enumerate(
        (ByteVocabulary(), sentencepiece, load_vocabulary(str(llama_like(tmp_path / "hf"))))
    ):
        vocabulary.save(tmp_path / str(number))
        loaded = load_vocabulary(str(tmp_path / str(number)))
        assert loaded.digest == vocabulary.digest
        assert (loaded.eos_id, loaded.bos_id, loaded.size) == (vocabulary.eos_id, vocabulary.bos_id, vocabulary.size)
        assert loaded.encode(["a mill"]) == vocabulary.encode(["a mill"])


def test_directories_saved_before_there_were_files_still_load(sentencepiece, tmp_path):
    (tmp_path / "hf").mkdir()
    fast = load_vocabulary(str(llama_like(tmp_path / "hf")))
    for number, vocabulary in enumerate((ByteVocabulary(), sentencepiece, fast)):
        vocabulary.save(tmp_path / str(number))
        path = tmp_path / str(number) / "vocabulary.json"
        manifest = json.loads(path.read_text())
        path.write_text(json.dumps({name: manifest[name] for name in manifest if name not in ("files", "leading")}))
        loaded = load_vocabulary(str(tmp_path / str(number)))
        assert loaded.digest == vocabulary.digest and loaded.leading == vocabulary.leading and not loaded.files


def test_a_saved_vocabulary_that_was_changed_is_refused(sentencepiece, tmp_path):
    sentencepiece.save(tmp_path / "v")
    train_sentencepiece(sentences()[:200], 285, tmp_path / "v" / "sentencepiece.model")
    with pytest.raises(VocabularyError, match="was saved as vocabulary"):
        load_vocabulary(str(tmp_path / "v"))


def test_a_dummy_prefix_is_left_off_and_told(tmp_path):
    seqio = importlib.util.find_spec("seqio")
    model = SentencePieceVocabulary(pathlib.Path(seqio.origin).parent / SEQIO_MODEL)
    assert model.leading == " "
    assert model.encode(["a b"])[0] + model.encode([" a"])[0] == model.encode(["a b a"])[0]


def test_llama_like_tokenizer(tmp_path):
    path = llama_like(tmp_path)
    vocabulary, original = load_vocabulary(str(path)), Tokenizer.from_file(str(path))
    assert vocabulary.leading == " " and vocabulary.bos_id == 1 and vocabulary.eos_id == 2
    [inputs], [targets] = vocabulary.encode([vocabulary.leading + "mira keeps"]), vocabulary.encode([" a lamp"])
    assert [vocabulary.bos_id, *inputs, *targets] == original.encode("mira keeps a lamp").ids


def test_special_tokens_in_a_text_are_plain_text(sentencepiece, tmp_path):
    for vocabulary in (sentencepiece, load_vocabulary(str(llama_like(tmp_path)))):
        assert vocabulary.eos_id not in vocabulary.encode(["ends </s> here"])[0]


def test_end_of_document_is_read_from_the_config_beside_the_tokenizer(tmp_path):
    path = byte_level(tmp_path, eos="<stop>")
    with pytest.raises(VocabularyError, match=r"tokenizer_config\.json"):
        load_vocabulary(str(path))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<stop>"}}))
    assert load_vocabulary(str(path)).eos_id == 0


@pytest.mark.parametrize("name", ["x.model", "tokenizer.json"])
def test_a_file_that_is_no_vocabulary(tmp_path, name):
    (tmp_path / name).write_text("nonsense")
    with pytest.raises(VocabularyError, match=name):
        load_vocabulary(str(tmp_path / name))


def test_a_vocabulary_that_is_not_there(tmp_path):
    with pytest.raises(VocabularyError, match=r"gin\.VOCABULARY"):
        load_vocabulary("sentencepiece.modle")
    with pytest.raises(VocabularyError, match=r"vocabulary\.json"):
        load_vocabulary(str(tmp_path))


PIECES = [*" \n\u2581aé日🙂\t\u00a0\x00\u0308", "  ", "mi", "ra", "lamp."]
HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@settings(max_examples=300, deadline=None)
@given(texts=st.lists(HOSTILE, max_size=4))
def test_word_by_word_is_what_sentencepiece_makes_of_the_whole(sentencepiece, texts):
    assert sentencepiece.encode(texts) == sentencepiece._processor.Encode(texts, out_type=int)


def test_a_full_memory_of_words_changes_nothing(sentencepiece, monkeypatch):
    monkeypatch.setattr("flan_jax.data.sentencepiece_vocabulary.WORDS_REMEMBERED", 3)
    vocabulary = load_vocabulary_again(sentencepiece)
    assert vocabulary.encode(sentences()) == sentencepiece._processor.Encode(sentences(), out_type=int)
    assert len(vocabulary._words) <= 3


def load_vocabulary_again(vocabulary: SentencePieceVocabulary) -> SentencePieceVocabulary:
    with tempfile.TemporaryDirectory() as folder:
        vocabulary.save(folder)
        return SentencePieceVocabulary(f"{folder}/sentencepiece.model")


@pytest.mark.parametrize(
    "settings",
    [
        {"model_type": "unigram"},
        {"model_type": "bpe", "split_by_whitespace": False},
        {"model_type": "bpe", "normalization_rule_name": "nmt_nfkc"},
        {"model_type": "bpe", "user_defined_symbols": ["old mill"]},
    ],
)
def test_models_that_do_not_split_into_words_are_given_the_whole(settings, tmp_path):
    train(tmp_path / "v.model", **{"normalization_rule_name": "identity", **settings})
    vocabulary = SentencePieceVocabulary(tmp_path / "v.model")
    assert vocabulary._words is None
    assert vocabulary.encode(sentences()) == vocabulary._processor.Encode(sentences(), out_type=int)


def train(path: pathlib.Path, **settings) -> None:
    with path.open("wb") as file:
        sentencepiece_library.SentencePieceTrainer.Train(
            sentence_iterator=iter(sentences()), model_writer=file, vocab_size=60, hard_vocab_limit=False,
            minloglevel=2, **settings,
        )  # fmt: skip
