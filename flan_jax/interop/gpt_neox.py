"""GPT-NeoX (Black et al. 2022) and Pythia (Biderman et al. 2023).

Both branches of a layer read the stream, and a quarter of each head turns.

Tokenizer: byte-level BPE without BOS; `<|endoftext|>` (0) ends a document and pads.
"""

from typing import Any

from ..models.config import DecoderConfig
from .family import Family
from .fields import ACTIVATION_NAMES, Fields
from .rope import fraction_of_head, read_rope, write_rope
from .tensors import Tensor, dense, head, norm, table


def read(fields: Fields) -> dict[str, Any]:
    width, heads = fields.size("hidden_size"), fields.size("num_attention_heads")
    length, bias = fields.size("max_position_embeddings", 2048), fields.flag("attention_bias", True)
    rope = read_rope(
        fields, width // heads, length, theta_field="rotary_emb_base", fraction_field="rotary_pct", fraction=0.25
    )
    return {
        "vocab_size": fields.size("vocab_size"),
        "num_layers": fields.size("num_hidden_layers"),
        "embed_dim": width,
        "num_heads": heads,
        "mlp_dim": fields.size("intermediate_size"),
        "max_length": length,
        "norm": "layer",
        "norm_epsilon": fields.positive("layer_norm_eps", 1e-5),
        "activation": fields.activation("hidden_act", "gelu"),
        "gated_mlp": False,
        "tied_embeddings": fields.flag("tie_word_embeddings", False),
        "residual": "parallel" if fields.flag("use_parallel_residual", True) else "sequential",
        "qkv_bias": bias,
        "attention_output_bias": bias,
        "mlp_bias": True,
        **rope,
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab_size,
        "num_hidden_layers": config.num_layers,
        "hidden_size": config.embed_dim,
        "num_attention_heads": config.num_heads,
        "intermediate_size": config.mlp_dim,
        "max_position_embeddings": config.max_length,
        "layer_norm_eps": config.norm_epsilon,
        "hidden_act": ACTIVATION_NAMES[config.activation],
        "tie_word_embeddings": config.tied_embeddings,
        "use_parallel_residual": config.residual == "parallel",
        "attention_bias": config.attention_output_bias,
        "rotary_pct": fraction_of_head(config),
        **write_rope(config, "rotary_emb_base"),
    }


def tensors(config: DecoderConfig) -> list[Tensor]:
    layer, attention, bias = "gpt_neox.layers.{layer}.", "layers/attention/", config.qkv_bias
    fused = [attention + path for path in ("query", "key", "value")]
    return [
        *table("gpt_neox.embed_in", "embedding"),
        *norm(config, layer + "input_layernorm", "layers/attention_norm"),
        *dense(layer + "attention.query_key_value", *fused, bias=bias, by_head=True),
        *dense(layer + "attention.dense", attention + "output", inputs=2, bias=config.attention_output_bias),
        *norm(config, layer + "post_attention_layernorm", "layers/mlp_norm"),
        *dense(layer + "mlp.dense_h_to_4h", "layers/mlp/up", bias=True),
        *dense(layer + "mlp.dense_4h_to_h", "layers/mlp/down", bias=True),
        *norm(config, "gpt_neox.final_layer_norm", "final_norm"),
        *head(config, "embed_out"),
    ]


FAMILY = Family(
    "gpt_neox", "GPTNeoXForCausalLM", read, write, tensors, prefix="gpt_neox.",
    renamed={"lm_head.weight": "embed_out.weight"},
    buffers=r".*\.attention\.(masked_bias|bias|rotary_emb\.inv_freq)",
)  # fmt: skip
