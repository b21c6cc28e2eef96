"""The store is read whole or refused: what does not match or is corrupt is named, with the way out."""

import dataclasses
import importlib
import json
import pathlib

import numpy as np
import pyarrow.feather
import pytest
import toy_tasks

from flan_jax.data.atomic import DiskFull, atomic_file, remove_partial
from flan_jax.data.prepare import PrepareConfig, Prepared, prepare
from flan_jax.data.store import CorruptStore, NotPrepared, Store, StoreMismatch
from flan_jax.data.vocabulary import ByteVocabulary, VocabularyError

BYTES = ByteVocabulary()


@pytest.fixture
def prepared(tmp_path) -> Prepared:
    return prepare(PrepareConfig("toy", str(tmp_path / "s"), "bytes", tasks="toy_tasks", processes=1))


@pytest.fixture
def store(prepared, tmp_path) -> Store:
    return Store(tmp_path / "s")


@pytest.mark.parametrize("split", ["train", "test"])
def test_tokens_are_the_text_row_for_row(store, split):
    text, tokens = store.open_text("a", split).to_pylist(), store.open_tokens(BYTES.digest, "a", split)
    assert tokens.num_rows == len(text) > 0
    for i, row in enumerate(text):
        assert BYTES.decode(tokens.inputs(i).tolist()) == row["inputs"]
        assert BYTES.decode(tokens.targets(i).tolist()) == row["targets"]
        assert [BYTES.decode(option.tolist()) for option in tokens.options(i)] == row["options"]
        assert (tokens.answer[i], tokens.template[i], tokens.example_id[i]) == (
            row["answer"], row["template"], row["example_id"],
        )  # fmt: skip
        assert json.loads(row["fields"])["text"] in row["inputs"]
    assert len(tokens.option_row_offsets) == len(text) + 1


def test_documents_have_no_inputs(store):
    tokens = store.open_tokens(BYTES.digest, "d", "train")
    assert tokens.inputs_offsets[-1] == 0 and BYTES.decode(tokens.targets(0).tolist()).endswith(".\nEnd")
    assert tokens.options(0) == []


def test_reading_a_row_copies_nothing(store):
    tokens = store.open_tokens(BYTES.digest, "a", "train")
    row = tokens.targets(3)
    assert np.shares_memory(row, tokens.targets_values) and not row.flags.owndata and not row.flags.writeable
    assert tokens.inputs_values.dtype == np.int32 and tokens.inputs_offsets.dtype == np.int64


def test_text_layer_opens_with_pandas_and_feather(store):
    path = store.text_path("a", "train")
    assert pyarrow.feather.read_table(path).num_rows == store.text_manifest("a", "train").rows
    pandas = importlib.import_module("pandas")
    assert list(pandas.read_feather(path).columns)[:2] == ["inputs", "targets"]


def test_manifest_counts_what_was_seen_kept_and_dropped(store):
    text, tokens = store.text_manifest("a", "train"), store.token_manifest(BYTES.digest, "a", "train")
    assert (text.seen, text.kept, text.dropped) == (50, 40, {"empty target": 5, "no label": 5})
    assert (text.source, text.licence, text.templates, text.seed) == ("toy:1", "CC0", "hashed", 0)
    assert sum(tokens.length_histogram.values()) == tokens.rows == text.rows
    lengths = np.diff(store.open_tokens(BYTES.digest, "a", "train").inputs_offsets)
    assert tokens.input_tokens == lengths.sum() and tokens.length_histogram["64"] > 0 == tokens.boundary_differs


def test_a_split_that_was_not_prepared(store):
    with pytest.raises(NotPrepared, match=r"text/b/test is not prepared\n.*flan-jax prepare"):
        store.open_text("b", "test")
    with pytest.raises(NotPrepared, match="flan-jax prepare"):
        store.open_tokens("0" * 64, "a", "train")
    with pytest.raises(NotPrepared, match="no vocabulary"):
        store.vocabulary_directory("0" * 64)


@pytest.mark.parametrize("layer", ["text", "tokens"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone"])
def test_corrupt_file_is_refused_and_made_again(store, tmp_path, layer, harm, capsys):
    path = store.text_path("a", "test") if layer == "text" else store.tokens_path(BYTES.digest, "a", "test")
    whole = path.read_bytes()
    if harm == "gone":
        path.unlink()
    else:
        flipped = whole[:300] + bytes([whole[300] ^ 1]) + whole[301:]
        path.write_bytes({"flip": flipped, "cut": whole[:-100], "empty": b""}[harm])
    with pytest.raises(CorruptStore, match=rf"(?s){path}.*flan-jax prepare"):
        (store.open_text if layer == "text" else lambda *n: store.open_tokens(BYTES.digest, *n))("a", "test")
    prepare(PrepareConfig("toy", str(store.root), "bytes", tasks="toy_tasks", processes=1))
    assert "was corrupt" in capsys.readouterr().out
    assert path.read_bytes() == whole


def test_not_verifying_trusts_the_checksum_but_never_a_broken_structure(store):
    path = store.tokens_path(BYTES.digest, "a", "test")
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(CorruptStore, match=r"test\.arrow"):
        Store(store.root, verify=False).open_tokens(BYTES.digest, "a", "test")


@pytest.mark.parametrize("edit", [lambda text: text[:40], lambda text: text.replace('"rows": ', '"rows": 1')])
def test_changed_manifest_is_refused(store, edit):
    path = store.text_path("a", "test").with_suffix(".json")
    path.write_text(edit(path.read_text()))
    with pytest.raises(CorruptStore, match=r"test\.json"):
        store.open_text("a", "test")


def test_store_made_with_other_templates_is_refused_unless_accepted(store, tmp_path):
    file = tmp_path / "templates.yaml"
    file.write_text("new")
    changed = dataclasses.replace(toy_tasks.get_task("a"), fingerprint="other", template_file=str(file))
    store.check(toy_tasks.get_task("a"), "train", BYTES.digest)
    message = r"(?s)text/a/train was rendered from.*templates\.yaml.*prepare.*accept_stale"
    with pytest.raises(StoreMismatch, match=message):
        store.check(changed, "train", BYTES.digest)
    lenient = Store(store.root, accept_stale=True)
    lenient.check(changed, "train", BYTES.digest)
    assert len(lenient.stale) == 1 and "templates.yaml" in lenient.stale.pop()


def test_tokens_of_older_text_are_refused(store):
    path = store.text_path("a", "train").with_suffix(".json")
    text = store.text_manifest("a", "train")
    dataclasses.replace(text, data=dataclasses.replace(text.data, xxh3="0" * 32)).write(path)
    with pytest.raises(StoreMismatch, match="was tokenised from text"):
        store.open_tokens(BYTES.digest, "a", "train")


def test_vocabulary_is_found_by_digest_and_by_specification(store, prepared):
    assert store.vocabulary_directory(BYTES.digest) == pathlib.Path(prepared.vocabulary)
    assert store.find_vocabulary(prepared.vocabulary).digest == BYTES.digest
    with pytest.raises(VocabularyError, match="flan-jax prepare trains it"):
        store.find_vocabulary("sentencepiece:300")


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x" / "file"
    with atomic_file(path) as out:
        out.write(b"old")
    with pytest.raises(KeyError), atomic_file(path) as out:
        out.write(b"new")
        raise KeyError
    assert path.read_bytes() == b"old" and list(path.parent.iterdir()) == [path]
    (path.parent / ".file.99.partial").touch()
    assert remove_partial(tmp_path) == 1 and list(path.parent.iterdir()) == [path]


def test_full_disk_is_named_and_leaves_the_older_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - atomic_file closes it
    monkeypatch.setattr("flan_jax.data.atomic.HashingWriter", lambda partial: full)
    with pytest.raises(DiskFull, match=rf"{path} could not be written: No space left"), atomic_file(path) as out:
        out.write(b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
