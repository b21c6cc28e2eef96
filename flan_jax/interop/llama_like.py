"""What families built like LLaMA share: field names, and names of weights."""

from typing import Any

from ..models.config import DecoderConfig
from .fields import ACTIVATION_NAMES, Fields
from .tensors import Tensor, dense, head, norm, table

BUFFERS = r".*\.rotary_emb\.inv_freq"
WRITTEN = {**ACTIVATION_NAMES, "gelu_tanh": "gelu_pytorch_tanh"}


def read_sizes(
    fields: Fields,
    *,
    max_length: int,
    epsilon: float = 1e-6,
    tied: bool = False,
    activation: str = "hidden_act",
    kv_heads: int | None = None,
    head_dim: int | None = None,
) -> dict[str, Any]:
    """The fields of a DecoderConfig that all of them have; defaults are those of the family's class."""
    return {
        "vocab_size": fields.size("vocab_size"),
        "num_layers": fields.size("num_hidden_layers"),
        "embed_dim": fields.size("hidden_size"),
        "num_heads": fields.size("num_attention_heads"),
        "num_kv_heads": fields.optional_size("num_key_value_heads", kv_heads),
        "head_dim": fields.optional_size("head_dim", head_dim),
        "mlp_dim": fields.size("intermediate_size"),
        "max_length": fields.size("max_position_embeddings", max_length),
        "norm_epsilon": fields.positive("rms_norm_eps", epsilon),
        "activation": fields.activation(activation, "silu" if activation == "hidden_act" else "gelu_pytorch_tanh"),
        "tied_embeddings": fields.flag("tie_word_embeddings", tied),
    }


def head_size(sizes: dict[str, Any]) -> int:
    return sizes["head_dim"] or sizes["embed_dim"] // sizes["num_heads"]


def write_sizes(
    config: DecoderConfig, activation: str = "hidden_act", derived_head_dim: bool = False
) -> dict[str, Any]:
    """`derived_head_dim`: the class has no field for it, and it need only be said where it is not the usual one."""
    usual = config.head_size * config.num_heads == config.embed_dim
    return {
        "vocab_size": config.vocab_size,
        "num_hidden_layers": config.num_layers,
        "hidden_size": config.embed_dim,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.kv_heads,
        **({} if derived_head_dim and usual else {"head_dim": config.head_size}),
        "intermediate_size": config.mlp_dim,
        "max_position_embeddings": config.max_length,
        "rms_norm_eps": config.norm_epsilon,
        activation: WRITTEN[config.activation],
        "tie_word_embeddings": config.tied_embeddings,
    }


def tensors(config: DecoderConfig, norms: dict[str, str] | None = None) -> list[Tensor]:
    """Every tensor.  `norms`: the names of the norms of a layer, by the decoder's; LLaMA's if None."""
    layer, attention = "model.layers.{layer}.", "layers/attention/"
    norms = norms or {"attention_norm": "input_layernorm", "mlp_norm": "post_attention_layernorm"}
    found = table("model.embed_tokens", "embedding")
    for path, name in norms.items():
        found += norm(config, layer + name, f"layers/{path}")
    for letter, path in (("q", "query"), ("k", "key"), ("v", "value")):
        found += dense(f"{layer}self_attn.{letter}_proj", attention + path, bias=config.qkv_bias)
    found += dense(f"{layer}self_attn.o_proj", f"{attention}output", inputs=2, bias=config.attention_output_bias)
    if config.qk_norm != "none":
        found += [
            Tensor(f"{layer}self_attn.{letter}_norm.weight", (f"{attention}{path}_norm/scale",))
            for letter, path in (("q", "query"), ("k", "key"))
        ]
    for path in ("gate", "up", "down"):
        found += dense(f"{layer}mlp.{path}_proj", f"layers/mlp/{path}", bias=config.mlp_bias)
    return [*found, *norm(config, "model.norm", "final_norm"), *head(config)]
