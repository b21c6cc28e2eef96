"""What a family of models is: its configuration both ways, and the names of its weights."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..errors import FlanJaxError
from ..models.config import DecoderConfig
from .errors import UnsupportedModel
from .fields import HARMLESS, Fields
from .tensors import Tensor
from .windows import shortest_pattern

# How a model is run: no matter of what it computes.
RUN = ("padded_vocab_size", "dtype", "param_dtype", "scan_layers", "remat", "attention")
# What is written anew, or speaks of files that are not exported.
BOOKKEEPING = ("_name_or_path", "auto_map", "dtype", "torch_dtype", "transformers_version")
IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


@dataclasses.dataclass(frozen=True)
class Family:
    """One `model_type` of `config.json`.

    `read` gives the fields of a DecoderConfig, `write` those of `config.json` (`write_config` refuses what `read` would
    not give back).  `tensors` lists every tensor that a checkpoint of this configuration has.  `prefix` begins the
    names of all but the head, and is absent in files of the model without it; `renamed` gives other names that files
    have; `buffers` is a pattern of tensors that are computed, not learned.
    """

    model_type: str
    architecture: str
    read: Callable[[Fields], dict[str, Any]]
    write: Callable[[DecoderConfig], dict[str, Any]]
    tensors: Callable[[DecoderConfig], list[Tensor]]
    prefix: str
    renamed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    buffers: str | None = None

    def stored(self, config: DecoderConfig) -> Iterator[tuple[str, Tensor, int | None]]:
        """Every tensor of a checkpoint by its name in files, with its layer, or None."""
        for tensor in self.tensors(config):
            for name, layer in tensor.names(config.num_layers):
                yield name, tensor, layer


def read_config(family: Family, values: Mapping[str, Any], where: str) -> DecoderConfig:
    """The decoder that a `config.json` describes.

    Raises UnsupportedModel naming the field and its value where this decoder cannot compute what it asks for.
    """
    fields = Fields(values, where)
    if (quantization := values.get("quantization_config")) is not None:
        raise fields.refused("quantization_config", quantization, "use the checkpoint before quantization")
    config = DecoderConfig(**family.read(fields))
    fields.finish(family.model_type)
    return config


def write_config(family: Family, config: DecoderConfig, original: Mapping[str, Any]) -> dict[str, Any]:
    """`config.json` for a decoder.

    `original` is that of the model it was made from, or some fields of one: it is kept as it is where it says the same,
    and else those of its fields that change nothing.  Raises UnsupportedModel, naming the fields, if the family has no
    way to say what the decoder computes.
    """
    original = {name: value for name, value in original.items() if name not in BOOKKEEPING}
    written = {"model_type": family.model_type, "architectures": [family.architecture], **family.write(config)}
    try:
        different = _differences(family, written, config)
    except FlanJaxError as error:
        raise UnsupportedModel(f"{family.model_type!r} cannot express this decoder: {error}") from error
    if different:
        values = ", ".join(f"DecoderConfig.{name}={getattr(config, name)!r}" for name in different)
        raise UnsupportedModel(
            f"{family.model_type!r} cannot express {values}; name the family that has this, or change the decoder"
        )
    if original.get("model_type") == family.model_type:
        with contextlib.suppress(FlanJaxError):
            if not _differences(family, original, config):
                return {**original, "architectures": [family.architecture]}
    harmless = {name: value for name, value in original.items() if name in HARMLESS}
    return {**dict.fromkeys(IDS), **harmless, **written}  # the class's own ids would lie beyond a small vocabulary


def _differences(family: Family, values: Mapping[str, Any], config: DecoderConfig) -> list[str]:
    """The fields of a decoder in which a `config.json` describes another function."""
    described = read_config(family, values, "config.json")
    wanted, got = (dataclasses.asdict(canonical(one)) for one in (config, described))
    return [name for name in wanted if wanted[name] != got[name]]


def canonical(config: DecoderConfig) -> DecoderConfig:
    """The same function, in the one way of saying it that all configurations of it share."""
    defaults = {field.name: field.default for field in dataclasses.fields(DecoderConfig)}
    unused = [*RUN]
    if config.position != "rotary":
        unused += ["rope_theta", "rotary_dim", "rotary_pairs", "rope_scaling"]
    scaling = config.rope_scaling if config.position == "rotary" else "none"
    kept = {
        "none": (),
        "linear": ("rope_factor",),
        "llama3": ("rope_factor", "rope_original_length", "rope_slow", "rope_fast"),
        "yarn": ("rope_factor", "rope_original_length", "rope_slow", "rope_fast", "rope_magnitude"),
    }[scaling]
    stretching = ("rope_factor", "rope_original_length", "rope_slow", "rope_fast", "rope_magnitude")
    unused += [name for name in stretching if name not in kept]
    local = config.local_layers
    if not any(local):
        unused += ["window", "window_pattern"]
    if not any(local) or (config.local_rope_theta == config.rope_theta and scaling == "none"):
        unused.append("local_rope_theta")
    said = {
        "num_kv_heads": config.kv_heads,
        "head_dim": config.head_size,
        "rotary_dim": config.rotary_size,
        "attention_scale_dim": float(config.attention_scale_dim or config.head_size),
        "window_pattern": shortest_pattern("".join("L" if one else "G" for one in local)),
    }
    return dataclasses.replace(config, **{**said, **{name: defaults[name] for name in unused}})
