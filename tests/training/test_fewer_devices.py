"""A run stopped on eight devices goes on, on fewer, with the same batches and, to rounding, the same losses."""

import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from flan_jax.training.checkpoints import checkpoint_steps
from flan_jax.training.metrics_log import read_metrics
from flan_jax.training.partitioning import MeshConfig
from flan_jax.training.trainer import TrainConfig


def train_on(devices: int, config: TrainConfig) -> tuple[dict[str, np.ndarray], list[float]]:
    """Train in a process that has so many devices: the token rows it saw, by step, and the losses of all updates."""
    flags = os.environ.get("XLA_FLAGS", "") + f" --xla_force_host_platform_device_count={devices}"
    rows = pathlib.Path(config.model_dir + f".on{devices}.npz")
    subprocess.run(
        [sys.executable, "-m", "tests.training.run_from_json", str(rows)],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": "."},
        input=json.dumps(dataclasses.asdict(config)), text=True, check=True,
    )  # fmt: skip
    return dict(np.load(rows)), [line["loss"] for line in read_metrics(config.model_dir)]


@pytest.fixture(scope="module")
def eight(settings, tmp_path_factory):
    """An undisturbed run of 8 updates on 8 devices cut in three ways: its settings, rows and losses."""
    config = TrainConfig(
        model_dir=str(tmp_path_factory.mktemp("eight") / "run"), keep=3,
        **settings | {"tokens_per_batch": 1024, "mesh": MeshConfig(data=-1, fsdp=2, tensor=2)},
    )  # fmt: skip
    return config, *train_on(8, config)


@pytest.mark.parametrize(
    ("devices", "mesh"), [(1, MeshConfig()), (2, MeshConfig(data=1, fsdp=2)), (4, MeshConfig(data=-1, fsdp=2))]
)
def test_it_continues_on_fewer(eight, tmp_path, devices, mesh):
    config, rows, losses = eight
    stopped = shutil.copytree(config.model_dir, tmp_path / "run")
    for later in (6, 8):  # what a run killed between updates 3 and 6 leaves
        shutil.rmtree(stopped / "checkpoints" / str(later))
    seen, continued = train_on(devices, dataclasses.replace(config, model_dir=str(stopped), mesh=mesh))
    assert checkpoint_steps(stopped) == [3, 6, 8]
    assert list(seen) == ["3", "4", "5", "6", "7"]
    for step, tokens in seen.items():
        assert tokens.shape == (8, 128)
        np.testing.assert_array_equal(tokens, rows[step])
    assert continued[:3] == losses[:3]
    np.testing.assert_allclose(continued[3:], losses[3:], rtol=2e-5)
