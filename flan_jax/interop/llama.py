"""LLaMA 1, 2 and 3 (Touvron et al. 2023, Grattafiori et al. 2024), and the many models saved as such.

Tokenizer: LLaMA 1 and 2 SentencePiece with BOS (id 1) in front and no padding id; LLaMA 3 byte-level BPE with
`<|begin_of_text|>` in front.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .rope import read_rope, write_rope


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=2048)
    attention_bias = fields.flag("attention_bias", False)
    return {
        **sizes,
        **read_rope(fields, llama_like.head_size(sizes), sizes["max_length"]),
        "qkv_bias": attention_bias,
        "attention_output_bias": attention_bias,
        "mlp_bias": fields.flag("mlp_bias", False),
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {
        **llama_like.write_sizes(config),
        **write_rope(config),
        "attention_bias": config.attention_output_bias,
        "mlp_bias": config.mlp_bias,
    }


FAMILY = Family(
    "llama", "LlamaForCausalLM", read, write, llama_like.tensors, prefix="model.", buffers=llama_like.BUFFERS
)
