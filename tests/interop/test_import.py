"""Where imported weights go, and what names they may have."""

import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from flan_jax.interop.import_hf import import_hf, read_source


@pytest.mark.parametrize(("name", "prefix"), [("gpt2", "transformer."), ("opt", "model."), ("llama", "model.")])
def test_files_of_the_model_without_its_head_are_read_too(imported, tmp_path, name, prefix):
    """Their names lack the prefix; and old ones hold masks, which are computed."""
    one = imported(name)
    tensors = load_file(one.source.directory / "model.safetensors")
    bare = {key.removeprefix(prefix): value for key, value in tensors.items()}
    if name == "gpt2":
        bare["h.0.attn.bias"] = np.tri(64, dtype=np.float32)[None, None]
    save_file(bare, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((one.source.directory / "config.json").read_bytes())
    again = import_hf(read_source(tmp_path))[1]
    assert all(map(np.array_equal, jax.tree.leaves(one.params), jax.tree.leaves(again)))


def test_weights_land_on_any_mesh_as_its_shardings_say(imported):
    """On eight devices, which a process must ask for before it starts."""
    directory = imported("gemma2").source.directory
    script = pathlib.Path(__file__).with_name("import_on_eight_devices.py")
    done = subprocess.run([sys.executable, script, directory], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["same"] * 3
