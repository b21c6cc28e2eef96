"""A small decoder with every LLaMA part (grouped queries, gated MLP, rotary positions), and documents to pack."""

import dataclasses

import numpy as np
import pytest
from decoder_switches import SWITCHES

from flan_jax.models import decoder
from flan_jax.models.config import DecoderConfig


@pytest.fixture(scope="session")
def config() -> DecoderConfig:
    return DecoderConfig(vocab_size=61, num_layers=2, embed_dim=32, num_heads=4, num_kv_heads=2, mlp_dim=48)


@pytest.fixture(scope="session")
def params(config):
    return decoder.build_decoder(config, seed=0)[1]


@pytest.fixture(scope="session")
def documents() -> list[np.ndarray]:
    """150 tokens together: a packed row of them spans two blocks of queries, and one document crosses the border."""
    random = np.random.default_rng(0)
    return [random.integers(1, 61, length).astype(np.int32) for length in (70, 7, 55, 18)]


@pytest.fixture(scope="session", params=SWITCHES)
def switched(request, config) -> DecoderConfig:
    return dataclasses.replace(config, scan_layers=True, **SWITCHES[request.param])


@pytest.fixture(scope="session")
def switched_params(switched):
    return decoder.build_decoder(switched, seed=0)[1]
