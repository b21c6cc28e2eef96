"""The commands that gin files configure."""

import argparse
from collections.abc import Sequence
from typing import Any

from .command import Command


def _configured(arguments: argparse.Namespace, bindings: Sequence[str]) -> Any:
    from flan_jax import configuration

    command = next(one for one in COMMANDS if one.name == arguments.command)
    files = arguments.gin_file or ([command.default] if command.default else [])
    if not files:
        raise configuration.ConfigurationError(
            f"flan-jax {command.name} needs a run: --gin_file={' or --gin_file='.join(command.runs)}"
        )
    paths = [path for paths in arguments.gin_search_paths for path in paths.split(",") if path]
    return configuration.configure(command.name, files, bindings, paths)


def _prepare(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    configured = _configured(arguments, bindings)
    from flan_jax.data.prepare import prepare

    prepare(configured.config)
    return 0


def _train(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    configured = _configured(arguments, bindings)
    from flan_jax.training.trainer import train

    train(configured.config, configured.operative)
    return 0


def _evaluate(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    configured = _configured(arguments, bindings)
    from flan_jax.evaluation.evaluate import evaluate

    evaluate(configured.config)
    return 0


def _contamination(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    configured = _configured(arguments, bindings)
    from flan_jax.evaluation.contamination import contamination

    contamination(configured.config)
    return 0


def _sweep(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    configured = _configured(arguments, bindings)
    from flan_jax.sweep import sweep

    sweep(configured.config, configured.operative)
    return 0


COMMANDS = (
    Command(
        "prepare",
        "render and tokenise a mixture's tasks into the store, once",
        _prepare,
        runs=("runs/prepare.gin", "runs/prepare_flan2021.gin"),
        default="runs/prepare.gin",
        again="makes what is not there yet",
    ),
    Command(
        "train",
        "pretrain a base model, or tune one on a mixture; resumes by itself",
        _train,
        runs=("runs/pretrain.gin", "runs/tune_leave_one_out.gin", "runs/tune.gin"),
        again="continues from the last checkpoint",
    ),
    Command(
        "evaluate",
        "score a checkpoint on tasks, template by template",
        _evaluate,
        runs=("runs/evaluate.gin",),
        default="runs/evaluate.gin",
        again="asks what is not answered yet",
    ),
    Command(
        "contamination",
        "find evaluation examples in the training text, and score without them",
        _contamination,
        runs=("runs/contamination.gin",),
        default="runs/contamination.gin",
    ),
    Command(
        "sweep",
        "leave each cluster out in turn: base, tuned and upper bound",
        _sweep,
        runs=("runs/sweep_microworld.gin", "runs/sweep.gin", "runs/quickstart.gin"),
        again="continues it",
    ),
)
