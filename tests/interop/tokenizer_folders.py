"""Small tokenizers shaped as those of the families: the files that a folder of each has, and what is expected."""

import dataclasses
import io
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import sentencepiece
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN_WORDS = LLAMA3_WORDS.replace(r"\p{N}{1,3}", r"\p{N}")


def sentences() -> list[str]:
    words = [
        "mira",
        "keeps",
        "a",
        "red",
        "lamp",
        "in",
        "the",
        "old",
        "mill",
        "and",
        "tomas",
        "sees",
        "it",
        "don't",
        "17",
    ]
    return [" ".join(words[(i * (k + 2) + k) % 15] for k in range(3 + i % 9)) + ".\nIs it so?" for i in range(300)]


def write(folder: pathlib.Path, **files: Any) -> None:
    """JSON files, by name without ending."""
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def byte_level(
    special: Sequence[str], words: str = "", normalizer: Any = None, first: str = "", size: int = 340
) -> Tokenizer:
    """Byte-level BPE whose first ids are `special`; `first` is put before every text."""
    tokenizer = Tokenizer(models.BPE())
    split = [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(split) if words else pre_tokenizers.ByteLevel(False)
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        sentences(),
        trainers.BpeTrainer(
            vocab_size=size, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    if first:
        index = tokenizer.token_to_id(first)
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{first} $A", pair=f"{first} $A {first}:1 $B:1", special_tokens=[(first, index)]
        )
    return tokenizer


def piece_model(**settings: Any) -> bytes:
    model = io.BytesIO()
    settings = {
        "model_type": "bpe", "vocab_size": 330, "byte_fallback": True, "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False, "minloglevel": 2, **settings,
    }  # fmt: skip
    lines = (line for text in sentences() for line in text.split("\n"))
    sentencepiece.SentencePieceTrainer.Train(sentence_iterator=lines, model_writer=model, **settings)
    return model.getvalue()


def gpt2(folder: pathlib.Path) -> None:
    byte_level(["<|endoftext|>"]).save(str(folder / "tokenizer.json"))
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    write(folder, tokenizer_config={"tokenizer_class": "GPT2Tokenizer", **names}, config={"model_type": "gpt2"})


def opt(folder: pathlib.Path) -> None:
    """As facebook/opt-*: two tables and no tokenizer.json; BOS and EOS are one token."""
    byte_level(["<s>", "<pad>", "</s>", "<unk>"]).model.save(str(folder))
    token = {"content": "</s>", "single_word": False, "lstrip": False, "rstrip": False, "normalized": True}
    names = {**dict.fromkeys(("bos_token", "eos_token", "unk_token"), token), "pad_token": "<pad>"}
    settings = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_bos_token": True,
        "add_prefix_space": False,
        "errors": "replace",
    }
    config = {
        name: value if isinstance(value, str) else {"__type": "AddedToken", **value} for name, value in names.items()
    }
    write(folder, special_tokens_map=names, tokenizer_config=settings | config, config={"model_type": "opt"})


def pythia(folder: pathlib.Path) -> None:
    """Runs of spaces are tokens, though no special ones; BOS is none."""
    tokenizer = byte_level(["<|endoftext|>", "<|padding|>"], normalizer=normalizers.NFC())
    tokenizer.add_tokens([AddedToken(" " * count, normalized=True) for count in (8, 4, 3, 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), "<|endoftext|>")
    write(folder, tokenizer_config={"tokenizer_class": "GPTNeoXTokenizer", **names}, special_tokens_map=names,
          config={"model_type": "gpt_neox", "bos_token_id": 0, "eos_token_id": 0})  # fmt: skip


def llama2(folder: pathlib.Path) -> None:
    """SentencePiece alone."""
    (folder / "tokenizer.model").write_bytes(piece_model(unk_id=0, bos_id=1, eos_id=2))
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    write(folder, tokenizer_config={"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False,
                                    "legacy": False, **names}, config={"model_type": "llama"})  # fmt: skip


def llama2_fast(folder: pathlib.Path) -> None:
    """Both files, the fast one as transformers 4 converted it: a normaliser puts the space first."""
    llama2(folder)
    model = sentencepiece.SentencePieceProcessor(model_proto=(folder / "tokenizer.model").read_bytes())
    pieces = {model.IdToPiece(i): i for i in range(model.GetPieceSize())}
    ranked = sorted(pieces, key=lambda piece: -model.GetScore(pieces[piece]))
    merges = [
        (piece[:cut], piece[cut:])
        for piece in ranked
        if not model.IsByte(pieces[piece]) and not model.IsControl(pieces[piece])
        for cut in range(1, len(piece))
        if piece[:cut] in pieces and piece[cut:] in pieces
    ]
    tokenizer = Tokenizer(models.BPE(pieces, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s>:1 $B:1", special_tokens=[("<s>", 1)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.save(str(folder / "tokenizer.json"))


def phi3(folder: pathlib.Path) -> None:
    """LLaMA 2's with tokens behind it, one of which ends documents; one id of the table is nobody's."""
    llama2_fast(folder)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<|endoftext|>", "<|assistant|>", "<|end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": "<s>", "eos_token": "<|endoftext|>", "unk_token": "<unk>", "pad_token": "<|endoftext|>"}
    write(folder, tokenizer_config={"tokenizer_class": "LlamaTokenizer", "legacy": False, **names},
          config={"model_type": "phi3"}, generation_config={"eos_token_id": [330, 331, 332]})  # fmt: skip


def llama3(folder: pathlib.Path) -> None:
    names = {"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}
    byte_level(["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], LLAMA3_WORDS, first="<|begin_of_text|>").save(
        str(folder / "tokenizer.json")
    )
    write(folder, tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast", **names}, special_tokens_map=names,
          config={"model_type": "llama"})  # fmt: skip


def llama3_instruct(folder: pathlib.Path) -> None:
    llama3(folder)
    names = {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"}
    write(folder, tokenizer_config={"tokenizer_class": "PreTrainedTokenizerFast", **names}, special_tokens_map=names,
          generation_config={"eos_token_id": [1, 2]})  # fmt: skip


def gemma(folder: pathlib.Path) -> None:
    """SentencePiece without dummy prefix, with runs of spaces and line ends as defined symbols."""
    (folder / "tokenizer.model").write_bytes(
        piece_model(
            unk_id=3, bos_id=2, eos_id=1, pad_id=0, bos_piece="<bos>", eos_piece="<eos>", add_dummy_prefix=False,
            user_defined_symbols=["<mask>", "\n", "\n\n", "\t"],
        )
    )  # fmt: skip
    names = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>", "unk_token": "<unk>"}
    write(folder, tokenizer_config={"tokenizer_class": "GemmaTokenizer", "add_bos_token": True, **names},
          config={"model_type": "gemma"})  # fmt: skip


def qwen2(folder: pathlib.Path) -> None:
    """A chat model's: a turn ends with another token than a document."""
    tokenizer = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], QWEN_WORDS, normalizers.NFC())
    tokenizer.add_tokens([AddedToken("<tool_call>", normalized=False)])
    tokenizer.save(str(folder / "tokenizer.json"))
    names = {"bos_token": None, "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None}
    write(folder, tokenizer_config={"tokenizer_class": "Qwen2Tokenizer", "add_bos_token": False, **names},
          generation_config={"eos_token_id": [2, 0]}, config={"model_type": "qwen2"})  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Family:
    make: Callable[[pathlib.Path], None]
    bos: str | None
    eos: str
    leading: str = ""


FAMILIES = {
    "gpt2": Family(gpt2, None, "<|endoftext|>"),
    "opt": Family(opt, "</s>", "</s>"),
    "pythia": Family(pythia, None, "<|endoftext|>"),
    "llama2": Family(llama2, "<s>", "</s>", " "),
    "llama2_fast": Family(llama2_fast, "<s>", "</s>", " "),
    "llama3": Family(llama3, "<|begin_of_text|>", "<|end_of_text|>"),
    "llama3_instruct": Family(llama3_instruct, "<|begin_of_text|>", "<|end_of_text|>"),
    "phi3": Family(phi3, "<s>", "<|endoftext|>", " "),
    "gemma": Family(gemma, "<bos>", "<eos>"),
    "qwen2": Family(qwen2, None, "<|endoftext|>"),
}
