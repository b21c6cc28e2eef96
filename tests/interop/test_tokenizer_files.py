"""Tokenizers of Hugging Face folders: read, saved and written, with the ids, BOS and EOS that transformers gives."""

import importlib.util
import json
import logging
import pathlib
import shutil

import pytest
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, processors

from flan_jax.data.sentencepiece_vocabulary import SentencePieceVocabulary, train_sentencepiece
from flan_jax.data.vocabulary import ByteVocabulary, Vocabulary, VocabularyError, load_vocabulary
from flan_jax.interop.tokenizer_files import read_tokenizer, special_ids, write_tokenizer
from tests.interop.tokenizer_folders import (
    FAMILIES,
    gpt2,
    llama2,
    llama2_fast,
    llama3,
    opt,
    phi3,
    piece_model,
    qwen2,
    sentences,
    write,
)

PARTS = [
    *"ab é日🙂\t\u00a0\u0308\u2581", " ", "  ", "    ", "\n", "\n\n", "mira", " keeps", " the", ".", "17", "don't",
    " </s>", "<s>", "<|endoftext|>", "<|im_end|>", "<eos>", "<|begin_of_text|>", "<0x41>", "<unk>",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=10).map("".join)
SAMPLE = [*sentences()[:5], "a  b\n\nc", "Zürich 東京 🙂", "ends </s> and <|endoftext|>", "tab\there    and\n"]
UNHURRIED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory) -> pathlib.Path:
    made = tmp_path_factory.mktemp(request.param) / request.param
    made.mkdir()
    FAMILIES[request.param].make(made)
    return made


def auto(folder: pathlib.Path):
    """The folder's tokenizer by transformers, special tokens in texts as plain text."""
    return transformers.AutoTokenizer.from_pretrained(folder, split_special_tokens=True)


def document(vocabulary: Vocabulary, *parts: str) -> list[int]:
    """BOS, and parts encoded apart, as composition lays them."""
    opened = [vocabulary.opening(parts[0]), *parts[1:]]
    ids = [index for part in vocabulary.encode(opened) for index in part]
    return ids if vocabulary.bos_id is None else [vocabulary.bos_id, *ids]


def test_special_tokens_are_the_familys(folder):
    family, vocabulary, tokenizer = FAMILIES[folder.name], read_tokenizer(folder), auto(folder)
    bos_id = None if family.bos is None else tokenizer.convert_tokens_to_ids(family.bos)
    assert (vocabulary.bos_id, vocabulary.eos_id) == (bos_id, tokenizer.convert_tokens_to_ids(family.eos))
    assert (vocabulary.leading, vocabulary.size) == (family.leading, len(tokenizer))
    ids = special_ids(vocabulary)
    assert ids["eos_token_id"] == vocabulary.eos_id
    assert ids.get("bos_token_id") == tokenizer.bos_token_id
    assert ids.get("pad_token_id") in (None, tokenizer.pad_token_id)  # a class may have one that no file names


def test_texts_have_the_ids_that_transformers_gives(folder):
    vocabulary, tokenizer = read_tokenizer(folder), auto(folder)

    @UNHURRIED
    @given(TEXTS.filter(lambda text: not text.startswith((" ", "▁"))))  # there transformers 4 and 5 differ for LLaMA 2
    def same(text):
        assert document(vocabulary, text) == tokenizer(text).input_ids
        [ids] = vocabulary.encode([text])
        assert vocabulary.eos_id not in ids and vocabulary.bos_id not in ids

    same()


def test_inputs_and_targets_apart_are_the_joined_text(folder):
    """Contexts end without white space and targets carry the separator, so that no token lies across the boundary."""
    vocabulary, tokenizer = read_tokenizer(folder), auto(folder)
    words = st.sampled_from(["mira", "keeps", "the mill.", "Is it?", "17", "lamp\n\nOPTIONS:\n- a", "é"])
    contexts = st.lists(words, min_size=1, max_size=4).map(" ".join)

    @UNHURRIED
    @given(contexts, contexts)
    def same(inputs, answer):
        assert document(vocabulary, inputs, f" {answer}") == tokenizer(f"{inputs} {answer}").input_ids

    same()


def test_saved_loaded_and_written_it_is_the_same(folder, tmp_path):
    vocabulary, original = read_tokenizer(folder), auto(folder)
    vocabulary.save(tmp_path / "saved")
    loaded = load_vocabulary(str(tmp_path / "saved"))
    assert loaded.encode(SAMPLE) == vocabulary.encode(SAMPLE)
    for name in ("kind", "size", "eos_id", "bos_id", "leading", "digest", "files"):
        assert getattr(loaded, name) == getattr(vocabulary, name)
    written = write_tokenizer(tmp_path / "written", loaded)
    assert all((tmp_path / "written" / name).read_bytes() == (folder / name).read_bytes() for name in written)
    shutil.copy(folder / "config.json", tmp_path / "written")
    again = auto(tmp_path / "written")
    assert [again(text).input_ids for text in SAMPLE] == [original(text).input_ids for text in SAMPLE]
    assert read_tokenizer(tmp_path / "written").digest == vocabulary.digest


def test_saved_by_transformers_it_is_the_same(folder, tmp_path):
    vocabulary = read_tokenizer(folder)
    auto(folder).save_pretrained(tmp_path)
    again = read_tokenizer(tmp_path)
    assert (again.eos_id, again.bos_id, again.size) == (vocabulary.eos_id, vocabulary.bos_id, vocabulary.size)
    assert [document(again, text) for text in SAMPLE] == [document(vocabulary, text) for text in SAMPLE]


def test_text_comes_back(folder):
    vocabulary = read_tokenizer(folder)
    for text in (" yes", "a  b\n", "Zürich 東京", " </s>"):
        assert vocabulary.decode([*vocabulary.encode([text])[0], vocabulary.eos_id]) == text


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> SentencePieceVocabulary:
    return train_sentencepiece(
        [*sentences(), "aaa aaaa aaaaaa -- ---- ------"], 300, tmp_path_factory.mktemp("v") / "m"
    )


@pytest.mark.parametrize("kind", ["sentencepiece", "bytes"])
def test_vocabularies_made_here_are_written_with_the_same_ids(kind, trained, tmp_path):
    vocabulary = trained if kind == "sentencepiece" else ByteVocabulary()
    write(tmp_path, config={"model_type": "llama"})
    assert "tokenizer.json" in write_tokenizer(tmp_path, vocabulary)
    tokenizer = auto(tmp_path)
    assert len(tokenizer) == vocabulary.size
    ids = {"eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    assert special_ids(vocabulary) == ids and tokenizer.bos_token_id is None

    @UNHURRIED
    @given(st.one_of(TEXTS, st.text(st.characters(exclude_categories=("Cs",))), st.text("a- \n")))
    def same(text):
        [expected] = vocabulary.encode([text])
        assert tokenizer(text).input_ids == expected
        assert tokenizer.decode(expected) == vocabulary.decode(expected)

    same()
    assert read_tokenizer(tmp_path).eos_id == vocabulary.eos_id


def test_a_model_with_dummy_prefix_that_came_alone_is_written_with_the_same_ids(tmp_path):
    (tmp_path / "hf").mkdir()
    llama2(tmp_path / "hf")
    vocabulary = load_vocabulary(str(tmp_path / "hf" / "tokenizer.model"))
    assert vocabulary.leading == " " and vocabulary.bos_id == 1 and not vocabulary.files
    write(tmp_path, config={"model_type": "mistral"})
    write_tokenizer(tmp_path, vocabulary)
    tokenizer = auto(tmp_path)
    assert [tokenizer(text).input_ids for text in SAMPLE] == [document(vocabulary, text) for text in SAMPLE]


def test_what_no_tokenizer_json_gives_is_refused(trained, tmp_path):
    seqio = pathlib.Path(importlib.util.find_spec("seqio").origin).parent
    model = SentencePieceVocabulary(seqio / "test_data/sentencepiece/sentencepiece.model")
    with pytest.raises(VocabularyError, match="is no BPE"):
        write_tokenizer(tmp_path, model)
    (tmp_path / "m.model").write_bytes(piece_model(normalization_rule_name="nmt_nfkc"))
    with pytest.raises(VocabularyError, match=r"normalises text \(nmt_nfkc\)"):
        write_tokenizer(tmp_path, SentencePieceVocabulary(tmp_path / "m.model"))
    (tmp_path / "m.model").unlink()
    write(tmp_path, config={"model_type": "qwen2"})
    with pytest.raises(VocabularyError, match="export the model as another family"):
        write_tokenizer(tmp_path, trained)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_a_tokenizer_beside_a_model_of_another_family(tmp_path):
    """Qwen's may stand beside any model, and beside a Qwen 2 none but its own."""
    (tmp_path / "qwen2").mkdir()
    (tmp_path / "gpt2").mkdir()
    qwen2(tmp_path / "qwen2")
    gpt2(tmp_path / "gpt2")
    write(tmp_path, config={"model_type": "qwen2"})
    with pytest.raises(VocabularyError, match=r"any tokenizer as Qwen2Tokenizer, .* \(GPT2Tokenizer\)"):
        write_tokenizer(tmp_path, read_tokenizer(tmp_path / "gpt2"))
    write(tmp_path, config={"model_type": "llama"})
    vocabulary = read_tokenizer(tmp_path / "qwen2")
    write_tokenizer(tmp_path, vocabulary)
    assert [auto(tmp_path)(text).input_ids for text in SAMPLE] == vocabulary.encode(SAMPLE)


def test_an_end_that_is_not_called_special_is_plain_text_too(tmp_path):
    gpt2(tmp_path)
    specification = json.loads((tmp_path / "tokenizer.json").read_text())
    specification["added_tokens"][0]["special"] = False
    write(tmp_path, tokenizer=specification)
    assert 0 not in read_tokenizer(tmp_path).encode(["ends <|endoftext|> here"])[0]


@pytest.mark.parametrize("resaved", [False, True], ids=["Prepend", "Metaspace"])
def test_a_text_that_begins_with_a_space(resaved, tmp_path):
    """The older way puts another space before it, the newer none: both as the tokenizer.json says."""
    llama2_fast(tmp_path)
    if resaved:
        auto(tmp_path).save_pretrained(tmp_path)
    raw, vocabulary = Tokenizer.from_file(str(tmp_path / "tokenizer.json")), read_tokenizer(tmp_path)
    for text in (" mira keeps", "  mira", " "):
        assert document(vocabulary, text) == raw.encode(text).ids
    assert (document(vocabulary, " mira") == document(vocabulary, "mira")) == resaved


def test_a_dummy_prefix_that_is_switched_off(tmp_path):
    llama2(tmp_path)
    config = json.loads((tmp_path / "tokenizer_config.json").read_text())
    before = read_tokenizer(tmp_path)
    write(tmp_path, tokenizer_config=config | {"add_prefix_space": False})
    vocabulary, tokenizer = read_tokenizer(tmp_path), auto(tmp_path)
    vocabulary.save(tmp_path / "saved")
    for one in (vocabulary, load_vocabulary(str(tmp_path / "saved"))):
        assert one.leading == "" and one.digest != before.digest
        assert [document(one, text) for text in SAMPLE] == [tokenizer(text).input_ids for text in SAMPLE]


def test_padding_in_the_file_is_not_taken_for_its_beginning(tmp_path):
    llama2_fast(tmp_path)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.enable_padding(direction="left", length=8, pad_id=0, pad_token="<unk>")
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = read_tokenizer(tmp_path)
    assert vocabulary.bos_id == 1 and 0 not in vocabulary.encode(["mira"])[0]


def test_the_end_of_a_turn_is_not_that_of_a_document(tmp_path, caplog):
    qwen2(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert read_tokenizer(tmp_path).eos_id == 0
    assert "<|im_end|> ends a turn of a chat; documents end with <|endoftext|> (id 0)" in caplog.text
    write(tmp_path, generation_config={}, tokenizer_config={"eos_token": "<|im_start|>"})
    assert read_tokenizer(tmp_path).eos_id == 1  # no end of a turn that is known, so what it says


def test_the_end_of_a_document_told_by_the_model_alone(tmp_path):
    phi3(tmp_path)
    write(tmp_path, tokenizer_config={"add_bos_token": True}, generation_config={"eos_token_id": [332, 330]})
    assert read_tokenizer(tmp_path).eos_id == 330
    write(tmp_path, generation_config={}, config={})
    with pytest.raises(VocabularyError, match=r"(?s)names no end-of-document token \(it has .* and .*eos_token"):
        read_tokenizer(tmp_path)


def test_tokens_added_beside_the_tokenizer_are_counted(tmp_path):
    gpt2(tmp_path)
    size, before = read_tokenizer(tmp_path).size, read_tokenizer(tmp_path)
    write(
        tmp_path, added_tokens={"<new>": size}, special_tokens_map={"pad_token": "<new>", "eos_token": "<|endoftext|>"}
    )
    vocabulary, tokenizer = read_tokenizer(tmp_path), auto(tmp_path)
    assert vocabulary.size == len(tokenizer) == size + 1 and special_ids(vocabulary)["pad_token_id"] == size
    assert vocabulary.digest != before.digest and size not in vocabulary.encode(["<new>"])[0]
    vocabulary.save(tmp_path / "saved")
    assert load_vocabulary(str(tmp_path / "saved")).size == size + 1
    assert write_tokenizer(tmp_path / "out", load_vocabulary(str(tmp_path / "saved"))) == sorted(before.files.keys() | {
        "added_tokens.json", "special_tokens_map.json"
    })  # fmt: skip
    assert (tmp_path / "out/tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    write(tmp_path, added_tokens={"<new>": size + 7})
    with pytest.raises(VocabularyError, match=rf"'<new>' the id {size}, and .* {size + 7}"):
        read_tokenizer(tmp_path)


def test_tokens_added_to_a_sentencepiece_model_are_counted(tmp_path):
    llama2(tmp_path)
    names = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}
    write(tmp_path, added_tokens={"<pad>": 330}, special_tokens_map=names)
    vocabulary = read_tokenizer(tmp_path)
    assert vocabulary.size == 331 and special_ids(vocabulary)["pad_token_id"] == 330
    assert vocabulary.decode([330, *vocabulary.encode([" a mill"])[0]]) == " a mill"
    write(tmp_path, added_tokens={"<pad>": 330, "lamp": 331})
    with pytest.raises(VocabularyError, match=r"adds 'lamp' .*\n.*save_pretrained"):
        read_tokenizer(tmp_path)


def without_bos(folder: pathlib.Path) -> None:
    llama2_fast(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.ByteLevel()
    tokenizer.save(str(folder / "tokenizer.json"))


def neox_with_bos(folder: pathlib.Path) -> None:
    llama3(folder)
    write(folder, tokenizer_config={"tokenizer_class": "GPTNeoXTokenizer", "eos_token": "<|end_of_text|>"})


def other_model(folder: pathlib.Path) -> None:
    llama2_fast(folder)
    train_sentencepiece(sentences(), 310, folder / "tokenizer.model")


def other_merges(folder: pathlib.Path) -> None:
    llama2_fast(folder)
    specification = json.loads((folder / "tokenizer.json").read_text())
    specification["model"]["merges"].reverse()
    write(folder, tokenizer=specification)


def nameless(folder: pathlib.Path) -> None:
    llama2(folder)
    (folder / "tokenizer_config.json").unlink()
    (folder / "config.json").unlink()


def of_neox(folder: pathlib.Path) -> None:
    opt(folder)
    write(folder, tokenizer_config={"tokenizer_class": "GPTNeoXTokenizer"})


def other_kind(folder: pathlib.Path) -> None:
    llama2(folder)
    (folder / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")


def unmergeable(folder: pathlib.Path) -> None:
    opt(folder)
    (folder / "merges.txt").write_text("#version: 0.2\nĠ t\nqqq z\n")


def two_first(folder: pathlib.Path) -> None:
    llama2_fast(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> <unk> $A", pair="$A $B", special_tokens=[("<s>", 1), ("<unk>", 0)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))


def no_such_end(folder: pathlib.Path) -> None:
    gpt2(folder)
    write(folder, tokenizer_config={"eos_token": "<stop>"})


def damaged(folder: pathlib.Path) -> None:
    gpt2(folder)
    (folder / "tokenizer_config.json").write_text('{"eos_')


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, r"holds no tokenizer: neither tokenizer\.json nor .*\n.*save_pretrained"),
        (without_bos, r"no BOS before a text, and add_bos_token of .* is True.*\n.*set add_bos_token to false"),
        (neox_with_bos, r"a BOS before a text, and add_bos_token of GPTNeoXTokenizer is False"),
        (two_first, r"puts 2 tokens before a text"),
        (other_model, r"id 3 is '<0x00>' in .*tokenizer\.json and '\\n' in tokenizer\.model.*\n.*remove the one"),
        (other_merges, r"tokenizer\.json and tokenizer\.model encode '.*' differently\n.*remove the one"),
        (nameless, r"does not say whether its BOS stands before a text\n.*add_bos_token"),
        (of_neox, r"for a GPTNeoXTokenizer, no tokenizer\.json\n.*save_pretrained"),
        (other_kind, r"tokenizer\.model is not a SentencePiece model.*\n.*save_pretrained"),
        (unmergeable, r"merges\.txt: 'qqq z' is no merge of two tokens of vocab\.json"),
        (no_such_end, r"has no id for its eos_token '<stop>'\n.*tokenizer_config\.json"),
        (damaged, r"tokenizer_config\.json is no JSON"),
    ],
)  # fmt: skip
def test_a_folder_whose_tokens_cannot_be_known_is_refused(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(VocabularyError, match=message):
        read_tokenizer(tmp_path)
    with pytest.raises(VocabularyError, match="is no folder"):
        read_tokenizer(tmp_path / "absent")
