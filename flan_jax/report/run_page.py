"""The page of one evaluation, or of two side by side."""

from collections.abc import Sequence
from html import escape

from flan_jax.evaluation.aggregation import TaskScore
from flan_jax.evaluation.comparison import Difference
from flan_jax.evaluation.summary import TESTS, p_text
from flan_jax.report.contents import name_of
from flan_jax.report.document import Row, Section, document, scrolling, table
from flan_jax.report.run_charts import Spread, SpreadRow, reliability, spreads, styles
from flan_jax.report.run_contents import Confusion, RunContents, ShownExample


def render(contents: RunContents) -> str:
    """The whole page."""
    two = len(contents.names) > 1
    sections = (
        Section("differences", "Differences", _differences(contents) if two else ""),
        Section("scores", "Scores", "" if two else _scores(contents)),
        Section("templates", "Template by template", _templates(contents)),
        Section("calibration", "Can its probabilities be believed?", _calibration(contents)),
        Section("confusion", "Right and chosen", _confusions(contents)),
        Section("examples", "Examples that changed" if two else "Hardest examples", _examples(contents)),
        Section("run", "What was run", _run(contents)),
    )
    return document(contents.title, _lead(contents), sections)


def _lead(contents: RunContents) -> str:
    """The finding in a sentence or two."""
    examples = sum(scores[0].examples for task, scores in _by_task(contents, 0).items())
    if len(contents.names) == 1:
        told = f"{examples:,} examples of {len(_by_task(contents, 0))} tasks, split {contents.split}."
        return f'<p class="lead">{escape(told)}</p>'
    row = contents.differences[-1]  # overall, or the only cluster
    where = "over all clusters" if row.level == "overall" else f"on {name_of(row.name)}"
    verdict = "the interval excludes 0" if row.low > 0 or row.high < 0 else "the interval includes 0"
    return (
        f'<p class="lead">{escape(contents.names[1])} scores {row.tuned:.1f} {escape(where)}, '
        f"{escape(contents.names[0])} {row.base:.1f}. The difference is {row.difference:+.1f} points (95% interval "
        f"{row.low:+.1f} to {row.high:+.1f}, {_p('p', row.p)}); {verdict}. With these {row.examples:,} examples a true "
        f"difference of {row.detectable:.1f} points would be found 4 times in 5.</p>"
    )


def _by_task(contents: RunContents, run: int) -> dict[str, list[TaskScore]]:
    found: dict[str, list[TaskScore]] = {}
    for scores in contents.tasks[run].values():
        for score in scores:
            found.setdefault(score.task, []).append(score)
    return found


def _key(contents: RunContents) -> str:
    if len(contents.names) == 1:
        return ""
    items = "".join(
        f'<li><span class="bg-{style}"></span>{escape(name)}</li>'
        for style, name in zip(styles(len(contents.names)), contents.names, strict=True)
    )
    return f'<ul class="key">{items}</ul>'


def _differences(contents: RunContents) -> str:
    tasks = {row.name: row for row in contents.differences if row.level == "task"}
    rows = []
    for one in (row for row in contents.differences if row.level == "overall"):
        rows.append(Row("all clusters", _difference(one), "head"))
    for cluster in (row for row in contents.differences if row.level == "cluster"):
        rows.append(Row(escape(name_of(cluster.name)), _difference(cluster), "head"))
        rows += [
            Row(f"{escape(name)}<small>{_measured(contents, name)}</small>", _difference(tasks[name]), "part")
            for name in cluster.tasks
        ]
    heads = ["", *contents.names, "difference", "p", "won–lost", "detectable"]
    about = escape(TESTS.replace("\n", " "))
    return (
        '<p class="soft">Points of 100, the mean over templates; paired by example, with 95% intervals over examples.'
        f" {about}.</p>{table('Differences of tasks and clusters', heads, rows)}"
    )


def _measured(contents: RunContents, task: str) -> str:
    score = _by_task(contents, 0)[task][0]
    return f"{escape(score.metric)}, {score.examples} examples × {len(score.per_template)} templates"


def _difference(row: Difference) -> tuple[str, ...]:
    style = "up" if row.low > 0 else "down" if row.high < 0 else "soft"
    change = f'<span class="{style}">{row.difference:+.1f}</span><small>{row.low:+.1f} to {row.high:+.1f}</small>'
    outcomes = ""
    if row.wins is not None and row.p_sign is not None:
        outcomes = f"{row.wins}–{row.losses}<small>{_p('p', row.p_sign)}</small>"
    told = f"{escape(p_text(row.p) or '')}<small>{_p('Holm', row.p_holm)}</small>"
    if row.p_permutation is not None:
        told += f"<small>{_p('swap', row.p_permutation)}</small>"
    return (f"{row.base:.1f}", f"{row.tuned:.1f}", change, told, outcomes, f"{row.detectable:.1f}")


def _p(name: str, p: float) -> str:
    told = p_text(p) or ""
    return f"{name} &lt; {told[1:]}" if told.startswith("<") else f"{name} = {told}"


def _scores(contents: RunContents) -> str:
    rows = []
    for cluster, scores in contents.tasks[0].items():
        whole = contents.clusters[0][cluster]
        best = "" if whole.best_dev is None else f"{whole.best_dev:.1f}"
        interval = f"{whole.low:.1f}–{whole.high:.1f}"
        cells = (f"{whole.mean:.1f}", f"{whole.se:.1f}", interval, "", "", best, "")
        rows.append(Row(escape(name_of(cluster)), cells, "head"))
        for score in scores:
            rows.append(_score(contents, score.task, score))
            rows += [_score(contents, f"↳ {one.direction}", one) for one in score.directions]
    heads = [contents.split, "mean", "se", "95% interval", "sd", "worst", "best dev", "chance"]
    used = "; ".join(f"{name}: {detail}" for name, detail in contents.metrics.items())
    about = (
        "Points of 100: mean, standard deviation (sd) and worst over templates; standard error (se) and interval over "
        "examples, each with all its templates; best dev is the template chosen on another split."
    )
    return (
        f'<p class="soft">{about}</p>{table("Scores of tasks", heads, rows)}'
        f'<p class="soft"><small>{escape(used)}</small></p>'
    )


def _score(contents: RunContents, name: str, score: TaskScore) -> Row:
    best = "" if score.best_dev is None else f"{score.best_dev:.1f}"
    if score.best_dev_template is not None:
        best += f"<small>template {score.best_dev_template}</small>"
    chance = contents.chances.get(score.task) if score.metric == "accuracy" else None
    worst = f"{score.worst:.1f}<small>template {score.worst_template}</small>"
    cells = (
        f"{score.mean:.1f}", f"{score.se:.1f}", f"{score.low:.1f}–{score.high:.1f}",
        "" if score.sd is None else f"{score.sd:.1f}", worst, best, "" if chance is None else f"{chance:.1f}",
    )  # fmt: skip
    return Row(f"{escape(name)}<small>{escape(score.metric)}, {score.examples} examples</small>", cells, "part")


def _templates(contents: RunContents) -> str:
    figures = []
    for cluster, scores in contents.tasks[0].items():
        tasks = list(dict.fromkeys(score.task for score in scores))
        rows = [row for task in tasks for row in _spread_rows(contents, task)]
        if rows:
            name = name_of(cluster)
            figures.append(f"<figure><h3>{escape(name)}</h3>{spreads(f'Templates of {name}', rows)}</figure>")
    about = "A dot is a template's score, the bar their mean with its 95% interval; dashed is what guessing gets."
    return f'<p class="soft">{about}</p>{_key(contents)}<div class="grid-of">{"".join(figures)}</div>'


def _spread_rows(contents: RunContents, task: str) -> list[SpreadRow]:
    """A task's primary metric in every run, each direction of a translation by itself."""
    found = [_by_task(contents, run).get(task) for run in range(len(contents.names))]
    if not all(found):
        return []
    primary = [scores[0] for scores in found if scores]
    parts = list(zip(*(score.directions or (score,) for score in primary), strict=False))
    chance = contents.chances.get(task)
    return [
        SpreadRow(
            f"{task}, {part[0].direction}" if part[0].direction else task,
            [Spread(tuple(one.per_template.values()), one.mean, one.low, one.high) for one in part],
            chance,
        )
        for part in parts
    ]


def _calibration(contents: RunContents) -> str:
    if not all("" in found for found in contents.calibration):
        return ""
    overall = [found[""] for found in contents.calibration]
    rows = []
    for task in contents.calibration[0]:
        each = [found[task] for found in contents.calibration]
        figures = ([one.confidence for one in each], [one.accuracy for one in each], [one.error for one in each])
        cells = tuple(_of_each(values) for values in figures)
        rows.append(Row(escape(task) or "all ranked tasks", cells, "head" if not task else "part"))
    about = (
        "The probability of the option that the options' summed log-probabilities choose, their softmax, and how often "
        "that option is right, whatever score the evaluation ranks by. Points on the dashed line are believable; below "
        "it the model is too sure. Error: mean distance from it in points (expected calibration error, ten bins)."
    )
    chart = f"<figure>{reliability('Calibration', overall)}</figure>"
    return (
        f'<p class="soft">{about}</p>{_key(contents)}<div class="beside">{chart}'
        f"<div>{table('Calibration of every task', ['task', 'given, %', 'right, %', 'error'], rows)}</div></div>"
    )


def _of_each(values: Sequence[float]) -> str:
    """A figure of each run, told apart by colour where there are two."""
    if len(values) == 1:
        return f"{values[0]:.1f}"
    return "".join(
        f'<span class="of"><i class="bg-{style}"></i>{value:.1f}</span>'
        for style, value in zip(styles(len(values)), values, strict=True)
    )


def _confusions(contents: RunContents) -> str:
    parts = []
    for task, found in contents.confusions.items():
        tables = "".join(
            f"<div>{f'<p class=soft><small>{escape(name)}</small></p>' if len(found) > 1 else ''}"
            f"{_confusion(f'{task}, {name}', one)}</div>"
            for name, one in zip(contents.names, found, strict=True)
        )
        parts.append(
            f'<details><summary>{escape(task)}</summary><div class="inside side-by-side">{tables}</div></details>'
        )
    if not parts:
        return ""
    about = (
        "Of the questions where an option is right (a row), the percentage that each option was chosen in (a column)."
    )
    return f'<p class="soft">{about} All templates together.</p>{"".join(parts)}'


def _confusion(name: str, one: Confusion) -> str:
    heads = "".join(f'<th scope="col">{escape(label)}</th>' for label in one.labels)
    rows = ""
    for right, (label, counts) in enumerate(zip(one.labels, one.counts, strict=True)):
        total = sum(counts)
        cells = ""
        for chosen, count in enumerate(counts):
            share = 100 * count / total if total else 0.0
            strong = ' class="right"' if right == chosen else ""
            cells += f'<td{strong} style="--share:{share:.0f}%">{share:.0f}</td>'
        rows += f'<tr><th scope="row">{escape(label)}<small>{total} times right</small></th>{cells}</tr>'
    corner = '<th scope="col">right ↓ chosen →</th>'
    inner = f'<table class="confusion"><thead><tr>{corner}{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return scrolling(f"Confusion of {name}", inner, plain=True)


def _examples(contents: RunContents) -> str:
    return "".join(
        f"<details><summary>{escape(heading)}: {len(shown)}</summary>"
        f'<div class="inside">{"".join(_example(contents.names, one) for one in shown)}</div></details>'
        for heading, shown in contents.examples.items()
    )


def _example(names: Sequence[str], one: ShownExample) -> str:
    outcomes = "; ".join(
        (f"{name}: " if len(names) > 1 else "")
        + f"right under {answered.right} of {one.templates} templates, mean score {100 * answered.score:.0f}"
        for name, answered in zip(names, one.answered, strict=True)
    )
    where = f"example {escape(one.example_id)}, template {one.template}"
    body = f"<article><p class=soft><small>{where}<br>{escape(outcomes)}</small></p><pre>{escape(one.inputs)}</pre>"
    if not one.options:
        wrote = "".join(
            f"<dt>{escape(name)} wrote</dt><dd>{escape(answered.wrote) or '<em>nothing</em>'}</dd>"
            for name, answered in zip(names, one.answered, strict=True)
        )
        references = escape(" / ".join(text.strip() for text in one.references))
        return f'{body}<dl class="facts"><dt>wanted</dt><dd>{references}</dd>{wrote}</dl></article>'
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    rows = ""
    for index, text in enumerate(one.options):
        style, mark = (' class="right"', " ✓") if index == one.answer else ("", "")
        cells = ""
        for answered in one.answered:
            score = f"{answered.options[index]:.2f}"
            cells += f"<td><strong>{score}</strong></td>" if _is_best(answered.options, index) else f"<td>{score}</td>"
        rows += f'<tr><th scope="row"{style}>{escape(text)}{mark}</th>{cells}</tr>'
    about = '<th scope="col">option (log-probability in nats, mean over templates)</th>'
    inner = f'<table class="options"><thead><tr>{about}{heads}</tr></thead><tbody>{rows}</tbody></table>'
    return body + scrolling("Scores of the options", inner, plain=True) + "</article>"


def _is_best(scores: Sequence[float], index: int) -> bool:
    return scores[index] == max(scores)


def _run(contents: RunContents) -> str:
    parts = [f'<p class="soft">{escape(warning)}</p>' for warning in contents.warnings]
    for name, facts in zip(contents.names, contents.facts, strict=True):
        told = "".join(f"<dt>{escape(what)}</dt><dd>{escape(value)}</dd>" for what, value in facts)
        parts.append(f'<h3>{escape(name)}</h3><dl class="facts">{told}</dl>')
    return "".join(parts)
