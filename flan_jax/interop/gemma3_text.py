"""Gemma 3, text only (Kamath et al. 2025): Gemma 2 with normalised queries and keys in place of capped scores, and
windows in five layers of six, which have a rotary theta of their own.

Tokenizer: SentencePiece with BOS (id 2) in front, padding id 0.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import gemma2, llama_like
from .family import Family
from .fields import Fields
from .rope import read_parameters, write_scaling
from .windows import read_windows


def read(fields: Fields) -> dict[str, Any]:
    sizes = gemma2.read_sizes(fields, max_length=131_072)
    layers = sizes["num_layers"]
    # transformers reads attn_logit_softcapping and does not use it: what such a model was meant to be is not known.
    fields.only("attn_logit_softcapping", None)
    fields.get("_sliding_window_pattern", None)  # said again by layer_types
    every = fields.size("sliding_window_pattern", 6)
    kinds = "".join("L" if (layer + 1) % every else "G" for layer in range(layers))
    return {
        **sizes,
        **read_two_ropes(fields, llama_like.head_size(sizes), sizes["max_length"]),
        **read_windows(fields, fields.optional_size("sliding_window", 4096), kinds),
        "qk_norm": "head",
        "logit_cap": fields.optional_positive("final_logit_softcapping"),
    }


def read_two_ropes(fields: Fields, head_size: int, max_length: int) -> dict[str, Any]:
    """Rotary settings of global layers, and the theta of local ones, which stretch nothing."""
    both, where = fields.object("rope_parameters"), f"{fields.where}: rope_parameters"
    if unknown := sorted(set(both) - {"full_attention", "sliding_attention"}):
        raise fields.refused("rope_parameters", both, f"{unknown[0]!r} is neither full_attention nor sliding_attention")
    kinds = Fields(both, where)
    whole = {**kinds.object("full_attention"), **fields.object("rope_scaling")}
    local = kinds.object("sliding_attention")
    thetas = fields.positive("rope_theta", 1e6), fields.positive("rope_local_base_freq", 1e4)
    read = read_parameters(whole, f"{where}.full_attention", thetas[0], max_length, head_size)
    near = read_parameters(local, f"{where}.sliding_attention", thetas[1], max_length, head_size)
    if "rope_scaling" in near:
        raise fields.refused("rope_parameters", both, "sliding_attention is of rope type 'default' only")
    return {**read, "local_rope_theta": near["rope_theta"]}


def write(config: DecoderConfig) -> dict[str, Any]:
    local = config.rope_theta if config.local_rope_theta is None else config.local_rope_theta
    return {
        **gemma2.write_sizes(config),
        "final_logit_softcapping": config.logit_cap,
        "rope_parameters": {
            "full_attention": {"rope_theta": config.rope_theta, **(write_scaling(config) or {"rope_type": "default"})},
            "sliding_attention": {"rope_theta": local, "rope_type": "default"},
        },
    }


FAMILY = Family(
    "gemma3_text", "Gemma3ForCausalLM", read, write, gemma2.tensors, prefix="model.", buffers=llama_like.BUFFERS
)
