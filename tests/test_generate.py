"""`flan-jax generate`: a prompt, a file of prompts, a session; greedy, sampled, ranked."""

import json
import re

import pytest

from flan_jax.cli import main
from flan_jax.data.vocabulary import ByteVocabulary
from flan_jax.decoding.settings import Decoding
from flan_jax.evaluation.requests import RequestError
from flan_jax.generate import Answerer
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import build_decoder
from tests.evaluation.test_requests import Beginning

MODEL = DecoderConfig(vocab_size=259, num_layers=1, embed_dim=16, num_heads=2, mlp_dim=16, max_length=128)
PROMPT = "Who is it?"


@pytest.fixture(scope="module")
def answerer() -> Answerer:
    return Answerer(MODEL, build_decoder(MODEL, 3)[1], ByteVocabulary())


@pytest.fixture(autouse=True)
def loaded(answerer, monkeypatch):
    monkeypatch.setattr(Answerer, "load", classmethod(lambda cls, model_dir, step=None: answerer))


def generate(capsys, *arguments: str) -> str:
    assert main(["generate", "--model_dir=m", *arguments]) == 0
    return capsys.readouterr().out


def test_a_prompt_is_continued(answerer, capsys):
    (answer,) = answerer.generate([PROMPT], 9)
    assert generate(capsys, f"--prompt={PROMPT}", "--max_tokens=9") == answer.text + "\n"
    assert answer.finish == "length" and len(answer.tokens) == 9


@pytest.mark.parametrize("decoding", [Decoding(), Decoding(method="sample", temperature=0.9, top_p=0.9, seed=4)])
def test_what_is_streamed_is_what_is_generated(answerer, decoding):
    answers = answerer.generate(["Other", PROMPT], 40, decoding)
    parts = list(answerer.stream(PROMPT, 40, decoding, place="1"))
    assert "".join(parts) == answers[1].text and len(parts) > 1


def test_options_are_shown_with_probabilities(answerer, capsys):
    shown = generate(capsys, f"--prompt={PROMPT}", "--option=yes", "--option= no", "--option=yes").splitlines()
    found = [re.fullmatch(r" *(\d+\.\d)% +(-\d+\.\d{3})  (yes|no)", line) for line in shown]
    shares, scores = ([float(one[group]) for one in found] for group in (1, 2))
    assert abs(sum(shares) - 100) < 0.2 and scores == sorted(scores, reverse=True)
    same = [float(one[1]) for one in found if one[3] == "yes"]
    assert same[0] == same[1]


def test_a_prompt_too_long_keeps_its_bos_and_the_cut_is_told(answerer, capsys):
    opened = Answerer(MODEL, answerer.params, Beginning())
    ends = "x" * 110 + "?"  # with the BOS and 16 tokens of answer, what the model takes
    whole = opened.generate([ends], 16)
    assert capsys.readouterr().err == ""
    assert opened.generate(["y" * 30 + ends], 16) == whole
    assert "30 of 142 tokens are cut from the beginning of the prompt 'yyyy" in capsys.readouterr().err
    assert "".join(opened.stream("y" * 30 + ends, 16, Decoding())) == whole[0].text
    assert "30 of 142 tokens" in capsys.readouterr().err
    with pytest.raises(RequestError, match="--max_tokens=127 leaves no room"):
        opened.generate([ends], 127)


def test_a_file_of_prompts(answerer, capsys, tmp_path):
    asked = [
        {"prompt": PROMPT, "id": 7}, {"prompt": "So?", "options": ["yes", "no"]}, {"prompt": "Ähm, two\nlines"},
    ]  # fmt: skip
    (tmp_path / "asked.jsonl").write_text("\n\n".join(json.dumps(one) for one in asked))
    said = generate(
        capsys, f"--prompts={tmp_path}/asked.jsonl", f"--output={tmp_path}/said.jsonl", "--max_tokens=5", "--seed=2",
        "--temperature=1",
    )  # fmt: skip
    assert said == ""
    answers = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [{name: one[name] for name in asked[i]} for i, one in enumerate(answers)] == asked
    texts = answerer.generate([PROMPT, "Ähm, two\nlines"], 5, Decoding(method="sample", seed=2))
    assert [answers[i]["text"] for i in (0, 2)] == [text.text for text in texts]
    assert {option["text"] for option in answers[1]["ranked"]} == {"yes", "no"} and "text" not in answers[1]

    (tmp_path / "asked.txt").write_text("One\n\nTwo\n")
    shown = generate(capsys, f"--prompts={tmp_path}/asked.txt", "--max_tokens=3", "--beams=2")
    assert [json.loads(line)["prompt"] for line in shown.splitlines()] == ["One", "Two"]


def test_a_session(answerer, capsys, monkeypatch):
    typed = iter(
        ["/max_tokens 7", PROMPT, "", "two \\", "lines", "/options yes | no", PROMPT, "/options", "/temperature x",
         "/temperature -1", "/top_p 0.9", "/temperature 1.2", "/beams 3", PROMPT, PROMPT, "x" * 3, "/nonsense", "/quit",
         "never"]
    )  # fmt: skip
    monkeypatch.setattr("builtins.input", lambda prompt: next(typed))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    shown = generate(capsys)
    greedy = [answer.text for answer in answerer.generate([PROMPT, "two \nlines"], 7)]
    drawn = [
        "".join(answerer.stream(PROMPT, 7, Decoding(method="sample", temperature=1.2, top_p=0.9), place=place))
        for place in ("3", "4")
    ]
    at = -1
    for words in (
        *greedy,
        "%",
        "/temperature needs a number, not 'x'",
        "Decoding.temperature=-1.0",
        "--beams=3 searches",
        *drawn,
        "/options",
    ):
        at = shown.find(words, at + 1)
        assert at >= 0, words
    assert drawn[0] != drawn[1] and next(typed) == "never"


def test_ctrl_c_cuts_an_answer_short_and_the_session_goes_on(answerer, capsys, monkeypatch):
    typed = iter([PROMPT, PROMPT])

    def read(prompt: str) -> str:
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    streams, stream = iter([True, False]), Answerer.stream

    def interrupted(self, *arguments):
        yield "a beginning"
        if next(streams):
            raise KeyboardInterrupt
        yield from stream(self, *arguments)

    monkeypatch.setattr("builtins.input", read)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr(Answerer, "stream", interrupted)
    shown = generate(capsys, "--max_tokens=4")
    assert "a beginning ...\n" in shown and shown.count("a beginning") == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--prompt= "], ["need some text"]),
        (["--prompt=a", "--max_tokens=0"], ["--max_tokens=0"]),
        (["--prompt=a", "--max_tokens=128"], ["--max_tokens=128", "the 128 tokens"]),
        (["--prompt=a", "--temperature=-1"], ["Decoding.temperature=-1.0"]),
        (["--prompt=a", "--beams=4", "--temperature=0.7"], ["--beams=4", "--temperature=0.7"]),
        (["--prompt=a", "--top_p=0.3"], ["--top_p=0.3", "set --temperature"]),
        (["--prompt=a", "--output=out.jsonl"], ["--output=out.jsonl", "--prompts"]),
        (["--prompt=a", "--beams=0"], ["Decoding.beams=0"]),
        (["--prompts=/nowhere.jsonl"], ["/nowhere.jsonl"]),
        (["--prompts=FILE"], ["FILE, line 2", "not JSON"]),
    ],
)
def test_a_mistake_is_said(arguments, words, capsys, tmp_path):
    (tmp_path / "p.jsonl").write_text('{"prompt": "a"}\nnonsense\n')
    file = str(tmp_path / "p.jsonl")
    assert main(["generate", "--model_dir=m", *(one.replace("FILE", file) for one in arguments)]) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said and all(word.replace("FILE", file) in said for word in words)
