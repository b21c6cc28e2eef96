"""Small charts as SVG text: bars with intervals, and lines.  Colours are classes, so that the page's style themes them.

They are drawn 360 units wide, about as wide as they are shown on a phone and in a column of a desk screen, so that
text in them keeps its size.
"""

import math
from collections.abc import Sequence
from html import escape

from flan_jax.report.contents import Curve, Estimate

WIDTH = 360


def bars(name: str, rows: Sequence[tuple[str, str, Estimate]], chance: float | None = None) -> str:
    """Horizontal bars with 95% intervals on a scale from 0 to 100.  rows: (label, style class, estimate).

    chance: where a dashed line is drawn, with its name above it.
    """
    left, right, top, pitch, thickness = 58, 46, 8 if chance is None else 20, 30, 16
    span = WIDTH - left - right
    bottom = top + pitch * len(rows)

    def x(value: int | float) -> float:
        return left + span * min(max(value, 0.0), 100.0) / 100.0

    said = "; ".join(f"{label} {e.value:.1f}, interval {e.low:.1f} to {e.high:.1f}" for label, _, e in rows)
    said += "" if chance is None else f"; chance {chance:.1f}"
    parts = [opened(bottom + 22, f"{name}: {said}")]
    for tick in range(0, 101, 25):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top - 4}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle">{tick}</text>')
    if chance is not None:
        parts.append(f'<text class="tick" x="{x(chance):.1f}" y="{top - 8}" text-anchor="middle">chance</text>')
    for row, (label, style, estimate) in enumerate(rows):
        y = top + pitch * row + (pitch - thickness) / 2 - 3
        middle = y + thickness / 2
        parts.append(
            f'<text class="label" x="{left - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(label)}</text>'
        )
        parts.append(
            f'<rect class="fill-{style}" x="{left}" y="{y}" width="{x(estimate.value) - left:.1f}" '
            f'height="{thickness}" rx="2"/>'
        )
        low, high = x(estimate.low), x(estimate.high)
        parts.append(
            f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}'
            f'M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"/>'
        )
        parts.append(f'<text class="value" x="{WIDTH - right + 8}" y="{middle + 4:.1f}">{estimate.value:.1f}</text>')
    if chance is not None:
        parts.append(f'<path class="chance-line" d="M{x(chance):.1f} {top - 4}V{bottom}"/>')
    return "".join([*parts, "</svg>"])


def lines(name: str, curves: Sequence[Curve]) -> str:
    """Losses over steps, a line for each curve; long curves are averaged down to what can be seen."""
    left, right, top, height = 36, 12, 10, 150
    drawn = [(curve, thin(curve.steps, curve.losses, 120)) for curve in curves if curve.steps]
    steps = [step for _, points in drawn for step, _ in points]
    losses = [loss for _, points in drawn for _, loss in points]
    if not steps:
        return ""
    first, last = min(steps), max(max(steps), min(steps) + 1)
    ticks = nice_ticks(min(losses), max(losses))
    low, high = ticks[0], ticks[-1]

    def x(step: int | float) -> float:
        return left + (WIDTH - left - right) * (step - first) / (last - first)

    def y(loss: float) -> float:
        return top + height * (high - loss) / (high - low)

    said = "; ".join(f"{curve.run} ends at {points[-1][1]:.2f}" for curve, points in drawn)
    parts = [opened(top + height + 36, f"{name}: {said}")]
    for tick in ticks:
        parts.append(f'<line class="grid" x1="{left}" x2="{WIDTH - right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for tick in nice_ticks(first, last)[1:]:
        if tick <= last:
            anchor = "end" if x(tick) > WIDTH - right - 12 else "middle"  # a label at the edge stays inside the picture
            place = f'x="{x(tick):.1f}" y="{top + height + 16}" text-anchor="{anchor}"'
            parts.append(f'<text class="tick" {place}>{tick:,.0f}</text>')
    parts.append(f'<text class="tick" x="{WIDTH - right}" y="{top + height + 31}" text-anchor="end">step</text>')
    for curve, points in drawn:
        path = "L".join(f"{x(step):.1f} {y(loss):.1f}" for step, loss in points)
        parts.append(f'<path class="line line-{curve.kind}" d="M{path}"><title>{escape(curve.run)}</title></path>')
    return "".join([*parts, "</svg>"])


def thin(steps: Sequence[int], values: Sequence[float], count: int) -> list[tuple[float, float]]:
    """At most `count` points, each the mean of as many neighbours, ending at the last step.  Skips non-finite."""
    points = [(float(s), v) for s, v in zip(steps, values, strict=True) if math.isfinite(v)]
    size = max(1, math.ceil(len(points) / count))
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(group[-1][0], sum(v for _, v in group) / len(group)) for group in groups]


def nice_ticks(low: int | float, high: int | float, wanted: int = 4) -> list[float]:
    """Round numbers, evenly spaced, from at most `low` to at least `high`."""
    span = max(high - low, 1e-9)
    rough = span / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(start, max(stop, start + 1) + 1)]


def opened(height: int, said: str) -> str:
    """The beginning of a picture that is `height` high, with what it says to those who do not see it."""
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(said)}">'
