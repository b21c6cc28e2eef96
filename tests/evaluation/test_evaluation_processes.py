"""Two processes of jax.distributed share a model and its questions, and score as one process does."""

import os
import pathlib
import socket
import subprocess
import sys

import numpy as np
import pytest

from flan_jax.cli import main
from flan_jax.data.prepare import PrepareConfig, prepare
from flan_jax.evaluation.results import read_results
from flan_jax.models.config import DecoderConfig
from flan_jax.training.trainer import TrainConfig, train

ROOT = pathlib.Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    """To evaluate a model that has seen one batch, on ranked and generated questions, into a folder."""
    folder = tmp_path_factory.mktemp("model")
    store, run = f"{folder}/store", f"{folder}/run"
    prepare(PrepareConfig("microworld", store, "bytes", tasks="small_world", eval_examples=6, processes=1))
    model = DecoderConfig(vocab_size=260, num_layers=2, embed_dim=16, num_heads=2, mlp_dim=32, max_length=160)
    train(
        TrainConfig(
            mixture="microworld", store=store, vocabulary="bytes", model_dir=run, steps=1, model=model,
            tasks="small_world", tokens_per_batch=256, row_length=128, tensorboard=False,
        )
    )  # fmt: skip
    settings = {"CHECKPOINT": run, "MIXTURE": "microworld", "TASKS": "small_world", "STORE": store}
    common = [f"--gin.{name}='{value}'" for name, value in settings.items()]
    common += ["--gin.evaluate.tokens_per_batch=1024", "--gin.evaluate.max_new_tokens=8"]
    return lambda output: ["evaluate", *common, f"--gin.OUTPUT='{output}'"]


@pytest.fixture(scope="module")
def one(flags, tmp_path_factory):
    output = tmp_path_factory.mktemp("one")
    assert main(flags(output)) == 0
    return read_results(output)


@pytest.mark.parametrize(
    "mesh", [(), ("--gin.evaluate.mesh=@MeshConfig()", "--gin.MeshConfig.data=1", "--gin.MeshConfig.fsdp=2")]
)
def test_two_processes_give_the_numbers_of_one(one, flags, tmp_path, mesh):
    coordinator = f"127.0.0.1:{free_port()}"
    together = [
        *flags(tmp_path),
        *mesh,
        f"--gin.evaluate.coordinator='{coordinator}'",
        "--gin.evaluate.num_processes=2",
    ]
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "flan_jax.cli", *together, f"--gin.evaluate.process_id={index}"],
            env={**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
        )
        for index in (0, 1)
    ]  # fmt: skip
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert [str(tmp_path) in text for text in printed] == [True, False]  # one writes the results and prints them

    two = read_results(tmp_path)
    assert two.rows.drop_columns(["scores", "unconditional"]).equals(one.rows.drop_columns(["scores", "unconditional"]))
    scores = [results.rows["scores"].combine_chunks().flatten() for results in (two, one)]
    assert len(scores[0]) > 0 and set(two.rows["task"].to_pylist()) >= {"small_nli", "small_translation"}
    np.testing.assert_allclose(*scores, atol=2e-4)
    assert two.provenance["parameter_digest"] == one.provenance["parameter_digest"]
    assert two.summary == one.summary
