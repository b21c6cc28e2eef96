"""Preparing does what is missing and nothing else, whatever happens to it on the way."""

import collections
import dataclasses
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import pytest
import tokenizers
import toy_tasks

from flan_jax.data.choosing import example_hash
from flan_jax.data.prepare import PrepareConfig, Prepared, PrepareFailed, UnknownName, prepare
from flan_jax.data.store import Store
from flan_jax.data.task import BEYOND_CAP, Rendered
from flan_jax.data.text_layer import BadExample, EmptySplit, text_request, write_text
from flan_jax.data.token_layer import write_tokens
from flan_jax.data.vocabulary import ByteVocabulary, VocabularyError, load_vocabulary
from flan_jax.evaluation.requests import choose_examples

HERE = pathlib.Path(__file__).parent
BYTES = ByteVocabulary()
SPLITS = [("a", "train"), ("b", "train"), ("d", "train"), ("d", "validation")]
SPLITS += [(task, split) for task in ("a", "c") for split in ("validation", "test")]


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Set what the toy tasks are, for this process and its children."""
    file = tmp_path / "toy.json"
    file.write_text("{}")
    monkeypatch.setenv("TOY_TASKS", str(file))
    return lambda **settings: file.write_text(json.dumps(settings))


def run(folder: pathlib.Path, **settings) -> Prepared:
    settings = {"mixture": "toy", "vocabulary": "bytes", "processes": 1, **settings}
    return prepare(PrepareConfig(store=str(folder), tasks="toy_tasks", **settings))


def files(folder: pathlib.Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def made(prepared: Prepared) -> dict[tuple[str, str], str]:
    return {(split.text.task, split.text.split): split.made for split in prepared.splits if split.made}


def test_a_mixture_gives_its_splits(toy, tmp_path, capsys):
    prepared = run(tmp_path / "s")
    assert sorted(made(prepared)) == sorted(SPLITS)
    out = capsys.readouterr().out
    assert "5 dropped: no label" in out and "8 splits made, 0 were there" in out
    table = out.splitlines()[:-1]  # then comes a path
    assert max(map(len, table)) < 80
    place = next(i for i, line in enumerate(table) if line.startswith("a/train "))
    assert table[place].split()[1:4] == ["50", "40", "40"] and "5 dropped: empty target" in table[place + 1]


def test_a_task_named_itself_gives_all_its_splits(toy, tmp_path):
    assert sorted(made(run(tmp_path / "s", mixture=("c", "d")))) == [
        ("c", "test"), ("c", "train"), ("c", "validation"), ("d", "train"), ("d", "validation"),
    ]  # fmt: skip


def test_a_second_run_does_nothing(toy, tmp_path, monkeypatch):
    run(tmp_path / "s", vocabulary="sentencepiece:300")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "s").rglob("*") if p.is_file()}
    monkeypatch.setattr("flan_jax.data.vocabulary_training.train_sentencepiece", None)  # calling it would fail
    assert made(run(tmp_path / "s", vocabulary="sentencepiece:300")) == {}
    assert {p: p.stat().st_mtime_ns for p in before if p.name != ".prepare.lock"} == {
        p: t for p, t in before.items() if p.name != ".prepare.lock"
    }


def test_processes_make_the_same_files_as_one(toy, tmp_path):
    run(tmp_path / "one", vocabulary="sentencepiece:300")
    run(tmp_path / "two", vocabulary="sentencepiece:300", processes=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_changed_templates_rebuild_only_what_they_touch(toy, tmp_path):
    run(tmp_path / "s")
    toy(wording={"a": "Is that true?"})
    changed = "templates or source changed"
    assert made(run(tmp_path / "s")) == {("a", split): changed for split in ("train", "validation", "test")}
    assert "Is that true?" in Store(tmp_path / "s").open_text("a", "train")["inputs"][0].as_py()


def test_another_seed_touches_only_training_and_a_higher_cap_only_evaluation(toy, tmp_path):
    run(tmp_path / "s", eval_examples=4)
    assert set(made(run(tmp_path / "s", seed=1, eval_examples=4)).items()) == {
        (key, "seed changed") for key in [*SPLITS[:2], *SPLITS[2:4]]
    }
    assert sorted(made(run(tmp_path / "s", seed=1, eval_examples=5))) == sorted(SPLITS[3:])


@pytest.mark.parametrize("there", [12, None])
def test_a_lower_cap_leaves_what_is_there_alone_and_finds_its_examples_in_it(toy, tmp_path, there):
    """So many evaluations, sweeps and people can share a store, whatever each of them asks for."""
    run(tmp_path / "s", eval_examples=there)
    before = files(tmp_path / "s")
    assert made(run(tmp_path / "s", eval_examples=6)) == {}
    assert files(tmp_path / "s") == before
    run(tmp_path / "fresh", eval_examples=6)
    for task, split in SPLITS[4:]:
        asked = Store(tmp_path / "fresh").open_text(task, split).to_pylist()
        shared = Store(tmp_path / "s").open_text(task, split).to_pylist()
        chosen = choose_examples([row["example_id"] for row in shared], 6, task)
        assert [row for row in shared if row["example_id"] in chosen] == asked


def test_a_split_that_no_cap_has_cut_is_enough_for_every_cap(toy, tmp_path):
    run(tmp_path / "s", eval_examples=400)
    assert made(run(tmp_path / "s", eval_examples=500)) == made(run(tmp_path / "s", eval_examples=None)) == {}
    run(tmp_path / "t", eval_examples=6)
    assert sorted(made(run(tmp_path / "t", eval_examples=None))) == sorted(SPLITS[3:])


def test_another_vocabulary_renders_nothing_anew(toy, tmp_path):
    run(tmp_path / "s")
    text = {path: p for path, p in files(tmp_path / "s").items() if path.startswith("text")}
    toy(missing=["a", "b", "c"])  # reading the sources again would fail
    run(tmp_path / "s", vocabulary="sentencepiece:300")
    assert {path: p for path, p in files(tmp_path / "s").items() if path.startswith("text")} == text


def test_the_cap_chooses_by_example_not_by_place(toy, tmp_path):
    """Fewer examples are a subset of more, and come in source order, every forward template of each."""
    ids = {}
    for cap in (None, 12, 6):
        run(tmp_path / str(cap), eval_examples=cap)
        ids[cap] = Store(tmp_path / str(cap)).open_tokens(BYTES.digest, "a", "test").example_id.tolist()
    assert set(ids[6]) < set(ids[12]) < set(ids[None]) and len(ids[6]) == 12
    assert ids[6] == [i for i in ids[None] if i in ids[6]] != ids[None][:12]
    manifest = Store(tmp_path / "6").text_manifest("a", "test")
    assert (manifest.seen, manifest.kept) == (40, 6)
    assert manifest.seen == manifest.kept + sum(manifest.dropped.values())


def test_what_is_dropped_under_a_cap_counts_in_the_order_of_the_hashes(toy, tmp_path):
    """Those before the last one kept under their reasons, all others as beyond: told here from the ids alone."""
    run(tmp_path / "s", eval_examples=6)
    manifest = Store(tmp_path / "s").text_manifest("a", "test")
    fate = {3: "no label", 7: "empty target"}
    kept, dropped = 0, collections.Counter()
    for number in sorted(range(40), key=lambda number: example_hash("a", f"test-{number}")):
        if kept == 6:
            dropped[BEYOND_CAP] += 1
        elif reason := fate.get(number % 10):
            dropped[reason] += 1
        else:
            kept += 1
    assert dropped["no label"] and manifest.dropped == dropped


def test_a_source_that_renders_only_what_is_wanted_gives_the_same_files(toy, tmp_path):
    run(tmp_path / "all", eval_examples=6)
    toy(sized=True)
    run(tmp_path / "wanted", eval_examples=6)
    assert files(tmp_path / "all") == files(tmp_path / "wanted")


def test_a_trained_vocabulary_serves_a_mixture_it_was_not_trained_on(toy, tmp_path):
    first = run(tmp_path / "s", vocabulary="sentencepiece:300")
    second = run(tmp_path / "s", mixture="c", vocabulary="sentencepiece:300", vocabulary_mixture="toy")
    assert first.vocabulary == second.vocabulary
    assert Store(tmp_path / "s").find_vocabulary("sentencepiece:300").digest == first.vocabulary_digest


def test_tasks_prepared_one_after_the_other_share_a_vocabulary(toy, tmp_path, capsys):
    first = run(tmp_path / "s", mixture="b", vocabulary="sentencepiece:290")
    assert "used as it is" not in capsys.readouterr().out
    for mixture in ("c", "toy", "b"):
        assert run(tmp_path / "s", mixture=mixture, vocabulary="sentencepiece:290").vocabulary == first.vocabulary
        told = f"sentencepiece:290 is there, trained on b, and used as it is: {first.vocabulary}"
        assert (told in capsys.readouterr().out) == (mixture != "b")
    store = Store(tmp_path / "s")
    assert store.find_vocabulary("sentencepiece:290").digest == first.vocabulary_digest
    assert store.open_tokens(first.vocabulary_digest, "c", "train").num_rows == 40


def test_a_vocabulary_is_trained_anew_only_when_its_text_or_another_size_is_asked_for(toy, tmp_path, capsys):
    first = run(tmp_path / "s", mixture="b", vocabulary="sentencepiece:290")
    for again in range(2):
        second = run(tmp_path / "s", mixture="d", vocabulary="sentencepiece:290", vocabulary_mixture="d")
        assert second.vocabulary_digest != first.vocabulary_digest
        assert ("was trained anew, on d; there is also" in capsys.readouterr().out) == (again == 0)
    alone = run(tmp_path / "alone", mixture="d", vocabulary="sentencepiece:290")
    assert alone.vocabulary_digest == second.vocabulary_digest, "as in a store of its own"
    assert run(tmp_path / "s", mixture="d", vocabulary="sentencepiece:289").vocabulary_digest != first.vocabulary_digest


def test_vocabularies_of_different_text_must_be_told_apart(toy, tmp_path):
    paths = {
        task: run(tmp_path / "s", mixture=task, vocabulary="sentencepiece:290", vocabulary_mixture=task).vocabulary
        for task in ("b", "d")
    }
    for read in (
        lambda: Store(tmp_path / "s").find_vocabulary("sentencepiece:290"),
        lambda: run(tmp_path / "s", vocabulary="sentencepiece:290"),  # neither was trained on its text
    ):
        with pytest.raises(VocabularyError, match=r"has 2 of sentencepiece:290.* name one") as error:
            read()
        for task, path in paths.items():
            assert f"--gin.VOCABULARY=\"'{path}'\"   trained on {task}" in str(error.value)
    assert run(tmp_path / "s", mixture="d", vocabulary="sentencepiece:290").vocabulary == paths["d"]


def test_a_text_of_too_few_pieces_is_named(toy, tmp_path):
    with pytest.raises(VocabularyError, match=r"has no 9000 pieces, at most \d+(.|\n)* trained on a, b, d"):
        run(tmp_path / "s", vocabulary="sentencepiece:9000")


def test_the_vocabulary_sample_is_bounded_and_deterministic(toy, tmp_path):
    small = {"vocabulary": "sentencepiece:288", "vocabulary_rows": 40}
    digests = {run(tmp_path / name, **small).vocabulary_digest for name in "xy"}
    assert len(digests) == 1
    all_rows = {"vocabulary": "sentencepiece:288", "vocabulary_mixture": "toy"}
    assert run(tmp_path / "x", **all_rows).vocabulary_digest not in digests


@pytest.mark.parametrize("processes", [1, 2])
def test_a_missing_dataset_does_not_lose_the_others(toy, tmp_path, processes):
    toy(missing=["b"], faulty=["c"])
    with pytest.raises(PrepareFailed) as error:
        run(tmp_path / "s", processes=processes)
    message = str(error.value)
    assert "3 of the splits" in message and "b/train: b is not in TFDS_DATA_DIR; put it there" in message
    assert "c/test: Traceback" in message and "ZeroDivisionError: a mistake in a task's own code" in message
    assert Store(tmp_path / "s").open_tokens(BYTES.digest, "a", "train").num_rows == 40
    toy()
    assert sorted(key for key in made(run(tmp_path / "s"))) == [("b", "train"), ("c", "test"), ("c", "validation")]


def test_a_failed_rebuild_keeps_what_was_there(toy, tmp_path):
    run(tmp_path / "s")
    before = files(tmp_path / "s")
    toy(missing=["a"], wording={"a": "new"})
    with pytest.raises(PrepareFailed):
        run(tmp_path / "s")
    assert files(tmp_path / "s") == before


def test_no_vocabulary_is_trained_on_part_of_the_text(toy, tmp_path):
    toy(missing=["b"])
    with pytest.raises(PrepareFailed, match="b/train"):
        run(tmp_path / "s", vocabulary="sentencepiece:300")
    assert not (tmp_path / "s" / "vocabularies").exists()


def test_unknown_names(toy, tmp_path):
    with pytest.raises(UnknownName, match=r"'tay' is neither a mixture .*nearest: toy.* nor a task .*prepare\.mixture"):
        run(tmp_path / "s", mixture="tay")
    with pytest.raises(VocabularyError, match="names no size"):
        run(tmp_path / "s", vocabulary="sentencepiece:many")
    with pytest.raises(VocabularyError, match=r"no such\.model.*not 'bytes'"):
        run(tmp_path / "s", vocabulary="no such.model")


def rows(*changes: dict):
    base = Rendered("Is it?", " yes", (" yes", " no"), 0, ("yes",), 0, "x-1", {})
    return lambda split, templates, seed: iter([base._replace(**change) for change in changes])


def render(tmp_path, render, split="train"):
    task = dataclasses.replace(toy_tasks.get_task("a"), render=render)
    store = Store(tmp_path)
    return store, write_text(store, task, split, text_request(task, split, 0, None))


@pytest.mark.parametrize(
    "change",
    [{"inputs": "Is it? "}, {"targets": "yes"}, {"options": (" yes", "no")}, {"answer": 2}, {"answer": -1}],
)
def test_a_row_that_breaks_the_contract_names_the_example(tmp_path, change):
    with pytest.raises(BadExample, match="a: example 'x-1'"):
        render(tmp_path, rows(change))
    assert files(tmp_path) == {}


def test_empty_parts_are_counted(tmp_path):
    _, manifest = render(tmp_path, rows({}, {"targets": " "}, {"inputs": ""}))
    assert manifest.dropped == {"empty input": 1, "empty target": 1} and manifest.rows == 1


def test_a_row_lost_of_an_example_kept_is_counted_as_a_row(tmp_path):
    _, manifest = render(tmp_path, rows({}, {"targets": "", "template": 1}), split="test")
    assert (manifest.kept, manifest.rows, manifest.dropped, manifest.rows_dropped) == (1, 1, {}, {"empty target": 1})


def test_a_split_of_which_nothing_is_kept(tmp_path):
    with pytest.raises(EmptySplit, match=r"a/train \(toy:1\): 1 examples seen, none kept \(empty target: 1\)"):
        render(tmp_path, rows({"targets": ""}))
    assert files(tmp_path) == {}


def test_rows_whose_joint_tokenisation_differs_are_marked(tmp_path):
    class Pairs(ByteVocabulary):
        """Joins "? y" to one token, as a tokenizer that ignores white space might."""

        def encode(self, texts):
            return super().encode([text.replace("? y", "#") for text in texts])

    store, text = render(tmp_path, rows({}, {"targets": " no", "answer": 1}))
    assert write_tokens(store, Pairs(), text).boundary_differs == 1
    assert store.open_tokens(BYTES.digest, "a", "train").boundary_differs.tolist() == [True, False]


def test_marking_by_the_last_words_finds_what_joining_whole_rows_finds(tmp_path):
    """A vocabulary of merges across white space, on which the boundary does matter in some rows and not in others."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    texts = [f"{toy_tasks.sentence(i, 30)}" for i in range(300)]
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=400, special_tokens=["</s>"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    vocabulary = load_vocabulary(str(tmp_path / "tokenizer.json"))
    changes = [{"inputs": toy_tasks.sentence(i, 31), "targets": " " + toy_tasks.sentence(i * 5, 3)} for i in range(60)]
    store, text = render(tmp_path / "s", rows(*changes))
    write_tokens(store, vocabulary, text)
    marked = store.open_tokens(vocabulary.digest, "a", "train").boundary_differs.tolist()
    apart = [vocabulary.encode([change[name] for change in changes]) for name in ("inputs", "targets")]
    joint = vocabulary.encode([change["inputs"] + change["targets"] for change in changes])
    truth = [inputs + targets != whole for inputs, targets, whole in zip(*apart, joint, strict=True)]
    assert 0 < sum(truth) < len(truth) and marked == truth


def test_a_vocabulary_with_a_dummy_prefix_leads_the_document(tmp_path):
    class Prefixed(ByteVocabulary):
        leading = " "

    store, text = render(tmp_path, rows({}))
    write_tokens(store, Prefixed(), text)
    table = store.open_tokens(BYTES.digest, "a", "train")
    assert BYTES.decode(table.inputs(0).tolist()) == " Is it?" and BYTES.decode(table.targets(0).tolist()) == " yes"


PROGRAM = """
import sys
from flan_jax.data.choosing import example_hash
from flan_jax.data.prepare import PrepareConfig, prepare
if __name__ == "__main__":
    prepare(PrepareConfig("toy", sys.argv[1], "bytes", tasks="toy_tasks", processes=int(sys.argv[2])))
"""


def start(tmp_path: pathlib.Path, folder: pathlib.Path, processes: int, limit: str = "") -> subprocess.Popen:
    program = tmp_path / "program.py"
    program.write_text(limit + PROGRAM)
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parents[1]}"}
    return subprocess.Popen(
        [sys.executable, str(program), str(folder), str(processes)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("processes", [1, 2])
def test_a_killed_run_leaves_nothing_half_read_and_is_continued(toy, tmp_path, processes):
    toy(slow=0.002)
    chance = random.Random(processes)
    began = time.monotonic()
    run(tmp_path / "undisturbed")
    work = time.monotonic() - began
    folder = tmp_path / "killed"
    for _ in range(4):
        process = start(tmp_path, folder, processes)
        while not folder.exists() and process.poll() is None:  # imports are done, work begins
            time.sleep(0.01)
        time.sleep(chance.random() * work / 2)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        store = Store(folder)
        for path in folder.glob("text/*/*.json"):
            store.open_text(path.parent.name, path.stem)
        for path in folder.glob("tokens/*/*/*.json"):
            store.open_tokens(BYTES.digest, path.parent.name, path.stem)
    run(folder)
    assert files(folder) == files(tmp_path / "undisturbed")
    assert made(run(folder)) == {}


def test_a_disk_that_fills_while_a_split_is_rebuilt_leaves_the_older_one(toy, tmp_path):
    run(tmp_path / "s")
    before = Store(tmp_path / "s").open_text("a", "train")["inputs"].to_pylist()
    toy(size=700, wording={"a": "Is that true?"})
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    _, error = start(tmp_path, tmp_path / "s", 1, limit).communicate()
    assert "text/a/train.arrow could not be written: File too large" in error
    assert Store(tmp_path / "s").open_text("a", "train")["inputs"].to_pylist() == before


def test_a_full_disk_loses_nothing_and_says_so(toy, tmp_path):
    """A real limit of the system on the size of files stands for the disk."""
    toy(size=700)
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
    out, error = start(tmp_path, tmp_path / "s", 1, limit).communicate()
    assert "text/a/train.arrow could not be written: File too large" in error
    assert "make room on that disk" in error
    assert "6 splits made" in out
    assert not [path for path in files(tmp_path / "s") if "partial" in path or ("/train" in path and "/d/" not in path)]
    assert sorted(made(run(tmp_path / "s"))) == [("a", "train"), ("b", "train")]
