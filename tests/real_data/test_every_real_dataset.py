"""Every real dataset that is there, whole, and what its labels say."""

import importlib
from typing import Any

import pytest

from flan_jax.data.prepare import PrepareConfig, Prepared, prepare
from flan_jax.data.store import Store
from flan_jax.data.task import Rendered
from tasks import catalog, get_task
from tasks.data_directory import contents_digest
from tasks.dataset import Tfds
from tasks.registry import count_rows, read_split

FLAN = {name: dataset for name, dataset in catalog.datasets().items() if dataset.benchmark == "flan2021"}


@pytest.fixture(scope="module")
def present(data_dir: str) -> tuple[str, ...]:
    """The datasets whose records are in the folder."""
    found = (n for n, d in FLAN.items() if isinstance(d.source, Tfds) and contents_digest(d.source, data_dir))
    return tuple(found)


@pytest.fixture(scope="module")
def prepared(data_dir: str, present, tmp_path_factory) -> tuple[Store, Prepared]:
    """All of them, all splits that have rows, as bytes."""
    root = str(tmp_path_factory.mktemp("prepared") / "store")
    names = tuple(name for name in present if name != "coqa")  # its one training row leaves none for validation
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFDS_DATA_DIR", data_dir)
        made = prepare(PrepareConfig(names, root, "bytes", tasks="tasks", eval_examples=40, processes=1))
    return Store(root), made


def test_every_real_dataset_runs_whole(prepared, data_dir: str, present):
    """Rows are kept or counted under a reason that the catalogue's readers know."""
    store, made = prepared
    assert {split.text.task for split in made.splits} == {*present} - {"coqa"}
    reasons = {reason for split in made.splits for reason in split.text.dropped}
    assert reasons <= {"other than 4 options", "no answer", "beyond the eval_examples cap"}
    for split in made.splits:
        text = split.text
        assert text.seen == count_rows(FLAN[text.task], text.split, data_dir)
        assert text.kept > 0 and text.kept + sum(text.dropped.values()) == text.seen
        assert store.open_text(text.task, text.split).num_rows == split.tokens.rows == text.rows


def test_a_conversation_alone_is_trained_on(data_dir: str, present):
    if "coqa" in present and count_rows(FLAN["coqa"], "train", data_dir) == 1:
        counts = {split: len(list(read_split(FLAN["coqa"], split, data_dir))) for split in FLAN["coqa"].splits}
        assert counts == {"train": 1, "validation": 0, "test": 1}


def test_answers_are_options_in_every_real_example(prepared):
    store, made = prepared
    looked = 0
    for split in made.splits:
        if split.text.kind == "classification":
            for row in store.open_text(split.text.task, split.text.split).to_pylist():
                assert (row["answer"] >= 0) == bool(row["options"])
                assert not row["options"] or row["targets"] == row["options"][row["answer"]]
                looked += bool(row["options"])
    assert looked > 1000


CLASSES = {
    "rte": {"entailment": "yes", "not_entailment": "no"},
    "wnli": {"not_entailment": "no", "entailment": "yes"},
    "snli": {"entailment": "yes", "neutral": "it is not possible to tell", "contradiction": "no"},
    "mnli_matched": {"entailment": "yes", "neutral": "it is not possible to tell", "contradiction": "no"},
    "cola": {"unacceptable": "unacceptable", "acceptable": "acceptable"},
    "sst2": {"negative": "negative", "positive": "positive"},
    "imdb_reviews": {"neg": "negative", "pos": "positive"},
    "glue_mrpc": {"not_equivalent": "no", "equivalent": "yes"},
    "wsc": {"False": "no", "True": "yes"},
    "ag_news_subset": {"World": "World", "Sports": "Sports", "Business": "Business", "Sci/Tech": "Science/Tech"},
}  # fmt: skip


@pytest.mark.parametrize("name", CLASSES)
def test_answers_mean_what_the_class_names_of_tfds_say(name: str, data_dir: str, present):
    """TFDS reads the rows here, by itself, so that neither our reader nor our labels are trusted."""
    if name not in present:
        pytest.skip(f"{name} is not in the folder")
    tfds: Any = importlib.import_module("tensorflow_datasets")
    dataset = FLAN[name]
    assert isinstance(dataset.source, Tfds)
    builder = tfds.builder(dataset.source.name, data_dir=data_dir)
    classes = builder.info.features["label"].names
    assert {*classes} == {*CLASSES[name]}
    theirs = [int(row["label"]) for row in builder.as_dataset(split=dataset.splits["test"].split).as_numpy_iterator()]
    ours = [row for row in get_task(name, data_dir=data_dir).render("test", (0,), 0) if isinstance(row, Rendered)]
    assert [row.targets.strip() for row in ours] == [CLASSES[name][classes[label]] for label in theirs]
    assert {*theirs} == {*range(len(classes))}
