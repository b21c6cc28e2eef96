"""The command line: `flan-jax prepare | train | evaluate | generate | import-hf | export-hf | sweep | report | ...`.

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


IMPORT_EXAMPLE = """\
From a folder as the Hub has it to a tuned model that transformers loads:
  flan-jax import-hf /models/pythia-1b runs/pythia-1b
  flan-jax prepare --gin_file=runs/prepare_flan2021.gin --gin.VOCABULARY="'runs/pythia-1b/vocabulary'"
  flan-jax train --gin_file=runs/tune.gin --gin_file=mixtures/flan2021.gin --gin.MIXTURE="'flan2021_loo_nli'" \\
      --gin.INITIAL_CHECKPOINT="'runs/pythia-1b'" --gin.MODEL_DIR="'runs/pythia-1b-flan'"
  flan-jax evaluate --gin.CHECKPOINT="'runs/pythia-1b-flan'" --gin.MIXTURE="'flan2021_loo_nli'"
  flan-jax export-hf runs/pythia-1b-flan /models/pythia-1b-flan"""
EXPORT_EXAMPLE = """\
A run that was tuned from an imported model, in files of half precision:
  flan-jax export-hf runs/pythia-1b-flan /models/pythia-1b-flan --dtype bfloat16 --max_shard_size 2GB
Scores go onto the model card where the checkpoint was evaluated before, by flan-jax evaluate."""

INTERRUPTED = 130
"""What a shell reports of a process that Ctrl-C ended."""


@dataclasses.dataclass(frozen=True)
class Command:
    """One subcommand.  `runs` are the shipped run files its help shows; `default` is used when none is given.

    `example` ends its help.  `again` says what the same command does after it was stopped.
    """

    name: str
    summary: str
    run: Callable[[argparse.Namespace, Sequence[str]], int]
    runs: tuple[str, ...] = ()
    default: str | None = None
    arguments: Callable[[argparse.ArgumentParser], None] | None = None
    example: str = ""
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


def _import_hf(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.interop.import_command import ImportConfig, import_run

    import_run(
        ImportConfig(
            source=arguments.source_dir,
            directory=arguments.model_dir,
            param_dtype=arguments.param_dtype,
            fsdp=arguments.fsdp,
            tensor=arguments.tensor,
            pad_vocabulary_to_multiple_of=arguments.pad_vocabulary_to_multiple_of,
            resize_embeddings=arguments.resize_embeddings,
        )
    )
    return 0


def _import_hf_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source_dir", help="Hugging Face folder: config.json, *.safetensors and a tokenizer")
    parser.add_argument("model_dir", help="folder to make, which train, evaluate and generate take as a run's")
    parser.add_argument(
        "--param_dtype", choices=("float32", "bfloat16"), default="float32", help="what to keep (default: %(default)s)"
    )
    parser.add_argument("--fsdp", type=int, default=1, metavar="N", help="cut the weights over N devices")
    parser.add_argument("--tensor", type=int, default=1, metavar="N", help="cut heads, MLP and vocabulary over N more")
    parser.add_argument(
        "--pad_vocabulary_to_multiple_of", type=int, default=1, metavar="N",
        help="add rows that score nothing, so that the vocabulary can be cut over N devices; exports leave them out",
    )  # fmt: skip
    parser.add_argument(
        "--resize_embeddings", action="store_true",
        help="give tokens of the tokenizer that have no row the mean of the rows there are",
    )  # fmt: skip


def _export_hf(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.interop.export_command import ExportConfig, export_run

    export_run(
        ExportConfig(
            run=arguments.model_dir,
            directory=arguments.output_dir,
            step=arguments.step,
            model_type=arguments.model_type,
            dtype=arguments.dtype,
            max_shard_size=arguments.max_shard_size,
            adapter=arguments.adapter,
        )
    )
    return 0


def _export_hf_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model_dir", help="folder of a run (MODEL_DIR), or one of its checkpoints/STEP")
    parser.add_argument("output_dir", help="folder to make, which transformers loads with nothing else")
    parser.add_argument("--step", type=int, help="checkpoint to export (default: the last)")
    parser.add_argument("--model_type", help="family to write (default: that it was imported as, or one that can)")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), help="what to write (default: as the checkpoint has it)"
    )
    parser.add_argument("--max_shard_size", default="5GB", help="most data in one file (default: %(default)s)")
    parser.add_argument(
        "--adapter", action="store_true",
        help="write only the LoRA or soft prompt that was trained on top of another checkpoint, for peft",
    )  # fmt: skip


def _plan(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    if arguments.table:
        from flan_jax.planning.model_table import print_table

        print_table()
        return 0
    from flan_jax.planning.plan_command import print_plan

    paths = [path for paths in arguments.gin_search_paths for path in paths.split(",") if path]
    print_plan(arguments.gin_file or [], bindings, paths, arguments.devices, arguments.platform)
    return 0


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--devices", type=int, metavar="N", help="of the mesh (default: as many as its axes name)")
    parser.add_argument(
        "--platform", choices=("cpu", "gpu", "tpu"), default="cpu", help="what the run is for (default: %(default)s)"
    )
    parser.add_argument("--table", action="store_true", help="write docs/models.md instead, of all shipped sizes")


def _report(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.report import write_report

    print(write_report(arguments.directory, arguments.output, arguments.against))
    return 0


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", help="folder a sweep wrote (SWEEP_DIR), or results of an evaluation, or a run")
    parser.add_argument("against", nargs="?", help="results or run to compare with the first: what it gains over it")
    parser.add_argument("--output", help="HTML file (default: report.html there; comparison.html in the second folder)")


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


def _lm_eval(arguments: argparse.Namespace, bindings: Sequence[str]) -> int:
    from flan_jax.evaluation.harness.__main__ import main as lm_eval

    return lm_eval(arguments.arguments)


def _lm_eval_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...",
        help="those of lm-eval: run --model flan_jax --model_args checkpoint=FOLDER --tasks NAMES",
    )  # fmt: skip


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
            "lm-eval",
            "run lm-evaluation-harness on a checkpoint, scored here",
            _lm_eval,
            arguments=_lm_eval_arguments,
        ),
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
            "sweep",
            "leave each cluster out in turn: base, tuned and upper bound",
            _sweep,
            runs=("runs/sweep_microworld.gin", "runs/sweep.gin", "runs/quickstart.gin"),
            again="continues it",
        ),
        Command(
            "import-hf",
            "make a Hugging Face model the run that train, evaluate and generate begin from",
            _import_hf,
            arguments=_import_hf_arguments,
            example=IMPORT_EXAMPLE,
        ),
        Command(
            "export-hf",
            "write a run's checkpoint as a Hugging Face model, with tokenizer and model card",
            _export_hf,
            arguments=_export_hf_arguments,
            example=EXPORT_EXAMPLE,
        ),
        Command(
            "plan",
            "say what a run would take: parameters, and memory on each device",
            _plan,
            runs=("runs/plan.gin",),
            default="runs/plan.gin",
            arguments=_plan_arguments,
        ),
        Command(
            "report",
            "write results as one HTML page: a sweep's, an evaluation's, or two compared",
            _report,
            arguments=_report_arguments,
        ),
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
        epilog = (_runs_epilog(command) or command.example) if command.name == describe else ""
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
