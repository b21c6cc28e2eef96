"""Which checkpoint a run began from: its step and content, not only the path that was given for it.

A path may come to mean another checkpoint: the newest of a run that has gone on, or one trained anew in its place.
"""

import os
from typing import Any

from etils import epath

from flan_jax.training.checkpoints import exact_checkpoint, read_metadata, run_and_step
from flan_jax.training.integrity import checkpoint_steps, manifest_digest
from flan_jax.training.resumption import ROW_LENGTH

# What is written down of the run that a run began from, which may be gone later.
CARRIED = (
    "mixture", "tasks_module", "tasks", "left_out", "seed", "initial_checkpoint", "imported", "began_from"
)  # fmt: skip


def named_start(initial_checkpoint: str | None) -> dict[str, Any] | None:
    """What `initial_checkpoint` names now: `checkpoint`, the exact one, with its `digest`; both None where it is gone.

    As JSON data, with the path as `named`; None for a run that draws its parameters.
    """
    if initial_checkpoint is None:
        return None
    named = epath.Path(initial_checkpoint).resolve()
    start: dict[str, Any] = {"named": str(named), "checkpoint": None, "digest": None}
    run, step = run_and_step(named)
    there = checkpoint_steps(run)
    if there and step in (None, *there):
        checkpoint = exact_checkpoint(named)
        start |= {"checkpoint": str(checkpoint), "digest": manifest_digest(checkpoint)}
    return start


def described_start(start: dict[str, Any] | None, model_dir: str) -> dict[str, Any] | None:
    """What a new run writes down of the checkpoint it begins from: its step, plan and the longest rows it has seen,
    what it was trained on, what it began from itself, and the way to it from `model_dir` (`from_run`).

    Raises `CheckpointError` if it is not there.
    """
    if start is None:
        return None
    checkpoint = exact_checkpoint(start["checkpoint"] or start["named"])
    metadata = read_metadata(checkpoint)
    return start | {
        "from_run": os.path.relpath(checkpoint, epath.Path(model_dir).resolve()),
        "step": metadata["step"],
        "plan_hash": metadata.get("plan_hash"),
        "trained_length": trained_length(metadata),
        **{name: metadata.get(name) for name in CARRIED},
    }


def trained_length(metadata: dict[str, Any]) -> int | None:
    """The tokens of the longest rows that the parameters of a checkpoint were trained on, base included, if known."""
    own = metadata.get("settings", {}).get(ROW_LENGTH)
    base = (metadata.get("began_from") or {}).get("trained_length")
    return max((length for length in (own, base) if length is not None), default=None)
