"""Was a task held out?  What a checkpoint, and the one it began from, and so on, were trained on."""

from collections.abc import Mapping, Sequence
from typing import Any

from flan_jax.data.mixture_names import UnknownName, find_mixture
from flan_jax.data.task import Task, TaskRegistry
from flan_jax.training.checkpoints import CheckpointError, checkpoint_digest, exact_checkpoint, read_metadata

NO, YES, IN_ITS_BASE, NOT_KNOWN = "no", "yes", "in its base", "not known"
GENERATED = "generated"  # sources of this kind draw other rows for each task
Stage = frozenset[str] | None


def training_stages(metadata: Mapping[str, Any], registry: TaskRegistry) -> list[Stage]:
    """Names of the tasks that a run was trained on, those of the run it began from, and so on back; None: not known."""
    stages: list[Stage] = []
    run: Mapping[str, Any] | None = metadata
    while run is not None:
        stages.append(_tasks(run, registry))
        run = _base(run)
    return stages


def trained_on(tasks: Sequence[Task], stages: Sequence[Stage], registry: TaskRegistry) -> dict[str, str]:
    """For each task "no", "yes", "in its base" or "not known": was the model trained on it, or on rows of its source?

    Where it was another task of the same source, that is named behind it.
    """
    sources = [_sources(stage or (), registry) for stage in stages]
    unknown = any(stage is None for stage in stages)
    found = {}
    for task in tasks:
        found[task.name] = NOT_KNOWN if unknown else NO
        for number, (stage, by_source) in enumerate(zip(stages, sources, strict=True)):
            when = IN_ITS_BASE if number else YES
            others = [] if task.source.startswith(GENERATED) else by_source.get(task.source, [])
            if task.name in (stage or ()):
                found[task.name] = when
                break
            if others:
                found[task.name] = f"{when}, as {', '.join(others)}"
                break
    return found


def held_out_note(found: Mapping[str, str]) -> str:
    """A line that names the tasks that were not held out; "" if all were, as far as is known."""
    told = []
    for task, how in found.items():
        if how not in (NO, NOT_KNOWN):
            more = how.removeprefix(YES).removeprefix(", ")
            told.append(f"{task} ({more})" if more else task)
    return f"not held out, the model was trained on: {', '.join(told)}" if told else ""


def _tasks(run: Mapping[str, Any], registry: TaskRegistry) -> Stage:
    if run.get("tasks") is not None:
        return frozenset(run["tasks"])
    if run.get("mixture") is None:
        return None
    try:  # a run of an older version says its mixture only
        named = find_mixture(registry, run["mixture"], "--gin.MIXTURE").train
    except UnknownName:
        return None
    return frozenset(named).difference(run.get("left_out") or ())


def _base(run: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """What is known of the run it began from ({}: nothing); None where it drew its parameters."""
    began = run.get("began_from") or {}
    if began.get("tasks") is not None:
        return began
    path = began.get("checkpoint") or run.get("initial_checkpoint")
    if path is None:
        return {} if began else None
    try:
        if began.get("digest") not in (None, checkpoint_digest(path)):
            return {}
        return read_metadata(exact_checkpoint(path))
    except CheckpointError:
        return {}


def _sources(names: Sequence[str] | frozenset[str], registry: TaskRegistry) -> dict[str, list[str]]:
    """Source -> those of the tasks that come from it; tasks that are no longer declared are left out."""
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        try:
            found.setdefault(registry.get_task(name).source, []).append(name)
        except KeyError:
            continue
    return found
