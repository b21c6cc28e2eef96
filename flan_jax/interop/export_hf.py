"""The decoder's parameters as a Hugging Face checkpoint, which `transformers` loads with nothing else."""

import dataclasses
import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from ..data.atomic import atomic_file, atomic_folder
from ..models.config import DecoderConfig
from ..models.decoder import Params, abstract_params
from .errors import InteropError
from .families import family
from .family import write_config
from .safetensors_files import Planned, write_files
from .tensors import Tensor, flat, one_layer
from .vocabulary_rows import without_padding

DTYPES = {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}


def export_hf(
    directory: str | pathlib.Path,
    model_type: str,
    config: DecoderConfig,
    params: Params,
    *,
    dtype: str = "float32",
    original: Mapping[str, Any] | None = None,
    max_shard_bytes: int = 5_000_000_000,
    beside: Callable[[pathlib.Path], Sequence[str]] = lambda _: (),
) -> list[str]:
    """Write `config.json` and safetensors of a decoder as a model of the family `model_type`; the names of the files.

    `original` is the `config.json` that the decoder came from (`Source.original`), or some fields for it, as token ids.
    Padding of the vocabulary is left out.  `beside` writes more files into the folder, and returns their names.
    The folder appears when all is written, or not at all.  Raises InteropError if it is there already, and
    UnsupportedModel, naming the fields, if the family cannot express the decoder.
    """
    directory = pathlib.Path(directory)
    if dtype not in DTYPES:
        raise InteropError(f"dtype={dtype!r} cannot be written; it is one of {', '.join(DTYPES)}")
    if directory.exists():
        raise InteropError(f"{directory} is there already, and nothing is overwritten; name a new folder, or remove it")
    known = family(model_type)
    written = {**write_config(known, config, original or {}), "torch_dtype": dtype}
    arrays = flat(params)
    held, expected = (
        {path: leaf.shape for path, leaf in tree.items()} for tree in (arrays, flat(abstract_params(config)))
    )
    for path in sorted({*held, *expected}):
        have, want = held.get(path), expected.get(path)
        if have != want:
            raise InteropError(f"parameter {path} has shape {have}, where the configuration asks for {want}")
    stored = flat(abstract_params(dataclasses.replace(config, padded_vocab_size=None)))
    planned = [
        Planned(
            name,
            tensor.stored_shape([one_layer(path, stored[path].shape) for path in tensor.parameters]),
            partial(_stored, config, arrays, tensor, layer),
        )
        for name, tensor, layer in known.stored(config)
    ]
    with atomic_folder(directory) as folder:
        files = write_files(folder, planned, DTYPES[dtype], max_shard_bytes)
        with atomic_file(folder / "config.json") as file:
            file.write(json.dumps(written, indent=2, sort_keys=True).encode() + b"\n")
        files = [*files, *beside(folder)]
    return ["config.json", *files]


def _stored(config: DecoderConfig, arrays: Mapping[str, jax.Array], tensor: Tensor, layer: int | None) -> np.ndarray:
    """A tensor as files have it, gathered from the devices."""
    if layer is not None:
        return tensor.join([np.asarray(arrays[path][layer]) for path in tensor.parameters])
    return tensor.join([without_padding(config, path, np.asarray(arrays[path])) for path in tensor.parameters])
