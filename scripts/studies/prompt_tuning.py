"""Is an instruction-tuned model the better start for prompt tuning?  FLAN's figure 10 (Wei et al. 2021, section 4.5).

For every dataset of a cluster that the tuned model never saw, a soft prompt is trained on top of the untuned and of the
tuned model, on few and on all of its training examples, and each is scored on the test split; so are both without one.

    python scripts/studies/prompt_tuning.py --base quickstart_run/runs/base-seed0 \\
        --tuned quickstart_run/runs/tuned-nli-seed0 --mixture microworld_loo_nli --store runs/store --output study

Needs a store with the train and test split of the mixture's held-out tasks, as a sweep or runs/prepare.gin makes it,
with the vocabulary of both models.  A run that is there is not trained again.  Prints a table, and leaves it in
OUTPUT/table.txt with one row for every cell in OUTPUT/cells.json.
"""

import argparse
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from flan_jax.data.mixing import Rates
from flan_jax.data.task import load_registry
from flan_jax.evaluation.evaluate import EvaluateConfig, evaluate, find_tasks
from flan_jax.table import format_table
from flan_jax.training.optimizers import OptimizerConfig
from flan_jax.training.trainable import SoftPrompt
from flan_jax.training.trainer import TrainConfig, train


def prompt_run(arguments: argparse.Namespace, checkpoint: str, task: str, count: int | None, run: str) -> str:
    """Train a prompt on a dataset, or go on from where that stands; the folder of the run."""
    config = TrainConfig(
        mixture=task,
        store=arguments.store,
        vocabulary="",
        model_dir=str(pathlib.Path(arguments.output) / "runs" / run),
        steps=arguments.steps,
        tasks=arguments.tasks,
        initial_checkpoint=checkpoint,
        tune=SoftPrompt(length=arguments.prompt_length),
        seed=arguments.seed,
        tokens_per_batch=arguments.tokens_per_batch,
        row_length=arguments.row_length,
        inputs_length=arguments.row_length - 32,
        targets_length=min(64, arguments.row_length // 4),
        rates=Rates(example_cap=count),
        optimizer=OptimizerConfig(
            learning_rate=arguments.learning_rate, schedule="linear", warmup_steps=min(20, arguments.steps // 5)
        ),
        checkpoint_every=arguments.steps,
        log_every=20,
        tensorboard=False,
        compilation_cache=str(pathlib.Path(arguments.output) / "compiled"),
    )
    train(config)
    return config.model_dir


def scored(arguments: argparse.Namespace, checkpoint: str, task: str, name: str) -> dict[str, float]:
    """The figures of a checkpoint on a dataset's test split, in points of 100, a mean over templates."""
    config = EvaluateConfig(
        checkpoint=checkpoint,
        store=arguments.store,
        mixture=task,
        tasks=arguments.tasks,
        selection_split=None,
        examples=arguments.test_examples,
        output=str(pathlib.Path(arguments.output) / "scores" / name),
    )
    score = evaluate(config).summary.primary(task)
    return {"mean": score.mean, "low": score.low, "high": score.high}


def study(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """A cell for every dataset, model and number of examples, None for the model without a prompt."""
    tasks = find_tasks(load_registry(arguments.tasks), arguments.mixture)
    cells = []
    for model, checkpoint in (("untuned", arguments.base), ("tuned", arguments.tuned)):
        for task in tasks:
            for kind in ("no prompt", *arguments.examples):
                name = f"{model}-{task.name}-{kind.replace(' ', '-')}"
                run = checkpoint
                if kind != "no prompt":
                    run = prompt_run(arguments, checkpoint, task.name, None if kind == "all" else int(kind), name)
                cells.append(
                    {"model": model, "task": task.name, "examples": kind} | scored(arguments, run, task.name, name)
                )
    return cells


def table(cells: Sequence[dict[str, Any]]) -> str:
    """A row for every dataset and number of examples, and their means."""
    found = {(cell["task"], cell["examples"], cell["model"]): cell for cell in cells}
    tasks, kinds = (list(dict.fromkeys(cell[name] for cell in cells)) for name in ("task", "examples"))
    rows = []
    for task in tasks:
        for kind in kinds:
            pair = [found[task, kind, model] for model in ("untuned", "tuned")]
            shown = [f"{one['mean']:.1f} ({one['low']:.1f} to {one['high']:.1f})" for one in pair]
            rows.append([task, kind, *shown, f"{pair[1]['mean'] - pair[0]['mean']:+.1f}"])
    for kind in kinds:
        means = [sum(found[task, kind, model]["mean"] for task in tasks) / len(tasks) for model in ("untuned", "tuned")]
        rows.append(["mean of datasets", kind, *(f"{mean:.1f}" for mean in means), f"{means[1] - means[0]:+.1f}"])
    return format_table(["dataset", "prompt tuned on", "untuned model", "tuned model", "difference"], rows, "<<>>>")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, help="run of the model that is not instruction-tuned")
    parser.add_argument("--tuned", required=True, help="run of the model tuned on the other clusters")
    parser.add_argument("--mixture", required=True, help="what the tuned one was tuned on: it names the held-out tasks")
    parser.add_argument("--store", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--tasks", default="flan_jax_tasks", help="module that declares them (default: %(default)s)")
    parser.add_argument("--examples", nargs="+", default=["32", "all"], help="training examples (default: 32 all)")
    parser.add_argument("--test_examples", type=int, help="of each dataset (default: all)")
    for name, default in (
        ("steps", 300),
        ("prompt_length", 10),
        ("tokens_per_batch", 2048),
        ("row_length", 256),
        ("seed", 0),
    ):
        parser.add_argument(f"--{name}", type=int, default=default, help="default: %(default)s")
    parser.add_argument("--learning_rate", type=float, default=0.03, help="default: %(default)s")
    arguments = parser.parse_args(words)
    cells = study(arguments)
    output = pathlib.Path(arguments.output)
    (output / "cells.json").write_text(json.dumps(cells, indent=1))
    (output / "table.txt").write_text(table(cells) + "\n")
    print(f"\n{table(cells)}")


if __name__ == "__main__":
    main()
