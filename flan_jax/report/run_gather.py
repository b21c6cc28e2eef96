"""From the results of one evaluation, or of two, to the contents of their page.  Scores nothing anew."""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.compute as pc

from flan_jax.evaluation.aggregation import TaskScore
from flan_jax.evaluation.comparison import compare
from flan_jax.evaluation.metrics import METRICS, describe, get_metrics
from flan_jax.evaluation.results import SUMMARY_FILE, Results, read_results
from flan_jax.report import answers_by_example as answers
from flan_jax.report.contents import ReportError, name_of
from flan_jax.report.run_contents import Calibration, Confusion, RunContents

SHOWN = 3
"""Examples shown of every task: the hardest, or those that lost and those that won most."""

FREE_TO_DIFFER = ("row_width", "tokens_per_batch", "replicates")
"""Settings of the scoring that change no answer: two runs with others still compare."""

FOLDER = re.compile(r"(?P<step>\d+)-(?P<kind>.+)-[0-9a-f]+")
"""How `evaluation.results_folder.folder_name` calls a folder; the kind is the mixture, the split and the shots."""


def find_results(directory: str | os.PathLike[str], like: str = "") -> pathlib.Path:
    """The results that a directory is, or holds: those of a run's `evaluations`, the newest step's of the only kind.

    like: the name of another run's, of which the same kind (mixture, split, shots) is looked for; one that `evaluate`
      was told to write elsewhere tells of no kind.
    Raises ReportError if there are none, or several that differ in more than the step: also where the newest step was
    evaluated more than once, with other settings, tasks or data (another digest).
    """
    root = pathlib.Path(directory)
    if (root / SUMMARY_FILE).exists():
        return root
    inside = root if root.name == "evaluations" else root / "evaluations"
    found = sorted(path.parent for path in inside.glob(f"*/{SUMMARY_FILE}"))
    kinds: dict[str, list[pathlib.Path]] = {}
    for path in found:
        kinds.setdefault(_kind(path.name), []).append(path)
    told = "\n".join(f"  {path}" for path in found)
    if not found:
        raise ReportError(
            f"{root} holds no results ({SUMMARY_FILE}), nor evaluations of a run; flan-jax evaluate makes some"
        )
    if FOLDER.fullmatch(like):
        if _kind(like) not in kinds:
            raise ReportError(f"{root} holds no evaluation of {_kind(like)}, as {like} is; name one of these:\n{told}")
        chosen = kinds[_kind(like)]
    elif len(kinds) > 1:
        raise ReportError(f"{root} holds several evaluations; name one:\n{told}")
    else:
        (chosen,) = kinds.values()
    newest = max(_step(path.name) for path in chosen)
    chosen = [path for path in chosen if _step(path.name) == newest]
    if len(chosen) > 1:
        told = "\n".join(f"  {path}" for path in chosen)
        raise ReportError(
            f"{root} holds several evaluations of step {newest}, with other settings or data; name one:\n{told}"
        )
    return chosen[0]


def _kind(name: str) -> str:
    """A results folder's name without the step in front and the digest behind; all of one that is called otherwise."""
    named = FOLDER.fullmatch(name)
    return named["kind"] if named else name


def _step(name: str) -> int:
    named = FOLDER.fullmatch(name)
    return int(named["step"]) if named else -1


def gather_runs(directories: Sequence[str | os.PathLike[str]]) -> RunContents:
    """Everything the page of one evaluation says, or of two.

    Raises ReportError, ResultsError, and for two AggregationError if they have nothing in common.
    """
    folders = [find_results(directories[0])]
    folders += [find_results(directory, folders[0].name) for directory in directories[1:]]
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise ReportError(f"{folders[0]} is compared with itself; name two evaluations")
    runs = [read_results(folder) for folder in folders]
    _check_alike(runs, folders)
    names = _names(folders, runs)
    first = runs[0]
    tasks = [task for task in first.metrics if all(_rows(run, task) for run in runs)]
    differences = ()
    if len(runs) > 1:
        base, tuned = ({0: run.primary_scores()} for run in runs)
        differences = tuple(compare(base, tuned, replicates=first.replicates, seed=first.seed))
    details = {score.metric: describe(METRICS[score.metric]) for run in runs for score in run.summary.tasks}
    return RunContents(
        title=" against ".join(names[::-1]), names=names, split=first.split,
        tasks=tuple(_by_cluster(run) for run in runs),
        clusters=tuple({cluster.cluster: cluster for cluster in run.summary.clusters} for run in runs),
        chances={
            ranking.task: ranking.chance
            for ranking in first.summary.rankings
            if get_metrics(first.metrics[ranking.task])[0].name == "accuracy"
        },
        differences=differences,
        calibration=tuple(_calibration(run, tasks) for run in runs),
        confusions={task: found for task in tasks if (found := _confusions(runs, task))},
        examples=_examples(runs, tasks, names),
        metrics=details,
        facts=tuple(_facts(run, folder) for run, folder in zip(runs, folders, strict=True)),
        warnings=tuple(dict.fromkeys(w for run in runs for w in run.provenance.get("warnings", ()))),
    )  # fmt: skip


def _check_alike(runs: Sequence[Results], folders: Sequence[pathlib.Path]) -> None:
    """Raises ReportError where two runs were not scored on the same split, a task not by the same metric, or the
    answers not got alike: what differs would be told as gained."""
    first, last = runs[0], runs[-1]
    if first.split != last.split:
        raise ReportError(
            f"{folders[0]} reports split {first.split!r}, {folders[-1]} {last.split!r}; evaluate both on one split"
        )
    for task in first.metrics.keys() & last.metrics.keys():
        if first.metrics[task][0] != last.metrics[task][0]:
            raise ReportError(
                f"{task} is scored by {first.metrics[task][0]} in {folders[0]} and by {last.metrics[task][0]} in "
                f"{folders[-1]}; evaluate both with the same version"
            )
    one, other = (_settings(run.provenance.get("scoring") or {}) for run in (first, last))
    if differ := [name for name in sorted(one.keys() | other.keys()) if one.get(name) != other.get(name)]:
        told = "\n".join(f"  {name}: {one.get(name)!r}, {other.get(name)!r}" for name in differ)
        raise ReportError(
            f"{folders[0]} and {folders[-1]} were not scored alike; evaluate both with the same settings:\n{told}"
        )


def _settings(scoring: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    """By name what decides an answer, with `few_shot.budget` and the like for a setting of several parts."""
    found: dict[str, Any] = {}
    for name, value in scoring.items():
        if isinstance(value, Mapping):
            found |= _settings(value, f"{inside}{name}.")
        elif f"{inside}{name}" not in FREE_TO_DIFFER:
            found[f"{inside}{name}"] = value
    return found


def _names(folders: Sequence[pathlib.Path], runs: Sequence[Results]) -> tuple[str, ...]:
    """What to call the runs: the directory of each one's checkpoint and its step, or where the results lie."""
    names = []
    for folder, run in zip(folders, runs, strict=True):
        checkpoint = run.provenance.get("checkpoint")
        name = folder.name
        if checkpoint:
            name = f"{pathlib.Path(checkpoint['directory']).name}, step {checkpoint['step']:,}"
        names.append(name)
    if len(set(names)) < len(names):
        names = [f"{name} ({folder.name})" for name, folder in zip(names, folders, strict=True)]
    if len(set(names)) < len(names):
        names = [str(folder) for folder in folders]
    return tuple(names)


def _rows(run: Results, task: str) -> list[answers.ResultRow]:
    return run.task_rows(task, run.split).to_pylist()


def _by_cluster(run: Results) -> dict[str, tuple[TaskScore, ...]]:
    return {
        cluster.cluster: tuple(score for score in run.summary.tasks if score.task in cluster.tasks)
        for cluster in run.summary.clusters
    }


def _calibration(run: Results, tasks: Sequence[str]) -> dict[str, Calibration]:
    reported = run.rows.filter(pc.field("split") == run.split).to_pylist()
    found = {"": answers.calibration(reported)}
    found |= {task: answers.calibration(_rows(run, task)) for task in tasks}
    return {task: one for task, one in found.items() if one is not None}


def _confusions(runs: Sequence[Results], task: str) -> tuple[Confusion, ...]:
    """The task's confusion in every run; () if it has none."""
    found = [answers.confusion(_rows(run, task)) for run in runs]
    return tuple(one for one in found if one is not None) if None not in found else ()


def _examples(
    runs: Sequence[Results], tasks: Sequence[str], names: Sequence[str]
) -> dict[str, tuple[answers.ShownExample, ...]]:
    found: dict[str, tuple[answers.ShownExample, ...]] = {}
    for task in tasks:
        rows = [_rows(run, task) for run in runs]
        if len(runs) == 1:
            found[name_of(task)] = tuple(answers.hardest(rows[0], SHOWN))
        else:
            lost, won = answers.changed(rows[0], rows[1], SHOWN)
            found[f"{name_of(task)}: lost by {names[1]}"] = tuple(lost)
            found[f"{name_of(task)}: won by {names[1]}"] = tuple(won)
    return {heading: shown for heading, shown in found.items() if shown}


def _facts(run: Results, folder: pathlib.Path) -> tuple[tuple[str, str], ...]:
    known, checkpoint = run.provenance, run.provenance.get("checkpoint")
    found = [("results", str(folder.absolute()))]
    if checkpoint:
        found.append(("checkpoint", f"{checkpoint['directory']}, step {checkpoint['step']:,}"))
    told = {"parameter_digest": "parameters", "vocabulary_digest": "vocabulary", "code": "code", "backend": "ran on"}
    found += [(what, str(known[name])) for name, what in told.items() if name in known]
    found.append(("intervals", f"{run.replicates:,} resamples, seed {run.seed}"))
    for name in ("scoring", "libraries"):
        if name in known:
            found.append((name, ", ".join(f"{what} {value}" for what, value in known[name].items())))
    return tuple(found)
