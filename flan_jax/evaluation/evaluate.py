"""Evaluation from end to end: requests from the store, answers from the model, results with their provenance."""

import dataclasses
import pathlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import numpy as np
from jax.sharding import Mesh

from flan_jax.data.exemplars import FewShot
from flan_jax.data.store import Store
from flan_jax.data.task import Task, TaskRegistry, load_registry
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.errors import FlanJaxError
from flan_jax.evaluation.few_shot import Shots, check_train_splits, choose_shots, shots_note
from flan_jax.evaluation.generation import generate
from flan_jax.evaluation.metrics import get_metrics
from flan_jax.evaluation.provenance import code_version, library_versions, parameter_digest
from flan_jax.evaluation.ranking import score_options
from flan_jax.evaluation.requests import Request, build_requests
from flan_jax.evaluation.results import Results, generated_row, ranked_row, rows_table
from flan_jax.evaluation.summary import results_table
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params
from flan_jax.progress import Progress
from flan_jax.training.checkpoints import load_params, run_and_step
from flan_jax.training.partitioning import MeshConfig, make_mesh
from flan_jax.training.processes import join_processes


class EvaluationError(FlanJaxError, RuntimeError):
    """A model, vocabulary and tasks that cannot be evaluated together."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Scoring:
    """How answers are got and put together.

    split: the split reported.  selection_split: where best-dev templates are chosen, None for no best-dev figures.
    examples, selection_examples: at most so many examples a task, chosen by a hash of their ids; None for all.
    score_eos: whether EOS after an option counts towards its score (see `requests.build_requests`).
    max_new_tokens: the longest generated answer.  row_width, tokens_per_batch: see `ranking.score_options`.
    shots: exemplars in front of each question, or "paper" for the number that the paper of each task gives.
    few_shot: which ones, and how they are set off.  allow_zero_shot: show none, instead of refusing, to a task that has
      no train split or no number in the paper.
    replicates: of the bootstrap behind the intervals.  seed: of that, and of the draw of exemplars.
    """

    split: str = "test"
    selection_split: str | None = "validation"
    examples: int | None = None
    selection_examples: int | None = None
    score_eos: bool = False
    max_new_tokens: int = 64
    shots: Shots = 0
    few_shot: FewShot = dataclasses.field(default_factory=FewShot)
    allow_zero_shot: bool = False
    row_width: int = 256
    tokens_per_batch: int = 4096
    replicates: int = 1000
    seed: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Scoring):
    """What `flan-jax evaluate` runs.

    checkpoint: a run's directory (its newest checkpoint, or that of `step`) or one `checkpoints/<step>`.
    mixture: a mixture or task, or several; of a mixture, the tasks it names for evaluation, or all of them if it names
    none.  tasks: the module that declares them.
    vocabulary: as in `prepare`; empty for the one saved with the checkpoint.
    accept_stale: score on a store made with other templates, and say so in the results.
    unavailable: "skip" scores without tasks that `prepare` was told to leave out of the store, and says so in the
      results; "error" refuses.
    output: the directory of the results; empty for `<run>/evaluations/<step>-<mixture>-<split>`, and behind it
      `-<k>-shot` where exemplars are shown.
    mesh: None for the first device, or where there are several processes for all devices.
    coordinator, num_processes, process_id: as in `train`.
    """

    checkpoint: str
    store: str
    mixture: str | tuple[str, ...]
    tasks: str = "flan_jax_tasks"
    step: int | None = None
    vocabulary: str = ""
    output: str = ""
    accept_stale: bool = False
    unavailable: Literal["error", "skip"] = "error"
    mesh: MeshConfig | None = None
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def evaluate(config: EvaluateConfig) -> Results:
    """Evaluate a checkpoint, write its results and print their table.

    Raises EvaluationError if the vocabulary is not the checkpoint's, and whatever loading the parts raises.
    """
    tasks = find_tasks(load_registry(config.tasks), config.mixture)
    join_processes(config.coordinator, config.num_processes, config.process_id)
    mesh = make_mesh(config.mesh) if config.mesh is not None or jax.process_count() > 1 else None
    model_config, params, metadata = load_params(config.checkpoint, config.step, mesh)
    run = pathlib.Path(run_and_step(config.checkpoint)[0])
    store = Store(config.store, config.accept_stale)
    splits = tuple(filter(None, (config.split, config.selection_split)))
    left_out = store.without([task.name for task in tasks], splits) if config.unavailable == "skip" else ()
    tasks = [task for task in tasks if task.name not in left_out]
    if not tasks:
        raise EvaluationError(f"{store.root} was prepared without any task of {config.mixture}; get their data first")
    vocabulary = store.find_vocabulary(config.vocabulary or str(run / "vocabulary"))
    if vocabulary.digest != metadata["vocabulary_digest"]:
        raise EvaluationError(
            f"{config.checkpoint} was trained with vocabulary {metadata['vocabulary_digest'][:12]}, but "
            f"{config.vocabulary or run / 'vocabulary'} is {vocabulary.digest[:12]}; set "
            "--gin.VOCABULARY=\"''\" to use the checkpoint's own"
        )
    provenance = {
        "checkpoint": {"directory": str(run.absolute()), "step": metadata["step"]},
        "plan_hash": metadata.get("plan_hash"),
        "training_seed": metadata.get("seed"),
        "left_out": list(left_out),
    }
    results = evaluate_params(model_config, params, vocabulary, store, tasks, config, provenance=provenance, mesh=mesh)
    names = config.mixture if isinstance(config.mixture, str) else "+".join(config.mixture)
    shots = f"-{config.shots}-shot" if config.shots else ""
    output = pathlib.Path(config.output or run / "evaluations" / f"{metadata['step']}-{names}-{config.split}{shots}")
    if jax.process_index() == 0:
        results.write(output)
        print(results_table(results.summary))
        if note := shots_note(results.provenance["shots"], results.provenance["counts"], config.split):
            print(f"\n{note}")
        if left_out:
            print(f"\nwithout {', '.join(left_out)}, left out of {store.root}")
        print(f"\n{output}")
    return results


def evaluate_params(
    model_config: DecoderConfig,
    params: Params,
    vocabulary: Vocabulary,
    store: Store,
    tasks: Sequence[Task],
    scoring: Scoring | None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
    mesh: Mesh | None = None,
    label: str = "evaluate",
) -> Results:
    """Evaluate parameters on the prepared tasks.  Nothing is written or printed but a progress line.

    Rows with options are ranked, others generated.  `provenance` (checkpoint, plan hash, ...) is recorded beside what
    is known here.  With a mesh all processes must call this alike, and all get the results.
    Raises EvaluationError, RequestError, MetricError, NotPrepared or StoreMismatch.
    """
    scoring = scoring or Scoring()
    if vocabulary.size > model_config.vocab_size:
        raise EvaluationError(
            f"the vocabulary has {vocabulary.size} tokens and the model {model_config.vocab_size}; "
            "it is not the one this model was trained with"
        )
    metrics = {task.name: tuple(metric.name for metric in get_metrics(task.metrics)) for task in tasks}
    if without := [name for name, names in metrics.items() if not names]:
        raise EvaluationError(f"{', '.join(without)}: no metric is declared, so there is nothing to evaluate")
    requests, counts = gather_requests(vocabulary, store, tasks, scoring, model_config.max_length)
    with Progress(len(requests), "questions", label) as progress:
        rows = answer(model_config, params, vocabulary, requests, scoring, mesh, progress)
    settings = dataclasses.asdict(scoring)
    selected = scoring.selection_split if any(r.split == scoring.selection_split for r in requests) else None
    return Results(
        rows=rows_table(rows, metrics), metrics=metrics, split=scoring.split,
        selection_split=selected if selected != scoring.split else None,
        replicates=scoring.replicates, seed=scoring.seed,
        provenance={
            "checkpoint": None, "plan_hash": None, **(provenance or {}),
            "parameter_digest": parameter_digest(params),
            "model": dataclasses.asdict(model_config),
            "vocabulary_digest": vocabulary.digest,
            "scoring": {f.name: settings[f.name] for f in dataclasses.fields(Scoring)},
            "shots": choose_shots(tasks, scoring.shots, scoring.allow_zero_shot),
            "templates": {task.name: [t.index for t in task.templates if t.forward] for task in tasks},
            "task_fingerprints": {task.name: task.fingerprint for task in tasks},
            "stale_splits": sorted(store.stale),
            "counts": {f"{task}/{split}": dict(count) for (task, split), count in counts.items()},
            "code": code_version(), "libraries": library_versions(), "backend": jax.default_backend(),
        },
    )  # fmt: skip


def gather_requests(
    vocabulary: Vocabulary, store: Store, tasks: Sequence[Task], scoring: Scoring, window: int
) -> tuple[list[Request], dict[tuple[str, str], Counter[str]]]:
    """The requests of all tasks on the reported split, and on the selection split where a task has one."""
    splits = {scoring.split: scoring.examples}
    if scoring.selection_split and scoring.selection_split != scoring.split:
        splits[scoring.selection_split] = scoring.selection_examples
    requests: list[Request] = []
    counts: dict[tuple[str, str], Counter[str]] = {}
    shots = choose_shots(tasks, scoring.shots, scoring.allow_zero_shot)
    check_train_splits(store, tasks, shots, vocabulary.digest)
    for task in tasks:
        if scoring.split not in task.splits:
            raise EvaluationError(f"task {task.name} has no split {scoring.split!r}, only {', '.join(task.splits)}")
        for split, examples in splits.items():
            if split not in task.splits:
                continue
            store.check(task, split, vocabulary.digest)
            made, counted = build_requests(
                store, vocabulary, task, split, window=window, examples=examples, score_eos=scoring.score_eos,
                max_new_tokens=scoring.max_new_tokens, shots=shots[task.name], few_shot=scoring.few_shot,
                seed=scoring.seed,
            )  # fmt: skip
            requests += made
            counts[task.name, split] = counted
    return requests, counts


def answer(
    model_config: DecoderConfig, params: Params, vocabulary: Vocabulary, requests: Sequence[Request],
    scoring: Scoring, mesh: Mesh | None, progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """A result row for every request.  Raises EvaluationError where the model's scores are not numbers."""
    ranked = [request for request in requests if request.options]
    generated = [request for request in requests if not request.options]
    scores = score_options(
        model_config, params, ranked, narrowest=scoring.row_width, tokens_per_batch=scoring.tokens_per_batch,
        mesh=mesh, advance=progress.update,
    )  # fmt: skip
    for request, sums in zip(ranked, scores, strict=True):
        if not np.isfinite(sums).all():
            raise EvaluationError(f"{request.place}: option scores {sums.tolist()} are not numbers; the model diverged")
    texts = generate(
        model_config, params, generated, vocabulary.eos_id, tokens_per_batch=scoring.tokens_per_batch, mesh=mesh,
        advance=progress.update,
    )  # fmt: skip
    rows = [ranked_row(request, sums) for request, sums in zip(ranked, scores, strict=True)]
    rows += [
        generated_row(request, vocabulary.decode(tokens), len(tokens))
        for request, tokens in zip(generated, texts, strict=True)
    ]
    return rows


def find_tasks(registry: TaskRegistry, names: str | tuple[str, ...]) -> list[Task]:
    """The tasks that task and mixture names stand for, each once, in order.

    Raises EvaluationError on a name that is neither.
    """
    found: dict[str, Task] = {}
    for name in (names,) if isinstance(names, str) else names:
        try:
            mixture = registry.get_mixture(name)
        except KeyError as no_mixture:
            try:
                found[name] = registry.get_task(name)
            except KeyError as no_task:
                raise EvaluationError(
                    f"{name!r} is neither a mixture ({no_mixture.args[0]}) nor a task ({no_task.args[0]}); "
                    "set --gin.MIXTURE"
                ) from no_task
        else:
            found |= {task: registry.get_task(task) for task in mixture.evaluate or mixture.train}
    if not found:
        raise EvaluationError("no task to evaluate; set --gin.MIXTURE=\"'name'\"")
    return list(found.values())
