"""The command line: `flan-jax prepare | train | evaluate | generate | sweep | report | browse | contamination`.

Flags follow t5x: `--gin_file=FILE` (repeatable, later files win), `--gin.NAME=VALUE`, `--gin_search_paths=A,B`.
Nothing heavy is imported before a command runs, so that `--help` answers at once.  An error that is the user's to mend
(`FlanJaxError`) is printed without a traceback, and the exit status is 2; Ctrl-C is one line, and 130.
"""

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from typing import Any

from flan_jax import __version__
from flan_jax.errors import FlanJaxError

EPILOG = """\
Settings come from gin files and flags; later ones win:
  --gin_file=runs/pretrain.gin       a run; looked for here and in the shipped gin_configs (repeatable)
  --gin.STEPS=2000                   a macro of the run, as its file lists them
  --gin.MODEL_DIR="'/tmp/model'"     text needs quotes of its own
  --gin.OptimizerConfig.b2=0.98      any setting of any configurable
  --gin_search_paths=A,B             more folders with gin files"""


INTERRUPTED = 130
"""What a shell reports of a process that Ctrl-C ended."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand.  `runs` are the shipped run files its help shows; `default` is used when none is given.

    `again` says what the same command does after it was stopped.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace, Sequence[str]], int]
    runs: tuple[str, ...] = ()
    default: str | None = None
    arguments: Callable[[argparse.ArgumentParser], None] | None = None
    again: str = "starts anew"


def _configured(arguments: argparse.Namespace, bindings: Sequence[str]) -> Any:
    from flan_jax import configuration

    command = COMMANDS[arguments.command]
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


def _generate(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.generate import Answerer

    prompt = arguments.prompt if arguments.prompt is not None else sys.stdin.read()
    answerer = Answerer.load(arguments.model_dir, arguments.step)
    if arguments.option:
        for option, score in answerer.rank(prompt, arguments.option):
            print(f"{score:10.3f}  {option}")
    else:
        print(answerer.generate(prompt, arguments.max_tokens))
    return 0


def _generate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model_dir", required=True, help="folder a training run wrote (MODEL_DIR)")
    parser.add_argument("--step", type=int, help="checkpoint to use (default: the last)")
    parser.add_argument("--prompt", help="text to continue (default: standard input)")
    parser.add_argument("--option", action="append", default=[], help="score this answer, in nats; repeatable")
    parser.add_argument("--max_tokens", type=int, default=64, help="most tokens to generate (default: %(default)s)")


def _report(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.report import write_report

    print(write_report(arguments.sweep_dir, arguments.output))
    return 0


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep_dir", help="folder a sweep wrote (SWEEP_DIR)")
    parser.add_argument("--output", help="HTML file to write (default: report.html in that folder)")


def _browse(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.report.browse import write_catalogue

    path = write_catalogue(arguments.output, arguments.store, arguments.tasks, arguments.vocabulary, arguments.examples)
    print(f"{path}   {path.stat().st_size / 1e6:.1f} MB")
    if arguments.serve is not None:
        from flan_jax.report.browse.serve import serve

        serve(path, arguments.serve)
    return 0


def _browse_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", help="folder that prepare wrote (default: runs/store, if it is there)")
    parser.add_argument("--output", default="catalogue.html", help="HTML file to write (default: %(default)s)")
    parser.add_argument("--serve", type=int, metavar="PORT", help="then serve it on 127.0.0.1, for this machine only")
    parser.add_argument("--examples", type=int, default=2, help="examples of each template (default: %(default)s)")
    parser.add_argument("--vocabulary", help="whose tokens to show, where the store has several")
    parser.add_argument("--tasks", default="flan_jax_tasks", help="module with the tasks (default: %(default)s)")


COMMANDS = {
    command.name: command
    for command in (
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
            again="starts the scoring over",
        ),
        Command(
            "contamination",
            "find evaluation examples in the training text, and score without them",
            _contamination,
            runs=("runs/contamination.gin",),
            default="runs/contamination.gin",
        ),
        Command(
            "generate",
            "answer a prompt from a checkpoint, or score options for it",
            _generate,
            arguments=_generate_arguments,
        ),
        Command(
            "sweep",
            "leave each cluster out in turn: base, tuned and upper bound",
            _sweep,
            runs=("runs/sweep_microworld.gin", "runs/sweep.gin", "runs/quickstart.gin"),
            again="continues it",
        ),
        Command("report", "write a sweep's results as one HTML page", _report, arguments=_report_arguments),
        Command(
            "browse",
            "write every dataset, template and real examples as one HTML page",
            _browse,
            arguments=_browse_arguments,
        ),
    )
}


def _parser(describe: str | None) -> argparse.ArgumentParser:
    """The parser; the run files are read only for the help of the command `describe`."""
    parser = argparse.ArgumentParser(
        prog="flan-jax",
        description="Instruction tuning of decoder language models, and the study of how it generalises.",
        epilog=EPILOG + "\n\nflan-jax COMMAND --help shows the command's runs with their settings.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"flan-jax {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        epilog = _runs_epilog(command) if command.name == describe else ""
        subparser = subparsers.add_parser(
            command.name,
            help=command.summary,
            description=command.summary[0].upper() + command.summary[1:] + ".",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if command.runs:
            subparser.add_argument(
                "--gin_file", action="append", metavar="FILE", help="a run or model file; repeatable"
            )
            subparser.add_argument(
                "--gin.NAME=VALUE",
                dest="_",
                action="store_true",
                help="set a macro or setting; repeatable, and always with the =",
            )
            subparser.add_argument(
                "--gin_search_paths", action="append", default=[], metavar="A,B", help="more folders"
            )
        if command.arguments:
            command.arguments(subparser)
    return parser


def _runs_epilog(command: Command) -> str:
    from flan_jax.gin_files import file_header, gin_configs_directory

    sections = []
    for run in command.runs:
        header = file_header(gin_configs_directory() / run)
        default = "  (used when no --gin_file is given)" if run == command.default else ""
        sections.append(f"{run}{default}\n" + "\n".join(f"  {line}".rstrip() for line in header.splitlines()))
    return "\n\n".join([*sections, EPILOG] if sections else [])


def _split_bindings(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Takes the `--gin.NAME=VALUE` flags out: (other arguments, ["NAME = VALUE", ...])."""
    others, bindings = [], []
    for argument in argv:
        if argument.startswith("--gin."):
            name, equals, value = argument.removeprefix("--gin.").partition("=")
            if not equals or not name:
                raise FlanJaxError(f"{argument}: write it as --gin.NAME=VALUE")
            bindings.append(f"{name} = {value}")
        else:
            others.append(argument)
    return others, bindings


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    argv = sys.argv[1:] if argv is None else list(argv)
    again = Command.again
    try:
        others, bindings = _split_bindings(argv)
        asks_help = {"-h", "--help"} & set(others)
        arguments = _parser(others[0] if asks_help and others else None).parse_args(others)
        command = COMMANDS[arguments.command]
        again = command.again
        if bindings and not command.runs:
            raise FlanJaxError(f"flan-jax {command.name} takes no --gin flags; see flan-jax {command.name} --help")
        return command.run(arguments, bindings)
    except FlanJaxError as error:
        print(f"flan-jax: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nflan-jax: stopped; the same command {again}", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
