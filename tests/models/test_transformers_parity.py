"""The same weights give the same logits in `transformers`: LLaMA for the defaults, GPT-2 for the other switches."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import hidden

from flan_jax.models import decoder
from flan_jax.models.config import DecoderConfig

torch = importlib.import_module("torch")
transformers = importlib.import_module("transformers")

TOKENS = np.random.default_rng(0).integers(1, 61, (2, 40)).astype(np.int32)


def numpy(tensor) -> np.ndarray:
    return tensor.detach().float().numpy()


def stacked(layers, read):
    return jax.tree.map(lambda *parts: np.stack(parts), *[read(layer) for layer in layers])


def assert_same_logits(config, params, model):
    assert jax.tree.map(np.shape, params) == jax.tree.map(lambda a: a.shape, decoder.abstract_params(config))
    params = jax.tree.map(jnp.asarray, params)
    positions = np.broadcast_to(np.arange(40, dtype=np.int32), (2, 40))
    states = hidden(config, params, TOKENS, positions, np.ones((2, 40), np.int32))
    with torch.no_grad():
        expected = numpy(model(input_ids=torch.tensor(TOKENS, dtype=torch.long)).logits)
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(decoder.logits(config, params, states), expected, atol=1e-4)


@pytest.mark.parametrize(("tied", "kv_heads"), [(False, 2), (True, 4)])
def test_llama(tied, kv_heads):
    torch.manual_seed(0)
    model = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=61,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=kv_heads,
            tie_word_embeddings=tied,
            rms_norm_eps=1e-6,
            initializer_range=0.2,
        )
    ).eval()
    config = DecoderConfig(
        vocab_size=61, num_layers=2, embed_dim=32, num_heads=4, num_kv_heads=kv_heads, mlp_dim=48, tied_embeddings=tied
    )

    def layer(block):
        attention = block.self_attn
        return {
            "attention_norm": {"scale": numpy(block.input_layernorm.weight)},
            "attention": {
                "query": numpy(attention.q_proj.weight).T.reshape(32, 4, 8),
                "key": numpy(attention.k_proj.weight).T.reshape(32, kv_heads, 8),
                "value": numpy(attention.v_proj.weight).T.reshape(32, kv_heads, 8),
                "output": numpy(attention.o_proj.weight).T.reshape(4, 8, 32),
            },
            "mlp_norm": {"scale": numpy(block.post_attention_layernorm.weight)},
            "mlp": {name: numpy(getattr(block.mlp, f"{name}_proj").weight).T for name in ("gate", "up", "down")},
        }

    params = {
        "embedding": numpy(model.model.embed_tokens.weight),
        "layers": stacked(model.model.layers, layer),
        "final_norm": {"scale": numpy(model.model.norm.weight)},
    }
    if not tied:
        params["head"] = numpy(model.lm_head.weight).T
    assert_same_logits(config, params, model)


def test_gpt2():
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=61,
            n_positions=40,
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_inner=48,
            initializer_range=0.2,
            bos_token_id=0,
            eos_token_id=0,
        )
    ).eval()
    for name, parameter in model.named_parameters():  # they start at zero, where a forgotten bias would not be seen
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.2)
    config = DecoderConfig(
        vocab_size=61, num_layers=2, embed_dim=32, num_heads=4, mlp_dim=48, max_length=40, norm="layer",
        norm_epsilon=1e-5, activation="gelu_tanh", gated_mlp=False, position="learned", tied_embeddings=True,
        qkv_bias=True, attention_output_bias=True, mlp_bias=True,
    )  # fmt: skip

    def norm(module):
        return {"scale": numpy(module.weight), "bias": numpy(module.bias)}

    def layer(block):
        q, k, v = np.split(numpy(block.attn.c_attn.weight), 3, axis=1)
        q_bias, k_bias, v_bias = np.split(numpy(block.attn.c_attn.bias), 3)
        return {
            "attention_norm": norm(block.ln_1),
            "attention": {
                "query": q.reshape(32, 4, 8),
                "key": k.reshape(32, 4, 8),
                "value": v.reshape(32, 4, 8),
                "query_bias": q_bias.reshape(4, 8),
                "key_bias": k_bias.reshape(4, 8),
                "value_bias": v_bias.reshape(4, 8),
                "output": numpy(block.attn.c_proj.weight).reshape(4, 8, 32),
                "output_bias": numpy(block.attn.c_proj.bias),
            },
            "mlp_norm": norm(block.ln_2),
            "mlp": {
                "up": numpy(block.mlp.c_fc.weight),
                "up_bias": numpy(block.mlp.c_fc.bias),
                "down": numpy(block.mlp.c_proj.weight),
                "down_bias": numpy(block.mlp.c_proj.bias),
            },
        }

    params = {
        "embedding": numpy(model.transformer.wte.weight),
        "positions": numpy(model.transformer.wpe.weight),
        "layers": stacked(model.transformer.h, layer),
        "final_norm": norm(model.transformer.ln_f),
    }
    assert_same_logits(config, params, model)
