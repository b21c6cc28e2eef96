"""Charts of one run or two: every template of a task as a dot, and how far probabilities can be believed.

Drawn like those of `charts.py`.  Runs are told apart by STYLES, and by their order from top to bottom.
"""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from flan_jax.report.charts import WIDTH, opened
from flan_jax.report.run_contents import Calibration

STYLES = ("base", "tuned")
"""Classes of the page's style, for the first run and the second; one alone has the second's."""


class Spread(NamedTuple):
    """A task's templates in one run: their scores, the mean and its 95% interval, in points of 100."""

    templates: Sequence[float]
    mean: float
    low: float
    high: float


class SpreadRow(NamedTuple):
    """A task in every run, and what guessing gets, if that is known."""

    label: str
    runs: Sequence[Spread]
    chance: float | None


def styles(runs: int) -> tuple[str, ...]:
    return STYLES[-runs:]


def spreads(name: str, rows: Sequence[SpreadRow]) -> str:
    """Every template's score as a dot on a scale from 0 to 100, the mean as a bar across with its interval."""
    left, right, top, label, lane = 12, 44, 6, 20, 17
    span = WIDTH - left - right

    def x(value: int | float) -> float:
        return left + span * min(max(value, 0.0), 100.0) / 100.0

    height = top + sum(label + lane * len(row.runs) + 6 for row in rows)
    said = "; ".join(
        f"{row.label}: " + ", ".join(
            f"{one.mean:.1f}, templates {min(one.templates):.1f} to {max(one.templates):.1f}" for one in row.runs
        )
        for row in rows
    )  # fmt: skip
    parts = [opened(height + 20, f"{name}: {said}")]
    for tick in range(0, 101, 25):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{height}"/>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{height + 14}" text-anchor="middle">{tick}</text>')
    y = float(top)
    for row in rows:
        parts.append(f'<text class="label on-grid" x="{left}" y="{y + 14:.1f}">{escape(row.label)}</text>')
        bottom = y + label + lane * len(row.runs)
        if row.chance is not None:
            parts.append(f'<path class="chance-line" d="M{x(row.chance):.1f} {y + label - 1:.1f}V{bottom:.1f}"/>')
        for number, (style, one) in enumerate(zip(styles(len(row.runs)), row.runs, strict=True)):
            middle = y + label + lane * (number + 0.5)
            low, high = x(one.low), x(one.high)
            for score in one.templates:
                parts.append(f'<circle class="dot fill-{style}" cx="{x(score):.1f}" cy="{middle:.1f}" r="4"/>')
            parts.append(
                f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 3}v6'
                f'M{high:.1f} {middle - 3}v6M{x(one.mean):.1f} {middle - 7}v14"/>'
            )
            parts.append(f'<text class="value" x="{WIDTH - right + 6}" y="{middle + 4:.1f}">{one.mean:.1f}</text>')
        y = bottom + 6
    return "".join([*parts, "</svg>"])


def reliability(name: str, runs: Sequence[Calibration]) -> str:
    """Share of right answers over the probability that was given them; the larger a dot, the more questions."""
    left, right, top, size = 40, 14, 10, 250
    span = WIDTH - left - right

    def x(value: int | float) -> float:
        return left + span * value

    def y(value: int | float) -> float:
        return top + size * (1 - value)

    said = "; ".join(f"{one.questions} questions, calibration error {one.error:.1f} points" for one in runs)
    parts = [opened(top + size + 36, f"{name}: {said}")]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        told = f"{100 * tick:.0f}"
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{told}</text>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{top + size + 15}" text-anchor="middle">{told}</text>')
    parts.append(
        f'<text class="tick" x="{WIDTH - right}" y="{top + size + 31}" text-anchor="end">probability given, %</text>'
    )
    parts.append(f'<text class="tick" x="{left + 4}" y="{top + 12}">answered rightly, %</text>')
    parts.append(f'<path class="chance-line" d="M{x(0.0):.1f} {y(0.0):.1f}L{x(1.0):.1f} {y(1.0):.1f}"/>')
    for style, one in zip(styles(len(runs)), runs, strict=True):
        path = "L".join(f"{x(b.confidence):.1f} {y(b.accuracy):.1f}" for b in one.bins)
        parts.append(f'<path class="line line-{style}" d="M{path}"/>')
        for b in one.bins:
            radius = 2.5 + 7.5 * (b.count / one.questions) ** 0.5
            parts.append(
                f'<circle class="dot fill-{style}" cx="{x(b.confidence):.1f}" cy="{y(b.accuracy):.1f}" '
                f'r="{radius:.1f}"><title>{b.count} questions: {100 * b.confidence:.0f}% given, '
                f"{100 * b.accuracy:.0f}% right</title></circle>"
            )
    return "".join([*parts, "</svg>"])
