"""Small random models of every family, made by `transformers` itself, and saved as it saves them."""

import importlib
import pathlib
from typing import Any

import numpy as np

torch: Any = importlib.import_module("torch")
transformers: Any = importlib.import_module("transformers")

VOCABULARY, LENGTH = 59, 26
IDS = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
SIZES = {
    **IDS, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
GPT = {**IDS, "n_embd": 24, "n_layer": 2, "n_head": 4, "n_positions": 64}
NEOX = {name: value for name, value in SIZES.items() if name != "num_key_value_heads"}
OPT = {
    **IDS, "hidden_size": 24, "ffn_dim": 40, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64,
}  # fmt: skip
GEMMA = {**SIZES, "head_dim": 10}
LINEAR_ROPE = {"rope_type": "linear", "rope_theta": 500.0, "factor": 4.0}
YARN_ROPE = {"rope_type": "yarn", "rope_theta": 100.0, "factor": 4.0, "original_max_position_embeddings": 16}
THIRD_OF_HEADS = {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.34}
LLAMA3_ROPE = {
    "rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip

# A name, the model type, and its configuration.  Windows are shorter than LENGTH.
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", SIZES),
    "llama-mha-tied-biased": (
        "llama",
        {**SIZES, "num_key_value_heads": 4, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True},
    ),
    "llama-llama3-rope-own-head-size": ("llama", {**SIZES, "head_dim": 10, "rope_parameters": LLAMA3_ROPE}),
    "llama-linear-rope": ("llama", {**SIZES, "rope_parameters": LINEAR_ROPE}),
    "opt": ("opt", OPT),
    "opt-350m": (
        "opt",
        {**OPT, "word_embed_proj_dim": 14, "do_layer_norm_before": False, "tie_word_embeddings": True},
    ),
    "opt-unbiased-untied": ("opt", {**OPT, "enable_bias": False, "tie_word_embeddings": False}),
    "gpt_neox": ("gpt_neox", {**NEOX, "rope_parameters": THIRD_OF_HEADS}),
    "gpt_neox-sequential-unbiased": (
        "gpt_neox",
        {**NEOX, "use_parallel_residual": False, "attention_bias": False, "hidden_act": "gelu_new",
         "tie_word_embeddings": True, "rope_parameters": {**THIRD_OF_HEADS, "partial_rotary_factor": 1.0}},
    ),
    "gpt2": ("gpt2", GPT),
    "gpt2-untied-unscaled": (
        "gpt2",
        {**GPT, "n_inner": 40, "scale_attn_weights": False, "tie_word_embeddings": False, "n_head": 3},
    ),
    "qwen2": ("qwen2", SIZES),
    "qwen2-late-windows-yarn": (
        "qwen2",
        {**SIZES, "use_sliding_window": True, "sliding_window": 5, "max_window_layers": 1, "tie_word_embeddings": True,
         "rope_parameters": YARN_ROPE},
    ),
    "qwen3": ("qwen3", {**SIZES, "head_dim": 10, "tie_word_embeddings": True}),
    "qwen3-biased-one-kv-head": ("qwen3", {**SIZES, "head_dim": 6, "attention_bias": True, "num_key_value_heads": 1}),
    "mistral": ("mistral", {**SIZES, "sliding_window": 7, "head_dim": 8}),
    "mistral-no-window": ("mistral", {**SIZES, "sliding_window": None, "num_key_value_heads": 4}),
    "gemma": ("gemma", GEMMA),
    "gemma-untied-biased": ("gemma", {**GEMMA, "tie_word_embeddings": False, "attention_bias": True}),
    "gemma2": (
        "gemma2",
        {**GEMMA, "sliding_window": 5, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0,
         "query_pre_attn_scalar": 7},
    ),
    "gemma2-uncapped": (
        "gemma2",
        {**GEMMA, "sliding_window": 5, "attn_logit_softcapping": None, "final_logit_softcapping": None,
         "layer_types": ["full_attention", "sliding_attention", "sliding_attention"], "attention_bias": True},
    ),
    "gptj": ("gptj", {**GPT, "rotary_dim": 4}),
    "gptj-tied-whole-heads": (
        "gptj",
        {**GPT, "rotary_dim": 8, "n_head": 3, "n_inner": 40, "tie_word_embeddings": True},
    ),
    "phi3": ("phi3", {**SIZES, "sliding_window": 6}),
    "phi3-partial-tied": (
        "phi3",
        {**SIZES, "hidden_size": 40, "partial_rotary_factor": 0.6, "tie_word_embeddings": True},
    ),
    "olmo2": ("olmo2", SIZES),
    "olmo2-mha-tied": (
        "olmo2",
        {**SIZES, "num_key_value_heads": 4, "tie_word_embeddings": True, "attention_bias": True},
    ),
    "gemma3_text": (
        "gemma3_text",
        {**GEMMA, "num_hidden_layers": 4, "sliding_window": 5, "query_pre_attn_scalar": 9,
         "layer_types": ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]},
    ),
    "gemma3_text-linear-capped": (
        "gemma3_text",
        {**GEMMA, "sliding_window": 5, "final_logit_softcapping": 2.0, "tie_word_embeddings": False,
         "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
         "rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000.0},
                             "sliding_attention": {"rope_type": "default", "rope_theta": 50.0}}},
    ),
}  # fmt: skip


def make(name: str) -> Any:
    return random_model(*MODELS[name])


def random_model(model_type: str, values: dict[str, Any]) -> Any:
    """A model with every weight random, biases and norms too: one that starts at 0 or 1 could be forgotten unseen."""
    config = transformers.AutoConfig.for_model(model_type, **values)
    generator = torch.Generator().manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            centre = weight if weight.ndim == 1 else 0.0
            weight.copy_(centre + noise * (0.3 if weight.ndim == 1 or "embed" in key else weight.shape[-1] ** -0.5))
    return model


def save(name: str, directory: pathlib.Path, **settings: Any) -> Any:
    model = make(name)
    model.save_pretrained(directory, **settings)
    return model


def load(directory: pathlib.Path) -> Any:
    return transformers.AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager").eval()


def logits(model: Any, tokens: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(input_ids=torch.tensor(tokens, dtype=torch.long)).logits.float().numpy()


def tensors_of(file: bytes) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """The tensors of a safetensors file: dtype, shape and bits."""
    from safetensors import deserialize

    return {name: (one["dtype"], tuple(one["shape"]), bytes(one["data"])) for name, one in deserialize(file)}
