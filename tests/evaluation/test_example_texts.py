"""Training text from files: plain or compressed, paragraphs of any length, JSON lines."""

import gzip
import json
import pathlib

import pytest

from flan_jax.evaluation import example_texts
from flan_jax.evaluation.contamination_search import search_source
from flan_jax.evaluation.example_texts import FileSource, TextFileError, last_words
from flan_jax.evaluation.overlap import collect_grams


def source(path: pathlib.Path) -> FileSource:
    return FileSource(str(path), path.stat().st_size)


@pytest.mark.parametrize("piece", [7, 16, 17, 40, 1000])
@pytest.mark.parametrize("longest", [1, 4, 13])
@pytest.mark.parametrize("between", [" ", "\n", ", "])
def test_no_ngram_is_lost_between_pieces_of_a_paragraph(tmp_path, monkeypatch, piece, longest, between):
    monkeypatch.setattr(example_texts, "PIECE", piece)
    text = between.join(f"word{number}" for number in range(50))
    path = tmp_path / "text.txt"
    path.write_text(text)
    grams = collect_grams([text], 1, longest)
    assert set(search_source(grams, source(path), 1).pairs.gram.tolist()) == set(range(50 - longest + 1))


def test_a_word_without_end_is_read_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(example_texts, "PIECE", 100)
    monkeypatch.setattr(example_texts, "_NO_WORD", 200)
    path = tmp_path / "text.txt"
    path.write_text("x" * 30_000 + " one two")
    assert len(search_source(collect_grams(["one two"], 1, 13), source(path), 1).pairs.gram) == 1


def test_paragraphs_are_apart_and_lines_are_not(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("one two\nthree\n\nfour five\n")
    found = [
        len(search_source(collect_grams([t], 1, 13), source(path), 1).pairs.gram)
        for t in ("two three", "three four", "Four, five")
    ]
    assert found == [1, 0, 1]


@pytest.mark.parametrize("name", ["text.txt.gz", "text.jsonl", "text.jsonl.gz"])
def test_compressed_files_and_json_lines(tmp_path, name):
    lines = [json.dumps({"text": "one two\nthree", "n": 3}), json.dumps({"id": "x", "text": "vier fünf"})]
    data = ("\n".join(lines) if "jsonl" in name else "one two three\n\nvier fünf").encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    done = []
    found = search_source(collect_grams(["two three", "vier fünf"], 1, 13), source(path), 1, done.append)
    assert len(found.pairs.gram) == 2 and found.words == 5 + ("jsonl" in name)
    assert sum(done) == path.stat().st_size


def test_bytes_that_are_no_text_only_part_words(tmp_path):
    path = tmp_path / "text.txt"
    path.write_bytes(b"one two\xff\xfethree four")
    assert len(search_source(collect_grams(["three four"], 1, 13), source(path), 1).pairs.gram) == 1


@pytest.mark.parametrize(("line", "why"), [("{not", "not JSON"), ("[1]", "'\\[1\\]' is not a JSON object")])
def test_a_bad_line_is_named(tmp_path, line, why):
    path = tmp_path / "text.jsonl"
    path.write_text('{"text": "fine"}\n' + line)
    with pytest.raises(TextFileError, match=f"text.jsonl, line 2: {why}"):
        search_source(collect_grams(["three four"], 1, 13), source(path), 1)


def test_last_words():
    assert last_words("one, two three", 2) == "two three" == last_words("x" * 9000 + " two three", 2)
    assert last_words("one", 2) == "one" and last_words("one", 0) == ""
