"""What a run must have in common with the checkpoint it goes on from."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from flan_jax.data.exemplars import shot_choices
from flan_jax.data.plan import Plan
from flan_jax.models.config import DecoderConfig
from flan_jax.training.run_config import TrainConfig

DECISIVE = (
    "mixture", "seed", "tokens_per_batch", "row_length", "inputs_length", "targets_length", "loss_on",
    "initial_checkpoint",
)  # fmt: skip
# How a model is run: the same function of the same parameters, but for rounding.
FREE_OF_MODEL = ("max_length", "scan_layers", "remat", "attention")


def decisive_settings(config: TrainConfig, model: DecoderConfig, plan: Plan) -> dict[str, Any]:
    """The settings that decide which parameters a run comes to, by their gin names, as JSON holds them.

    Others may change when a run goes on: those that change its parameters by rounding at most (mesh, processes,
    microbatches, loss_chunk, FREE_OF_MODEL), those that watch it (logging, validation, checkpoints), where things lie,
    and on_non_finite, which a run that met a NaN is told to change.  So may `steps`, unless the learning rate goes by
    them: the plan of more steps begins with that of fewer.
    """
    steps = ("steps",) if config.optimizer.goes_by_steps else ()
    settings = {f"train.{name}": getattr(config, name) for name in (*DECISIVE, *steps)}
    parts = (config.rates, config.optimizer, model)
    if any(shot_choices(config.shots)):  # else none of them matters, and runs of older versions have none
        settings["train.shots"] = shot_choices(config.shots)
        parts += (config.few_shot,)
    for part in parts:
        settings |= {f"{type(part).__name__}.{name}": value for name, value in dataclasses.asdict(part).items()}
    for name in FREE_OF_MODEL:
        del settings[f"DecoderConfig.{name}"]
    settings["digest of the vocabulary"] = plan.vocabulary_digest
    settings["digest of the mixture's tokens and their order"] = plan.stream_hash
    return json.loads(json.dumps(settings))


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """A line for every setting that differs, with both values."""
    names = [name for name in {**there, **here} if there.get(name, ...) != here.get(name, ...)]
    return [f"{name}: {there.get(name, 'absent')} there, {here.get(name, 'absent')} here" for name in names]
