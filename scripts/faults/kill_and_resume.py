"""Does a run killed at random moments, and started again each time, end where an undisturbed run ends?  Bit for bit.

    python scripts/faults/kill_and_resume.py --kills 20
Trains a very small model twice in a temporary folder: once undisturbed, once with that many `kill -9`, each a random
number of steps and milliseconds into an attempt, so that steps, saves, start-up and log lines are all hit.  Then
compares every byte of parameters and optimiser state and the losses logged.  Exit status 1 if they differ.
"""

import argparse
import dataclasses
import json
import multiprocessing
import pathlib
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))

from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.models.config import DecoderConfig
from flan_jax.training.checkpoints import checkpoint_steps
from flan_jax.training.metrics_log import METRICS_FILE, read_metrics
from flan_jax.training.trainer import TrainConfig, train

MODEL = DecoderConfig(vocab_size=320, num_layers=1, embed_dim=32, num_heads=2, mlp_dim=64, max_length=128)
MARGIN = 6  # steps that may pass between deciding to kill and killing


def differences(first: pathlib.Path, second: pathlib.Path, step: int) -> list[str]:
    """Names of the arrays and logs that two runs do not share bit for bit."""
    import jax
    import numpy as np
    import orbax.checkpoint as ocp

    def arrays(run: pathlib.Path) -> dict[str, bytes]:
        checkpoint = (run / "checkpoints" / str(step)).absolute()
        trees = {item: ocp.PyTreeCheckpointer().restore(checkpoint / item) for item in ("params", "optimizer")}
        leaves = jax.tree_util.tree_leaves_with_path(trees)
        return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}

    def losses(run: pathlib.Path) -> list[tuple[int, float]]:
        return [(line["step"], line["loss"]) for line in read_metrics(run)]

    one, other = arrays(first), arrays(second)
    different = [name for name in one.keys() | other.keys() if one.get(name) != other.get(name)]
    return different + (["metrics.jsonl"] if losses(first) != losses(second) else [])


def last_step(run: pathlib.Path) -> int:
    """The step on the last whole line of a log that is being written."""
    try:
        lines = (run / METRICS_FILE).read_bytes()[-2000:].split(b"\n")
        return json.loads(lines[-2])["step"]
    except (OSError, IndexError, ValueError):
        return 0


def run_with_kills(config: TrainConfig, kills: int, dice: random.Random, start: Callable[[TrainConfig], Any]) -> None:
    """Each attempt gets up to a few steps further than any before it, and some milliseconds more; the last one ends."""
    run = pathlib.Path(config.model_dir)
    reached = 0
    for kill in range(1, kills + 1):
        further = dice.randint(0, config.steps // kills - MARGIN)
        process = start(config)
        if further == 0:
            time.sleep(dice.uniform(0, 2))  # while it starts, or where it has come by then
        while process.is_alive() and last_step(run) < reached + further:
            time.sleep(0.002)
        time.sleep(dice.uniform(0, 0.03))
        process.kill()
        process.join()
        if process.exitcode != -signal.SIGKILL:
            raise SystemExit(
                f"attempt {kill} ended by itself, status {process.exitcode}, step {last_step(run)} of {config.steps}"
            )
        reached = max(reached, last_step(run))
        print(f"kill {kill}: after step {last_step(run)}, checkpoints {checkpoint_steps(run)}", flush=True)
    complete(config, start)


def complete(config: TrainConfig, start: Callable[[TrainConfig], Any]) -> None:
    process = start(config)
    process.join()
    if process.exitcode:
        raise SystemExit(f"{config.model_dir}: status {process.exitcode}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--tasks", default="flan_jax_tasks", help="tasks module")
    parser.add_argument("--mixture", default="microworld", help="mixture to train on")
    arguments = parser.parse_args()

    # Processes fork from one that has imported everything and touched no device, so an attempt starts in a second.
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["flan_jax.training.trainer", "grain", "orbax.checkpoint"])

    def start(config: TrainConfig) -> Any:
        process = processes.Process(target=train, args=(config,))
        process.start()
        return process

    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        prepare(
            PrepareConfig(arguments.mixture, str(root / "store"), "bytes", tasks=arguments.tasks, eval_examples=None)
        )
        undisturbed = TrainConfig(
            mixture=arguments.mixture, store=str(root / "store"), vocabulary="bytes", tasks=arguments.tasks,
            model=MODEL, model_dir=str(root / "undisturbed"), steps=max(1, arguments.kills) * (MARGIN + 8),
            tokens_per_batch=512, row_length=128, inputs_length=100, targets_length=26, checkpoint_every=5, log_every=1,
            tensorboard=False, compilation_cache=str(root / "compiled"),
        )  # fmt: skip
        disturbed = dataclasses.replace(undisturbed, model_dir=str(root / "disturbed"))
        complete(undisturbed, start)
        run_with_kills(disturbed, arguments.kills, random.Random(arguments.seed), start)
        different = differences(root / "undisturbed", root / "disturbed", undisturbed.steps)
    print(
        f"{arguments.kills} kills, {undisturbed.steps} steps: "
        + ("DIFFERENT: " + ", ".join(different) if different else "bit-equal")
    )
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
