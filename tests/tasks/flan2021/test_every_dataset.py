"""All 70 datasets and all their splits, from TFDS files to batches."""

import json

import numpy as np
import pytest
from made_up_rows import ROWS
from tfds_directory import source_splits

from flan_jax.data.loader import batch_at
from flan_jax.data.plan import PlanConfig, build_plan
from flan_jax.data.vocabulary import ByteVocabulary
from tasks import catalog, get_mixture, get_task
from tasks.registry import count_rows

FLAN = {name: d for name, d in catalog.datasets().items() if d.benchmark == "flan2021"}
TEMPLATES = {name: get_task(name).templates for name in FLAN}
SPLITS = [(name, split) for name, dataset in FLAN.items() for split in dataset.splits]
DROPPED = {
    "arc_challenge": "other than 4 options", "arc_easy": "other than 4 options", "drop": "no answer",
    "gigaword": "a number or a rare word is masked", "hellaswag": "no label", "mnli_matched": "empty text",
    "mnli_mismatched": "empty text", "quac": "no answer", "record": "no answer", "sentiment140": "neutral",
    "snli": "no label", "story_cloze": "no label", "trivia_qa": "no answer", "true_case": "no capital letter",
    "winogrande": "no gap",
}  # fmt: skip
"""The made-up rows that have to be dropped, by the reason that is counted."""


def test_seventy_configurations_over_sixty_seven_names():
    assert len(FLAN) == 70 and len(ROWS) == 67
    assert set(source_splits()) == set(ROWS)
    assert len({dataset.cluster for dataset in FLAN.values()}) == 12
    assert len(SPLITS) == 3 * 70 - 2  # WSC273 has a test only


def test_sixty_two_datasets_as_the_paper_counts():
    """It counts both parts of the opinion abstracts, WSC once, and not the two tasks that the release adds."""
    families = {dataset.family or name for name, dataset in FLAN.items()}
    assert len(families - {"true_case", "word_segment", "wsc273"}) + 1 == 62


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_every_row_is_kept_or_counted(name: str, split: str, store, made_up):
    manifest = store.text_manifest(name, split)
    assert manifest.seen == count_rows(FLAN[name], split, str(made_up))
    assert manifest.seen == manifest.kept + sum(manifest.dropped.values())
    assert manifest.kept > 0 and set(manifest.dropped) <= {DROPPED.get(name)} and not manifest.rows_dropped
    forward = [info for info in TEMPLATES[name] if info.forward]
    assert manifest.rows == manifest.kept * (1 if split == "train" else len(forward))


def test_reasons_are_counted(store):
    assert {name for name, split in SPLITS if store.text_manifest(name, split).dropped} == set(DROPPED)


@pytest.mark.parametrize(("name", "split"), SPLITS)
def test_text_and_tokens_are_read_back(name: str, split: str, store):
    text, vocabulary = store.open_text(name, split), ByteVocabulary()
    tokens = store.open_tokens(vocabulary.digest, name, split)
    assert tokens.num_rows == text.num_rows
    for number, row in enumerate(text.to_pylist()):
        assert row["inputs"] == row["inputs"].rstrip() and row["targets"][0] == " " and row["targets"].strip()
        assert vocabulary.decode(tokens.inputs(number).tolist()) == row["inputs"]
        assert vocabulary.decode(tokens.targets(number).tolist()) == row["targets"]
        assert [vocabulary.decode(option.tolist()) for option in tokens.options(number)] == row["options"]
        assert {*json.loads(row["fields"])} >= {*FLAN[name].field_names}


@pytest.mark.parametrize("name", [name for name, dataset in FLAN.items() if dataset.kind == "classification"])
def test_the_answer_is_one_of_the_options(name: str, store):
    for split in FLAN[name].splits:
        for row in store.open_text(name, split).to_pylist():
            assert TEMPLATES[name][row["template"]].forward == bool(row["options"]) == (row["answer"] >= 0)
            if row["options"]:
                assert len({*row["options"]}) == len(row["options"]) >= 2
                assert row["targets"] == row["options"][row["answer"]]
                assert row["inputs"].count("OPTIONS:\n-" + "\n-".join(row["options"])) == 1


@pytest.mark.parametrize("name", [name for name, dataset in FLAN.items() if dataset.kind == "generation"])
def test_the_target_is_one_of_the_references(name: str, store):
    for split in FLAN[name].splits:
        for row in store.open_text(name, split).to_pylist():
            assert row["options"] == [] and row["answer"] == -1 and row["targets"].strip() in row["references"]


def test_replies_to_a_question_of_multirc_are_told_in_the_text_layer(store):
    """`question_id` groups the rows as their paragraphs and questions do."""
    fields = [json.loads(text) for text in store.open_text("multirc", "test")["fields"].to_pylist()]
    questions = {(row["question_id"], row["paragraph"], row["question"]) for row in fields}
    assert 1 < len(questions) == len({one for one, *_ in questions}) == len({(p, q) for _, p, q in questions})
    assert len(questions) < len({(row["question_id"], row["response"]) for row in fields})


def test_train_and_evaluation_rows_differ(store):
    for name in FLAN.keys() - {"wsc273"}:
        ids = [store.open_text(name, split)["example_id"].to_pylist() for split in ("train", "validation", "test")]
        assert not {*ids[0]} & {*ids[1], *ids[2]}, name


def test_batches_of_the_whole_mixture(store):
    names = get_mixture("flan2021").train
    config = PlanConfig(names, steps=4, rows_per_batch=8, row_length=4096, inputs_length=4000, targets_length=2000)
    plan = build_plan(store, ByteVocabulary(), config)
    assert {task.task for task in plan.tasks} == {*names} and not any(task.over_long for task in plan.tasks)
    for step in range(4):
        batch = batch_at(plan, step)
        assert batch.tokens.shape == (8, 4096) and batch.loss_weights.sum() > 0
        assert not np.any(batch.loss_weights[batch.segment_ids == 0])
