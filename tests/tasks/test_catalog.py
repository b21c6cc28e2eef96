"""The catalogue, the registry over it, and that neither costs more than it should."""

import dataclasses
import pathlib
import subprocess
import sys

import pytest

from flan_jax.data.task import Dropped, Rendered, TaskRegistry
from flan_jax.errors import FlanJaxError
from tasks import catalog, get_mixture, get_task
from tasks.dataset import Dataset, Drop, Generated, choice
from tasks.forms import FORMS
from tasks.registry import RowError, SplitMissing, UnknownName, make_task
from tasks.templating import choose_template

ROOT = pathlib.Path(__file__).parents[2]
REAL = ("rte", "sst2", "squad_v1", "natural_questions", "e2e_nlg", "wmt16_translate_roen")


def test_importing_the_catalogue_loads_no_tensorflow():
    code = (
        "import sys, tasks; from tasks import catalog\n"
        "for name in (*catalog.datasets(), *catalog.forms()): tasks.get_task(name)\n"
        "for name in catalog.mixtures(): tasks.get_mixture(name)\n"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"tensorflow", "seqio", "jax", "tensorflow_datasets", "pyarrow"} & set(loaded.split())


def test_tasks_module_is_a_registry():
    import tasks

    assert isinstance(tasks, TaskRegistry)


def test_twelve_clusters_and_symmetric_exclusions():
    assert len(catalog.CLUSTERS) == 12
    for cluster, others in catalog.EXCLUDED_WITH.items():
        assert all(cluster in catalog.EXCLUDED_WITH[other] for other in others)
    assert catalog.trained_without("reading_comprehension_with_commonsense") == {
        "reading_comprehension_with_commonsense", "reading_comprehension", "commonsense"
    }  # fmt: skip


def test_every_dataset_has_usable_templates_and_facts():
    for name, dataset in catalog.datasets().items():
        task = get_task(name)
        assert task.licence and task.citation and task.splits, name
        if dataset.kind != "documents":
            forward = [t for t in task.templates if t.forward]
            assert len(task.templates) == 10 and len(forward) >= 7, name


def test_leaving_a_cluster_out_leaves_out_what_resembles_it():
    for name, mixture in catalog.mixtures().items():
        if "_loo_" in name:
            form = next((f"_{form}" for form in (*FORMS, "released", "rows_once") if name.endswith(f"_{form}")), "")
            held_out = name.split("_loo_")[1].removesuffix(form)
            trained = {catalog.find(task).cluster for task in mixture.train}
            assert not trained & catalog.trained_without(held_out), name
            assert {catalog.find(task).cluster for task in mixture.evaluate} == {held_out}, name


def test_flan_mixtures_hold_the_six_real_datasets():
    assert set(REAL) <= set(get_mixture("flan2021").train)
    assert "rte" not in get_mixture("flan2021_loo_nli").train
    assert "rte" in get_mixture("flan2021_loo_nli").evaluate
    assert get_mixture("rte").train == get_mixture("rte").evaluate == ("rte",)


@pytest.mark.parametrize("look_up", [get_task, get_mixture])
def test_unknown_name_suggests(look_up):
    with pytest.raises(UnknownName, match="did you mean squad_v1") as caught:
        look_up("squad_v1_")
    assert isinstance(caught.value, FlanJaxError) and isinstance(caught.value, KeyError)


def test_an_unknown_cluster_held_out_names_the_clusters():
    with pytest.raises(UnknownName, match=r"clusters are nli, reading_comprehension, .*misc"):
        get_mixture("flan2021_loo_rte")


TOY = Dataset(
    name="toy",
    cluster="nli",
    benchmark="toy",
    source=Generated(rows=lambda split: [{"text": f"{split} {i}", "label": i % 2} for i in range(50)], version="1"),
    splits={"train": "train", "test": "test"},
    fields=lambda x: {"text": x["text"], **choice(("yes", "no"), x["label"])},
    field_names=("text",),
    kind="classification",
    metrics=("accuracy",),
    licence="none",
    citation="none",
    template_group="toy",
)


@pytest.fixture
def templates(tmp_path: pathlib.Path) -> pathlib.Path:
    entries = [f'- {{inputs: "T{i} {{text}} {{options}}", targets: "{{answer}}"}}\n' for i in range(8)]
    entries += [f'- {{inputs: "W{i} {{answer}}", targets: "{{text}}", turned_around: true}}\n' for i in range(2)]
    (tmp_path / "toy.yaml").write_text("".join(entries))
    return tmp_path


def test_training_rows_take_one_template_each(templates):
    rows = list(make_task(TOY, templates).render("train", "hashed", 3))
    assert [row.example_id for row in rows] == [f"train-{i}" for i in range(50)]
    assert [r.template for r in rows] == [choose_template(10, 3, "toy", row.example_id) for row in rows]


def test_evaluation_rows_take_every_forward_template(templates):
    rows = list(make_task(TOY, templates).render("test", "forward", 0))
    assert [(row.example_id, row.template) for row in rows] == [(f"test-{i}", t) for i in range(50) for t in range(8)]
    assert rows[8] == Rendered(
        "T0 test 1 OPTIONS:\n- yes\n- no",
        " no",
        (" yes", " no"),
        1,
        ("no",),
        0,
        "test-1",
        {"text": "test 1", "answer": "no"},
    )


def with_row(row: dict, fields=TOY.fields) -> Dataset:
    return dataclasses.replace(TOY, source=Generated(rows=lambda split: [row], version="1"), fields=fields)


def test_dropped_rows_are_given_with_their_reason(templates):
    dropped = make_task(with_row({}, lambda x: Drop("no label")), templates).render("train", (0,), 0)
    assert list(dropped) == [Dropped("train-0", "no label")]
    empty = with_row({}, lambda x: {"text": " \n", "options": ("yes",), "answer": "yes"})
    assert list(make_task(empty, templates).render("train", (9,), 0)) == [Dropped("train-0", "empty target")]


@pytest.mark.parametrize(("row", "message"), [
    ({"label": 0}, "the row has no 'text'; it has label"),
    ({"text": "t", "label": -1}, "label -1 is not one of the 2 options"),
    ({"text": None, "label": 0}, "not text: text"),
])  # fmt: skip
def test_bad_row_is_named_with_dataset_split_and_row(templates, row: dict, message: str):
    with pytest.raises(RowError, match=rf"toy \(train, row 0\): .*{message}"):
        list(make_task(with_row(row), templates).render("train", "forward", 0))


def test_unknown_split_is_named(templates):
    with pytest.raises(SplitMissing, match="toy has no split 'validation'; it has train, test"):
        list(make_task(TOY, templates).render("validation", "forward", 0))


def test_fingerprint_changes_with_templates_and_source_only(templates):
    before = make_task(TOY, templates).fingerprint
    assert make_task(TOY, templates).fingerprint == before
    other = dataclasses.replace(TOY, source=Generated(rows=lambda split: [], version="2"))
    assert make_task(other, templates).fingerprint != before
    changed = templates / "changed"
    changed.mkdir()
    (changed / "toy.yaml").write_text((templates / "toy.yaml").read_text().replace("T0", "Now"))
    assert make_task(TOY, changed).fingerprint != before


def test_plain_documents_have_targets_only(templates):
    documents = dataclasses.replace(TOY, kind="documents", fields=lambda x: {"text": x["text"]})
    row = next(make_task(documents, templates).render("train", "hashed", 0))
    assert (row.inputs, row.targets, row.options, row.answer) == ("", "train 0", (), -1)


def test_documents_field_keeps_nothing_but_the_text(templates):
    documents = dataclasses.replace(TOY, kind="documents", fields=lambda x: {"text": " "})
    assert next(make_task(documents, templates).render("train", "hashed", 0)) == Dropped("train-0", "empty target")
