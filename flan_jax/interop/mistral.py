"""Mistral (Jiang et al. 2023): LLaMA with a sliding window in every layer (7B v0.1) or in none (later ones).

Tokenizer: SentencePiece or byte-level BPE (Tekken) with BOS (id 1) in front.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .rope import read_rope, write_rope


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=131_072, kv_heads=8)
    window = fields.optional_size("sliding_window", 4096)
    return {**sizes, **read_rope(fields, llama_like.head_size(sizes), sizes["max_length"]), "window": window}


def write(config: DecoderConfig) -> dict[str, Any]:
    window = config.window if all(config.local_layers) else None
    return {**llama_like.write_sizes(config), **write_rope(config), "sliding_window": window}


FAMILY = Family(
    "mistral", "MistralForCausalLM", read, write, llama_like.tensors, prefix="model.", buffers=llama_like.BUFFERS
)
