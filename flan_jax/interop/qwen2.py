"""Qwen 2 and 2.5 (Yang et al. 2024): LLaMA with biases on queries, keys and values.

Tokenizer: byte-level BPE without BOS; `<|endoftext|>` ends a document and pads.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .rope import read_rope, write_rope
from .windows import read_windows, write_layer_types


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=32_768, kv_heads=32)
    rope = read_rope(fields, llama_like.head_size(sizes), sizes["max_length"])
    return {**sizes, **rope, **read_late_windows(fields, sizes["num_layers"]), "qkv_bias": True}


def read_late_windows(fields: Fields, layers: int) -> dict[str, Any]:
    """Windows in the layers from `max_window_layers` on, and only if `use_sliding_window`."""
    used, first = fields.flag("use_sliding_window", False), fields.count("max_window_layers", 28)
    size = fields.optional_size("sliding_window", 4096) if used else None
    fields.get("sliding_window", None)  # present, and without effect, where windows are not used
    kinds = "".join("L" if size is not None and layer >= first else "G" for layer in range(layers))
    return read_windows(fields, size, kinds)


def write(config: DecoderConfig) -> dict[str, Any]:
    return {**llama_like.write_sizes(config, derived_head_dim=True), **write_rope(config), **write_late_windows(config)}


def write_late_windows(config: DecoderConfig) -> dict[str, Any]:
    slides = any(config.local_layers)
    return {
        "use_sliding_window": slides,
        "sliding_window": config.window if slides else None,
        "max_window_layers": config.local_layers.index(True) if slides else config.num_layers,
        "layer_types": write_layer_types(config),
    }


FAMILY = Family(
    "qwen2", "Qwen2ForCausalLM", read, write, llama_like.tensors, prefix="model.", buffers=llama_like.BUFFERS
)
