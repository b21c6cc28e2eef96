"""The decoder's functions: shapes, names, seeds, and that how it is run does not change what it says."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from decoder_switches import SWITCHES
from packed_rows import hidden, pack

from flan_jax.models import decoder
from flan_jax.models.attention import UnsupportedAttention
from flan_jax.models.config import DecoderConfig, InvalidDecoderConfig

GPT_LIKE = {
    "norm": "layer",
    "activation": "gelu_tanh",
    "gated_mlp": False,
    "position": "learned",
    "max_length": 64,
    "tied_embeddings": True,
    "qkv_bias": True,
    "attention_output_bias": True,
    "mlp_bias": True,
}


def gradients(config, params, row):
    def loss(params, row):
        states = decoder.apply(config, params, row["tokens"], row["positions"], row["segment_ids"])
        return jnp.sum(jax.nn.logsumexp(decoder.logits(config, params, states), axis=-1))

    return jax.jit(jax.grad(loss))(params, row)


@pytest.mark.parametrize("changes", [{}, GPT_LIKE, {"tied_embeddings": True, "head_dim": 16}, *SWITCHES.values()])
def test_abstract_parameters_and_axes_describe_the_real_ones(config, changes):
    config = dataclasses.replace(config, **changes)
    _, params = decoder.build_decoder(config, seed=0)
    abstract, axes = decoder.abstract_params(config), decoder.logical_axes(config)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), params) == jax.tree.map(lambda a: (a.shape, a.dtype), abstract)
    named = jax.tree.leaves_with_path(axes, is_leaf=lambda a: isinstance(a, tuple))
    real = jax.tree.leaves_with_path(params)
    assert [(path, len(names)) for path, names in named] == [(path, leaf.ndim) for path, leaf in real]
    assert decoder.count_params(config) == sum(leaf.size for leaf in jax.tree.leaves(params))


def test_parameters_are_a_function_of_the_seed(config, params):
    same, other = decoder.build_decoder(config, seed=0)[1], decoder.build_decoder(config, seed=1)[1]
    assert all(map(np.array_equal, jax.tree.leaves(params), jax.tree.leaves(same)))
    assert not np.array_equal(params["embedding"], other["embedding"])
    first, second = params["layers"]["mlp"]["up"]
    assert not np.array_equal(first, second)


def test_a_fresh_decoder_is_about_as_unsure_as_it_can_be(config, params, documents):
    row = pack(documents, 160)
    scores = decoder.logits(config, params, hidden(config, params, row["tokens"], row["positions"], row["segment_ids"]))
    assert 0.8 < float(jnp.std(scores)) < 1.2


@pytest.mark.parametrize("changes", [{"remat": "full"}, {"scan_layers": True, "remat": "full"}])
def test_scanning_and_rematerialising_change_no_value_and_no_gradient(config, params, documents, changes):
    row, run = pack(documents[1:2], 7), dataclasses.replace(config, **changes)
    expected, got = (hidden(c, params, row["tokens"], row["positions"], row["segment_ids"]) for c in (config, run))
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)
    plain, other_way = (jax.tree.leaves(gradients(c, params, row)) for c in (config, run))
    for one, other in zip(plain, other_way, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6 * float(jnp.abs(one).max()))


def test_scanning_equals_unrolling_where_layers_differ_in_window_and_theta(config, documents):
    scanned = dataclasses.replace(config, scan_layers=True, **SWITCHES["gemma-like"])
    unrolled, row = dataclasses.replace(scanned, scan_layers=False), pack(documents[2:3], 55)
    params = decoder.build_decoder(scanned, seed=0)[1]
    expected, got = (
        hidden(c, params, row["tokens"], row["positions"], row["segment_ids"]) for c in (unrolled, scanned)
    )
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)
    for changes in ({"window_pattern": "LGL"}, {"window": 20}, {"local_rope_theta": 5.0}):
        other = hidden(
            dataclasses.replace(scanned, **changes), params, row["tokens"], row["positions"], row["segment_ids"]
        )
        assert np.abs(other - got).max() > 0.01, changes


def test_a_model_file_of_an_older_version_gives_the_model_it_gave_then():
    """What `model.json` held before the switches were there; one that names them all is read back the same."""
    saved = {
        "vocab_size": 61, "num_layers": 2, "embed_dim": 32, "num_heads": 4, "mlp_dim": 48, "num_kv_heads": 2,
        "head_dim": None, "max_length": 2048, "norm": "rms", "norm_epsilon": 1e-6, "activation": "silu",
        "gated_mlp": True, "position": "rotary", "rope_theta": 10000.0, "qkv_bias": False,
        "attention_output_bias": False, "mlp_bias": False, "tied_embeddings": False, "dtype": "float32",
        "param_dtype": "float32", "scan_layers": False, "remat": "none", "attention": "xla",
    }  # fmt: skip
    config = DecoderConfig(**saved)
    names = {"embedding", "head", "final_norm", "layers"}
    assert set(decoder.abstract_params(config)) == names and config.attention_scale == 8**-0.5
    assert DecoderConfig(**json.loads(json.dumps(dataclasses.asdict(config)))) == config
    assert hash(config) == hash(DecoderConfig(**saved))


@pytest.mark.parametrize("changes", [{}, GPT_LIKE])
def test_bfloat16_computes_near_float32_and_gives_float32_logits_and_gradients(config, documents, changes):
    config = dataclasses.replace(config, **changes)
    params = decoder.build_decoder(config, seed=0)[1]
    row, coarse = pack(documents[1:2], 7), dataclasses.replace(config, dtype="bfloat16")
    inputs = row["tokens"], row["positions"], row["segment_ids"]
    states = hidden(coarse, params, *inputs)
    scores = decoder.logits(coarse, params, states)
    assert states.dtype == jnp.bfloat16 and scores.dtype == jnp.float32
    np.testing.assert_allclose(scores, decoder.logits(config, params, hidden(config, params, *inputs)), atol=0.1)
    for gradient in jax.tree.leaves(gradients(coarse, params, row)):
        assert gradient.dtype == jnp.float32 and np.isfinite(gradient).all()


def test_an_id_outside_its_table_is_loud(config, params):
    row = pack([np.array([1, 61, 2], np.int32)], 3)
    assert np.isnan(hidden(config, params, row["tokens"], row["positions"], row["segment_ids"])[0, 1]).all()


def test_an_attention_backend_that_is_not_there_is_refused_when_the_decoder_is_built(config):
    with pytest.raises(UnsupportedAttention, match="splash"):
        decoder.build_decoder(dataclasses.replace(config, attention="splash"), seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_kv_heads": 3}, "num_kv_heads=3 must divide num_heads=4"),
        ({"embed_dim": 30}, "embed_dim=30 is not a multiple of num_heads=4; set head_dim"),
        ({"activation": "swish"}, "activation='swish' is not one of silu"),
        ({"num_layers": 0}, "num_layers=0 must be at least 1"),
        ({"head_dim": 7}, "head_dim=7 must be even"),
        ({"window": 0}, "window=0 must be at least 1"),
        ({"window_pattern": "LX"}, "window_pattern='LX' must be letters L .local. and G"),
        ({"rotary_dim": 10}, "rotary_dim=10 must be from 2 to the head size, 8"),
        ({"rotary_dim": 3}, "rotary_dim=3 must be even"),
        ({"rope_scaling": "longrope"}, "rope_scaling='longrope' is not one of none, linear, llama3, yarn"),
        ({"rope_scaling": "llama3"}, "rope_scaling='llama3' needs rope_original_length"),
        ({"residual": "parallel", "norm_placement": "post"}, "residual='parallel' goes with norm_placement='pre'"),
        ({"attention_cap": 0.0}, "attention_cap=0.0 must be more than 0"),
        ({"dtype": "float16"}, "dtype='float16' is not one of float32, bfloat16"),
    ],
)
def test_a_config_that_cannot_be_built_says_which_value(changes, message):
    sizes = {"vocab_size": 61, "num_layers": 2, "embed_dim": 32, "num_heads": 4, "mlp_dim": 48}
    with pytest.raises(InvalidDecoderConfig, match=message):
        DecoderConfig(**{**sizes, **changes})
