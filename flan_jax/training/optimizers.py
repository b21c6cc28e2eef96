"""Optimisers and learning-rate schedules, from optax."""

import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from flan_jax.errors import FlanJaxError

Schedule = Callable[[Any], Any]


class OptimizerError(FlanJaxError, ValueError):
    """A setting of `OptimizerConfig` that has no meaning."""


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW (Loshchilov & Hutter 2019) or Adafactor (Shazeer & Stern 2018), after clipping to `clip_norm` (0: no
    clipping).

    The learning rate rises linearly over `warmup_steps` to `learning_rate`, then follows `schedule`: `constant`;
    `linear` or `cosine` down to `final_fraction` of it at the last step; `rsqrt`, learning_rate · √(warmup / step).
    `weight_decay` is decoupled and spares norms, biases and soft prompts.  `b1`, `b2`, `epsilon` are AdamW's; Adafactor
    keeps no momentum, and with `scale_by_parameter` multiplies each update by the size of its parameter.
    """

    name: Literal["adamw", "adafactor"] = "adamw"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "linear", "cosine", "rsqrt"] = "constant"
    warmup_steps: int = 0
    final_fraction: float = 0.0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    b1: float = 0.9
    b2: float = 0.95
    epsilon: float = 1e-8
    scale_by_parameter: bool = False

    @property
    def goes_by_steps(self) -> bool:
        """Whether the learning rate depends on how long the run is to be."""
        return self.schedule in ("linear", "cosine")


def make_schedule(config: OptimizerConfig, steps: int) -> Schedule:
    """Learning rate of the update made at `step` (0, 1, ...), for a run of `steps`.  Works on ints and on traced
    arrays.
    """
    after = max(steps - config.warmup_steps, 1)
    peak = config.learning_rate
    match config.schedule:
        case "constant":
            rest = optax.constant_schedule(peak)
        case "linear":
            rest = optax.linear_schedule(peak, peak * config.final_fraction, after)
        case "cosine":
            rest = optax.cosine_decay_schedule(peak, after, config.final_fraction)
        case "rsqrt":
            scale = max(config.warmup_steps, 1)
            rest = lambda step: peak * jnp.sqrt(scale / (scale + jnp.maximum(step, 0)))  # noqa: E731
        case _:
            raise OptimizerError(
                f"OptimizerConfig.schedule={config.schedule!r}; it is one of constant, linear, cosine, rsqrt"
            )
    if config.warmup_steps <= 0:
        return rest
    # The first update already moves: step 0 has 1/warmup of the peak.
    warmup = optax.linear_schedule(peak / config.warmup_steps, peak, max(config.warmup_steps - 1, 1))
    return optax.join_schedules([warmup, rest], [config.warmup_steps])


def make_optimizer(config: OptimizerConfig, steps: int, logical_axes: Any) -> optax.GradientTransformation:
    """The optax transformation.  `logical_axes` (a tuple of names a parameter) tells matrices, which decay, from
    vectors.
    """
    learning_rate = make_schedule(config, steps)
    # Matrices read from or write to the residual stream, so they have an `embed` axis, or are of low rank; norms,
    # biases and soft prompts have neither.
    decays = jax.tree.map(
        lambda names: bool({"embed", "rank"} & {*names}), logical_axes, is_leaf=lambda x: isinstance(x, tuple)
    )
    parts = [optax.clip_by_global_norm(config.clip_norm)] if config.clip_norm > 0 else []
    match config.name:
        case "adamw":
            parts.append(
                optax.adamw(
                    learning_rate, config.b1, config.b2, config.epsilon, weight_decay=config.weight_decay, mask=decays
                )
            )
        case "adafactor":
            parts.append(optax.adafactor(multiply_by_parameter_scale=config.scale_by_parameter, momentum=None))
            # optax.adafactor without a learning rate already turns the update downhill, so the rest is plain scaling.
            if config.weight_decay:
                parts.append(optax.add_decayed_weights(-config.weight_decay, decays))
            parts.append(optax.scale_by_schedule(learning_rate))
        case _:
            raise OptimizerError(f"OptimizerConfig.name={config.name!r}; it is adamw or adafactor")
    return optax.chain(*parts)


def updates_made(opt_state: Any) -> Int[Array, ""]:
    """How many updates the schedule has counted: one that was left out as not finite is none."""
    found = jax.tree.leaves(opt_state, is_leaf=lambda part: isinstance(part, optax.ScaleByScheduleState))
    (schedule,) = (part for part in found if isinstance(part, optax.ScaleByScheduleState))
    return jnp.asarray(schedule.count)
