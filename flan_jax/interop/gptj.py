"""GPT-J (Wang and Komatsuzaki 2021): both branches read one norm, a part of each head turns, the head has a bias.

Tokenizer: GPT-2's, with a vocabulary padded to 50400.
"""

from typing import Any

from ..models.config import DecoderConfig
from . import gpt2
from .family import Family
from .fields import Fields
from .tensors import Tensor, dense, head, norm, table


def read(fields: Fields) -> dict[str, Any]:
    for name in ("summary_type", "summary_use_proj", "summary_activation", "summary_first_dropout",
                 "summary_proj_to_labels", "n_ctx"):  # fmt: skip
        fields.get(name, None)  # of GPT-2's configuration, from which the first files were made
    fields.only("scale_attn_weights", True)
    fields.only("rotary", True)
    return {
        **gpt2.read_sizes(fields, max_length=2048, tied=False),
        "rotary_dim": fields.size("rotary_dim", 64),
        "rotary_pairs": "interleaved",
        "residual": "parallel_one_norm",
        "mlp_bias": True,
        "head_bias": True,
    }


def write(config: DecoderConfig) -> dict[str, Any]:
    return {**gpt2.write_sizes(config), "rotary_dim": config.rotary_size}


def tensors(config: DecoderConfig) -> list[Tensor]:
    layer, attention = "transformer.h.{layer}.", "layers/attention/"
    return [
        *table("transformer.wte", "embedding"),
        *norm(config, layer + "ln_1", "layers/attention_norm"),
        *dense(layer + "attn.q_proj", attention + "query"),
        *dense(layer + "attn.k_proj", attention + "key"),
        *dense(layer + "attn.v_proj", attention + "value"),
        *dense(layer + "attn.out_proj", attention + "output", inputs=2),
        *dense(layer + "mlp.fc_in", "layers/mlp/up", bias=True),
        *dense(layer + "mlp.fc_out", "layers/mlp/down", bias=True),
        *norm(config, "transformer.ln_f", "final_norm"),
        *head(config),
    ]


FAMILY = Family(
    "gptj", "GPTJForCausalLM", read, write, tensors, prefix="transformer.",
    buffers=r".*\.attn\.(masked_bias|bias|embed_positions)",
)  # fmt: skip
