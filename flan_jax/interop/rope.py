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
    theta = fields.number(theta_field, 10_000.0)
    if fraction_field is not None:
        fraction = fields.number(fraction_field, fraction)
    new, old = fields.get("rope_parameters", None), fields.get("rope_scaling", None)
    values = dict(old or new or {})
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
    rest = {name: value for name, value in values.items() if value is not None}
    kind = rest.pop("rope_type", None)
    kind = rest.pop("type", None) if kind is None else kind
    rest.pop("type", None)
    kind = "default" if kind is None else kind
    theta, fraction = rest.pop("rope_theta", theta), rest.pop("partial_rotary_factor", fraction)
    if kind not in KNOWN:
        raise UnsupportedModel(f"{where}: rope type {kind!r} is not supported; known: {', '.join(KNOWN)}")
    if fraction != 1 and not may_be_partial:
        raise UnsupportedModel(f"{where}: partial_rotary_factor={fraction!r} is not supported for this model type")
    read: dict[str, Any] = {"position": "rotary", "rope_theta": float(theta)}
    if fraction != 1:
        read["rotary_dim"] = int(head_size * fraction)
    if kind != "default":
        if not isinstance(rest.get("factor"), int | float):
            raise UnsupportedModel(f"{where}: rope type {kind!r} has factor={rest.get('factor')!r}, not a number")
        read |= {"rope_scaling": kind, "rope_factor": float(rest.pop("factor"))}
    if kind in ("llama3", "yarn"):
        read["rope_original_length"] = rest.pop("original_max_position_embeddings", max_length)
    if kind == "llama3":
        missing = [name for name in ("low_freq_factor", "high_freq_factor") if name not in rest]
        if missing:
            raise UnsupportedModel(f"{where}: rope type 'llama3' needs {missing[0]!r}")
        read["rope_slow"], read["rope_fast"] = float(rest.pop("low_freq_factor")), float(rest.pop("high_freq_factor"))
    if kind == "yarn":
        if rest.pop("truncate", True) is not True:
            raise UnsupportedModel(f"{where}: truncate=False is not supported for rope type 'yarn'")
        read["rope_slow"], read["rope_fast"] = float(rest.pop("beta_slow", 1)), float(rest.pop("beta_fast", 32))
        read["rope_magnitude"] = _magnitude(read["rope_factor"], rest)
    if rest:
        name, value = next(iter(rest.items()))
        raise UnsupportedModel(f"{where}: {name}={value!r} is not known for rope type {kind!r}")
    return read


def _magnitude(factor: float, rest: dict[str, Any]) -> float:
    """What YaRN multiplies cosines and sines by: given, from two `mscale`s, or from the factor (section 3.4)."""
    given, scale, all_dim = (rest.pop(name, None) for name in ("attention_factor", "mscale", "mscale_all_dim"))
    if given is not None:
        return float(given)

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
