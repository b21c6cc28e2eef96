"""The commands that ask a checkpoint: one question or many, a server, the tasks of lm-evaluation-harness."""

import argparse
import sys
from collections.abc import Sequence

from .command import Command


def _generate(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.generate_command import GenerateConfig, run

    prompt = arguments.prompt
    if prompt is None and arguments.prompts is None and not sys.stdin.isatty():
        prompt = sys.stdin.read()
    run(
        GenerateConfig(
            model_dir=arguments.model_dir, step=arguments.step, prompt=prompt, prompts=arguments.prompts,
            output=arguments.output, options=tuple(arguments.option), max_tokens=arguments.max_tokens,
            temperature=arguments.temperature, top_p=arguments.top_p, beams=arguments.beams,
            stop=tuple(arguments.stop), seed=arguments.seed,
        )
    )  # fmt: skip
    return 0


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_dir", required=True, help="folder a training run wrote (MODEL_DIR)")
    parser.add_argument("--step", type=int, help="checkpoint to use (default: the last)")
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--prompt", help="text to continue (default: standard input; in a terminal, a session)")
    asked.add_argument("--prompts", metavar="FILE", help='many: lines, or JSON lines with "prompt" (*.jsonl)')
    parser.add_argument("--output", metavar="FILE", help="JSON lines of what FILE was answered (default: shown)")
    parser.add_argument(
        "--option", action="append", default=[], help="an answer to score, in nats, and to weigh; repeatable"
    )
    parser.add_argument("--max_tokens", type=int, default=64, help="most tokens to generate (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.0, help="draw tokens (default: 0, take the best)")
    parser.add_argument("--top_p", type=float, default=1.0, help="draw from the best tokens that hold so much")
    parser.add_argument("--beams", type=int, default=1, help="search with so many hypotheses (default: %(default)s)")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends an answer; repeatable")
    parser.add_argument("--seed", type=int, default=0, help="of the draws (default: %(default)s)")


def _serve(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.serving.server import ServeConfig, serve

    serve(
        ServeConfig(
            model_dir=arguments.model_dir, step=arguments.step, host=arguments.host, port=arguments.port,
            rows=arguments.rows, length=arguments.length, name=arguments.name,
        )
    )  # fmt: skip
    return 0


def _serve_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_dir", required=True, help="folder a training run wrote (MODEL_DIR)")
    parser.add_argument("--step", type=int, help="checkpoint to use (default: the last)")
    parser.add_argument("--host", default="127.0.0.1", help="address; any other lets other machines in, unasked")
    parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s; 0: any that is free)")
    parser.add_argument("--rows", type=int, default=16, help="completions worked on at once (default: %(default)s)")
    parser.add_argument("--length", type=int, help="most tokens, prompt and completion (default: what the model takes)")
    parser.add_argument("--name", help="what clients call the model (default: the name of its folder)")


def _lm_eval(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.evaluation.harness.__main__ import main as lm_eval

    return lm_eval(arguments.arguments)


def _lm_eval_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...",
        help="those of lm-eval: run --model flan_jax --model_args checkpoint=FOLDER --tasks NAMES",
    )  # fmt: skip


COMMANDS = (
    Command(
        "generate",
        "answer a prompt, a file of them or a session from a checkpoint, or score options",
        _generate,
        arguments=_generate_arguments,
    ),
    Command(
        "serve",
        "answer OpenAI's clients from a checkpoint, on this machine",
        _serve,
        arguments=_serve_arguments,
    ),
    Command(
        "lm-eval",
        "run lm-evaluation-harness on a checkpoint, scored here",
        _lm_eval,
        arguments=_lm_eval_arguments,
    ),
)
