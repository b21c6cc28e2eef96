"""`flan-jax sweep`: leave each cluster out in turn, over seeds, and see what tuning on the others is worth.

    <directory>/sweep.json               settings; a sweep is continued with the same ones only
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
from flan_jax.report.contents import KINDS, ClusterResult, Kind, present
from flan_jax.report.table import format_table
from flan_jax.training.checkpoints import checkpoint_steps, load_params
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
            raise SweepError('sweep.kinds and sweep.seeds need at least one entry, e.g. --gin.SEEDS="(0,)"')
        if self.pretrain is None and self.tune.initial_checkpoint is None:
            raise SweepError(
                "there is nothing to tune: set sweep.pretrain = @pretrain/train(), or tune/train.initial_checkpoint"
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
    registry = load_registry(config.tune.tasks)
    clusters = choose_clusters(registry, config)
    _same_sweep(directory, config, operative)
    with _timed(directory, "prepare"):
        prepared = prepare(config.prepare)
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


def run_config(config: SweepConfig, cell: Cell, vocabulary: str) -> TrainConfig | None:
    """The training run of a cell's model; None where the base is a checkpoint that was given."""
    runs = pathlib.Path(config.directory) / "runs"
    settings: dict[str, Any] = {"model_dir": str(runs / cell.run), "seed": cell.seed, "vocabulary": vocabulary}
    if cell.kind == "base":
        if config.pretrain is not None and config.primer is not None:
            settings["initial_checkpoint"] = str(runs / f"primer-seed{cell.seed}")
        return config.pretrain and dataclasses.replace(config.pretrain, **settings)
    if config.pretrain is not None:
        settings["initial_checkpoint"] = str(runs / Cell("base", cell.cluster, cell.seed).run)
    if cell.kind == "tuned":
        settings["mixture"] = leave_one_out(config.tune.mixture, cell.cluster)
    return dataclasses.replace(config.tune, **settings)


def _trained(config: SweepConfig, cell: Cell, vocabulary: str, operative: str) -> str:
    """The directory of a cell's finished training run, after the runs it starts from."""
    run = run_config(config, cell, vocabulary)
    if run is None:
        assert config.tune.initial_checkpoint is not None  # SweepConfig sees to it
        return config.tune.initial_checkpoint
    if cell.kind != "base":
        _trained(config, Cell("base", cell.cluster, cell.seed), vocabulary, operative)
    elif config.primer is not None:
        settings = {"model_dir": run.initial_checkpoint, "seed": cell.seed, "vocabulary": vocabulary}
        _run(config, dataclasses.replace(config.primer, **settings), operative)
    _run(config, run, operative)
    return run.model_dir


def _run(config: SweepConfig, run: TrainConfig, operative: str) -> None:
    """Train, unless the run's last checkpoint is there."""
    if run.steps not in checkpoint_steps(run.model_dir):
        with _timed(pathlib.Path(config.directory), f"train {pathlib.Path(run.model_dir).name}"):
            train(run, operative)


def _evaluate(config: SweepConfig, cell: Cell, model: str, tasks: Sequence[Task]) -> None:
    import jax

    run = run_config(config, cell, "")
    # The last step or nothing: were it damaged, an older one would be scored under its name.
    model_config, params, metadata = load_params(model, run and run.steps)
    vocabulary = load_vocabulary(f"{model}/vocabulary")
    store = Store(config.tune.store)
    provenance = {
        "cell": cell._asdict(),
        "checkpoint": {"directory": str(pathlib.Path(model).absolute()), "step": metadata["step"]},
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
    """The held-out clusters in points of 100: every kind with its interval, and the gains over the base."""
    kinds = present(*(result.scores for result in results))
    gained = present(*(result.gains for result in results))
    rows = []
    for result in results:
        row: list[object] = [result.cluster, max((len(scores) for scores in result.seeds.values()), default=0)]
        for kind in kinds:
            score = result.scores.get(kind)
            row += [points(score and score.value), bounds(score and score.low, score and score.high)]
        for kind in gained:
            gain = result.gains.get(kind)
            row.append(gain and f"{gain.value:+.1f} ({gain.low:+.1f} to {gain.high:+.1f})")
        rows.append(row)
    heads = [head for kind in kinds for head in (kind, "95%")] + [f"{kind} - base" for kind in gained]
    return format_table(["held-out cluster", "seeds", *heads], rows)


def _same_sweep(directory: pathlib.Path, config: SweepConfig, operative: str) -> None:
    """Write the settings down, or compare them with those that are there.  Raises SweepError naming what differs."""
    settings = json.loads(json.dumps(dataclasses.asdict(config)))
    for widened in ("directory", "held_out", "seeds", "kinds"):  # more of these is the same sweep, continued
        del settings[widened]
    del settings["prepare"]["processes"]
    path = directory / "sweep.json"
    if path.exists():
        before = dict(_flat(json.loads(path.read_text())["settings"]))
        now = dict(_flat(settings))
        differing = [name for name in now | before if now.get(name) != before.get(name)]
        if differing:
            lines = "\n".join(f"  {name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in differing[:8])
            raise SweepError(
                f"{directory} was begun with other settings:\n{lines}\n"
                "  continue it with those, or set another --gin.SWEEP_DIR"
            )
    with atomic_file(path) as file:
        file.write(json.dumps({"settings": settings, "operative": operative}, indent=1).encode())


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
