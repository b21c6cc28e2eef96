"""Phi-3 and Phi-4 (Abdin et al. 2024): LLaMA with fused projections; mini-4k has a window in every layer.

Long-context variants (rope type `longrope`) are refused: their frequencies depend on the length of the text.
Tokenizer: LLaMA's SentencePiece (Phi-3) without BOS in chats, padding id 32000; byte-level BPE (Phi-4).
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .rope import fraction_of_head, read_rope, write_rope
from .tensors import Tensor, dense, head, norm, table


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=4096, epsilon=1e-5)
    fields.get("original_max_position_embeddings", None)  # of long-context variants
    rope = read_rope(fields, llama_like.head_size(sizes), sizes["max_length"], fraction_field="partial_rotary_factor")
    if "rope_scaling" in rope:  # transformers would read yarn as longrope, and refuses the others
        raise fields.refused("rope type", rope["rope_scaling"], "only 'default' is for this model type")
    return {**sizes, **rope, "window": fields.optional_size("sliding_window")}


def write(config: DecoderConfig) -> dict[str, Any]:
    return {
        **llama_like.write_sizes(config, derived_head_dim=True),
        **write_rope(config),
        **({"partial_rotary_factor": fraction_of_head(config)} if config.rotary_size != config.head_size else {}),
        "sliding_window": config.window if all(config.local_layers) else None,
    }


def tensors(config: DecoderConfig) -> list[Tensor]:
    layer, attention = "model.layers.{layer}.", "layers/attention/"
    return [
        *table("model.embed_tokens", "embedding"),
        *norm(config, layer + "input_layernorm", "layers/attention_norm"),
        *dense(layer + "self_attn.qkv_proj", *(attention + path for path in ("query", "key", "value"))),
        *dense(layer + "self_attn.o_proj", attention + "output", inputs=2),
        *norm(config, layer + "post_attention_layernorm", "layers/mlp_norm"),
        *dense(layer + "mlp.gate_up_proj", "layers/mlp/gate", "layers/mlp/up"),
        *dense(layer + "mlp.down_proj", "layers/mlp/down"),
        *norm(config, "model.norm", "final_norm"),
        *head(config),
    ]


FAMILY = Family("phi3", "Phi3ForCausalLM", read, write, tensors, prefix="model.", buffers=llama_like.BUFFERS)
