"""Weights of a Hugging Face checkpoint into the decoder's parameters, a tensor at a time."""

import dataclasses
import functools
import json
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Sharding, SingleDeviceSharding

from ..models.config import DecoderConfig
from ..models.decoder import Params, abstract_params
from .errors import BadCheckpoint
from .families import family
from .family import Family, read_config
from .safetensors_files import Stored, read_headers
from .tensors import Shape, Tensor, flat, one_layer
from .vocabulary_rows import Lengthened, vocabulary_axes

HEADS = ("lm_head.weight", "embed_out.weight")


@dataclasses.dataclass(frozen=True)
class Source:
    """A checkpoint folder whose `config.json` has been read; `original` is what it says."""

    directory: pathlib.Path
    family: Family
    config: DecoderConfig
    original: Mapping[str, Any]


class Piece(NamedTuple):
    """A tensor of the table, where it lies in the files, and its layer if it belongs to one."""

    tensor: Tensor
    stored: Stored
    layer: int | None


def read_source(directory: str | pathlib.Path) -> Source:
    """What model a folder holds, from its `config.json`; no weights are looked at.

    Raises BadCheckpoint for a folder without it, UnsupportedModel for a model that this decoder cannot compute.
    """
    directory = pathlib.Path(directory)
    path = directory / "config.json"
    if not directory.is_dir():
        raise BadCheckpoint(f"{directory} is no folder; name one that holds config.json and *.safetensors")
    if not path.is_file():
        raise BadCheckpoint(f"{directory} has no config.json, without which its weights mean nothing; name another")
    try:
        values = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(f"{path} is no JSON: {error}") from error
    if not isinstance(values, dict):
        raise BadCheckpoint(f"{path} is no JSON object")
    found = family(values.get("model_type"), str(path))
    return Source(directory, found, read_config(found, values, str(path)), values)


def import_hf(
    source: Source,
    *,
    param_dtype: str = "float32",
    vocab_size: int | None = None,
    padded_vocab_size: int | None = None,
    shardings: Any = None,
    advance: Callable[[int, int], object] = lambda done, total: None,
) -> tuple[DecoderConfig, Params]:
    """(configuration, parameters) of a checkpoint, its weights cast to `param_dtype`.

    `vocab_size` (None: its own) may be more than the checkpoint's, for tokens added to its tokenizer, which begin as
    the mean of those there; `padded_vocab_size` is as in DecoderConfig.  `shardings` is a tree like the parameters that
    this makes (`training.partitioning.shardings`); None: all on the first device.  The files are mapped, and a host
    reads what its devices hold: besides the parameters, one tensor is in memory at a time.  `advance` is told, after
    every tensor, how many bytes of all in the files are read.
    Everything is checked before anything is read: raises BadCheckpoint naming a tensor that is missing, unknown or of
    another shape, and files that are damaged or pickled.
    """
    vocab_size = vocab_size or source.config.vocab_size
    if vocab_size < source.config.vocab_size:
        raise BadCheckpoint(
            f"vocab_size={vocab_size} is less than the {source.config.vocab_size} of {source.directory}"
        )
    config = dataclasses.replace(
        source.config, param_dtype=param_dtype, vocab_size=vocab_size, padded_vocab_size=padded_vocab_size
    )
    abstract = abstract_params(config)
    stored_shapes, shapes = (
        {path: leaf.shape for path, leaf in flat(tree).items()} for tree in (abstract_params(source.config), abstract)
    )
    pieces = find_pieces(source, read_headers(source.directory), stored_shapes)
    axes = vocabulary_axes(config)
    placed = {path: SingleDeviceSharding(jax.devices()[0]) for path in shapes}
    placed = placed if shardings is None else flat(shardings)
    made: dict[str, jax.Array] = {}
    done, total = 0, sum(piece.stored.bytes for piece in pieces)
    for tensor, stored, layer in pieces:
        parts = [one_layer(path, stored_shapes[path]) for path in tensor.parameters]
        for path, part in zip(tensor.parameters, tensor.split(stored.mapped(), parts), strict=True):
            if layer is None:
                if part.shape != shapes[path]:
                    part = Lengthened(part, axes[path], vocab_size, config.vocab_rows, param_dtype)
                made[path] = place(part, placed[path], param_dtype)
                continue
            if path not in made:
                made[path] = empty(shapes[path], param_dtype, placed[path])()
            value = place(part, without_layers(placed[path], len(shapes[path])), param_dtype)
            made[path] = put_layer(placed[path])(made[path], value, layer)
        done += stored.bytes
        advance(done, total)
    return config, jax.tree_util.tree_unflatten(jax.tree.structure(abstract), [made[path] for path in flat(abstract)])


def find_pieces(source: Source, files: Mapping[str, Stored], shapes: Mapping[str, Shape]) -> list[Piece]:
    """Every tensor of the family's table with its place.  Raises BadCheckpoint unless files and table agree."""
    config, known = source.config, source.family
    rest = _by_plain_name(source, files)
    pieces: list[Piece] = []
    missing: list[str] = []
    for name, tensor, layer in known.stored(config):
        stored = rest.pop(name, None)
        expected = tensor.stored_shape([one_layer(path, shapes[path]) for path in tensor.parameters])
        if stored is None:
            missing.append(name)
        elif stored.shape != expected:
            raise BadCheckpoint(
                f"{stored.path}: {name} has shape {stored.shape}, where config.json asks for {expected}"
            )
        else:
            pieces.append(Piece(tensor, stored, layer))
    if missing:
        untied = missing[0] in HEADS
        hint = "; if it is meant to be the embedding, set tie_word_embeddings to true in config.json" if untied else ""
        raise BadCheckpoint(
            f"{source.directory} has no tensor {missing[0]!r} ({len(missing)} of those that {known.model_type!r} has"
            f" are missing){hint}"
        )
    if config.tied_embeddings:
        _drop_equal_head(source, rest, next(piece.stored for piece in pieces if "embedding" in piece.tensor.parameters))
    unknown = [name for name in rest if known.buffers is None or not re.fullmatch(known.buffers, name)]
    if unknown:
        raise BadCheckpoint(
            f"{rest[unknown[0]].path}: the tensor {unknown[0]!r} is none that {known.model_type!r} has with this"
            f" config.json ({len(unknown)} such); the weights are of another model or another configuration"
        )
    return pieces


def _by_plain_name(source: Source, files: Mapping[str, Stored]) -> dict[str, Stored]:
    """Raises BadCheckpoint for a tensor under two of its names: which is meant is not known."""
    found: dict[str, Stored] = {}
    names: dict[str, str] = {}
    for name, stored in files.items():
        plain = plain_name(source.family, name, files)
        if plain in names:
            raise BadCheckpoint(
                f"{stored.path}: {names[plain]!r} and {name!r} of {source.directory} are two names of one tensor of "
                f"{source.family.model_type!r}; remove the one that is not meant"
            )
        found[plain], names[plain] = stored, name
    return found


def plain_name(known: Family, name: str, names: Mapping[str, Any]) -> str:
    """The name as the table has it: files of the model without its head leave the prefix out."""
    if name in known.renamed:
        return known.renamed[name]
    bare = not any(other.startswith(known.prefix) for other in names)
    return known.prefix + name if bare and name.partition(".")[0] not in ("lm_head", "embed_out") else name


def _drop_equal_head(source: Source, rest: dict[str, Stored], embedding: Stored) -> None:
    """Takes out a copy of tied embeddings.  Raises BadCheckpoint if it is no copy: which is meant is not known."""
    for name in HEADS:
        copy = rest.pop(name, None)
        if copy is None:
            continue
        same = copy.shape == embedding.shape and copy.dtype == embedding.dtype
        if not (same and np.array_equal(copy.mapped(), embedding.mapped())):
            raise BadCheckpoint(
                f"{copy.path}: {name} differs from the embedding, though config.json of {source.directory} ties them; "
                f"set tie_word_embeddings to false there to use both, or remove the tensor"
            )


def place(view: np.ndarray | Lengthened, sharding: Sharding, dtype: str) -> jax.Array:
    """An array on the devices, each of which gets, cast, the part of the view that it holds, and no more is read."""
    parts: dict[Any, np.ndarray] = {}  # devices that hold the same part share it

    def part(index: Any) -> np.ndarray:
        key = tuple((one.start, one.stop) for one in index)
        if key not in parts:
            parts[key] = np.array(view[index], jnp.dtype(dtype), order="C")
        return parts[key]

    return jax.make_array_from_callback(view.shape, sharding, part)


def without_layers(sharding: Sharding, ndim: int) -> Sharding:
    """The sharding of one layer of a stack."""
    if not isinstance(sharding, jax.sharding.NamedSharding):
        return sharding
    spec = (*sharding.spec, *[None] * (ndim - len(sharding.spec)))
    return jax.sharding.NamedSharding(sharding.mesh, jax.sharding.PartitionSpec(*spec[1:]))


def empty(shape: Shape, dtype: str, sharding: Sharding) -> Callable[[], jax.Array]:
    return jax.jit(lambda: jnp.zeros(shape, dtype), out_shardings=sharding)


@functools.lru_cache(maxsize=64)
def put_layer(sharding: Sharding) -> Callable[[jax.Array, jax.Array, int], jax.Array]:
    """`stack, value, layer -> stack` with that layer replaced, in place."""

    def put(stack: jax.Array, value: jax.Array, layer: Any) -> jax.Array:
        return jax.lax.dynamic_update_index_in_dim(stack, value, layer, 0)

    return jax.jit(put, donate_argnums=0, out_shardings=sharding)
