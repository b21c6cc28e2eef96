"""GPT-2 (Radford et al. 2019).

Tokenizer: byte-level BPE without BOS; `<|endoftext|>` (50256) ends a document, and there is no padding id.
"""

from typing import Any

from ..models.config import DecoderConfig
from .family import Family
from .fields import ACTIVATION_NAMES, Fields
from .tensors import Tensor, dense, head, norm, table


def read(fields: Fields) -> dict[str, Any]:
    sizes = read_sizes(fields, max_length=1024, tied=True)
    fields.only("scale_attn_by_inverse_layer_idx", False)
    fields.only("reorder_and_upcast_attn", False, True)  # an order of operations; scores are always float32 here
    for name in ("summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout",
                 "summary_proj_to_labels", "n_ctx"):  # fmt: skip
        fields.get(name, None)  # of a head for classification; and of the first files
    scaled = fields.flag("scale_attn_weights", True)
    biases = dict.fromkeys(("qkv_bias", "attention_output_bias", "mlp_bias"), True)
    return {**sizes, **biases, "position": "learned", "attention_scale_dim": None if scaled else 1.0}


def read_sizes(fields: Fields, max_length: int, tied: bool) -> dict[str, Any]:
    """What GPT-2 and GPT-J share."""
    width, inner = fields.size("n_embd"), fields.optional_size("n_inner")
    return {
        "vocab_size": fields.size("vocab_size"),
        "num_layers": fields.size("n_layer"),
        "embed_dim": width,
        "num_heads": fields.size("n_head"),
        "mlp_dim": 4 * width if inner is None else inner,
        "max_length": fields.size("n_positions", max_length),
        "norm": "layer",
        "norm_epsilon": fields.positive("layer_norm_epsilon", 1e-5),
        "activation": fields.activation("activation_function", "gelu_new"),
        "gated_mlp": False,
        "tied_embeddings": fields.flag("tie_word_embeddings", tied),
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {**write_sizes(config), "scale_attn_weights": config.attention_scale_dim in (None, config.head_size)}


def write_sizes(config: DecoderConfig) -> dict[str, Any]:
    """What GPT-2 and GPT-J share."""
    return {
        "vocab_size": config.vocab_size,
        "n_layer": config.num_layers,
        "n_embd": config.embed_dim,
        "n_head": config.num_heads,
        "n_inner": None if config.mlp_dim == 4 * config.embed_dim else config.mlp_dim,
        "n_positions": config.max_length,
        "layer_norm_epsilon": config.norm_epsilon,
        "activation_function": ACTIVATION_NAMES[config.activation],
        "tie_word_embeddings": config.tied_embeddings,
    }


def tensors(config: DecoderConfig) -> list[Tensor]:
    layer, attention = "transformer.h.{layer}.", "layers/attention/"
    stored: dict[str, Any] = {"bias": True, "transposed": False}
    return [
        *table("transformer.wte", "embedding"),
        *table("transformer.wpe", "positions"),
        *norm(config, layer + "ln_1", "layers/attention_norm"),
        *dense(layer + "attn.c_attn", *(attention + path for path in ("query", "key", "value")), **stored),
        *dense(layer + "attn.c_proj", attention + "output", inputs=2, **stored),
        *norm(config, layer + "ln_2", "layers/mlp_norm"),
        *dense(layer + "mlp.c_fc", "layers/mlp/up", **stored),
        *dense(layer + "mlp.c_proj", "layers/mlp/down", **stored),
        *norm(config, "transformer.ln_f", "final_norm"),
        *head(config),
    ]


FAMILY = Family(
    "gpt2", "GPT2LMHeadModel", read, write, tensors, prefix="transformer.", buffers=r".*\.attn\.(masked_)?bias"
)
