"""The charts: bars as long as their figures, lines through their points, ticks that are round."""

import itertools
import math
import re

import pytest

from flan_jax.report.charts import bars, lines, nice_ticks, thin
from flan_jax.report.contents import Curve, Estimate


def test_bars_are_as_long_as_their_figures():
    drawn = bars("nli", [("base", "base", Estimate(25.0, 20.0, 30.0)), ("tuned", "tuned", Estimate(50.0, 45.0, 55.0))])
    first, second = (float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', drawn))
    assert second == pytest.approx(2 * first, abs=0.2)
    assert "base 25.0, interval 20.0 to 30.0" in drawn


def test_chance_is_a_line_at_its_place():
    row = [("base", "base", Estimate(50.0, 45.0, 55.0))]
    drawn = bars("nli", row, 50.0)
    (place,) = (float(x) for x in re.findall(r'class="chance-line" d="M([\d.]+)', drawn))
    (width,) = (float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', drawn))
    assert place - 58 == pytest.approx(width, abs=0.2) and "chance 50.0" in drawn
    assert "chance" not in bars("nli", row)


def test_bars_stay_on_their_scale():
    drawn = bars("x", [("base", "base", Estimate(120.0, -5.0, 130.0))])
    assert max(float(width) for width in re.findall(r'<rect[^>]* width="([\d.]+)"', drawn)) < 360


def test_lines_skip_what_is_not_finite_and_end_at_the_last_step():
    drawn = lines("loss", [Curve("a", "base", (1, 2, 3), (3.0, math.nan, 1.0))])
    assert "NaN" not in drawn and "nan" not in drawn and drawn.count("<path") == 1
    assert lines("loss", []) == ""


def test_thinning_keeps_the_mean_and_the_last_step():
    steps, values = range(1, 1001), [float(v % 7) for v in range(1000)]
    points = thin(list(steps), values, 100)
    assert len(points) == 100 and points[-1][0] == 1000
    assert sum(v for _, v in points) / 100 == pytest.approx(sum(values) / 1000)


@pytest.mark.parametrize(("low", "high"), [(0.93, 4.7), (0, 3000), (2.0, 2.0), (1e-3, 2e-3), (0.99, 1.01)])
def test_ticks_are_few_even_and_cover(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low and ticks[-1] >= high and 2 <= len(ticks) <= 8
    gaps = {round(b - a, 9) for a, b in itertools.pairwise(ticks)}
    assert len(gaps) == 1
