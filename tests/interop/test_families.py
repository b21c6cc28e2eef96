"""Every family says what transformers says, in whole rows, packed ones and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_models
from torch_models import LENGTH, MODELS, VOCABULARY

from flan_jax.interop.families import FAMILIES
from flan_jax.interop.tensors import flat
from flan_jax.models import decoder
from flan_jax.training.loss import token_cross_entropy

TOKENS = np.random.default_rng(0).integers(3, VOCABULARY, (2, LENGTH)).astype(np.int32)
POSITIONS = np.broadcast_to(np.arange(LENGTH, dtype=np.int32), TOKENS.shape)
# One with every switch of its kind: windows, caps, learned positions, parts of heads, projected embeddings.
FEW = ("llama-llama3-rope-own-head-size", "opt-350m", "gpt_neox", "gemma2", "gptj", "qwen2-late-windows-yarn")


def test_every_family_is_tried():
    assert {model_type for model_type, _ in MODELS.values()} == set(FAMILIES)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_transformers_and_packing_changes_none(imported, name):
    """Row 0 is one document and row 1 two, with padding behind; windows are shorter than either."""
    model = imported(name)
    segments, positions, tokens = np.ones_like(TOKENS), POSITIONS.copy(), TOKENS.copy()
    first, end = 14, LENGTH - 3
    positions[1, first:] -= first
    segments[1, first:], segments[1, end:], tokens[1, end:], positions[1, end:] = 2, 0, 0, 0
    got = model.logits(tokens, positions, segments)
    expected = torch_models.logits(model.model, TOKENS)
    assert expected.std() > 0.5
    np.testing.assert_allclose(got[0], expected[0], atol=1e-4, rtol=0)
    np.testing.assert_allclose(got[1, :first], expected[1, :first], atol=1e-4, rtol=0)
    alone = torch_models.logits(model.model, TOKENS[1:, first:end])
    np.testing.assert_allclose(got[1, first:end], alone[0], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", FEW[:5])
def test_gradients_are_those_of_transformers(imported, name):
    """Of the summed loss that is trained with, for every tensor of the checkpoint, within 1e-4 of its norm.

    Those of key biases without rotary positions are 0 but for rounding, as softmax does not see a shift.
    """
    model = imported(name)

    @partial(jax.jit, static_argnums=0)
    def gradients(config, params, tokens):
        def loss(params):
            states = decoder.apply(config, params, tokens, jnp.asarray(POSITIONS), jnp.ones_like(tokens))
            return token_cross_entropy(config, params, states, tokens, jnp.ones(tokens.shape), chunk=9)[0]

        return jax.grad(loss)(params)

    got = flat(gradients(model.config, model.params, TOKENS))
    torch = torch_models.torch
    model.model.zero_grad()
    tokens = torch.tensor(TOKENS, dtype=torch.long)
    scores = model.model(input_ids=tokens).logits[:, :-1]
    torch.nn.functional.cross_entropy(scores.flatten(0, 1), tokens[:, 1:].flatten(), reduction="sum").backward()
    theirs = {key: weight.grad.numpy() for key, weight in model.model.named_parameters() if weight.grad is not None}
    renamed = model.source.family.renamed
    theirs = {renamed.get(key, key): gradient for key, gradient in theirs.items()}
    rounding, compared = 1e-6 * max(np.linalg.norm(gradient) for gradient in theirs.values()), set()
    for key, tensor, layer in model.source.family.stored(model.source.config):
        mine = tensor.join([np.asarray(got[path] if layer is None else got[path][layer]) for path in tensor.parameters])
        assert np.linalg.norm(mine - theirs[key]) <= max(1e-4 * np.linalg.norm(theirs[key]), rounding), key
        compared.add(key)
    assert compared == set(theirs)
