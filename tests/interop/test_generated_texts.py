"""Every family generates what transformers generates, greedily and by beam search."""

import numpy as np
import pytest
import torch_models
from torch_models import LENGTH, VOCABULARY

from flan_jax.decoding.settings import Decoding
from flan_jax.evaluation.generation import generate
from tests.evaluation.questions import make_request

torch = torch_models.torch
DRAW = np.random.default_rng(0)
PROMPTS = [DRAW.integers(3, VOCABULARY, length).tolist() for length in (9, 3)]
NEW = 16
NO_EOS = -1


def asked(prompts) -> list:
    return [make_request(prompt, (), example_id=str(i), new_tokens=NEW) for i, prompt in enumerate(prompts)]


def ours(model, prompts, eos=NO_EOS, decoding=None) -> list:
    return generate(model.config, model.params, asked(prompts), eos, str, decoding)


def theirs(model, prompt, **settings):
    tokens = torch.tensor([prompt], dtype=torch.long)
    settings = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 0} | settings
    return model.model.generate(
        tokens, attention_mask=torch.ones_like(tokens), return_dict_in_generate=True, output_scores=True, **settings
    )


# One with every switch of its kind: windows, caps, learned positions, parts of heads, projected embeddings.
@pytest.mark.parametrize(
    "name",
    ["llama-llama3-rope-own-head-size", "opt-350m", "gpt_neox", "gemma2", "gptj", "qwen2-late-windows-yarn", "mistral",
     "gemma3_text"],
)  # fmt: skip
def test_greedy_generation_is_that_of_transformers_token_for_token(imported, name):
    """Well beyond the window, from a prompt shorter and one longer than it, in one batch here."""
    assert LENGTH > NEW
    model = imported(name)
    for prompt, got in zip(PROMPTS, ours(model, PROMPTS), strict=True):
        assert theirs(model, prompt).sequences[0, len(prompt) :].tolist() == got.tokens


@pytest.mark.parametrize("beams", [1, 3])
def test_beam_search_is_that_of_transformers_where_its_score_is_the_log_probability(imported, beams):
    """At length penalty 0 both rank by log-probability; with an EOS that ends some hypotheses early."""
    model = imported("llama-llama3-rope-own-head-size")
    prompts = [DRAW.integers(3, VOCABULARY, length).tolist() for length in (9, 3, 5, 1)]
    decoding = Decoding(method="beam", beams=beams, length_penalty=0.0)
    ended = 0
    for eos in (NO_EOS, ours(model, prompts)[0].tokens[2]):
        for prompt, got in zip(prompts, ours(model, prompts, eos, decoding), strict=True):
            settings = {"num_beams": beams, "length_penalty": 0.0, "early_stopping": "never"}
            found = theirs(model, prompt, **settings, eos_token_id=None if eos == NO_EOS else eos)
            expected = found.sequences[0, len(prompt) :].tolist()
            if eos in expected:
                expected, ended = expected[: expected.index(eos)], ended + 1
            assert got.tokens == expected
            if beams > 1:
                np.testing.assert_allclose(got.score, found.sequences_scores[0], rtol=1e-5)
    assert ended > 0
