"""The charts of one run or two: a dot for every template at its score, a dot for every bin at its place."""

import re

import pytest

from flan_jax.report.run_charts import Spread, SpreadRow, reliability, spreads
from flan_jax.report.run_contents import Bin, Calibration

FIRST = Spread((20.0, 40.0, 60.0), 40.0, 30.0, 50.0)
SECOND = Spread((100.0,), 100.0, 100.0, 130.0)


def circles(drawn: str) -> list[tuple[str, float, float]]:
    found = re.findall(r'<circle class="dot fill-(\w+)" cx="([\d.]+)" cy="([\d.]+)"', drawn)
    return [(style, float(x), float(y)) for style, x, y in found]


def test_every_template_is_a_dot_at_its_score():
    drawn = spreads("nli", [SpreadRow("rte", [FIRST], 50.0)])
    places = [x for _, x, _ in circles(drawn)]
    assert len(places) == 3 and places[1] - places[0] == pytest.approx(places[2] - places[1], abs=0.1)
    (chance,) = re.findall(r'class="chance-line" d="M([\d.]+)', drawn)
    assert float(chance) == pytest.approx((places[1] + places[2]) / 2, abs=0.1)
    assert "rte: 40.0, templates 20.0 to 60.0" in drawn


def test_two_runs_are_told_apart_and_stay_on_the_scale():
    drawn = spreads("nli", [SpreadRow("rte & co", [FIRST, SECOND], None)])
    styles = [style for style, _, _ in circles(drawn)]
    assert styles == ["base"] * 3 + ["tuned"] and "chance-line" not in drawn and "rte &amp; co" in drawn
    heights = {style: y for style, _, y in circles(drawn)}
    assert heights["base"] < heights["tuned"]
    assert max(float(x) for x in re.findall(r"[MH](\d+\.\d)", drawn)) <= 320


def test_reliability_has_a_dot_for_every_bin_as_large_as_its_questions():
    one = Calibration(100, 80.0, 70.0, 10.0, (Bin(4, 0.25, 0.5), Bin(96, 0.75, 0.5)))
    drawn = reliability("all", [one])
    (_, x0, y0), (_, x1, y1) = circles(drawn)
    assert y0 == y1 and x0 < x1
    small, large = (float(r) for r in re.findall(r' r="([\d.]+)"', drawn))
    assert large > 2 * small and "4 questions: 25% given, 50% right" in drawn
    assert "calibration error 10.0 points" in drawn
