"""Gemma 1 (Mesnard et al. 2024): LLaMA with scaled embeddings, norm scales stored less 1, and a tanh GELU.

Tokenizer: SentencePiece with BOS (id 2) in front, padding id 0.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .rope import read_rope, write_rope


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=8192, tied=True, kv_heads=16, head_dim=256)
    if fields.get("hidden_act", "gelu_pytorch_tanh") in ("gelu", "gelu_pytorch_tanh"):
        sizes["activation"] = "gelu_tanh"  # early files say "gelu" and mean the approximation
    fields.get("hidden_activation", None)  # of early files; not read by transformers either
    return {
        **sizes,
        **read_rope(fields, llama_like.head_size(sizes), sizes["max_length"]),
        **read_biases(fields),
        "norm_scale_offset": 1.0,
        "scaled_embeddings": True,
    }


def read_biases(fields: Fields) -> dict[str, Any]:
    attention_bias = fields.flag("attention_bias", False)
    return {"qkv_bias": attention_bias, "attention_output_bias": attention_bias}


def write(config: DecoderConfig) -> dict[str, Any]:
    attention_bias = config.attention_output_bias
    return {**llama_like.write_sizes(config), **write_rope(config), "attention_bias": attention_bias}


FAMILY = Family(
    "gemma", "GemmaForCausalLM", read, write, llama_like.tensors, prefix="model.", buffers=llama_like.BUFFERS
)
