"""Tokenizers of Hugging Face folders through prepare, train, evaluate and generate: OPT's, of which BOS is EOS, too."""

import dataclasses
import pathlib
import shutil

import numpy as np
import pytest

from flan_jax.data.loader import batch_at
from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.data.store import Store
from flan_jax.data.vocabulary import load_vocabulary
from flan_jax.evaluation.evaluate import EvaluateConfig, evaluate
from flan_jax.evaluation.gathering import EvaluationError
from flan_jax.generate import Answerer
from flan_jax.interop.tokenizer_files import read_tokenizer, write_tokenizer
from flan_jax.training.checkpoints import CheckpointMismatch
from flan_jax.training.trainer import TrainConfig, make_plan, train
from tests.interop.tokenizer_folders import llama2_fast, opt

from .conftest import TASKS


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, pathlib.Path]:
    made = {make.__name__: tmp_path_factory.mktemp(make.__name__) for make in (opt, llama2_fast)}
    opt(made["opt"])
    llama2_fast(made["llama2_fast"])
    return made


def prepared(store: pathlib.Path, vocabulary: pathlib.Path) -> None:
    prepare(PrepareConfig("tiny", str(store), str(vocabulary), tasks=TASKS, eval_examples=None, processes=1))


@pytest.fixture(scope="module")
def both(folders, tmp_path_factory) -> Store:
    """Prepared once with each tokenizer."""
    root = tmp_path_factory.mktemp("store")
    prepared(root, folders["opt"])
    text = {path: path.stat().st_mtime_ns for path in (root / "text").rglob("*.arrow")}
    prepared(root, folders["llama2_fast"])
    assert len(text) == 4 and text == {path: path.stat().st_mtime_ns for path in text}, "rendered anew"
    return Store(root)


@pytest.fixture(scope="module")
def trained(settings, both, folders, tmp_path_factory) -> TrainConfig:
    """A run of a few steps with OPT's tokenizer."""
    root = str(tmp_path_factory.mktemp("run") / "run")
    named = settings | {"model_dir": root, "store": str(both.root), "vocabulary": str(folders["opt"]), "steps": 3}
    config = TrainConfig(**named)
    train(config)
    return config


def test_one_text_layer_serves_two_tokenizers(both, folders):
    rows = [read_tokenizer(folders[name]) for name in ("opt", "llama2_fast")]
    tables = [both.open_tokens(vocabulary.digest, "sum", "train") for vocabulary in rows]
    texts = both.open_text("sum", "train")["inputs"].to_pylist()
    for vocabulary, table in zip(rows, tables, strict=True):
        assert table.inputs(5).tolist() == vocabulary.encode([vocabulary.opening(texts[5])])[0]


def test_documents_begin_and_end_with_the_same_token_in_opt(both, folders, trained):
    plan = make_plan(trained, both, read_tokenizer(folders["opt"]))
    batch = batch_at(plan, 0)
    begins = (batch.segment_ids > 0) & (batch.positions == 0)
    ends = (batch.segment_ids > 0) & (np.pad(batch.positions, ((0, 0), (0, 1)))[:, 1:] == 0)
    assert begins.sum() == ends.sum() > 4
    assert np.array_equal((batch.tokens == 2) & (batch.segment_ids > 0), begins | ends)
    assert not batch.loss_weights[begins].any() and batch.loss_weights[ends].all()


def test_the_run_keeps_the_tokenizer_with_its_files(trained, folders, tmp_path):
    kept = load_vocabulary(f"{trained.model_dir}/vocabulary")
    assert (kept.bos_id, kept.eos_id) == (2, 2)
    for name in write_tokenizer(tmp_path, kept):
        assert (tmp_path / name).read_bytes() == (folders["opt"] / name).read_bytes()


def test_another_tokenizer_is_refused(trained, folders, both, tmp_path):
    other = str(folders["llama2_fast"])
    tuned = dataclasses.replace(
        trained, vocabulary=other, model=None, initial_checkpoint=trained.model_dir, model_dir=str(tmp_path / "tuned")
    )
    with pytest.raises(CheckpointMismatch, match=r"reads vocabulary .* but .*llama2_fast.* is (.|\n)*--gin.VOCABULARY"):
        train(tuned)
    evaluated = EvaluateConfig(
        checkpoint=trained.model_dir, store=str(both.root), mixture="more", tasks=TASKS, split="validation",
        vocabulary=other, examples=4, selection_split=None, replicates=50, max_new_tokens=3,
    )  # fmt: skip
    with pytest.raises(EvaluationError, match=r"was trained with vocabulary .* but .*llama2_fast.* is"):
        evaluate(evaluated)
    scores = evaluate(dataclasses.replace(evaluated, vocabulary=str(folders["opt"])))
    assert scores.rows.num_rows == 4


def test_the_same_tokenizer_from_elsewhere_is_the_same(trained, folders, tmp_path):
    shutil.copytree(folders["opt"], tmp_path / "again")
    assert read_tokenizer(tmp_path / "again").digest == load_vocabulary(f"{trained.model_dir}/vocabulary").digest


def test_a_question_is_answered(trained):
    answerer = Answerer.load(trained.model_dir)
    assert "</s>" not in answerer.generate(["Add 3 and 4."], 3)[0].text
    assert sorted(option.text for option in answerer.rank("Is 4 more than 3?", ["yes", "no"])) == ["no", "yes"]
