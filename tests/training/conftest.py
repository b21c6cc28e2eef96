"""A small model, a small store and batches of packed random documents."""

import numpy as np
import pytest

from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.models.config import DecoderConfig
from flan_jax.training.trainer import TrainConfig

TASKS = "tests.training.tiny_tasks"
MODEL = DecoderConfig(
    vocab_size=320, num_layers=1, embed_dim=32, num_heads=4, num_kv_heads=2, mlp_dim=64, max_length=128
)


def packed(rows: int, length: int, seed: int, vocabulary: int = 320) -> dict[str, np.ndarray]:
    """Rows of random documents of random lengths; some tokens count, and some padding is left."""
    dice = np.random.default_rng(seed)
    batch = {name: np.zeros((rows, length), np.int32) for name in ("tokens", "positions", "segment_ids")}
    weights = np.zeros((rows, length), np.float32)
    for row in range(rows):
        start, segment = 0, 0
        while (size := int(dice.integers(3, length // 2))) <= length - start:
            segment += 1
            here = (row, slice(start, start + size))
            batch["tokens"][here] = dice.integers(1, vocabulary, size)
            batch["positions"][here] = np.arange(size)
            batch["segment_ids"][here] = segment
            weights[here] = dice.random(size) < 0.6
            weights[row, start] = 0
            start += size
    return {**batch, "loss_weights": weights}


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    prepare(PrepareConfig("tiny", str(folder), "bytes", tasks=TASKS, eval_examples=None, processes=1))
    return folder


@pytest.fixture(scope="session")
def compiled(tmp_path_factory):
    """Compiled steps, so that the second run of a kind starts at once."""
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="session")
def settings(store, compiled) -> dict:
    """Of a run of a few steps, all but its directory."""
    return {
        "mixture": "tiny", "store": str(store), "vocabulary": "bytes", "tasks": TASKS, "model": MODEL, "steps": 8,
        "tokens_per_batch": 256, "row_length": 128, "inputs_length": 90, "targets_length": 20, "checkpoint_every": 3,
        "log_every": 1, "tensorboard": False, "compilation_cache": str(compiled),
    }  # fmt: skip


@pytest.fixture
def config(settings, tmp_path) -> TrainConfig:
    return TrainConfig(model_dir=str(tmp_path / "run"), **settings)
