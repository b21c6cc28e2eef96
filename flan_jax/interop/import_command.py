"""`flan-jax import-hf`: a Hugging Face folder becomes a run's directory, at step 0, that every command takes as it is.

    <directory>/model.json, vocabulary/, checkpoints/0/

The checkpoint's metadata keep under `imported` what an export writes again: the original config.json and
generation_config.json, and the licence that the model's card names.
"""

import dataclasses
import json
import pathlib
import re
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import yaml

from ..data.atomic import atomic_folder
from ..data.vocabulary import Vocabulary
from ..models.config import DecoderConfig
from ..models.decoder import abstract_params, count_params, logical_axes
from ..progress import Progress
from ..training.checkpoints import Checkpoints
from ..training.partitioning import MeshConfig, MeshMismatch, make_mesh, shardings
from ..training.train_step import TrainState
from .errors import BadCheckpoint, InteropError
from .import_hf import Source, import_hf, read_source
from .tokenizer_files import read_tokenizer

MB = 10**6
AT_ONCE_GB = 0.1
"""What is on its way to the disk.  1.1B parameters in bfloat16 (2,098 MiB) on 8 CPU devices: the peak memory of the
process was 4,149 MiB without this bound and is 2,599 MiB with it."""


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """`source` is a Hugging Face folder, `directory` the run's, new or empty.

    The mesh is `fsdp` × `tensor` devices.  The tables get rows up to a multiple of
    `pad_vocabulary_to_multiple_of`; `resize_embeddings` gives those tokens of the tokenizer one that the tables lack.
    """

    source: str
    directory: str
    param_dtype: str = "float32"
    fsdp: int = 1
    tensor: int = 1
    pad_vocabulary_to_multiple_of: int = 1
    resize_embeddings: bool = False


def import_run(config: ImportConfig) -> None:
    """Make the directory, whole or not at all, and print what was read.

    Raises InteropError and VocabularyError, naming file and remedy, for what cannot be read or written.
    """
    began = time.monotonic()
    directory = pathlib.Path(config.directory).absolute()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InteropError(f"{directory} is there already, and nothing is overwritten; name a new folder, or remove it")
    source = read_source(config.source)
    vocabulary = read_tokenizer(config.source)
    model = decoder_of(source, vocabulary, config)
    record = imported_record(source)
    placed = shardings_of(model, config)
    with atomic_folder(directory) as folder, Progress(None, "MB", "import") as progress:

        def advance(done: int, total: int) -> None:
            progress.total = -(-total // MB)
            progress.update(-(-done // MB) - progress.done)

        _, params = import_hf(
            source,
            param_dtype=model.param_dtype,
            vocab_size=model.vocab_size,
            padded_vocab_size=model.padded_vocab_size,
            shardings=placed,
            advance=advance,
        )
        progress.close()
        write_run(folder, model, vocabulary, params, record)
    print(described(source, model, vocabulary))
    if note := other_end(record, vocabulary):
        print(note)
    print(f"{config.directory}   written in {time.monotonic() - began:.0f} s")


def decoder_of(source: Source, vocabulary: Vocabulary, config: ImportConfig) -> DecoderConfig:
    """The decoder to make.  Raises InteropError where the tokenizer has tokens that the tables lack, unless told to."""
    size, multiple = source.config.vocab_size, config.pad_vocabulary_to_multiple_of
    if multiple < 1:
        raise InteropError(f"--pad_vocabulary_to_multiple_of={multiple} must be at least 1")
    if vocabulary.size > size:
        if not config.resize_embeddings:
            raise InteropError(
                f"{source.directory}: the tokenizer has ids up to {vocabulary.size - 1}, and the weights have {size} "
                f"rows; it is of another model, or has tokens added that the weights were not resized for\n"
                f"  give those the mean of the rows there are:   --resize_embeddings"
            )
        size = vocabulary.size
    padded = -(-size // multiple) * multiple
    return dataclasses.replace(
        source.config,
        param_dtype=config.param_dtype,
        vocab_size=size,
        padded_vocab_size=padded if padded > size else None,
    )


def shardings_of(model: DecoderConfig, config: ImportConfig) -> Any:
    """Where the parameters go.  Raises InteropError, naming the flags, where the mesh does not fit them."""
    count = config.fsdp * config.tensor
    if min(config.fsdp, config.tensor) < 1 or count > len(jax.devices()):
        raise InteropError(
            f"--fsdp {config.fsdp} --tensor {config.tensor} are {count} devices, and there are {len(jax.devices())}"
        )
    if model.vocab_rows % config.tensor:
        raise InteropError(
            f"{model.vocab_rows} rows of the embedding cannot be cut over --tensor {config.tensor} devices;\n"
            f"  pad them:   --pad_vocabulary_to_multiple_of {config.tensor}"
        )
    mesh = make_mesh(MeshConfig(data=1, fsdp=config.fsdp, tensor=config.tensor), jax.devices()[:count])
    try:
        return shardings(mesh, abstract_params(model), logical_axes(model))
    except MeshMismatch as error:
        raise InteropError(str(error).replace("--gin.MeshConfig.", "--")) from error


def imported_record(source: Source) -> dict[str, Any]:
    """What an export needs to know of the model this began as, as JSON data.  Raises BadCheckpoint."""
    path = source.directory / "generation_config.json"
    try:
        generation = json.loads(path.read_bytes()) if path.exists() else None
    except ValueError as error:
        raise BadCheckpoint(f"{path} is no JSON: {error}; mend or remove it") from error
    return {
        "name": source.directory.absolute().name,
        "model_type": source.family.model_type,
        "config": dict(source.original),
        "generation_config": generation,
        "licence": licence_on_card(source.directory / "README.md"),
    }


def licence_on_card(card: pathlib.Path) -> str | None:
    """The `license` in the front matter of a model card, if there is one that says it."""
    found = re.match(r"---\n(.*?)\n---\n", card.read_text(errors="replace"), re.DOTALL) if card.is_file() else None
    try:
        values = yaml.safe_load(found[1]) if found else None
    except yaml.YAMLError:  # a card is for people: what cannot be read of it is not known
        return None
    licence = values.get("license") if isinstance(values, dict) else None
    return licence if isinstance(licence, str) else None


def write_run(
    directory: pathlib.Path, model: DecoderConfig, vocabulary: Vocabulary, params: Any, record: dict[str, Any]
) -> None:
    """What a run of `train` would have there at step 0."""
    (directory / "model.json").write_text(json.dumps(dataclasses.asdict(model), indent=1))
    vocabulary.save(directory / "vocabulary")
    metadata = {
        "model": dataclasses.asdict(model),
        "vocabulary_digest": vocabulary.digest,
        "skipped": 0,
        "imported": record,
    }
    # No optimiser has run; Orbax refuses an item without arrays, so there is one that counts its updates.
    state = TrainState(jnp.zeros((), jnp.int32), params, {"count": jnp.zeros((), jnp.int32)})
    checkpoints = Checkpoints(directory, at_once_gb=AT_ONCE_GB)
    if jax.default_backend() == "cpu":  # what has been looked at, which takes no copy here, Orbax does not copy either
        jax.tree.map(lambda array: [np.asarray(shard.data) for shard in array.addressable_shards], params)
    checkpoints.save(state, metadata)
    checkpoints.close()


def other_end(record: dict[str, Any], vocabulary: Vocabulary) -> str:
    """A line where the model's configuration ends texts by other tokens than its tokenizer ends documents; else ""."""
    named: list[int] = []
    for values in (record["config"], record["generation_config"] or {}):
        ids = values.get("eos_token_id")
        named += ids if isinstance(ids, list) else [] if ids is None else [ids]
    if not named or vocabulary.eos_id in named:
        return ""
    return (
        f"its configuration ends texts with {' or '.join(map(str, dict.fromkeys(named)))}, documents of this "
        f"vocabulary end with {vocabulary.eos_id}: right for a chat model; else the tokenizer may be another model's"
    )


def described(source: Source, model: DecoderConfig, vocabulary: Vocabulary) -> str:
    """What was read, in a few lines."""
    parameters = count_params(dataclasses.replace(model, padded_vocab_size=None))
    rows = f"{model.vocab_size:,} rows"
    if (added := model.vocab_size - source.config.vocab_size) > 0:
        rows += f", {added:,} of them new"
    if model.vocab_rows > model.vocab_size:
        rows += f", padded to {model.vocab_rows:,}"
    first = "none" if vocabulary.bos_id is None else str(vocabulary.bos_id)
    return (
        f"{source.directory}: {source.family.model_type}, {parameters:,} parameters, {model.num_layers} layers of "
        f"{model.embed_dim}, kept in {model.param_dtype}\n"
        f"vocabulary: {vocabulary.kind}, {vocabulary.size:,} ids in {rows}; first id of a document {first}, last "
        f"{vocabulary.eos_id}"
    )
