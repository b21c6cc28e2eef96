"""Sliding windows, as `config.json` names the kinds of layers."""

from typing import Any

from ..models.config import DecoderConfig
from .fields import Fields

KINDS = {"sliding_attention": "L", "full_attention": "G"}


def shortest_pattern(kinds: str) -> str:
    """The shortest string of letters that, repeated, begins with `kinds`."""
    layers = range(len(kinds))
    return next(kinds[:n] for n in range(1, len(kinds) + 1) if all(kinds[i] == kinds[i % n] for i in layers))


def read_windows(fields: Fields, size: int | None, default: str) -> dict[str, Any]:
    """`window` and `window_pattern` from `layer_types`, or from the letters of all layers where it is absent."""
    types = fields.get("layer_types", None)
    layers = len(default)
    if types is not None:
        if not isinstance(types, list):
            raise fields.refused("layer_types", types, "it must be a list")
        unknown = [kind for kind in types if not isinstance(kind, str) or kind not in KINDS]
        if unknown or len(types) != layers:
            why = f"there are {layers} layers, each of {', '.join(KINDS)}"
            raise fields.refused("layer_types", unknown[0] if unknown else types, why)
    kinds = default if types is None else "".join(KINDS[kind] for kind in types)
    if "L" not in kinds:
        return {}
    if size is None:
        raise fields.refused("sliding_window", None, "layer_types names layers that slide")
    return {"window": size, "window_pattern": shortest_pattern(kinds)}


def write_layer_types(config: DecoderConfig) -> list[str]:
    return ["sliding_attention" if local else "full_attention" for local in config.local_layers]
