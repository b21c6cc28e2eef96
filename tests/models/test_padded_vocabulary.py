"""Tables padded so that they can be cut: the padding scores nothing, learns nothing and is never generated."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from packed_rows import hidden, pack

from flan_jax.models import decoder
from flan_jax.models.config import InvalidDecoderConfig
from flan_jax.training.loss import token_cross_entropy

AXES = {"embedding": 0, "head": 1, "head_bias": 0}


def lengthened(params):
    """With 19 zeros behind the 61 entries of each table."""
    widths = {name: [(0, 19 * (axis == i)) for i in range(params[name].ndim)] for name, axis in AXES.items()
              if name in params}  # fmt: skip
    return {**params, **{name: jnp.pad(params[name], width) for name, width in widths.items()}}


@pytest.fixture(params=["untied", "tied"])
def pair(request, config, params):
    """The same decoder, without padding and with: (configuration, parameters) of each."""
    if request.param == "tied":
        changes, params = {"tied_embeddings": True, "logit_cap": 2.0}, {**params}
        del params["head"]
    else:
        changes, params = {"head_bias": True}, {**params, "head_bias": jnp.linspace(-1.0, 1.0, 61)}
    plain = dataclasses.replace(config, scan_layers=True, **changes)
    return (plain, params), (dataclasses.replace(plain, padded_vocab_size=80), lengthened(params))


def test_fresh_parameters_are_those_without_padding_and_zeros(config, params):
    padded = decoder.build_decoder(dataclasses.replace(config, padded_vocab_size=80), seed=0)[1]
    assert all(map(np.array_equal, jax.tree.leaves(padded), jax.tree.leaves(lengthened(params))))


def test_logits_and_log_probabilities_are_those_without_padding(pair, documents):
    row = pack(documents, 160)
    states = [hidden(c, p, row["tokens"], row["positions"], row["segment_ids"]) for c, p in pair]
    plain, padded = (decoder.logits(c, p, h) for (c, p), h in zip(pair, states, strict=True))
    np.testing.assert_allclose(padded[..., :61], plain, atol=5e-6, rtol=0)
    assert float(padded[..., 61:].max()) < -1e29
    expected, got = (jax.nn.log_softmax(scores)[..., :61] for scores in (plain, padded))
    np.testing.assert_allclose(got, expected, atol=5e-6, rtol=0)


def test_the_loss_and_its_gradients_are_those_without_padding(pair, documents):
    row = jax.tree.map(jnp.asarray, pack(documents, 160))
    weights = (row["positions"] > 0).astype(jnp.float32)

    def loss(params, config):
        states = decoder.apply(config, params, row["tokens"], row["positions"], row["segment_ids"])
        return token_cross_entropy(config, params, states, row["tokens"], weights, 50)[0]

    (plain, expected), (padded, got) = (jax.jit(jax.value_and_grad(loss), static_argnums=1)(p, c) for c, p in pair)
    np.testing.assert_allclose(padded, plain, rtol=1e-6)
    for name, axis in AXES.items():
        if name in got:
            of_tokens, of_padding = jnp.split(got[name], [61], axis)
            np.testing.assert_allclose(of_tokens, expected[name], atol=1e-4, rtol=1e-4)
            assert not of_padding.any()


def test_fewer_rows_than_tokens_are_refused(config):
    with pytest.raises(InvalidDecoderConfig, match="padded_vocab_size=60 must be at least vocab_size=61"):
        dataclasses.replace(config, padded_vocab_size=60)
