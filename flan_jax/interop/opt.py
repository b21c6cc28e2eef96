"""OPT (Zhang et al. 2022), 125M to 175B; 350M has norms behind the residual sums and narrower embeddings.

Tokenizer: GPT-2's with `</s>` (2) in front of every document, as BOS, and as its end; padding id 1.  Positions are
stored from row 2 on.
"""

from typing import Any

from ..models.config import DecoderConfig
from .family import Family
from .fields import ACTIVATION_NAMES, Fields
from .tensors import Tensor, dense, head, norm, table

EPSILON = 1e-5  # PyTorch's; OPT's configuration has no field for it


def read(fields: Fields) -> dict[str, Any]:
    width, before = fields.size("hidden_size"), fields.flag("do_layer_norm_before", True)
    inner = fields.optional_size("word_embed_proj_dim")
    biases = dict.fromkeys(("qkv_bias", "attention_output_bias", "mlp_bias"), fields.flag("enable_bias", True))
    fields.only("layer_norm_elementwise_affine", True)
    return {
        "vocab_size": fields.size("vocab_size"),
        "num_layers": fields.size("num_hidden_layers"),
        "embed_dim": width,
        "num_heads": fields.size("num_attention_heads"),
        "mlp_dim": fields.size("ffn_dim"),
        "embedding_dim": None if inner == width else inner,
        "max_length": fields.size("max_position_embeddings", 2048),
        "norm": "layer",
        "norm_epsilon": EPSILON,
        "norm_placement": "pre" if before else "post",
        "final_norm": not fields.flag("_remove_final_layer_norm", False) and before,
        "activation": fields.activation("activation_function", "relu"),
        "gated_mlp": False,
        "position": "learned",
        "position_offset": 2,
        "tied_embeddings": fields.flag("tie_word_embeddings", True),
        **biases,
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "num_hidden_layers": config.num_layers,
        "hidden_size": config.embed_dim,
        "num_attention_heads": config.num_heads,
        "ffn_dim": config.mlp_dim,
        "word_embed_proj_dim": config.embedding_dim or config.embed_dim,
        "max_position_embeddings": config.max_length,
        "do_layer_norm_before": config.norm_placement == "pre",
        "_remove_final_layer_norm": config.norm_placement == "pre" and not config.final_norm,
        "activation_function": ACTIVATION_NAMES[config.activation],
        "enable_bias": config.mlp_bias,
        "tie_word_embeddings": config.tied_embeddings,
    }


def tensors(config: DecoderConfig) -> list[Tensor]:
    layer, attention, bias = "model.decoder.layers.{layer}.", "layers/attention/", config.mlp_bias
    found = table("model.decoder.embed_tokens", "embedding") + table("model.decoder.embed_positions", "positions")
    if config.embedding_dim is not None:
        found += dense("model.decoder.project_in", "embedding_in") + dense("model.decoder.project_out", "embedding_out")
    for letter, path in (("q", "query"), ("k", "key"), ("v", "value")):
        found += dense(f"{layer}self_attn.{letter}_proj", attention + path, bias=bias)
    return [
        *found,
        *dense(layer + "self_attn.out_proj", attention + "output", inputs=2, bias=bias),
        *norm(config, layer + "self_attn_layer_norm", "layers/attention_norm"),
        *dense(layer + "fc1", "layers/mlp/up", bias=bias),
        *dense(layer + "fc2", "layers/mlp/down", bias=bias),
        *norm(config, layer + "final_layer_norm", "layers/mlp_norm"),
        *(norm(config, "model.decoder.final_layer_norm", "final_norm") if config.final_norm else []),
        *head(config),
    ]


FAMILY = Family("opt", "OPTForCausalLM", read, write, tensors, prefix="model.")
