"""A run's checkpoints evaluated one after the other, all that are there or as they come, and the curve they make."""

import json
import pathlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence

from flan_jax.data.atomic import atomic_file
from flan_jax.evaluation.aggregation import ClusterScore
from flan_jax.evaluation.summary import bounds, points
from flan_jax.table import format_table
from flan_jax.training.checkpoints import CheckpointError, exact_checkpoint, read_metadata, run_and_step
from flan_jax.training.integrity import checkpoint_steps

POLL_SECONDS = 10.0

Curve = list[tuple[int, tuple[ClusterScore, ...]]]
"""What the clusters came to at each step."""


class NoSteps(CheckpointError):
    """Checkpoints were asked for, and one is named."""


def evaluate_over_steps(
    checkpoint: str, watch: bool, evaluate_step: Callable[[int], tuple[ClusterScore, ...]], output: pathlib.Path
) -> Curve:
    """The curve of a run's checkpoints in order, printed, and written to `output` as JSON after each.

    watch: goes on with those that training makes until it has made its last.  A checkpoint that training has removed
    before it could be read is left out, and named.  Raises NoSteps if `checkpoint` is one checkpoint and no run, or
    there is none, and what `evaluate_step` does.
    """
    run, named = run_and_step(checkpoint)
    if named is not None:
        raise NoSteps(f"{checkpoint} is one checkpoint; set --gin.CHECKPOINT_STEP=None, or name the run, {run}")
    if not watch and not checkpoint_steps(run):
        raise NoSteps(f"{run} has no checkpoint; train one, or wait for them with --gin.CHECKPOINT_STEP=\"'watch'\"")
    curve: Curve = []
    for step in steps_of(pathlib.Path(run), watch):
        try:
            clusters = evaluate_step(step)
        except CheckpointError:
            if step in checkpoint_steps(run):
                raise
            print(f"step {step}: removed by the training run before it was read, and left out", file=sys.stderr)
            continue
        curve.append((step, clusters))
        write_curve(output, curve)
    if not curve:
        raise NoSteps(f"{run}: every checkpoint was removed before it was read; train with a larger --gin.train.keep")
    print(f"\n{curve_table(curve)}\n\n{output}")
    return curve


def steps_of(run: pathlib.Path, watch: bool) -> Iterator[int]:
    """The steps of a run's checkpoints, the oldest first, each once; `watch` waits for the next until the last."""
    done: set[int] = set()
    told = None
    while True:
        waiting = [step for step in checkpoint_steps(run) if step not in done]
        if waiting:
            done.add(waiting[0])
            yield waiting[0]
        elif not watch or finished(run, max(done, default=0)):
            return
        else:
            if told != len(done):
                print(f"waiting for checkpoints of {run}   Ctrl-C ends it", file=sys.stderr)
                told = len(done)
            time.sleep(POLL_SECONDS)


def finished(run: pathlib.Path, step: int) -> bool:
    """Has the training run made its last checkpoint, and is it that of `step`?  A run that is to go on says so."""
    try:
        steps = read_metadata(exact_checkpoint(run)).get("steps")
    except CheckpointError:
        return False
    return steps is not None and step >= steps


def write_curve(output: pathlib.Path, curve: Curve) -> None:
    """A JSON list of {step, cluster, mean, low, high}, in points of 100."""
    rows = [
        {"step": step, "cluster": score.cluster, "mean": score.mean, "low": score.low, "high": score.high}
        for step, clusters in curve
        for score in clusters
    ]
    with atomic_file(output) as file:
        file.write(json.dumps(rows, indent=1).encode())


def curve_table(curve: Curve) -> str:
    """A line a step, the clusters beside each other: mean and 95% interval."""
    names = list(dict.fromkeys(score.cluster for _, clusters in curve for score in clusters))
    rows: list[Sequence[object]] = []
    for step, clusters in curve:
        scores = {score.cluster: score for score in clusters}
        figures = [
            f"{points(scores[name].mean)} ({bounds(scores[name].low, scores[name].high)})" if name in scores else None
            for name in names
        ]
        rows.append((f"{step:,}", *figures))
    return format_table(("step", *names), rows, align=">" * (1 + len(names)))
