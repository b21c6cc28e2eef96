"""OLMo 2 (Walsh et al. 2025): LLaMA with norms behind the branches, and queries and keys normalised over their width.

Tokenizer: byte-level BPE without BOS; `<|endoftext|>` (100257) ends a document, padding id 100277.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import llama_like
from .family import Family
from .fields import Fields
from .gemma import read_biases
from .rope import read_rope, write_rope
from .tensors import Tensor


def read(fields: Fields) -> dict[str, Any]:
    sizes = llama_like.read_sizes(fields, max_length=2048, epsilon=1e-5)
    return {
        **sizes,
        **read_rope(fields, llama_like.head_size(sizes), sizes["max_length"]),
        **read_biases(fields),
        "norm_placement": "branch",
        "qk_norm": "width",
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    attention_bias = config.attention_output_bias
    return {
        **llama_like.write_sizes(config, derived_head_dim=True),
        **write_rope(config),
        "attention_bias": attention_bias,
    }


def tensors(config: DecoderConfig) -> list[Tensor]:
    norms = {"attention_norm": "post_attention_layernorm", "mlp_norm": "post_feedforward_layernorm"}
    return llama_like.tensors(config, norms)


FAMILY = Family("olmo2", "Olmo2ForCausalLM", read, write, tensors, prefix="model.", buffers=llama_like.BUFFERS)
