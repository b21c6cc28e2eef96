"""Two processes of jax.distributed share a batch's rows and train as one process does."""

import dataclasses
import json
import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from flan_jax.training.checkpoints import checkpoint_steps, load_params
from flan_jax.training.metrics_log import read_metrics
from flan_jax.training.partitioning import MeshConfig
from flan_jax.training.trainer import train


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture
def two(config, tmp_path):
    """The settings of a run that two processes have finished, and the digests of the rows each saw at each step."""
    settings = dataclasses.replace(
        config, model_dir=str(tmp_path / "two"), tokens_per_batch=512, mesh=MeshConfig(data=1, fsdp=2),
        compilation_cache=None, coordinator=f"127.0.0.1:{free_port()}", num_processes=2,
    )  # fmt: skip
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.run_from_json", str(tmp_path / f"rows{index}.npz")],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": "."}, stdin=subprocess.PIPE, text=True,
        )
        for index in (0, 1)
    ]  # fmt: skip
    for index, process in enumerate(processes):
        process.stdin.write(json.dumps(dataclasses.asdict(dataclasses.replace(settings, process_id=index))))
        process.stdin.close()
    assert [process.wait() for process in processes] == [0, 0]
    return settings, [np.load(tmp_path / f"rows{index}.npz") for index in (0, 1)]


def test_two_processes_see_the_batches_and_losses_of_one(two, config):
    from flan_jax.data.loader import batch_at
    from flan_jax.data.store import Store
    from flan_jax.training.trainer import make_plan

    settings, rows = two
    one = dataclasses.replace(
        settings, model_dir=config.model_dir, mesh=MeshConfig(), coordinator=None, num_processes=None
    )
    train(one)
    losses = [[line["loss"] for line in read_metrics(run.model_dir)] for run in (one, settings)]
    assert len(losses[1]) == settings.steps
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-5)

    store = Store(one.store)
    plan = make_plan(one, store, store.find_vocabulary("bytes"))
    for step in range(settings.steps):
        joined = np.concatenate([process[str(step)] for process in rows])
        np.testing.assert_array_equal(joined, batch_at(plan, step).tokens)

    assert checkpoint_steps(settings.model_dir) == checkpoint_steps(one.model_dir)
    assert not list(pathlib.Path(settings.model_dir).glob("checkpoints/*tmp*"))
    assert load_params(settings.model_dir)[2]["step"] == settings.steps
