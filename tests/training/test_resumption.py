import dataclasses

import pytest

from flan_jax.models.config import DecoderConfig
from flan_jax.training.resumption import differences


def test_a_run_older_than_a_switch_of_the_decoder_has_its_default():
    model = DecoderConfig(vocab_size=8, num_layers=1, embed_dim=8, num_heads=1, mlp_dim=8)
    here = {f"DecoderConfig.{name}": value for name, value in dataclasses.asdict(model).items()}
    there = {name: value for name, value in here.items() if not name.endswith("window_pattern")}
    assert len(there) < len(here) and differences(there, here) == []


@pytest.mark.parametrize(
    ("there", "here", "told"),
    [
        ({}, {"DecoderConfig.qkv_bias": True}, "DecoderConfig.qkv_bias: False there, True here"),
        ({}, {"DecoderConfig.embed_dim": 8}, "DecoderConfig.embed_dim: absent there, 8 here"),
        ({"train.seed": 1}, {}, "train.seed: 1 there, absent here"),
    ],
)
def test_what_differs_is_told(there, here, told):
    assert differences(there, here) == [told]
