"""The report as one HTML file: style and charts inside, nothing fetched, every datum escaped."""

from collections.abc import Mapping, Sequence
from html import escape

from flan_jax.evaluation.summary import p_text
from flan_jax.report import charts
from flan_jax.report.contents import (
    KINDS,
    MEANING,
    ClusterResult,
    Contents,
    Estimate,
    Gain,
    Kind,
    MixtureShares,
    Option,
    Prompt,
    name_of,
    present,
)
from flan_jax.report.document import Row, Section, document, scrolling, table


def render(contents: Contents) -> str:
    """The whole page."""
    sections = (
        Section("results", "Held-out clusters", _results(contents.clusters)),
        Section("charts", "Cluster by cluster", _charts(contents.clusters)),
        Section("curves", "Learning curves", _curves(contents)),
        Section("mixture", "What was trained on", _mixtures(contents.mixtures)),
        Section("prompts", "Prompts and scores", "".join(_prompts(c, ps) for c, ps in contents.prompts.items())),
        Section("run", "What was run", _run(contents)),
    )
    return document(contents.title, _lead(contents.clusters), sections)


def _lead(clusters: Sequence[ClusterResult]) -> str:
    """The finding in a sentence or two, from the figures alone."""
    gains = [(c, c.gains["tuned"]) for c in clusters if "tuned" in c.gains]
    if not gains:
        return '<p class="lead">Scores of language models on clusters of tasks.</p>'
    if len(gains) == 1:
        cluster, gain = gains[0]
        base, tuned = cluster.scores["base"].value, cluster.scores["tuned"].value
        verdict = "the interval excludes 0" if gain.low > 0 or gain.high < 0 else "the interval includes 0"
        return (
            f'<p class="lead">Tuned on every other cluster, the model scores {tuned:.1f} on '
            f"{escape(name_of(cluster.cluster))}, which it never saw; the base model scores {base:.1f}. "
            f"The difference is {_signed(gain)}; {verdict}.</p>"
        )
    up = sum(gain.low > 0 for _, gain in gains)
    down = sum(gain.high < 0 for _, gain in gains)
    mean = sum(gain.value for _, gain in gains) / len(gains)
    return (
        f'<p class="lead">Tuned on every other cluster, the model does better than the base model on '
        f"{up} of {len(gains)} held-out clusters, worse on {down}, "
        f"and on {len(gains) - up - down} the interval includes 0. The mean difference is {mean:+.1f} points.</p>"
    )


def _results(clusters: Sequence[ClusterResult]) -> str:
    kinds = present(*(c.scores for c in clusters))
    gained = present(*(c.gains for c in clusters))
    heads = ["held-out cluster"]
    for kind in kinds:
        heads += [kind, f"{kind} − base"] if kind in gained else [kind]

    def cells(c: ClusterResult) -> tuple[str, ...]:
        found = []
        for kind in kinds:
            found += [_estimate(c.scores.get(kind)), *([_gain(c.gains.get(kind))] if kind in gained else [])]
        return tuple(found)

    rows = [Row(f"{escape(name_of(c.cluster))}{_chance(c.chance)}", cells(c)) for c in clusters]
    about = f"Score in points of 100, mean over templates and datasets; {_covered(clusters)}"
    if gained:
        about += (
            "  p is of no difference, adjusted for the number of clusters (Holm); detectable is the true difference "
            "that would be found 4 times in 5."
        )
    return f'<p class="soft">{about}</p>' + _key(kinds) + table("Scores of held-out clusters", heads, rows)


def _covered(clusters: Sequence[ClusterResult]) -> str:
    """What the intervals cover, which depends on the number of training seeds."""
    estimates = [one for c in clusters for one in (*c.scores.values(), *c.gains.values())]
    seeds = max((len(one.each) for one in estimates), default=0)
    if seeds < 2:
        return "95% intervals over examples.  They are of one training seed: what another would change is not in them."
    told = f"mean of {seeds} training seeds, with their standard deviation (sd); 95% intervals over examples and seeds."
    if any(one.left_out for one in estimates):
        told += "  Some seeds are not finished: a difference is of those that both models have."
    return told


def _charts(clusters: Sequence[ClusterResult]) -> str:
    figures = []
    for c in clusters:
        rows = [(kind, kind, c.scores[kind]) for kind in present(c.scores)]
        names = ", ".join(name_of(d.task) for d in c.datasets)
        figures.append(
            f"<figure><h3>{escape(name_of(c.cluster))}</h3>{charts.bars(name_of(c.cluster), rows, c.chance)}"
            f"<figcaption>{escape(names)}</figcaption></figure>"
        )
    return f'<div class="grid-of">{"".join(figures)}</div>{_datasets(clusters)}'


def _datasets(clusters: Sequence[ClusterResult]) -> str:
    """Every dataset and every seed, folded away."""
    kinds = present(*(c.scores for c in clusters))
    rows = []
    for c in clusters:
        each = {kind: c.scores[kind].each if kind in c.scores else () for kind in kinds}
        many = " <small>(each seed)</small>" if any(len(scores) > 1 for scores in each.values()) else ""
        rows.append(
            Row(f"{escape(name_of(c.cluster))}{many}", tuple(_each(each[kind]) or "–" for kind in kinds), "head")
        )
        for d in c.datasets:
            chance = "" if d.chance is None else f"; chance {d.chance:.0f}"
            about = f"{escape(d.metric)}, {d.examples} examples × {d.templates} templates{chance}"
            cells = tuple(_with_spread(d.means.get(kind), d.sds.get(kind)) for kind in kinds)
            rows.append(Row(f"{escape(d.task)}<small>{about}</small>", cells, "part"))
    inner = table("Scores of every dataset", ["dataset", *kinds], rows, plain=True)
    return f"<details><summary>Every dataset</summary>{inner}</details>"


def _with_spread(estimate: Estimate | None, sd: float | None) -> str:
    if estimate is None:
        return "–"
    spread = "" if sd is None else f"<small>± {sd:.1f} over templates</small>"
    return f"{estimate.value:.1f}{spread}"


def _curves(contents: Contents) -> str:
    figures = []
    for kind in KINDS:
        curves = [curve for curve in contents.curves if curve.kind == kind]
        drawn = charts.lines(f"Training loss, {MEANING[kind]}", curves)
        if drawn:
            runs = "1 run" if len(curves) == 1 else f"{len(curves)} runs"
            figures.append(
                f"<figure><h3>{kind}: {MEANING[kind]}</h3>{drawn}"
                f"<figcaption>Training loss, nats a token; {runs}</figcaption></figure>"
            )
    return f'<div class="grid-of">{"".join(figures)}</div>' if figures else ""


def _mixtures(mixtures: Sequence[MixtureShares]) -> str:
    about = '<p class="soft">Realised shares of each mixture. Tokens are those that the loss is taken on.</p>'
    return about + "".join(_mixture(mixture, index == 0) for index, mixture in enumerate(mixtures)) if mixtures else ""


def _mixture(mixture: MixtureShares, is_open: bool) -> str:
    largest = max((share.tokens for share in mixture.shares), default=0.0) or 1.0
    rows = "".join(
        f"<div><dt>{escape(share.task)}</dt>"
        f"<dd>{100 * share.tokens:.1f}% <small class=soft>of tokens"
        f'<span class="wide">, {100 * share.examples:.1f}% of examples</span></small></dd>'
        '<dd class="track" aria-hidden="true">'
        f'<span class="bar" style="width:{100 * share.tokens / largest:.1f}%"></span></dd></div>'
        for share in sorted(mixture.shares, key=lambda share: -share.tokens)
    )
    return (
        f"<details{' open' if is_open else ''}><summary>{escape(mixture.run)}: {escape(mixture.mixture)}</summary>"
        f'<div class="inside"><dl class="shares">{rows}</dl></div></details>'
    )


def _prompts(cluster: str, prompts: Sequence[Prompt]) -> str:
    articles = "".join(_prompt(prompt) for prompt in prompts)
    return (
        f"<details><summary>{escape(name_of(cluster))}: {len(prompts)} prompts</summary>"
        f'<div class="inside">{articles}</div></details>'
    )


def _prompt(prompt: Prompt) -> str:
    where = f"{escape(prompt.task)}, template {prompt.template}, example {escape(prompt.example_id)}"
    body = f"<article><p class=soft><small>{where}</small></p><pre>{escape(prompt.inputs)}</pre>"
    if prompt.options:
        kinds = present(*(option.scores for option in prompt.options))
        heads = "".join(f'<th scope="col">{kind}</th>' for kind in kinds)
        best = {kind: max(option.scores[kind] for option in prompt.options) for kind in kinds}
        rows = "".join(_option(option, kinds, best) for option in prompt.options)
        about = '<th scope="col">option (log-probability, nats)</th>'
        inner = f'<table class="options"><thead><tr>{about}{heads}</tr></thead><tbody>{rows}</tbody></table>'
        return body + scrolling("Scores of the options", inner, plain=True) + "</article>"
    answers = "".join(
        f"<dt>{kind} wrote</dt><dd>{escape(prompt.answers[kind])}</dd>" for kind in present(prompt.answers)
    )
    references = escape(" / ".join(text.strip() for text in prompt.references))
    return f'{body}<dl class="facts"><dt>wanted</dt><dd>{references}</dd>{answers}</dl></article>'


def _option(option: Option, kinds: Sequence[Kind], best: Mapping[Kind, float]) -> str:
    """A row of an options table: the right one is marked, and each model's choice is strong."""
    style, mark = (' class="right"', " ✓") if option.right else ("", "")
    cells = [f"{option.scores[kind]:.2f}" for kind in kinds]
    chosen = [option.scores[kind] == best[kind] for kind in kinds]
    scores = "".join(
        f"<td><strong>{c}</strong></td>" if b else f"<td>{c}</td>" for c, b in zip(cells, chosen, strict=True)
    )
    return f'<tr><th scope="row"{style}>{escape(option.text.strip())}{mark}</th>{scores}</tr>'


def _run(contents: Contents) -> str:
    facts = "".join(f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in contents.facts)
    return (
        f'<dl class="facts">{facts}</dl><details><summary>Configuration</summary>'
        f'<div class="inside"><pre>{escape(contents.operative)}</pre></div></details>'
    )


def _key(kinds: Sequence[Kind]) -> str:
    items = "".join(
        f'<li><span class="bg-{kind}"></span><strong>{kind}</strong>, {MEANING[kind]}</li>' for kind in kinds
    )
    return f'<ul class="key">{items}</ul>'


def _estimate(estimate: Estimate | None) -> str:
    if estimate is None:
        return "–"
    bounds = f"<small>{estimate.low:.1f}–{estimate.high:.1f}</small>"
    return f"{estimate.value:.1f}{bounds}{_spread(estimate)}"


def _chance(chance: float | None) -> str:
    return "" if chance is None else f"<small class=chance>chance {chance:.1f}</small>"


def _gain(gain: Gain | None) -> str:
    if gain is None:
        return "–"
    style = "up" if gain.low > 0 else "down" if gain.high < 0 else "soft"
    bounds = f"<small>{gain.low:+.1f} to {gain.high:+.1f}</small>"
    tests = f"<small>p {p_text(gain.p_holm)}; detectable {gain.detectable:.1f}</small>".replace("p <", "p &lt;")
    each = f'<small class="seeds">{_each(gain.each, "+")}</small>' if len(gain.each) > 1 else ""
    return f'<span class="{style}">{gain.value:+.1f}</span>{bounds}{tests}{each}{_spread(gain)}'


def _each(seeds: Sequence[float], sign: str = "") -> str:
    return ", ".join(f"{score:{sign}.1f}" for score in seeds)


def _spread(estimate: Estimate) -> str:
    """The standard deviation over seeds, and how many seeds have no such figure."""
    told = [] if estimate.sd is None else [f"sd {estimate.sd:.1f}"]
    if estimate.left_out:
        told.append(f"{estimate.left_out} of {len(estimate.each) + estimate.left_out} seeds left out")
    return "".join(f"<small>{line}</small>" for line in told)


def _signed(gain: Estimate) -> str:
    return f"{gain.value:+.1f} points (95% interval {gain.low:+.1f} to {gain.high:+.1f})"
