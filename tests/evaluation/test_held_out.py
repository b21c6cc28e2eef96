"""A score on a task that the model, or what it began from, was trained on is said to be one."""

import dataclasses
import types

import pytest

from flan_jax.data.task import Mixture
from flan_jax.evaluation import held_out
from flan_jax.evaluation.held_out import held_out_note, trained_on, training_stages
from flan_jax.training.checkpoints import CheckpointError
from tests.evaluation.prepared import ranked

TASKS = {
    name: dataclasses.replace(ranked(name), source=source)
    for name, source in {
        "rte": "glue/rte:2", "rte_plain": "glue/rte:2", "sst2": "glue/sst2:2", "mrpc": "glue/mrpc:2",
        "one": "generated:1", "two": "generated:1",
    }.items()
}  # fmt: skip
MIXTURES = {"all": ("rte", "sst2"), "without_nli": ("sst2",)}


@pytest.fixture
def registry():
    return types.SimpleNamespace(get_task=lambda name: TASKS[name], get_mixture=lambda n: Mixture(n, MIXTURES[n]))


def asked(metadata, registry, *names):
    return list(trained_on([TASKS[n] for n in names], training_stages(metadata, registry), registry).values())


def test_the_run_and_its_base_and_that_ones_base_are_asked(registry):
    base = {"tasks": ["rte"], "began_from": {"tasks": ["mrpc"], "began_from": None}}
    run = {"tasks": ["sst2"], "began_from": base}
    assert asked(run, registry, "sst2", "rte", "mrpc", "one") == ["yes", "in its base", "in its base", "no"]
    assert asked({"tasks": ["sst2"]}, registry, "rte") == ["no"]


def test_another_task_of_the_same_source_counts_and_is_named(registry):
    assert asked({"tasks": ["rte_plain"]}, registry, "rte", "sst2") == ["yes, as rte_plain", "no"]
    assert asked({"tasks": ["one"]}, registry, "two") == ["no"], "generated tasks draw rows of their own"


def test_runs_that_say_their_mixture_and_path_only_are_followed(registry, monkeypatch):
    read = {"/base/checkpoints/9": {"mixture": "all", "left_out": ["sst2"]}}
    monkeypatch.setattr(held_out, "exact_checkpoint", lambda path: path)
    monkeypatch.setattr(held_out, "checkpoint_digest", lambda path: "d9")
    monkeypatch.setattr(held_out, "read_metadata", lambda path: read[path])
    run = {"mixture": "without_nli", "began_from": {"checkpoint": "/base/checkpoints/9", "digest": "d9"}}
    assert asked(run, registry, "rte", "sst2", "mrpc") == ["in its base", "yes", "no"]
    run["began_from"]["digest"] = "another"
    assert asked(run, registry, "rte", "sst2") == ["not known", "yes"], "something else lies there now"


def test_what_is_gone_or_not_declared_is_not_known(registry, monkeypatch):
    def gone(path):
        raise CheckpointError(path)

    monkeypatch.setattr(held_out, "checkpoint_digest", gone)
    monkeypatch.setattr(held_out, "exact_checkpoint", gone)
    run = {"tasks": ["sst2"], "initial_checkpoint": "/gone"}
    assert asked(run, registry, "rte", "sst2") == ["not known", "yes"]
    assert asked({"mixture": "undeclared"}, registry, "rte") == asked({}, registry, "rte") == ["not known"]


def test_the_note_names_only_what_was_trained_on():
    found = {"rte": "in its base", "sst2": "yes", "mrpc": "no", "qqp": "not known", "cb": "yes, as cb_plain"}
    told = "not held out, the model was trained on: rte (in its base), sst2, cb (as cb_plain)"
    assert held_out_note(found) == told
    assert held_out_note({"mrpc": "no", "qqp": "not known"}) == ""
