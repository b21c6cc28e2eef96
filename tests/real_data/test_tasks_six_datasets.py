"""The six real datasets, read from $FLAN_JAX_TEST_DATA, and the errors of a data directory that lacks something."""

import dataclasses
import importlib
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from flan_jax.data.task import Dropped, Rendered
from tasks import catalog, get_task
from tasks.dataset import Tfds
from tasks.reading import (
    DatasetMissing,
    DatasetVersionMissing,
    ManualDownloadMissing,
    UnsupportedFeature,
    feature_decoders,
    open_builder,
    read_rows,
    split_sizes,
)
from tasks.registry import RowError, count_rows, make_task
from tasks.splits import RowRange

ROOT = os.environ.get("FLAN_JAX_TEST_DATA")
needs_data = pytest.mark.skipif(not ROOT, reason="set FLAN_JAX_TEST_DATA to a folder that holds tfds/ to run this")
TFDS = f"{ROOT}/tfds"
NAMES = ("rte", "sst2", "squad_v1", "natural_questions", "e2e_nlg", "wmt16_translate_roen")


def rendered(name: str, split: str, templates) -> list[Rendered]:
    rows = list(get_task(name, data_dir=TFDS).render(split, templates, 0))
    assert not [row for row in rows if isinstance(row, Dropped)]
    return rows


@needs_data
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_row_renders(name: str, split: str):
    rows = rendered(name, split, "hashed")
    assert len(rows) == count_rows(catalog.datasets()[name], split, TFDS)
    assert len({row.example_id for row in rows}) == len(rows)
    for row in rows:
        assert row.inputs == row.inputs.rstrip() and row.targets[0] == " " and row.targets[1:].strip()
        assert row.answer == -1 or row.targets == row.options[row.answer]


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_train_and_validation_are_disjoint(name: str):
    assert not ({row.example_id for row in rendered(name, "train", (0,))}
                & {row.example_id for row in rendered(name, "validation", (0,))})  # fmt: skip


@needs_data
@pytest.mark.parametrize(("name", "meaning"), [
    ("rte", {"entailment": "yes", "not_entailment": "no"}), ("sst2", {"negative": "negative", "positive": "positive"})
])  # fmt: skip
def test_labels_mean_what_the_class_names_say(name: str, meaning: dict[str, str]):
    builder = open_builder(catalog.datasets()[name].source, TFDS)
    names = builder.info.features["label"].names
    labels = [names[row["label"]] for row in read_rows(builder, RowRange("validation", 0, 200))]
    answers = [row.targets.strip() for row in rendered(name, "test", (0,))[:200]]
    assert answers == [meaning[label] for label in labels]
    assert len(set(answers)) == 2


@needs_data
@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_tfds(name: str):
    """Our batched reader against TFDS's own, field by field, on a range inside a split."""
    import tensorflow_datasets as tfds

    builder = open_builder(catalog.datasets()[name].source, TFDS)
    ours = [{key: row[key] for key in row} for row in read_rows(builder, RowRange("validation", 7, 60))]
    theirs = list(tfds.as_numpy(builder.as_dataset(split="validation[7:60]")))

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, bytes):
            return value.decode()
        return [plain(v) for v in value] if getattr(value, "ndim", 0) else value

    assert ours == [plain(row) for row in theirs]


@needs_data
def test_reading_loads_no_tensorflow():
    code = (
        "import sys, tasks; rows = list(tasks.get_task('squad_v1', data_dir=sys.argv[1]).render('test', 'hashed', 0));"
        "assert len(rows) == 300 and 'tensorflow' not in sys.modules"
    )
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, TFDS], cwd=root, check=True)


@needs_data
def test_question_ends_with_one_question_mark():
    for row in rendered("natural_questions", "train", "forward")[:2000]:
        assert "??" not in row.inputs and row.fields["question"].count("?") >= 1
        assert row.fields["question"][-2] not in "? "


@needs_data
def test_references_hold_every_answer_and_the_target():
    rows = rendered("natural_questions", "test", (0,))
    assert any(len(row.references) > 1 for row in rows)
    for row in rows + rendered("squad_v1", "test", (0,)) + rendered("e2e_nlg", "test", (0,)):
        assert row.targets.strip() in row.references
    assert "[" not in "".join(row.fields["meaning_representation"] for row in rendered("e2e_nlg", "test", (0,)))


@needs_data
def test_both_directions_of_a_translation_are_forward():
    there, back = rendered("wmt16_translate_roen", "test", (0, 4))[:2]
    assert (there.fields["source_text"], there.fields["target_text"]) == (back.references[0], there.references[0])
    assert there.fields["source_text"] in there.inputs and back.fields["target_text"] in back.inputs


@needs_data
def test_seqio_mixture_over_real_data():
    seqio = importlib.import_module("seqio")
    from tasks import mixtures

    lengths = {"inputs": 512, "targets": 128}
    names = mixtures.register(seqio.ByteVocabulary(), benchmarks=["flan2021"], data_dir=TFDS)
    mixture = seqio.get_mixture_or_task("flan2021_loo_nli")
    assert {task.name for task in mixture.tasks} == set(catalog.mixtures()["flan2021_loo_nli"].train)
    for converter in (seqio.DecoderFeatureConverter(pack=True), seqio.EncDecFeatureConverter(pack=True)):
        batch = next(converter(mixture.get_dataset(lengths, "train", seed=0), lengths).as_numpy_iterator())
        assert batch["decoder_loss_weights"].sum() > 0
    held_out = seqio.get_mixture_or_task("rte_template_0").get_dataset(None, "test", shuffle=False)
    assert sum(1 for _ in held_out) == 2 * 277
    assert names == mixtures.register(seqio.ByteVocabulary(), benchmarks=["flan2021"], data_dir=TFDS)
    mixtures.register(seqio.ByteVocabulary(), benchmarks=[])


# ---- what is missing -------------------------------------------------------------------------------------------------


def test_missing_dataset_says_where_and_how(tmp_path: pathlib.Path):
    with pytest.raises(
        DatasetMissing, match=rf"(?s)super_glue/rte:1.0.2 is not in {tmp_path}.*tfds build.*TFDS_DATA_DIR"
    ):
        next(get_task("rte", data_dir=str(tmp_path)).render("train", "hashed", 0))
    with pytest.raises(DatasetMissing, match="TFDS knows no dataset 'no_such_dataset'"):
        open_builder(Tfds("no_such_dataset:1.0.0"), str(tmp_path))


def test_environment_names_the_directory(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(DatasetMissing, match=str(tmp_path)):
        next(get_task("sst2").render("train", "hashed", 0))


def test_manual_download_says_what_to_put_where(tmp_path: pathlib.Path):
    source = Tfds("samsum:1.0.0", manual="corpus.7z of https://arxiv.org/abs/1911.12237")
    with pytest.raises(ManualDownloadMissing, match=rf"put corpus.7z of .* into {tmp_path}/downloads/manual"):
        open_builder(source, str(tmp_path))


@needs_data
def test_version_that_is_not_there_names_those_that_are():
    with pytest.raises(DatasetVersionMissing, match=r"wanted in version 9\.9\.9; versions in .*: 1\.0\.2\."):
        open_builder(Tfds("super_glue/rte:9.9.9"), TFDS)


@needs_data
def test_other_version_prepared(tmp_path: pathlib.Path):
    shutil.copytree(f"{TFDS}/super_glue/rte/1.0.2", tmp_path / "super_glue/rte/1.0.1")
    with pytest.raises(DatasetVersionMissing, match=r"wanted in version 1\.0\.2; versions in .*: 1\.0\.1\."):
        open_builder(Tfds("super_glue/rte:1.0.2"), str(tmp_path))


@needs_data
def test_changed_schema_names_field_dataset_split_and_row():
    rte = catalog.datasets()["rte"]
    other = dataclasses.replace(rte, source=Tfds("glue/wnli:2.0.0"))
    with pytest.raises(
        RowError, match=r"rte \(glue/wnli:2\.0\.0, split train, row 0\): the row has no 'premise'; it has .*sentence1"
    ):
        next(make_task(other, data_dir=TFDS).render("train", "hashed", 0))


@needs_data
def test_small_directory_reads_in_ranges():
    builder = open_builder(Tfds("super_glue/rte:1.0.2"), TFDS)
    assert split_sizes(builder) == {"train": 2490, "validation": 277}
    whole = [row["idx"] for row in read_rows(builder, RowRange("train", 0, 2490))]
    parts = [
        row["idx"]
        for a, b in ((0, 100), (100, 2000), (2000, 2490))
        for row in read_rows(builder, RowRange("train", a, b))
    ]
    assert whole == parts


def test_images_are_refused():
    tfds = importlib.import_module("tensorflow_datasets")
    with pytest.raises(UnsupportedFeature, match="field 'image'"):
        feature_decoders(tfds.features.FeaturesDict({"image": tfds.features.Image()}))
