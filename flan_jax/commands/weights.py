"""The commands for weights of Hugging Face, in and out."""

import argparse
from collections.abc import Sequence

from .command import Command

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
    parser.add_argument("--max_shard_size", help="most data in one file (default: 5GB)")
    parser.add_argument(
        "--adapter", action="store_true",
        help="write only the LoRA or soft prompt that was trained on top of another checkpoint, for peft",
    )  # fmt: skip


COMMANDS = (
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
)
