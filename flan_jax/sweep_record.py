"""sweep.json: what the cells of a sweep are made with, written when it begins and compared when it goes on."""

import dataclasses
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import xxhash

from flan_jax.data.atomic import atomic_file
from flan_jax.data.mixture_names import find_mixture
from flan_jax.data.store import NotPrepared, Store
from flan_jax.data.task import Task, load_registry
from flan_jax.evaluation.requests import choose_examples
from flan_jax.sweep_config import SweepConfig, SweepError
from flan_jax.training.checkpoints import checkpoint_digest

WORDS = {
    "tasks": "templates or code of its tasks", "sources": "data of its tasks", "rows": "rows of its tasks",
    "base": "parameters of its base",
}  # fmt: skip
GROWING = ("sources", "rows")
"""Parts of which a value that is not there, on one side, says nothing: data that this machine does not have."""


def settings(config: SweepConfig) -> dict[str, Any]:
    """Those that all cells of a sweep share: with more clusters, seeds or kinds it is the same one, continued."""
    shared = dataclasses.asdict(config)
    for widened in ("directory", "held_out", "seeds", "kinds"):
        del shared[widened]
    for free in ("processes", "beam", "beam_parts"):  # how a store is made, not what is in it
        del shared["prepare"][free]
    return shared


def fingerprints(config: SweepConfig) -> dict[str, str]:
    """What every task of the sweep's mixtures is made of: source, templates, code or generator."""
    return {name: task.fingerprint for name, (task, _) in _tasks(config).items()}


def sources(config: SweepConfig) -> dict[str, str]:
    """The digest of the rows that the data directory has of every task, of those it has."""
    return {name: task.source_digest for name, (task, _) in _tasks(config).items() if task.source_digest}


def base(config: SweepConfig) -> dict[str, str]:
    """The digest of the checkpoint that was given as base, if one was."""
    given = config.tune.initial_checkpoint if config.pretrain is None else None
    return {"digest": checkpoint_digest(given)} if given else {}


def rows(config: SweepConfig, store: Store) -> dict[str, str]:
    """The checksum of every prepared split that the sweep's models learn from or are asked, by `task/split`.

    Where not all examples of a split are asked, of those that are: a store may be given more of them meanwhile.
    """
    found = {}
    scoring = config.scoring
    asked = {scoring.selection_split: scoring.selection_examples, scoring.split: scoring.examples}
    for name, (task, splits) in _tasks(config).items():
        for split in sorted(splits.intersection(task.splits)):
            if store.left_out(name, split):
                found[f"{name}/{split}"] = "left out"
                continue
            try:
                if count := asked.get(split):
                    found[f"{name}/{split}, {count} examples"] = _checksum(store, name, split, count)
                else:
                    found[f"{name}/{split}"] = store.text_manifest(name, split).data.xxh3
            except NotPrepared:  # of a cluster that is not held out yet
                continue
    return found


def _checksum(store: Store, task: str, split: str, count: int) -> str:
    """Of the rows of the `count` examples that an evaluation chooses of a split."""
    text = store.open_text(task, split)
    ids = text["example_id"].to_pylist()
    chosen = choose_examples(ids, count, task)
    rows = text.filter(pa.array([one in chosen for one in ids])).to_pylist()
    return xxhash.xxh3_128(json.dumps(rows).encode()).hexdigest()


def same_sweep(directory: pathlib.Path, operative: str, **parts: Mapping[str, Any]) -> None:
    """Write down what the cells are made with (settings, tasks, rows, ...), or compare it with what is there.

    Raises SweepError naming what differs.
    """
    path = directory / "sweep.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for part, values in json.loads(json.dumps(parts)).items():
        now, before = dict(_flat(values)), dict(_flat(known.get(part, values)))
        names = [name for name in now if name in before] if part in GROWING else now | before
        if differing := [name for name in names if now.get(name) != before.get(name)]:
            raise SweepError(_refusal(directory, part, now, before, differing))
        parts[part] = {**known.get(part, {}), **values} if part in GROWING else values
    with atomic_file(path) as file:
        file.write(json.dumps({**known, **parts, "operative": operative}, indent=1).encode())


def _refusal(
    directory: pathlib.Path, part: str, now: Mapping[str, Any], before: Mapping[str, Any], differing: list[str]
) -> str:
    lines = "\n".join(f"  {name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in differing[:8])
    more = f"\n  and {len(differing) - 8} more" if len(differing) > 8 else ""
    way_on = {
        "settings": "continue it with those, or ",
        "sources": "put the data back that it was begun with, or ",
        "rows": "prepare the store again from what it was begun with, or ",
    }.get(part, "")
    return (
        f"{directory} was begun with other {WORDS.get(part, part)}:\n{lines}{more}\n"
        f"  {way_on}set another --gin.SWEEP_DIR, or delete {directory} to do all its cells anew"
    )


def _tasks(config: SweepConfig) -> dict[str, tuple[Task, set[str]]]:
    """Every task of the sweep's mixtures, with the splits of it that decide a cell."""
    found: dict[str, tuple[Task, set[str]]] = {}
    scored = {split for split in (config.scoring.split, config.scoring.selection_split) if split}
    for run in filter(None, (config.primer, config.pretrain, config.tune)):
        registry = load_registry(run.tasks)
        mixture = find_mixture(registry, run.mixture, "--gin.train.mixture")
        asked = (mixture.evaluate or mixture.train) if run is config.tune else ()
        shown = {"train"} if config.scoring.shots else set()
        for names, splits in ((mixture.train, {"train"}), (mixture.evaluate, set()), (asked, scored | shown)):
            for name in names:
                known = found.get(name)
                found[name] = (known[0], known[1] | splits) if known else (registry.get_task(name), set(splits))
    return found


def _flat(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    else:
        yield name, values
