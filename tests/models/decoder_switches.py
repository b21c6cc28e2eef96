"""Switches that no default sets, combined as families do."""

SWITCHES = {
    "gemma-like": {
        "num_layers": 3, "head_dim": 12, "norm_scale_offset": 1.0, "norm_placement": "sandwich", "qk_norm": "head",
        "window": 4, "window_pattern": "LLG", "local_rope_theta": 100.0, "attention_cap": 1.5, "logit_cap": 2.0,
        "attention_scale_dim": 5.0, "scaled_embeddings": True, "tied_embeddings": True,
    },
    "gpt-j-like": {
        "norm": "layer", "residual": "parallel_one_norm", "rotary_dim": 4, "rotary_pairs": "interleaved",
        "head_bias": True, "gated_mlp": False, "mlp_bias": True,
    },
    "opt-like": {
        "norm": "layer", "norm_placement": "post", "final_norm": False, "embedding_dim": 20, "position": "learned",
        "position_offset": 2, "max_length": 160, "gated_mlp": False, "tied_embeddings": True,
    },
    "olmo-like": {
        "norm_placement": "branch", "qk_norm": "width", "residual": "sequential", "rope_scaling": "yarn",
        "rope_factor": 4.0, "rope_original_length": 16, "rope_fast": 32.0, "rope_magnitude": 1.2,
    },
    "neox-like": {
        "norm": "layer", "residual": "parallel", "rotary_dim": 4, "rope_scaling": "llama3", "rope_factor": 4.0,
        "rope_original_length": 16, "window": 6, "window_pattern": "GL",
    },
}  # fmt: skip
