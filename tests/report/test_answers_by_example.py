"""What a reader looks into: calibration, confusion and examples, from rows made by hand."""

import numpy as np
import pytest

from flan_jax.report.answers_by_example import calibration, changed, confusion, hardest


def row(example: str, template: int, answer: int, scores, options=(" yes", " no"), **others):
    likeliest = int(np.argmax(scores))
    return {
        "task": "t", "example_id": example, "template": template, "answer": answer, "scores": list(scores),
        "chosen": likeliest, "chosen_sum": likeliest, "options": list(options), "inputs": f"{example}?",
        "references": ["yes"], "prediction": "", "correct": None, **others,
    }  # fmt: skip


def written(example: str, template: int, correct: float | None):
    """A row of a task that generates its answers."""
    asked = row(example, template, -1, [0.0], ())
    return asked | {"chosen": -1, "chosen_sum": -1, "scores": [], "correct": correct, "prediction": f"wrote {correct}"}


def odds(share: float) -> list[float]:
    return [float(np.log(share)), float(np.log(1 - share))]


def test_calibration_by_hand():
    """Six answers given 75%, of which three are right; four given 95%, all right."""
    rows = [row(f"a{i}", 0, int(i >= 3), odds(0.75)) for i in range(6)]
    rows += [row(f"b{i}", 0, 0, odds(0.95)) for i in range(4)] + [written("c", 0, 1.0)]
    found = calibration(rows)
    assert found is not None and found.questions == 10
    assert found.confidence == pytest.approx(100 * (6 * 0.75 + 4 * 0.95) / 10) and found.accuracy == pytest.approx(70)
    assert [(one.count, one.accuracy) for one in found.bins] == [(6, 0.5), (4, 1.0)]
    assert found.error == pytest.approx(100 * (0.6 * 0.25 + 0.4 * 0.05))
    assert calibration([written("c", 0, 1.0)]) is None


def test_the_probability_is_of_the_option_that_the_sums_choose():
    """By another score, another option may be chosen, and rightly: that says nothing of what the sums are worth."""
    found = calibration([row("a", 0, 1, odds(0.8), chosen=1), row("b", 0, 0, odds(0.8), chosen=1)])
    assert found is not None and found.confidence == pytest.approx(80.0) and found.accuracy == pytest.approx(50.0)


def test_sure_and_right_is_in_the_last_bin():
    found = calibration([row("a", 0, 0, [0.0, -1000.0])])
    assert found is not None and found.error == pytest.approx(0.0) and len(found.bins) == 1


def test_confusion_counts_right_by_chosen_over_templates():
    rows = [row("a", 0, 0, odds(0.9)), row("a", 1, 0, odds(0.2)), row("b", 0, 1, odds(0.9)), row("b", 1, 1, odds(0.4))]
    found = confusion(rows)
    assert found is not None and found.labels == ("yes", "no") and found.counts == ((1, 1), (1, 1))
    other = confusion([row("a", 0, 0, odds(0.9)), row("b", 0, 1, odds(0.9), (" yes", " never"))])
    assert other is not None and other.labels == ("yes", "option 2")
    assert confusion([rows[0], row("c", 0, 0, [0.0, -1.0, -2.0], (" a", " b", " c"))]) is None
    assert confusion([written("c", 0, 1.0)]) is None


def test_the_hardest_come_first():
    """By templates that have it right, then by what is said against the answer; unscored rows are none."""
    rows = [
        row("half", 0, 0, odds(0.9)), row("half", 1, 0, odds(0.1)),
        row("wrong", 0, 0, odds(0.4)), row("wrong", 1, 0, odds(0.4)),
        row("sure", 0, 0, odds(0.01)), row("sure", 1, 0, odds(0.01)),
        row("right", 0, 0, odds(0.9)), row("right", 1, 0, odds(0.9)),
    ]  # fmt: skip
    found = hardest(rows, 3)
    assert [one.example_id for one in found] == ["sure", "wrong", "half"]
    half = found[2]
    assert (half.template, half.templates, half.answered[0].right, half.answered[0].score) == (1, 2, 1, 0.5)
    assert half.answered[0].options == pytest.approx(np.mean([odds(0.9), odds(0.1)], axis=0).tolist())
    assert hardest([written("c", 0, None)], 3) == []
    (written_one,) = hardest([written("c", 0, 0.4)], 3)
    assert written_one.answered[0].wrote == "wrote 0.4"


def test_examples_that_changed_are_told_by_which_way():
    before = [row("up", 0, 0, odds(0.1)), row("down", 0, 0, odds(0.9)), row("same", 0, 0, odds(0.9))]
    after = [row("up", 0, 0, odds(0.9)), row("down", 0, 0, odds(0.1)), row("same", 0, 0, odds(0.8))]
    lost, won = changed(before, after, 3)
    assert [one.example_id for one in lost] == ["down"] and [one.example_id for one in won] == ["up"]
    assert [answered.score for answered in won[0].answered] == [0.0, 1.0]
