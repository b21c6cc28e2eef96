"""Qwen 3 (Yang et al. 2025): LLaMA with queries and keys normalised head by head.

Tokenizer: byte-level BPE without BOS; `<|endoftext|>` ends a document and pads.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .qwen2 import read_late_windows, write_late_windows
from .rope import read_rope, write_rope


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=32_768, kv_heads=32, head_dim=128)
    attention_bias = fields.flag("attention_bias", False)
    return {
        **sizes,
        **read_rope(fields, llama_like.head_size(sizes), sizes["max_length"]),
        **read_late_windows(fields, sizes["num_layers"]),
        "qk_norm": "head",
        "qkv_bias": attention_bias,
        "attention_output_bias": attention_bias,
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {
        **llama_like.write_sizes(config),
        **write_rope(config),
        **write_late_windows(config),
        "attention_bias": config.attention_output_bias,
    }


FAMILY = Family(
    "qwen3", "Qwen3ForCausalLM", read, write, llama_like.tensors, prefix="model.", buffers=llama_like.BUFFERS
)
