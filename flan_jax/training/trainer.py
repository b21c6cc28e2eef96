"""The training program: pretraining (loss on all tokens) and instruction tuning (loss on targets) are the same.

Runs resume by themselves: the newest whole checkpoint in `model_dir` gives the state, the state gives the step, and the
step gives the batch.  A run that was killed at any moment and started again ends in the parameters it would have had,
and so does one that is given more steps, where the learning rate does not go by them.  With settings that would make it
another run it is refused.
"""

import dataclasses
import json
import pathlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from flan_jax.data.loader import Loader
from flan_jax.data.plan import Plan, PlanConfig, build_plan
from flan_jax.data.store import Store
from flan_jax.data.task import load_registry
from flan_jax.data.vocabulary import Vocabulary
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import abstract_params
from flan_jax.training import partitioning
from flan_jax.training.checkpoints import (
    CheckpointMismatch,
    Checkpoints,
    array_shapes,
    check_arrays,
    checkpoint_steps,
    exact_checkpoint,
    load_params,
    run_and_step,
)
from flan_jax.training.meter import Meter
from flan_jax.training.metrics_log import MetricsLog, read_metrics
from flan_jax.training.resumption import decisive_settings
from flan_jax.training.run_config import TrainConfig as TrainConfig
from flan_jax.training.run_config import TrainError as TrainError
from flan_jax.training.termination import EXIT_STATUS, Termination
from flan_jax.training.train_step import Trainer, make_trainer

Hook = Callable[[int, Any], Mapping[str, float]]


def train(config: TrainConfig, operative_config: str = "", hooks: Sequence[Hook] = ()) -> dict[str, Any]:
    """Train to `config.steps`, from where the run in `config.model_dir` stands; returns the last step's metrics.

    `operative_config` is kept in every checkpoint.  Each hook is called every `config.hook_every` steps with (updates
    made, parameters); what it returns is logged with that step.  Raises SystemExit(143) after saving, on SIGTERM.
    """
    start_jax(config)
    store = Store(config.store, config.accept_stale)
    vocabulary = store.find_vocabulary(config.vocabulary)
    plan = make_plan(config, store, vocabulary)
    mesh = partitioning.make_mesh(config.mesh)
    partitioning.check_batch(mesh, plan.rows_per_batch, plan.row_length, config.microbatches)
    model, params = initial_model(config, vocabulary, mesh)
    trainer = make_trainer(
        model,
        config.optimizer,
        mesh,
        steps=config.steps,
        microbatches=config.microbatches,
        loss_chunk=config.loss_chunk,
    )
    checkpoints = Checkpoints(config.model_dir, config.keep, config.keep_every)
    metadata = run_metadata(config, plan, store, model, operative_config)
    restored = checkpoints.restore_latest(trainer.abstract_state(), metadata["settings"])
    state = restored.state if restored else trainer.initial_state(config.seed, params)
    skipped = restored.metadata["skipped"] if restored else 0
    del params, restored
    start = int(state.step)
    if start >= config.steps:
        checkpoints.close()
        return (read_metrics(config.model_dir) or [{"step": start}])[-1]
    if start == 0:
        write_run_files(config.model_dir, model, vocabulary, operative_config)

    main = jax.process_index() == 0
    log = MetricsLog(
        config.model_dir,
        start,
        tensorboard=config.tensorboard,
        wandb_project=config.wandb_project,
        settings=metadata,
        enabled=main,
    )
    meter = Meter(
        plan,
        log,
        start,
        config.log_every,
        config.on_non_finite,
        skipped=skipped,
        last_checkpoint=start or None,
        show=main,
    )
    train_step = trainer.make_step()
    validate = validation(config, store, vocabulary, trainer) if config.validation_every else None
    sharding = partitioning.batch_sharding(mesh)
    with Termination() as termination:
        try:
            for step, batch in meter.waiting_for(batches(plan, sharding, start)):
                state, metrics = train_step(
                    state, partitioning.put_batch(batch._asdict(), sharding, plan.rows_per_batch)
                )
                done = step + 1
                meter.push(done, metrics)
                stop = termination.requested(done)
                if validate is not None and done % config.validation_every == 0:
                    meter.add(validation_loss=validate(state.params))
                if config.hook_every and done % config.hook_every == 0:
                    for hook in hooks:
                        meter.add(**hook(done, state.params))
                if stop or done == config.steps or done % config.checkpoint_every == 0:
                    meter.drain()  # nothing is saved before its loss is known to be finite
                    checkpoints.save(state, {**metadata, "skipped": meter.skipped})
                    meter.last_checkpoint = done
                if stop:
                    raise SystemExit(EXIT_STATUS)
        finally:
            meter.close()
            checkpoints.close()
            log.close()
    return meter.last


def start_jax(config: TrainConfig) -> None:
    """Join the other processes, if any, and set the compilation cache; before anything touches a device."""
    if config.compilation_cache:
        jax.config.update("jax_compilation_cache_dir", config.compilation_cache)
    if config.coordinator and not jax.distributed.is_initialized():
        if config.coordinator == "auto":
            jax.distributed.initialize()
        else:
            jax.distributed.initialize(config.coordinator, config.num_processes, config.process_id)


def make_plan(
    config: TrainConfig, store: Store, vocabulary: Vocabulary, split: str = "train", steps: int | None = None
) -> Plan:
    """The plan of the run, or of its validation.  Raises what the registry, the store and the planner do."""
    registry = load_registry(config.tasks)
    mixture = registry.get_mixture(config.mixture).train
    left_out = store.without(mixture, (split,)) if config.unavailable == "skip" else ()
    names = [name for name in mixture if name not in left_out]
    if left_out and jax.process_index() == 0:
        print(f"{config.mixture}: without {', '.join(left_out)}, left out of {store.root}", file=sys.stderr, flush=True)
    for name in names:
        store.check(registry.get_task(name), split, vocabulary.digest)
    plan_config = PlanConfig(
        tasks=tuple(names),
        steps=steps or config.steps,
        rows_per_batch=config.rows_per_batch,
        row_length=config.row_length,
        inputs_length=config.inputs_length,
        targets_length=config.targets_length,
        seed=config.seed,
        rates=config.rates,
        loss_on=config.loss_on,
        split=split,
        shots=config.shots,
        few_shot=config.few_shot,
        left_out=left_out,
    )
    return build_plan(store, vocabulary, plan_config)


def initial_model(config: TrainConfig, vocabulary: Vocabulary, mesh: jax.sharding.Mesh) -> tuple[DecoderConfig, Any]:
    """The model, and the parameters a new run begins from (None: draw them, or resume).

    Raises CheckpointMismatch if the initial checkpoint has another vocabulary or shape, TrainError if the model is too
    small for the vocabulary.
    """
    model, params = config.model, None
    if checkpoint_steps(config.model_dir):  # the initial checkpoint has served, and may be gone
        model = model or DecoderConfig(**json.loads((pathlib.Path(config.model_dir) / "model.json").read_text()))
    elif config.initial_checkpoint is not None:
        # One that is named is read or refused: in place of a damaged one, an older would be another model.
        checkpoint = exact_checkpoint(config.initial_checkpoint)
        base, params, metadata = load_params(checkpoint, mesh=mesh)
        if metadata["vocabulary_digest"] != vocabulary.digest:
            raise CheckpointMismatch(
                f"{checkpoint} reads vocabulary {metadata['vocabulary_digest'][:12]}, "
                f"but {config.vocabulary} is {vocabulary.digest[:12]};\n"
                f"  use its own:   --gin.VOCABULARY=\"'{run_and_step(checkpoint)[0]}/vocabulary'\""
            )
        model = model or base
        have = {"arrays": array_shapes(params), "model": metadata["model"]}
        check_arrays(checkpoint, have, array_shapes(abstract_params(model)), "another --gin.INITIAL_CHECKPOINT")
    assert model is not None  # TrainConfig sees to it
    if model.position == "learned" and config.row_length > model.max_length:
        raise TrainError(
            f"train.row_length={config.row_length} is more than the {model.max_length} learned positions of the model; "
            f"set --gin.ROW_LENGTH={model.max_length}"
            + (f", or --gin.DecoderConfig.max_length={config.row_length}" if config.model else "")
        )
    if model.vocab_size < vocabulary.size:
        own = f"VOCABULARY=\"'{config.model_dir}/vocabulary'\""  # a model that is not set is that of the checkpoint
        remedy = f"DecoderConfig.vocab_size={vocabulary.size}" if config.model else own
        raise TrainError(
            f"DecoderConfig.vocab_size={model.vocab_size} is less than the {vocabulary.size} ids of "
            f"{config.vocabulary};   --gin.{remedy}"
        )
    return model, params


def run_metadata(
    config: TrainConfig, plan: Plan, store: Store, model: DecoderConfig, operative_config: str
) -> dict[str, Any]:
    """What a checkpoint says of the run beside its arrays."""
    return {
        "seed": config.seed,
        "mixture": config.mixture,
        "plan_hash": plan.hash,
        "vocabulary_digest": plan.vocabulary_digest,
        "stale": sorted(store.stale),
        "left_out": list(plan.config.left_out),
        "initial_checkpoint": config.initial_checkpoint,
        "model": dataclasses.asdict(model),
        "settings": decisive_settings(config, model, plan),
        "operative_config": operative_config,
    }


def write_run_files(directory: str, model: DecoderConfig, vocabulary: Vocabulary, operative_config: str) -> None:
    """What makes the run's directory readable by itself: the model's settings, its vocabulary and the gin text."""
    if jax.process_index() == 0:
        root = pathlib.Path(directory)
        (root / "model.json").write_text(json.dumps(dataclasses.asdict(model), indent=1))
        (root / "operative_config.gin").write_text(operative_config)
        vocabulary.save(root / "vocabulary")


def batches(plan: Plan, sharding: jax.sharding.NamedSharding, start: int) -> Iterator[tuple[int, Any]]:
    """(step, this process's rows of its batch) from `start` to the end of the plan."""
    rows = partitioning.local_rows(sharding, plan.rows_per_batch, plan.row_length)
    size = rows.stop - rows.start
    return iter(Loader(plan, start, rows.start // size, plan.rows_per_batch // size))


def validation(config: TrainConfig, store: Store, vocabulary: Vocabulary, trainer: Trainer) -> Callable[[Any], float]:
    """Mean loss in nats a target token over the first batches of a plan of the validation split."""
    plan = make_plan(config, store, vocabulary, "validation", config.validation_batches)
    sharding = partitioning.batch_sharding(trainer.mesh)
    sums = trainer.make_loss()

    def loss(params: Any) -> float:
        parts = [
            sums(params, partitioning.put_batch(batch._asdict(), sharding, plan.rows_per_batch))
            for _, batch in batches(plan, sharding, 0)
        ]
        nats, weights = (sum(float(part[i]) for part in parts) for i in (0, 1))
        return nats / max(weights, 1.0)

    return loss
