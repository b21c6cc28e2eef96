"""Gemma 2 (Rivière et al. 2024): Gemma with norms around each branch, capped scores, and a window every other layer.

transformers caps attention scores only with `attn_implementation="eager"` or a kernel that can.
Tokenizer: SentencePiece with BOS (id 2) in front, padding id 0.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .gemma import read_biases
from .rope import read_rope, write_rope
from .tensors import Tensor
from .windows import read_windows, write_layer_types

NORMS = {
    "attention_norm": "input_layernorm",
    "attention_post_norm": "post_attention_layernorm",
    "mlp_norm": "pre_feedforward_layernorm",
    "mlp_post_norm": "post_feedforward_layernorm",
}


def read(fields: Fields) -> dict[str, Any]:
    sizes = read_sizes(fields, max_length=8192)
    layers = sizes["num_layers"]
    return {
        **sizes,
        **read_rope(fields, llama_like.head_size(sizes), sizes["max_length"]),
        **read_windows(fields, fields.optional_size("sliding_window", 4096), ("LG" * layers)[:layers]),
        "logit_cap": fields.optional_positive("final_logit_softcapping", 30.0),
        "attention_cap": fields.optional_positive("attn_logit_softcapping", 50.0),
    }


def read_sizes(fields: Fields, max_length: int) -> dict[str, Any]:
    """What Gemma 2 and 3 share."""
    fields.get("hidden_act", None)  # of early files; not read by transformers either
    return {
        **llama_like.read_sizes(
            fields, max_length=max_length, tied=True, kv_heads=4, head_dim=256, activation="hidden_activation"
        ),
        **read_biases(fields),
        "norm_placement": "sandwich",
        "norm_scale_offset": 1.0,
        "scaled_embeddings": True,
        "attention_scale_dim": fields.positive("query_pre_attn_scalar", 256),
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {
        **write_sizes(config),
        **write_rope(config),
        "final_logit_softcapping": config.logit_cap,
        "attn_logit_softcapping": config.attention_cap,
    }


def write_sizes(config: DecoderConfig) -> dict[str, Any]:
    """What Gemma 2 and 3 share."""
    divisor = config.attention_scale_dim or config.head_size
    return {
        **llama_like.write_sizes(config, activation="hidden_activation"),
        "attention_bias": config.attention_output_bias,
        "query_pre_attn_scalar": int(divisor) if divisor == int(divisor) else divisor,
        "sliding_window": config.window or 4096,  # asked for even where no layer slides
        "layer_types": write_layer_types(config),
    }


def tensors(config: DecoderConfig) -> list[Tensor]:
    return llama_like.tensors(config, NORMS)


FAMILY = Family("gemma2", "Gemma2ForCausalLM", read, write, tensors, prefix="model.", buffers=llama_like.BUFFERS)
