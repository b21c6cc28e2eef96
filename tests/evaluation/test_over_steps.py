"""Every checkpoint of a run in turn, once, those that training makes meanwhile included."""

import json

import pytest

from flan_jax.evaluation import over_steps
from flan_jax.evaluation.aggregation import ClusterScore
from flan_jax.evaluation.evaluate import EvaluateConfig, EvaluationError
from flan_jax.evaluation.over_steps import NoSteps, curve_table, evaluate_over_steps
from flan_jax.training.checkpoints import CheckpointError


class Training:
    """A run of 40 steps that makes its next checkpoint while one is waited for; it keeps two."""

    def __init__(self, monkeypatch, run, steps=40):
        self.run, self.there, self.waits = run, [10, 20], 0
        monkeypatch.setattr(over_steps, "checkpoint_steps", lambda run: list(self.there))
        monkeypatch.setattr(over_steps, "exact_checkpoint", lambda run: run)
        monkeypatch.setattr(over_steps, "read_metadata", lambda path: {"steps": steps})
        monkeypatch.setattr(over_steps.time, "sleep", self.sleep)

    def sleep(self, seconds):
        self.waits += 1
        assert self.waits < 10, "waits for ever"
        if self.waits % 2 == 0:
            self.there = [self.there[-1], self.there[-1] + 10]


def scored(step):
    return tuple(
        ClusterScore(name, (name,), mean + step, 1.0, mean, mean + 2 * step, None, None, None)
        for name, mean in (("nli", 40.0), ("summarization", 10.0))
    )


def test_all_takes_those_that_are_there(tmp_path, monkeypatch, capsys):
    Training(monkeypatch, tmp_path)
    curve = evaluate_over_steps(str(tmp_path), False, scored, tmp_path / "curve.json")
    assert [step for step, _ in curve] == [10, 20]
    rows = json.loads((tmp_path / "curve.json").read_text())
    assert rows[0] == {"step": 10, "cluster": "nli", "mean": 50.0, "low": 40.0, "high": 60.0}
    assert len(rows) == 4
    printed = capsys.readouterr().out
    assert curve_table(curve) in printed and "60.0 (40.0–80.0)" in printed


def test_watch_waits_for_the_last_and_evaluates_each_once(tmp_path, monkeypatch, capsys):
    training = Training(monkeypatch, tmp_path)
    asked = []

    def evaluate_step(step):
        asked.append(step)
        return scored(step)

    evaluate_over_steps(str(tmp_path), True, evaluate_step, tmp_path / "curve.json")
    assert asked == [10, 20, 30, 40] and training.waits == 4
    assert capsys.readouterr().err.count("waiting") == 2, "said once for each checkpoint waited for"


def test_one_that_training_removed_is_left_out_and_a_damaged_one_is_not_passed_over(tmp_path, monkeypatch, capsys):
    training = Training(monkeypatch, tmp_path)

    def evaluate_step(step):
        if step == 10:
            training.there = [20]
            raise CheckpointError("gone")
        return scored(step)

    assert [step for step, _ in evaluate_over_steps(str(tmp_path), False, evaluate_step, tmp_path / "c")] == [20]
    assert "step 10: removed" in capsys.readouterr().err

    def damaged(step):
        raise CheckpointError("damaged")

    with pytest.raises(CheckpointError, match="damaged"):
        evaluate_over_steps(str(tmp_path), False, damaged, tmp_path / "c")


def test_what_cannot_be_gone_through_is_refused(tmp_path, monkeypatch):
    with pytest.raises(NoSteps, match="no checkpoint; train one, or wait"):
        evaluate_over_steps(str(tmp_path), False, scored, tmp_path / "c")
    with pytest.raises(NoSteps, match="is one checkpoint"):
        evaluate_over_steps(str(tmp_path / "checkpoints" / "7"), False, scored, tmp_path / "c")
    training = Training(monkeypatch, tmp_path)

    def removed(step):
        training.there = []
        raise CheckpointError("gone")

    with pytest.raises(NoSteps, match="removed before it was read"):
        evaluate_over_steps(str(tmp_path), False, removed, tmp_path / "c")
    with pytest.raises(EvaluationError, match="a folder of its own"):
        EvaluateConfig(checkpoint="", store="", mixture="", step="all", output="somewhere")
