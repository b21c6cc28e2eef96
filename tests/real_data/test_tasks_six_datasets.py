"""The six real datasets, read from $FLAN_JAX_TEST_DATA, and the errors of a data directory that lacks something."""

import dataclasses
import importlib
import pathlib
import shutil
import subprocess
import sys

import pytest

from flan_jax.data.task import Dropped, Mixture, Rendered
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

NAMES = ("rte", "sst2", "squad_v1", "natural_questions", "e2e_nlg", "wmt16_translate_roen")


@pytest.fixture
def rendered(data_dir: str):
    def rendered(name: str, split: str, templates) -> list[Rendered]:
        rows = list(get_task(name, data_dir=data_dir).render(split, templates, 0))
        assert not [row for row in rows if isinstance(row, Dropped)]
        return rows

    return rendered


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_row_renders(name: str, split: str, data_dir: str, rendered):
    rows = rendered(name, split, "hashed")
    assert len(rows) == count_rows(catalog.datasets()[name], split, data_dir)
    assert len({row.example_id for row in rows}) == len(rows)
    for row in rows:
        assert row.inputs == row.inputs.rstrip() and row.targets[0] == " " and row.targets[1:].strip()
        assert row.answer == -1 or row.targets == row.options[row.answer]


@pytest.mark.parametrize("name", NAMES)
def test_train_and_validation_are_disjoint(name: str, rendered):
    assert not ({row.example_id for row in rendered(name, "train", (0,))}
                & {row.example_id for row in rendered(name, "validation", (0,))})  # fmt: skip


@pytest.mark.parametrize(("name", "meaning"), [
    ("rte", {"entailment": "yes", "not_entailment": "no"}), ("sst2", {"negative": "negative", "positive": "positive"})
])  # fmt: skip
def test_labels_mean_what_the_class_names_say(name: str, meaning: dict[str, str], data_dir: str, rendered):
    builder = open_builder(catalog.datasets()[name].source, data_dir)
    names = builder.info.features["label"].names
    labels = [names[row["label"]] for row in read_rows(builder, RowRange("validation", 0, 200))]
    answers = [row.targets.strip() for row in rendered(name, "test", (0,))[:200]]
    assert answers == [meaning[label] for label in labels]
    assert len(set(answers)) == 2


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_tfds(name: str, data_dir: str):
    """Our batched reader against TFDS's own, field by field, on a range inside a split."""
    import tensorflow_datasets as tfds

    builder = open_builder(catalog.datasets()[name].source, data_dir)
    ours = [{key: row[key] for key in row} for row in read_rows(builder, RowRange("validation", 7, 60))]
    theirs = list(tfds.as_numpy(builder.as_dataset(split="validation[7:60]")))

    def plain(value):
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if isinstance(value, bytes):
            return value.decode()
        return [plain(v) for v in value] if getattr(value, "ndim", 0) else value

    assert ours == [plain(row) for row in theirs]


def test_reading_loads_no_tensorflow(data_dir: str):
    code = (
        "import sys, tasks; rows = list(tasks.get_task('squad_v1', data_dir=sys.argv[1]).render('test', 'hashed', 0));"
        "assert len(rows) == 300 and 'tensorflow' not in sys.modules"
    )
    root = pathlib.Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, data_dir], cwd=root, check=True)


def test_question_ends_with_one_question_mark(rendered):
    for row in rendered("natural_questions", "train", "forward")[:2000]:
        assert "??" not in row.inputs and row.fields["question"].count("?") >= 1
        assert row.fields["question"][-2] not in "? "


def test_references_hold_every_answer_and_the_target(rendered):
    rows = rendered("natural_questions", "test", (0,))
    assert any(len(row.references) > 1 for row in rows)
    for row in rows + rendered("squad_v1", "test", (0,)) + rendered("e2e_nlg", "test", (0,)):
        assert row.targets.strip() in row.references
    assert "[" not in "".join(row.fields["meaning_representation"] for row in rendered("e2e_nlg", "test", (0,)))


def test_both_directions_of_a_translation_are_forward(rendered):
    there, back = rendered("wmt16_translate_roen", "test", (0, 4))[:2]
    assert (there.fields["source_text"], there.fields["target_text"]) == (back.references[0], there.references[0])
    assert there.fields["source_text"] in there.inputs and back.fields["target_text"] in back.inputs


def test_seqio_mixture_over_real_data(data_dir: str, monkeypatch: pytest.MonkeyPatch):
    seqio = importlib.import_module("seqio")
    from tasks import mixtures

    lengths = {"inputs": 512, "targets": 128}
    five = Mixture("five_without_nli", train=tuple(name for name in NAMES if name != "rte"), evaluate=("rte",))
    monkeypatch.setattr(catalog, "mixtures", lambda: {five.name: five})  # whose data are all there
    names = mixtures.register(seqio.ByteVocabulary(), benchmarks=["flan2021"], data_dir=data_dir)
    mixture = seqio.get_mixture_or_task(five.name)
    assert {task.name for task in mixture.tasks} == {*five.train}
    held_out = {task.name for task in seqio.get_mixture_or_task(f"{five.name}_eval").tasks}
    assert held_out == {f"rte_template_{i}" for i in range(8)}
    for converter in (seqio.DecoderFeatureConverter(pack=True), seqio.EncDecFeatureConverter(pack=True)):
        batch = next(converter(mixture.get_dataset(lengths, "train", seed=0), lengths).as_numpy_iterator())
        assert batch["decoder_loss_weights"].sum() > 0
    held_out = seqio.get_mixture_or_task("rte_template_0").get_dataset(None, "test", shuffle=False)
    assert sum(1 for _ in held_out) == 2 * 277
    assert names == mixtures.register(seqio.ByteVocabulary(), benchmarks=["flan2021"], data_dir=data_dir)
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


def test_version_that_is_not_there_names_those_that_are(data_dir: str):
    with pytest.raises(DatasetVersionMissing, match=r"wanted in version 9\.9\.9; versions in .*: 1\.0\.2\."):
        open_builder(Tfds("super_glue/rte:9.9.9"), data_dir)


def test_other_version_prepared(tmp_path: pathlib.Path, data_dir: str):
    shutil.copytree(f"{data_dir}/super_glue/rte/1.0.2", tmp_path / "super_glue/rte/1.0.1")
    with pytest.raises(DatasetVersionMissing, match=r"wanted in version 1\.0\.2; versions in .*: 1\.0\.1\."):
        open_builder(Tfds("super_glue/rte:1.0.2"), str(tmp_path))


def test_changed_schema_names_field_dataset_split_and_row(data_dir: str):
    rte = catalog.datasets()["rte"]
    other = dataclasses.replace(rte, source=Tfds("glue/wnli:2.0.0"), labels=None)
    with pytest.raises(
        RowError, match=r"rte \(glue/wnli:2\.0\.0, split train, row 0\): the row has no 'premise'; it has .*sentence1"
    ):
        next(make_task(other, data_dir=data_dir).render("train", "hashed", 0))


def test_small_directory_reads_in_ranges(data_dir: str):
    builder = open_builder(Tfds("super_glue/rte:1.0.2"), data_dir)
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
