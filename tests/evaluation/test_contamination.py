"""Dirty examples are those that a plain comparison of all with all finds; scores, errors and pages of it are whole."""

import collections
import json
import os
import pathlib
import random

import leaky_tasks
import numpy as np
import pyarrow.parquet as pq
import pytest
from test_overlap import runs_of, within

from flan_jax.cli import main
from flan_jax.data.manifest import CorruptStore
from flan_jax.data.mixture_names import UnknownName
from flan_jax.data.store import NotPrepared, Store, StoreMismatch
from flan_jax.evaluation.contamination import Contamination, ContaminationConfig, ContaminationError, contamination
from flan_jax.evaluation.contamination_report import tables
from flan_jax.evaluation.contamination_search import SearchFailed, search_sources
from flan_jax.evaluation.contamination_verdict import Verdict
from flan_jax.evaluation.example_texts import TaskSource, read_evaluation_texts
from flan_jax.evaluation.ngrams import words
from flan_jax.evaluation.overlap import collect_grams
from flan_jax.evaluation.results import Results, rows_table

SENTENCE = "the trophy does not fit in the brown suitcase because it is far too large for that"
OTHER = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"


def compared(fields: dict) -> list[tuple[str, str]]:
    """(field, text) of an example, however its declaration says them."""
    several = [(name, text) for name in ("options", "references") for text in fields.get(name, ())]
    return [(name, text) for name, text in fields.items() if isinstance(text, str)] + several


def random_examples(rng: random.Random, count: int) -> list[dict]:
    """Of few words, so that much is shared, some of it often; some texts are empty or say the same as others."""

    def text() -> str:
        return " ".join(rng.choices(["a", "b", "C,", "d"], k=rng.randrange(9)))

    several = ({"references": [text(), text()]} if rng.random() < 0.3 else {} for _ in range(count))
    return [{"x": text(), "answer": text(), **more} for more in several]


@pytest.mark.parametrize("common", [None, 0, 1, 3])
@pytest.mark.parametrize(("shortest", "longest"), [(1, 1), (2, 4), (4, 4), (4, 6)])
def test_verdicts_are_those_of_comparing_all_with_all(tmp_path, common, shortest, longest):
    rng = random.Random(f"{common} {shortest} {longest}")
    test, one, two = (random_examples(rng, count) for count in (20, 12, 12))
    held_out = leaky_tasks.make_task("e", "nli", {"test": test, "train": one})
    tasks = [held_out, leaky_tasks.make_task("t", "nli", {"train": two})]
    store = leaky_tasks.make_store(tmp_path, tasks)
    texts = read_evaluation_texts(store, [held_out], "test")
    grams = collect_grams(texts.texts, shortest, longest)
    sources = [TaskSource(str(store.root), task.name, "nli", "train", 1) for task in tasks]
    most = 1 if common is None else common + 1
    verdict = Verdict(texts, grams, sources, search_sources(sources, grams, most, 1), common)

    trained = {"e": one, "t": two}
    training = {  # the references of training examples are no part of them
        name: {text for fields in rows for field, text in compared(fields) if field != "references"}
        for name, rows in trained.items()
    }
    distinct = {tuple(words(text)): text for own in training.values() for text in own}
    short = dirty = 0
    by_field, by_source = collections.Counter(), collections.Counter()
    for row, fields in zip(verdict.flags().to_pylist(), test, strict=True):
        runs = {run for _, text in compared(fields) for run in runs_of(text, shortest, longest)}
        often = {run for run in runs if sum(within(run, text) for text in distinct.values()) > (common or 0)}
        often = set() if common is None else often
        held = {name: {r for r in runs - often if any(within(r, t) for t in own)} for name, own in training.items()}
        counted = set().union(*held.values())
        in_fields = {name for name, text in compared(fields) if counted & set(runs_of(text, shortest, longest))}
        assert (row["ngrams"], row["common"], row["found"]) == (len(runs), len(often), len(counted))
        assert row["dirty"] == bool(counted) and set(row["sources"]) == {name for name, own in held.items() if own}
        short, dirty = short + (not runs), dirty + bool(counted)
        by_source.update(row["sources"])
        # a reference that says the same as a field stands under the field
        assert set(row["fields"]) | {"references"} == in_fields | {"references"}
        by_field.update(row["fields"])
    task = verdict.task(0)
    assert (task.examples, task.short, task.dirty) == (len(test), short, dirty)
    assert task.fields == by_field and {leak.source: leak.examples for leak in task.leaks} == by_source
    for leak in task.leaks:
        shared = runs_of(leak.overlap, shortest, longest)
        assert shared and all(any(within(run, text) for text in training[leak.source]) for run in shared)


# ---- the whole command -----------------------------------------------------------------------------------------------


@pytest.fixture
def declare(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """Declare tasks and prepare them; returns the settings of a search in their store."""

    def declared(**tasks) -> dict:
        file = tmp_path / "tasks.json"
        file.write_text(json.dumps(tasks))
        monkeypatch.setenv("LEAKY_TASKS", str(file))
        leaky_tasks.make_store(tmp_path / "store", [leaky_tasks.get_task(name) for name in tasks])
        return {"store": str(tmp_path / "store"), "tasks": "leaky_tasks", "processes": 1}

    return declared


def search(settings: dict, mixture, **more) -> Contamination:
    return contamination(ContaminationConfig(mixture=mixture, **settings, **more))


def test_instructions_are_not_compared(declare):
    """Both tasks have the same long instruction around their fields, and one shares a text with the other."""
    assert len(words(leaky_tasks.INSTRUCTION)) > 13
    settings = declare(
        e={"cluster": "nli", "test": [{"x": "one of its own", "answer": "so"}, {"x": SENTENCE.upper() + "!"}]},
        t={"cluster": "coreference", "train": [{"x": f"Look: {SENTENCE}", "answer": "yes"}]},
    )
    task = search(settings, "e>t").task("e")
    assert (task.dirty, task.short, task.contained) == (1, 1, 1)
    (leak,) = task.leaks
    assert (leak.source, leak.relation, leak.examples, leak.example_id, leak.field, leak.overlap) == (
        "t", "other cluster", 1, "1", "x", SENTENCE
    )  # fmt: skip


def test_options_and_references_are_compared_and_documents_by_their_text(declare):
    settings = declare(
        e={"test": [{"x": "", "options": ["no", SENTENCE]}, {"x": "?", "references": ["that", OTHER]}]},
        t={"train": [{"x": "..", "options": [SENTENCE, "no"]}]},
        d={"train": [{}]},
    )
    assert search(settings, "e>t").task("e").fields == {"options": 1}
    assert search(settings, "e>t,d").task("e").dirty == 1
    file = pathlib.Path(settings["store"]) / "more.txt"
    file.write_text(f"{OTHER}\n\n{leaky_tasks.INSTRUCTION}")
    found = search(settings, "e>t", text_files=str(file)).task("e")
    assert found.fields == {"references": 1} and found.leaks[0].relation == "file"
    assert search(settings, "e>t", text_files=str(file), trained_on="t").task("e").dirty == 2


def test_an_example_is_no_leak_of_itself_but_one_of_its_twin(declare):
    rows = [{"x": SENTENCE}, {"x": OTHER}]
    settings = declare(a={"cluster": "nli", "train": rows}, b={"cluster": "nli", "train": [*rows, {"x": "else"}]})
    found = search(settings, "a,b>a,b", split="train")
    assert [(task.task, task.dirty, [leak.source for leak in task.leaks]) for task in found.tasks] == [
        ("a", 2, ["b"]), ("b", 2, ["a"])
    ]  # fmt: skip
    assert search(settings, "a>a", split="train").task("a").dirty == 0


def test_what_stands_in_many_texts_does_not_count(declare):
    many = [{"x": f"{number} {SENTENCE}"} for number in range(3)]
    settings = declare(e={"test": [{"x": SENTENCE}]}, t={"train": many}, u={"train": [*many, {"x": f"3 {SENTENCE}"}]})
    assert search(settings, "e>t,u", common=4).task("e").dirty == 1  # in both is one text
    assert search(settings, "e>t,u", common=3).task("e").dirty == 0
    assert search(settings, "e>t,u", common=None).task("e").dirty == 1


def test_several_processes_find_the_same(declare, tmp_path):
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcd"), 20)) for _ in range(600)]
    test = [{"x": text[4:30]} for text in texts[::5]]
    settings = declare(
        e={"cluster": "nli", "test": test},
        **{f"t{i}": {"train": [{"x": text} for text in texts[i::4]]} for i in range(3)},
    )
    found = [search(settings | {"processes": n}, "e>t0,t1,t2", output=str(tmp_path / f"{n}"), common=2) for n in (1, 2)]
    assert 0 < found[0].task("e").dirty < len(test)
    assert found[0].tasks == found[1].tasks and found[0].flags.equals(found[1].flags)
    assert found[0].sources == found[1].sources


def test_a_worker_s_error_is_the_user_s(declare):
    settings = declare(e={"test": [{"x": SENTENCE}]}, t={"train": [{"x": SENTENCE}]}, u={"train": [{"x": OTHER}]})
    sources = [TaskSource(settings["store"], name, "", "train", 1) for name in ("t", "nowhere")]
    with pytest.raises(NotPrepared, match="nowhere/train is not prepared"):
        search_sources(sources, collect_grams([SENTENCE], 8, 13), 1, 2)
    assert issubclass(SearchFailed, Exception)


def scored(settings: dict, folder: pathlib.Path, correct: dict[str, bool]) -> str:
    """Results of task "e" under both templates."""
    rows = [
        {
            "id": f"{template}-{example}", "task": "e", "cluster": "nli", "split": "test", "example_id": example,
            "template": template, "prediction": "so" if right else "not so", "references": ["so"], "answer": -1,
        }
        for example, right in correct.items() for template in (0, 1)
    ]  # fmt: skip
    metrics = {"e": ("exact_match",)}
    provenance = {"task_fingerprints": {"e": leaky_tasks.get_task("e").fingerprint}}
    Results(rows_table(rows, metrics), metrics, "test", None, provenance).write(folder)
    return str(folder)


def test_scores_of_the_clean_and_the_dirty(declare, tmp_path, capsys):
    test = [{"x": SENTENCE}] * 6 + [{"x": OTHER}] * 4
    settings = declare(e={"cluster": "nli", "test": test}, t={"train": [{"x": SENTENCE}]}, u={"train": [{"x": "no"}]})
    results = scored(settings, tmp_path / "results", {str(i): i < 6 or i == 9 for i in range(10)})
    scores = search(settings, "e>t", results=results).task("e").scores
    assert scores.metric == "exact_match"
    assert [(f.examples, f.mean) for f in (scores.all, scores.clean, scores.dirty)] == [(10, 70), (4, 25), (6, 100)]
    assert scores.clean_minus_all.mean == -45 and scores.clean_minus_all.high <= 0
    assert scores.all.low < 70 < scores.all.high and scores.clean.low < 25 < scores.clean.high
    assert (scores.dirty.low, scores.dirty.high) == (100, 100)
    shown = capsys.readouterr().out
    assert "25.0 (" in shown and "-45.0 (" in shown and "clean - all" in shown

    clean = search(settings, "e>u", results=results).task("e").scores
    assert clean.dirty is None and clean.clean == clean.all and clean.clean_minus_all.mean == 0
    few = scored(settings, tmp_path / "few", {"2": True, "3": False, "7": True})
    assert search(settings, "e>t", results=few).task("e").scores.dirty.examples == 2
    all_dirty = scored(settings, tmp_path / "dirty", {"0": True, "1": False})
    assert search(settings, "e>t", results=all_dirty).task("e").scores.clean is None


def test_results_of_other_examples_are_refused(declare, tmp_path):
    settings = declare(
        e={"test": [{"x": SENTENCE}], "train": [{"x": "no"}]}, t={"test": [{"x": OTHER}], "train": [{"x": "no"}]}
    )
    results = scored(settings, tmp_path / "results", {"0": True})
    with pytest.raises(ContaminationError, match="of none of the tasks"):
        search(settings, "t>t", results=results)
    with pytest.raises(ContaminationError, match=r"reports the split 'test'.*--gin\.SPLIT=\"'test'\""):
        search(settings, "t>t", results=results, split="train")
    with pytest.raises(ContaminationError, match=r"e/test: 1 examples that were scored, as '7', are not in the store"):
        search(settings, "e>t", results=scored(settings, tmp_path / "more", {"0": True, "7": True}))
    settings = declare(e={"test": [{"x": OTHER}]}, t={"train": [{"x": "no"}]})
    with pytest.raises(ContaminationError, match=r"scored e as it was made from other data or templates"):
        search(settings, "e>t", results=results)


def test_mistakes_are_said(declare, tmp_path, monkeypatch):
    settings = declare(e={"test": [{"x": SENTENCE}]}, t={"train": [{"x": "no"}]})
    for more, words_of_it in (
        ({"mixture": "nix"}, "'nix' is neither a mixture .* nor a task .*--gin.MIXTURE"),
        ({"mixture": "e>t", "trained_on": "nix"}, "nor a task .*--gin.TRAINED_ON"),
        ({"mixture": "e>"}, "trains on nothing.*TEXT_FILES"),
        ({"mixture": ">t"}, "evaluates no task; set --gin.MIXTURE"),
        ({"mixture": "e>t", "split": "validation"}, "task e has no split 'validation', only test; set --gin.SPLIT"),
        ({"mixture": "e", "text_files": (f"{tmp_path}/*.nix",)}, "no file is called .*nix'; set --gin.TEXT_FILES"),
        ({"mixture": "e>t", "longest": 7}, "shortest = 8, longest = 7"),
    ):
        with pytest.raises((ContaminationError, UnknownName), match=f"(?s){words_of_it}"):
            search(settings, **more)
    changed = json.loads((tmp_path / "tasks.json").read_text())
    (tmp_path / "tasks.json").write_text(json.dumps(changed | {"t": {"train": [{"x": "yes"}]}}))
    with pytest.raises(StoreMismatch):
        search(settings, "e>t")
    assert len(search(settings, "e>t", accept_stale=True).provenance["stale_splits"]) == 1
    path = pathlib.Path(settings["store"]) / "text" / "t" / "train.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(CorruptStore):
        search(settings, "e>t", accept_stale=True)


def test_what_prepare_left_out_is_left_out_when_asked(declare, monkeypatch, capsys):
    settings = declare(e={"test": [{"x": SENTENCE}]}, t={"train": [{"x": SENTENCE}]})
    without = json.dumps(
        {name: {"train": [{"x": "a"}], "test": [{"x": "b"}]} for name in ("u", "v")} | leaky_tasks.declared()
    )
    pathlib.Path(os.environ["LEAKY_TASKS"]).write_text(without)
    store = Store(settings["store"])
    for task, split in (("u", "train"), ("v", "test")):
        path = store.left_out_path(task, split)
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"reason": "not to be had"}))
    for mixture in ("e>t,u", "e,v>t"):
        with pytest.raises(NotPrepared, match="left out"):
            search(settings, mixture)
    report = search(settings, "e,v>t,u", unavailable="skip")
    assert report.left_out == {"v/test": "not to be had", "u/train": "not to be had"}
    assert [task.task for task in report.tasks] == ["e"] and report.task("e").dirty == 1
    assert "left out: v/test, u/train" in capsys.readouterr().out


def test_the_command_writes_and_prints_all(declare, tmp_path, capsys):
    settings = declare(
        e={"cluster": "nli", "test": [{"x": SENTENCE, "answer": "so"}, {"x": "short"}]},
        t={"cluster": "coreference", "train": [{"x": SENTENCE}]},
    )
    flags = [f"--gin.STORE='{settings['store']}'", "--gin.TASKS='leaky_tasks'", "--gin.PROCESSES=1"]
    assert main(["contamination", "--gin.MIXTURE='e>t'", *flags]) == 0
    shown = capsys.readouterr().out
    output = tmp_path / "contamination" / "e_t-test"
    assert "t 50.0" in shown and "other cluster" in shown and str(output) in shown and "the trophy does not" in shown
    report = json.loads((output / "contamination.json").read_text())
    assert report["settings"]["common"] == 10 and "13 words" in report["rule"]
    (task,) = report["tasks"]
    assert task["dirty"] == task["short"] == 1 and task["leaks"][0]["overlap"] == SENTENCE
    assert report["sources"] == [{"name": "t", "cluster": "coreference", "texts": 1, "words": 17}]
    rows = pq.read_table(output / "examples.parquet").to_pylist()
    assert [row["dirty"] for row in rows] == [True, False]
    assert rows[0] | {"ngrams": 5} == {
        "task": "e", "cluster": "nli", "split": "test", "example_id": "0", "dirty": True, "ngrams": 5, "common": 0,
        "found": 5, "fields": ["x"], "sources": ["t"],
    }  # fmt: skip


def test_many_tasks_make_no_folder_name_that_is_too_long(declare, tmp_path):
    names = [f"a_task_with_a_rather_long_name_{number}" for number in range(12)]
    one = {"cluster": "nli", "train": [{"x": OTHER}], "test": [{"x": SENTENCE}]}
    settings = declare(**dict.fromkeys(names, one))
    for chosen in (names, names[:-1] + names[:1], names[:1]):
        search(settings, tuple(chosen))
    single, *found = sorted((path.name for path in (tmp_path / "contamination").iterdir()), key=len)
    assert single == f"{names[0]}-test"
    assert len(found) == 2 and max(map(len, found)) < 80, "each list has a folder of its own"
    assert all(name.startswith(f"{names[0]}+11_more-test-") for name in found)


def test_a_long_list_of_leaks_is_cut_and_counted(declare, monkeypatch):
    monkeypatch.setattr("flan_jax.evaluation.contamination_report.LEAKS_SHOWN", 2)
    trained = {f"t{i}": {"cluster": "nli" if i == 3 else "", "train": [{"x": SENTENCE}]} for i in range(4)}
    settings = declare(e={"cluster": "nli", "test": [{"x": SENTENCE}]}, **trained)
    shown = tables(search(settings, "e>t0,t1,t2,t3"))
    assert "and 2 more, in the JSON file" in shown and "same cluster" not in shown
