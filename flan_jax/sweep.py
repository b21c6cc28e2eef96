"""`flan-jax sweep`: leave each cluster out in turn, over seeds, and see what tuning on the others is worth.

    <directory>/sweep.json               settings, tasks and vocabulary; it is continued with the same ones only
    <directory>/runs/primer-seed0        training runs: what the base begins from, where the sweep has a primer
    <directory>/runs/base-seed0            base (pretrained) and upper (tuned on all clusters) once a seed,
    <directory>/runs/tuned-nli-seed0       tuned once a held-out cluster and seed
    <directory>/cells/tuned-nli-seed0    results: that model on the held-out cluster, and the plan it was trained on
    <directory>/results.json             the table, rewritten after every cell
    <directory>/timings.jsonl            seconds that each part took

A cell is one kind of model on one held-out cluster with one seed.  Cells are done one at a time, those that are there
are left alone, and a training run that was stopped goes on where it was; so the same command continues a sweep.
"""

import dataclasses
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from flan_jax.configuration import leave_one_out
from flan_jax.data.atomic import atomic_file
from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.data.store import Store
from flan_jax.data.task import Task, TaskRegistry, load_registry
from flan_jax.data.vocabulary import load_vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.evaluate import Scoring, evaluate_params
from flan_jax.evaluation.results import Results, read_results
from flan_jax.evaluation.summary import bounds, points
from flan_jax.report.clusters import cluster_results
from flan_jax.report.contents import KINDS, ClusterResult, Estimate, Kind, present
from flan_jax.report.table import format_table
from flan_jax.training.checkpoints import checkpoint_steps, exact_checkpoint, load_params, run_and_step
from flan_jax.training.trainer import TrainConfig, train


class SweepError(FlanJaxError, ValueError):
    """Settings that a sweep cannot be run or continued with."""


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """A sweep over held-out clusters and seeds.

    prepare: what is brought into the store first; its vocabulary is the one used throughout.
    primer: a first pretraining run, on easier documents, that the base run begins from; None for none.
    pretrain: the base run; None to tune `tune.initial_checkpoint` instead, which is then the base.
    tune: the tuning run.  Its mixture names a benchmark B of the tasks module: B itself is the upper bound's mixture,
      B_loo_<cluster> that of the model tuned without a cluster.  model_dir, seed and vocabulary are set for each run.
    held_out: clusters to leave out in turn; empty for all that the benchmark has.   kinds: which models to make.
    """

    directory: str
    prepare: PrepareConfig
    tune: TrainConfig
    primer: TrainConfig | None = None
    pretrain: TrainConfig | None = None
    scoring: Scoring = dataclasses.field(default_factory=Scoring)
    held_out: Sequence[str] = ()
    seeds: Sequence[int] = (0,)
    kinds: Sequence[Kind] = KINDS

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.kinds if kind not in KINDS]:
            raise SweepError(f"sweep.kinds names {unknown[0]!r}; there are {', '.join(KINDS)}")
        if not self.kinds or not self.seeds:
            raise SweepError("there is no cell to do; set --gin.KINDS=\"('base', 'tuned')\" and --gin.SEEDS=\"(0,)\"")
        if self.pretrain is None and self.tune.initial_checkpoint is None:
            raise SweepError(
                "there is nothing to tune; set --gin.sweep.pretrain=@pretrain/train(), "
                "or --gin.tune/train.initial_checkpoint=\"'...'\""
            )


class Cell(NamedTuple):
    """One kind of model, one held-out cluster, one seed."""

    kind: Kind
    cluster: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.cluster}-seed{self.seed}"

    @property
    def run(self) -> str:
        """The training run it evaluates: base and upper bound are shared by all clusters."""
        return self.name if self.kind == "tuned" else f"{self.kind}-seed{self.seed}"


def sweep(config: SweepConfig, operative: str = "") -> tuple[ClusterResult, ...]:
    """Do all cells that are not there yet; prints the table and returns what is in it.  Raises SweepError."""
    directory = pathlib.Path(config.directory)
    clusters = choose_clusters(load_registry(config.tune.tasks), config)
    config = _with_exact_base(config)
    _same_sweep(directory, operative, settings=_settings(config), tasks=_fingerprints(config))
    with _timed(directory, "prepare"):
        prepared = prepare(config.prepare)
    _same_sweep(directory, operative, vocabulary={"digest": prepared.vocabulary_digest})
    cells = list(list_cells(clusters, config))
    for number, cell in enumerate(cells, 1):
        if not finished(directory, cell):
            print(f"cell {number} of {len(cells)}: {cell.name}", flush=True)
            model = _trained(config, cell, prepared.vocabulary, operative)
            with _timed(directory, f"evaluate {cell.name}"):
                _evaluate(config, cell, model, clusters[cell.cluster])
            write_table(directory, _collect(directory, cells))
    results = _collect(directory, cells)
    write_table(directory, results)
    print(f"\n{table(results)}\n\nresults: {directory / 'results.json'}")
    return results


def choose_clusters(registry: TaskRegistry, config: SweepConfig) -> dict[str, list[Task]]:
    """The clusters to hold out, each with its tasks.  Raises SweepError naming those there are."""
    benchmark = registry.get_mixture(config.tune.mixture)
    found: dict[str, list[Task]] = {}
    for task in (registry.get_task(name) for name in benchmark.evaluate or benchmark.train):
        found.setdefault(task.cluster, []).append(task)
    for cluster in config.held_out:
        if cluster not in found:
            raise SweepError(
                f"sweep.held_out: {config.tune.mixture} has no cluster {cluster!r}; it has {', '.join(found)}"
            )
    return {cluster: found[cluster] for cluster in config.held_out or found}


def list_cells(clusters: Mapping[str, object], config: SweepConfig) -> Iterator[Cell]:
    """Seed by seed and cluster by cluster, so that a table with every kind in it is there early."""
    for seed in config.seeds:
        for cluster in clusters:
            for kind in KINDS:
                if kind in config.kinds:
                    yield Cell(kind, cluster, seed)


def finished(directory: pathlib.Path, cell: Cell) -> bool:
    return (directory / "cells" / cell.name / "summary.json").exists()


def list_runs(config: SweepConfig, cell: Cell, vocabulary: str) -> list[TrainConfig]:
    """The training runs that lead to a cell's model, each from the last checkpoint of the one before.

    There is none where the model is a base that was given.
    """
    directory = pathlib.Path(config.directory) / "runs"
    stages: list[tuple[str, TrainConfig | None]] = []
    if config.pretrain is not None:
        stages += [(f"primer-seed{cell.seed}", config.primer), (f"base-seed{cell.seed}", config.pretrain)]
    if cell.kind != "base":
        mixture = config.tune.mixture if cell.kind == "upper" else leave_one_out(config.tune.mixture, cell.cluster)
        stages += [(cell.run, dataclasses.replace(config.tune, mixture=mixture))]
    runs: list[TrainConfig] = []
    for name, run in stages:
        if run is not None:
            # By its step: were that checkpoint damaged, an older one would be another model under its name.
            start = last_checkpoint(runs[-1]) if runs else run.initial_checkpoint
            placed = {"model_dir": str(directory / name), "initial_checkpoint": start}
            runs.append(dataclasses.replace(run, seed=cell.seed, vocabulary=vocabulary, **placed))
    return runs


def last_checkpoint(run: TrainConfig) -> str:
    return f"{run.model_dir}/checkpoints/{run.steps}"


def _trained(config: SweepConfig, cell: Cell, vocabulary: str, operative: str) -> str:
    """The last checkpoint of a cell's model, trained if it is not there, after the runs it starts from."""
    runs = list_runs(config, cell, vocabulary)
    for run in runs:
        if run.steps not in checkpoint_steps(run.model_dir):
            with _timed(pathlib.Path(config.directory), f"train {pathlib.Path(run.model_dir).name}"):
                train(run, operative)
    if not runs:
        assert config.tune.initial_checkpoint is not None  # SweepConfig sees to it
        return config.tune.initial_checkpoint
    return last_checkpoint(runs[-1])


def _evaluate(config: SweepConfig, cell: Cell, checkpoint: str, tasks: Sequence[Task]) -> None:
    import jax

    run = pathlib.Path(run_and_step(checkpoint)[0])
    model_config, params, metadata = load_params(checkpoint)
    vocabulary = load_vocabulary(str(run / "vocabulary"))
    store = Store(config.tune.store)
    provenance = {
        "cell": cell._asdict(),
        "checkpoint": {"directory": str(run.absolute()), "step": metadata["step"]},
        "plan_hash": metadata["plan_hash"],
        "mixture": metadata["mixture"],
    }
    results = evaluate_params(
        model_config, params, vocabulary, store, tasks, config.scoring, provenance=provenance, label=cell.name
    )
    if jax.process_index() == 0:
        directory = pathlib.Path(config.directory) / "cells" / cell.name
        plan = store.root / "plans" / metadata["plan_hash"] / "plan.json"
        if plan.exists():  # a base that was given has its plan elsewhere
            with atomic_file(directory / "plan.json") as file:
                file.write(plan.read_bytes())
        results.write(directory)


def _collect(directory: pathlib.Path, cells: Sequence[Cell]) -> tuple[ClusterResult, ...]:
    return cluster_results(read_cells(directory, cells))


def read_cells(directory: pathlib.Path, cells: Sequence[Cell] | None = None) -> dict[Cell, Results]:
    """The results that are there, of the given cells or of all."""
    if cells is None:
        cells = []
        for path in sorted((directory / "cells").glob("*/summary.json")):
            cells.append(Cell(**json.loads(path.read_text())["provenance"]["cell"]))
    return {cell: read_results(directory / "cells" / cell.name) for cell in cells if finished(directory, cell)}


def write_table(directory: pathlib.Path, results: Sequence[ClusterResult]) -> None:
    with atomic_file(directory / "results.json") as file:
        file.write(json.dumps([dataclasses.asdict(result) for result in results], indent=1).encode())


def table(results: Sequence[ClusterResult]) -> str:
    """The held-out clusters in points of 100: every kind and its gain over the base, and that of every seed."""
    kinds = present(*(result.scores for result in results))
    gained = present(*(result.gains for result in results))
    several = any(len(gain.each) + gain.left_out > 1 for result in results for gain in result.gains.values())
    rows = []
    for result in results:
        row: list[object] = [result.cluster, max(len(score.each) for score in result.scores.values())]
        for kind in kinds:
            score = result.scores.get(kind)
            row += [points(score and score.value), bounds(score and score.low, score and score.high)]
        for kind in gained:
            gain = result.gains.get(kind)
            row.append(gain and f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})")
            if several:
                row.append(gain and _seeds(gain))
        rows.append(row)
    heads = [head for kind in kinds for head in (kind, "95%")]
    for kind in gained:
        heads += [f"{kind} - base", "each seed (sd)"] if several else [f"{kind} - base"]
    return format_table(["held-out cluster", "seeds", *heads], rows)


def _with_exact_base(config: SweepConfig) -> SweepConfig:
    """With the step of a base that was given: all cells tune that one, however far its training has gone meanwhile."""
    if config.pretrain is not None or config.tune.initial_checkpoint is None:
        return config
    base = str(exact_checkpoint(config.tune.initial_checkpoint))
    return dataclasses.replace(config, tune=dataclasses.replace(config.tune, initial_checkpoint=base))


def _settings(config: SweepConfig) -> dict[str, Any]:
    """Those that all cells of a sweep share: with more clusters, seeds or kinds it is the same one, continued."""
    settings = dataclasses.asdict(config)
    for widened in ("directory", "held_out", "seeds", "kinds"):
        del settings[widened]
    for free in ("processes", "beam", "beam_parts"):  # how a store is made, not what is in it
        del settings["prepare"][free]
    return settings


def _fingerprints(config: SweepConfig) -> dict[str, str]:
    """What every task of the sweep's mixtures is made of: source, templates, code or generator."""
    found = {}
    for run in filter(None, (config.primer, config.pretrain, config.tune)):
        registry = load_registry(run.tasks)
        mixture = registry.get_mixture(run.mixture)
        found |= {name: registry.get_task(name).fingerprint for name in (*mixture.train, *mixture.evaluate)}
    return found


def _seeds(gain: Estimate) -> str:
    """Every seed's gain, their spread, and how many seeds have none as one side is not finished."""
    told = " ".join(f"{one:+.1f}" for one in gain.each)
    told += f" ({gain.sd:.1f})" if gain.sd is not None else ""
    return told + (f", {gain.left_out} left out" if gain.left_out else "")


def _same_sweep(directory: pathlib.Path, operative: str, **parts: Mapping[str, Any]) -> None:
    """Write down what the cells are made with (settings, tasks, vocabulary), or compare it with what is there.

    Raises SweepError naming what differs.
    """
    path = directory / "sweep.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    for part, values in json.loads(json.dumps(parts)).items():
        now, before = dict(_flat(values)), dict(_flat(known.get(part, values)))
        differing = [name for name in now | before if now.get(name) != before.get(name)]
        if differing:
            lines = "\n".join(f"  {name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in differing[:8])
            those = "continue it with those, or " if part == "settings" else ""  # the others are made, not set
            what = "templates or code of its tasks" if part == "tasks" else part
            raise SweepError(
                f"{directory} was begun with other {what}:\n{lines}\n"
                f"  {those}set another --gin.SWEEP_DIR, or delete {directory} to do all its cells anew"
            )
    with atomic_file(path) as file:
        file.write(json.dumps({**known, **parts, "operative": operative}, indent=1).encode())


def _flat(settings: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            yield from _flat(value, f"{name}.{key}" if name else key)
    else:
        yield name, settings


class _timed:
    """Appends how long the block took to timings.jsonl, also when it is stopped."""

    def __init__(self, directory: pathlib.Path, what: str, clock: Callable[[], float] = time.monotonic):
        self.path, self.what, self.clock = directory / "timings.jsonl", what, clock

    def __enter__(self) -> None:
        self.began = self.clock()

    def __exit__(self, *_: object) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"what": self.what, "seconds": round(self.clock() - self.began, 1)}) + "\n")
