"""Eight devices, cut in any way, train as one does; what they write is read on any number."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    ended = subprocess.run(
        [sys.executable, "-m", "tests.training.eight_devices", str(tmp_path_factory.mktemp("eight"))],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "TF_CPP_MIN_LOG_LEVEL": "1"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    return {**json.loads(ended.stdout.splitlines()[-1]), "stderr": ended.stderr}


@pytest.mark.parametrize("mesh", ["data", "mixed", "sequence", "tensor4"])
def test_a_mesh_gives_the_losses_and_gradients_of_one_device(found, mesh):
    np.testing.assert_allclose(found["meshes"][mesh], found["meshes"]["one"], rtol=2e-5)


def test_parameters_are_really_cut(found):
    cut = {"one": 1, "data": 1, "mixed": 1 / 4, "sequence": 1, "tensor4": 1 / 4, "fsdp2": 1 / 2, "fsdp4": 1 / 4}
    assert found["cut"] == cut


def test_no_activation_is_made_whole_on_every_device(found):
    assert "rematerialization" not in found["stderr"]
    assert found["stderr"].count("num_kv_heads=2 cannot be cut over tensor=4") == 1


@pytest.mark.parametrize("mesh", ["one", "fsdp2", "fsdp4"])
def test_a_checkpoint_of_eight_devices_continues_on_fewer(found, mesh):
    np.testing.assert_allclose(found["restored"][mesh], found["undisturbed"], rtol=2e-5)


@pytest.mark.parametrize("kind", ["lora", "prompt"])
def test_what_trains_on_top_of_a_model_does_so_alike_on_a_mesh(found, kind):
    (one, _), (mixed, _) = found[kind]["one"], found[kind]["mixed"]
    np.testing.assert_allclose(mixed, one, rtol=2e-5)


def test_adapters_are_cut_as_the_matrices_they_are_beside(found):
    assert found["prompt"]["mixed"][1] == {"prompt": 1}  # kilobytes: whole on every device
    halves = {
        f"layers/{name}/{side}": 1 / 2 for name in ("attention/query", "attention/output", "mlp/up") for side in "ab"
    }
    assert found["lora"]["mixed"][1] == halves  # one side has the axes over fsdp, the other those over tensor


def test_misfit_mesh_names_the_device_count(found):
    assert "there are 8" in found["misfit"]
    assert "MeshConfig(data=3, fsdp=2" in found["misfit"]
