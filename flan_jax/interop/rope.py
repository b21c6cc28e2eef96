"""Rotary settings, as `config.json` has them: before transformers 5 in two fields, since then in one."""

import math
from collections.abc import Mapping
from typing import Any

from ..models.config import DecoderConfig
from .errors import UnsupportedModel
from .fields import Fields

KNOWN = ("default", "linear", "llama3", "yarn")


def read_rope(
    fields: Fields,
    head_size: int,
    max_length: int,
    *,
    theta_field: str = "rope_theta",
    fraction_field: str | None = None,
    fraction: float = 1.0,
) -> dict[str, Any]:
    """The rotary fields of a DecoderConfig.  `fraction_field`: what says how much of a head turns; None: all does."""
    theta = fields.positive(theta_field, 10_000.0)
    if fraction_field is not None:
        fraction = fields.positive(fraction_field, fraction)
    new, old = fields.object("rope_parameters"), fields.object("rope_scaling")
    values = old or new
    where = f"{fields.where}: {'rope_scaling' if old else 'rope_parameters'}"
    return read_parameters(values, where, theta, max_length, head_size, fraction, fraction_field is not None)


def read_parameters(
    values: Mapping[str, Any],
    where: str,
    theta: float,
    max_length: int,
    head_size: int,
    fraction: float = 1.0,
    may_be_partial: bool = False,
) -> dict[str, Any]:
    """The rotary fields of a DecoderConfig from one dictionary of rotary parameters; `theta`, `fraction`: defaults."""
    given = Fields({name: value for name, value in values.items() if value is not None}, where)
    kind = given.text("rope_type", given.text("type", "default"))
    theta, fraction = given.positive("rope_theta", theta), given.positive("partial_rotary_factor", fraction)
    if kind not in KNOWN:
        raise UnsupportedModel(f"{where}: rope type {kind!r} is not supported; known: {', '.join(KNOWN)}")
    if fraction != 1 and not may_be_partial:
        raise UnsupportedModel(f"{where}: partial_rotary_factor={fraction!r} is not supported for this model type")
    read: dict[str, Any] = {"position": "rotary", "rope_theta": theta}
    if fraction != 1:
        read["rotary_dim"] = int(head_size * fraction)
    if kind != "default":
        read |= {"rope_scaling": kind, "rope_factor": given.positive("factor")}
    if kind in ("llama3", "yarn"):
        read["rope_original_length"] = given.size("original_max_position_embeddings", max_length)
    if kind == "llama3":
        read["rope_slow"], read["rope_fast"] = given.positive("low_freq_factor"), given.positive("high_freq_factor")
    if kind == "yarn":
        given.only("truncate", True)
        read["rope_slow"], read["rope_fast"] = given.positive("beta_slow", 1), given.positive("beta_fast", 32)
        read["rope_magnitude"] = _magnitude(read["rope_factor"], given)
    for name, value in given.values.items():
        if name not in given.read:
            raise UnsupportedModel(f"{where}: {name}={value!r} is not known for rope type {kind!r}")
    return read


def _magnitude(factor: float, given: Fields) -> float:
    """What YaRN multiplies cosines and sines by: given, from two `mscale`s, or from the factor (section 3.4)."""
    told = given.optional_positive("attention_factor")
    scale, all_dim = given.number("mscale", 0), given.number("mscale_all_dim", 0)  # 0: not said
    if told is not None:
        return told

    def of(scale: float) -> float:
        return 0.1 * scale * math.log(factor) + 1.0 if factor > 1 else 1.0

    return of(scale) / of(all_dim) if scale and all_dim else of(1.0)


def write_rope(config: DecoderConfig, theta_field: str = "rope_theta") -> dict[str, Any]:
    """The two fields that every version of transformers reads."""
    return {theta_field: config.rope_theta, "rope_scaling": write_scaling(config)}


def write_scaling(config: DecoderConfig) -> dict[str, Any] | None:
    length = config.rope_original_length
    match config.rope_scaling:
        case "linear":
            return {"rope_type": "linear", "factor": config.rope_factor}
        case "llama3":
            return {
                "rope_type": "llama3", "factor": config.rope_factor, "low_freq_factor": config.rope_slow,
                "high_freq_factor": config.rope_fast, "original_max_position_embeddings": length,
            }  # fmt: skip
        case "yarn":
            return {
                "rope_type": "yarn", "factor": config.rope_factor, "beta_slow": config.rope_slow,
                "beta_fast": config.rope_fast, "attention_factor": config.rope_magnitude,
                "original_max_position_embeddings": length,
            }  # fmt: skip
    return None


def fraction_of_head(config: DecoderConfig) -> float:
    """The fraction from which readers compute `rotary_size`, by cutting its product with the head size."""
    exact = config.rotary_size / config.head_size
    return (
        exact if int(config.head_size * exact) == config.rotary_size else (config.rotary_size + 0.5) / config.head_size
    )
