"""The memory of a training step beside its arguments, estimated from its jaxpr: nothing is allocated or compiled.

The step is traced as one device runs it, with that device's share of rows, heads, MLP and vocabulary.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import logical_axes
from flan_jax.training import partitioning
from flan_jax.training.loss import chunk_length
from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.run_config import TrainConfig
from flan_jax.training.train_step import Trainer, make_trainer
from flan_jax.training.trainable import Everything

from .liveness import COPY, Buffer, Timeline, arranged, peak, timeline
from .program import Program, program_of

UNROLLED_LAYERS = 6
"""A longer unrolled model is reckoned from two shorter ones, of which it grows by equal steps."""


class StepMemory(NamedTuple):
    """Bytes on one device: `temporary` in all, gradients among them, of which `saved` wait for the backward pass."""

    temporary: float
    saved: float


def step_memory(config: TrainConfig, model: DecoderConfig, sizes: Mapping[str, int], platform: str) -> StepMemory:
    """What a step of `config` takes on each device of a mesh with these sizes."""
    local = local_model(model, sizes["tensor"])
    pattern = len(model.window_pattern) if model.window is not None else 1
    step = pattern * max(1, UNROLLED_LAYERS // pattern)
    if local.scan_layers or local.num_layers <= 2 * step:
        return _traced(config, local, sizes, platform)
    short, longer = (
        _traced(config, dataclasses.replace(local, num_layers=layers), sizes, platform) for layers in (step, 2 * step)
    )
    steps = (local.num_layers - step) / step
    return StepMemory(*(one + (other - one) * steps for one, other in zip(short, longer, strict=True)))


def local_model(model: DecoderConfig, tensor: int) -> DecoderConfig:
    """The model as one of `tensor` devices has it, that share heads, MLP and vocabulary."""
    heads = model.num_heads // tensor
    kv_heads = model.kv_heads // tensor if model.kv_heads % tensor == 0 else model.kv_heads
    return dataclasses.replace(
        model,
        vocab_size=model.vocab_rows // tensor,
        padded_vocab_size=None,
        num_heads=heads,
        num_kv_heads=kv_heads if heads % kv_heads == 0 else heads,
        head_dim=model.head_size,
        mlp_dim=model.mlp_dim // tensor,
        attention="xla",  # kernels of accelerators save the same for the backward pass, and cannot be traced here
    )


def _traced(config: TrainConfig, local: DecoderConfig, sizes: Mapping[str, int], platform: str) -> StepMemory:
    rows, length = config.rows_per_batch, config.row_length
    vocabulary = local.vocab_size * sizes["tensor"]
    devices = math.prod(sizes.values())
    chunk = config.loss_chunk or chunk_length(rows // config.microbatches, length, vocabulary, platform, devices)
    traced = _trace(
        local,
        config.optimizer,
        config.tune,
        config.steps,
        config.microbatches,
        max(1, chunk // sizes["sequence"]),
        rows // (sizes["data"] * sizes["fsdp"]),
        length // sizes["sequence"],
        platform == "cpu",
    )
    cut = cut_shapes(traced.trainer, sizes["fsdp"])
    buffers = [one._replace(size=one.size // cut.get(one.shape, 1)) for one in traced.run.buffers]
    saved = _saved(buffers, cut, local.vocab_size)
    if platform != "cpu":
        return StepMemory(peak(buffers)[0], saved)
    copies, lent = copied_statistics(traced, cut)
    return StepMemory(arranged([*buffers, *copies], lent), saved)


class Traced(NamedTuple):
    trainer: Trainer
    program: Program
    run: Timeline


@functools.lru_cache(maxsize=8)
def _trace(
    local: DecoderConfig, optimizer: OptimizerConfig, tuning: Everything, steps: int, microbatches: int,
    loss_chunk: int, rows: int, length: int, early: bool,
) -> Traced:  # fmt: skip
    """A step on one device, with all of the embeddings' width."""
    alone = partitioning.make_mesh(partitioning.MeshConfig(), jax.devices("cpu")[:1])
    trainer = make_trainer(
        local, optimizer, alone, steps=steps, microbatches=microbatches, loss_chunk=loss_chunk, tuning=tuning
    )
    integers = jax.ShapeDtypeStruct((rows, length), jnp.int32)
    batch = {"tokens": integers, "positions": integers, "segment_ids": integers}
    batch["loss_weights"] = jax.ShapeDtypeStruct((rows, length), jnp.float32)
    state = trainer.abstract_state()
    program = program_of(jax.make_jaxpr(trainer.jitted_step())(state, batch, trainer.abstract_frozen()))
    return Traced(trainer, program, timeline(program, early, overwriting=len(jax.tree.leaves(state))))


def cut_shapes(trainer: Trainer, fsdp: int) -> dict[tuple[int, ...], int]:
    """Shapes of parameters, as which gradients and statistics are known, and over how many devices each is cut."""
    described = (trainer.abstract_state().params, trainer.tuning.axes(trainer.model))
    everything = (trainer.abstract_frozen(), trainer.tuning.frozen(logical_axes(trainer.model)))
    found: dict[tuple[int, ...], int] = {}
    for params, axes in (described, everything):
        names = jax.tree.leaves(axes, is_leaf=lambda one: isinstance(one, tuple))
        for leaf, of_leaf in zip(jax.tree.leaves(params), names, strict=True):
            found[tuple(leaf.shape)] = fsdp if "embed" in of_leaf else 1
    return found


def _saved(buffers: list[Buffer], cut: Mapping[tuple[int, ...], int], vocabulary: int) -> int:
    """What waits, when the first logits are made, to be read after them: all but what has a parameter's shape."""
    logits = [one.start for one in buffers if one.maker == "dot_general" and one.shape[-1:] == (vocabulary,)]
    turn = min(logits, default=0)
    return sum(one.size for one in buffers if one.start < turn < one.end and one.shape not in cut)


def copied_statistics(traced: Traced, cut: Mapping[tuple[int, ...], int]) -> tuple[list[Buffer], list[Any]]:
    """Copies of the optimiser's statistics, and their own places, free from then on until the new ones are written.

    XLA on CPU copies an argument that is to be overwritten while something else may still read it, and does so before
    all else.
    """
    program, run, state = traced.program, traced.run, traced.trainer.abstract_state()
    first, count = len(jax.tree.leaves((state.step, state.params))), len(jax.tree.leaves(state.opt_state))
    copies, lent = [], []
    writers = {source: at for at, operation in enumerate(run.made.operations) for source in operation.outputs}
    for at in range(first, first + count):
        value, (result, *_) = program.inputs[at], run.made.sources(program.outputs[at]) or (None,)
        if result is None or value not in run.last_read or program.numbers(value) <= 1:
            continue
        own = run.made.operations[writers[result]] if result in writers else None
        readers = [one for one in run.made.operations if one is not own and value in run.made.reads(one)]
        if not any(run.made.kept[output] for one in readers for output in one.outputs):
            continue
        shape = program.shapes[value]
        size = program.size(value) // cut.get(shape, 1)
        moment = at - first - count
        copies.append(Buffer(size, moment, run.last_read[value], COPY, shape))
        lent.append((size, [(-count - 1, moment), (run.written.get(result, run.length), run.length)]))
    return copies, lent
