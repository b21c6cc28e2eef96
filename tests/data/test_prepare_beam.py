"""Through Apache Beam the same files come out, byte for byte, and the same errors."""

import itertools
import json
import pathlib

import pyarrow as pa
import pytest
import toy_tasks

pytest.importorskip("apache_beam", reason="left out: preparing through Apache Beam, which is not installed")

from flan_jax.data import prepare_beam
from flan_jax.data.prepare import PrepareConfig, PrepareFailed, prepare
from flan_jax.data.prepare_beam import PipelineFailed
from flan_jax.data.prepare_parts import OtherTask, join_text, text_part
from flan_jax.data.store import Store
from flan_jax.data.text_layer import CHUNK, text_request, write_text


@pytest.fixture
def toy(tmp_path, monkeypatch):
    file = tmp_path / "toy.json"
    monkeypatch.setenv("TOY_TASKS", str(file))
    monkeypatch.setattr(prepare_beam, "ROWS", 16)
    monkeypatch.setattr(prepare_beam, "LOOK_SECONDS", 0.05)

    def settings(**values):
        file.write_text(json.dumps({"sized": True, **values}))

    settings()
    return settings


def run(folder, **settings):
    settings = {"mixture": "toy", "vocabulary": "sentencepiece:300", "processes": 1, "eval_examples": 9, **settings}
    return prepare(PrepareConfig(store=str(folder), tasks="toy_tasks", **settings))


def files(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_store_is_that_of_one_machine(toy, tmp_path, capfd):
    alone = run(tmp_path / "alone")
    through = run(tmp_path / "beam", beam=())
    assert files(tmp_path / "alone") == files(tmp_path / "beam") and not (tmp_path / "beam" / "flan_jax_parts").exists()
    assert [(split.text, split.tokens) for split in alone.splits] == [(s.text, s.tokens) for s in through.splits]
    assert "text  22/22 parts  100%" in capfd.readouterr().err
    assert not [split for split in run(tmp_path / "beam", beam=()).splits if split.made]


def test_workers_need_not_reach_the_store(toy, tmp_path):
    run(tmp_path / "alone")
    run(tmp_path / "beam", beam=("--runner=DirectRunner",), beam_parts=str(tmp_path / "parts"))
    assert files(tmp_path / "alone") == files(tmp_path / "beam")
    assert not (tmp_path / "parts" / "flan_jax_parts").exists()


def test_parts_in_the_store_leave_its_files_and_strangers_folders_alone(toy, tmp_path):
    run(tmp_path / "local")
    strangers = tmp_path / "beam" / "text" / "empty"
    strangers.mkdir(parents=True)
    run(tmp_path / "beam", beam=(), beam_parts=str(tmp_path / "beam"))
    assert strangers.is_dir()
    assert files(tmp_path / "beam") == files(tmp_path / "local")


def test_one_bad_dataset_loses_nothing_and_what_it_had_is_not_made_again(toy, tmp_path, monkeypatch):
    toy(faulty_from={"c": 20})
    with pytest.raises(PrepareFailed, match=r"(?s)2 of the splits.*c/validation: .*ZeroDivisionError: a mistake at 20"):
        run(tmp_path / "s", beam=())
    left = {path: path.stat().st_mtime_ns for path in (tmp_path / "s" / "flan_jax_parts" / "text").rglob("*.arrow")}
    assert {path.parent.parent.name for path in left} == {"c"} and len(left) == 2  # rows 0 to 16 of each split
    toy()
    for error in (tmp_path / "s" / "flan_jax_parts").rglob("*.error"):
        error.unlink()
    monkeypatch.setattr(prepare_beam, "_delete", lambda paths: None)
    made = [split for split in run(tmp_path / "s", beam=()).splits if split.made]
    assert {(split.text.task, split.made) for split in made} == {("c", "new")}
    assert {path: path.stat().st_mtime_ns for path in left} == left


def test_options_go_to_the_pipeline(toy, tmp_path):
    with pytest.raises(PipelineFailed, match=r"(?s)--runner=NoSuchRunner failed: .*set other --gin\.BEAM"):
        run(tmp_path / "s", beam=("--runner=NoSuchRunner",))


def test_a_worker_with_other_templates_is_refused(toy):
    request = text_request(toy_tasks.get_task("a"), "train", 0, None)
    toy(wording={"a": "Is that true?"})
    with pytest.raises(OtherTask, match="a/train: fingerprint differs between this worker"):
        text_part(toy_tasks.get_task("a"), "train", request, (0, None), 0, None)


@pytest.mark.parametrize("cap", [None, 3])
def test_parts_of_any_size_join_to_one_file(toy, tmp_path, cap):
    """Across record batches, and where a part holds fewer examples than the cap or none."""
    toy(size=2 * CHUNK)
    task, split = toy_tasks.get_task("a"), "train" if cap is None else "test"
    request = text_request(task, split, 0, cap)
    bounds = [0, 1, 2, 4, 3000, 4500, 2 * CHUNK] if cap is None else [0, 3, 4, 8, 30, 40]
    parts = [text_part(task, split, request, rows, 0, cap) for rows in itertools.pairwise(bounds)]
    joined = join_text(Store(tmp_path / "joined"), task, split, request, parts)
    assert joined == write_text(Store(tmp_path / "whole"), task, split, request)
    assert files(tmp_path / "joined") == files(tmp_path / "whole")
    batches = pa.ipc.open_file(str(tmp_path / "joined" / "text" / "a" / f"{split}.arrow")).num_record_batches
    assert batches == (2 if cap is None else 1)
