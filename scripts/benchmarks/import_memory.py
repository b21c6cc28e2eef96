"""Import a checkpoint of a billion parameters onto eight virtual CPU devices: peak host memory, and time.

    python scripts/benchmarks/import_memory.py --directory /scratch/llama_1b

Writes, once, a LLaMA-shaped checkpoint of bfloat16 weights (2.2 GB, 1.1B parameters: a million random numbers over and
over) into the directory, in files of 1 GB, and imports it in a fresh process, cut over fsdp=8, or with --tensor 2 over
fsdp=4 x tensor=2.  Memory is the process's resident set at its highest over what it was before, so mapped pages of the
files count as far as they were in memory.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

import numpy as np
from measured import print_setting

DEVICES = 8
FIELDS = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 32000, "num_hidden_layers": 22,
    "hidden_size": 2048, "num_attention_heads": 32, "num_key_value_heads": 4, "intermediate_size": 5632,
    "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "hidden_act": "silu", "tie_word_embeddings": False,
}  # fmt: skip


def write_checkpoint(directory: pathlib.Path) -> None:
    """The random checkpoint, a tensor in memory at a time."""
    from flan_jax.interop.families import family
    from flan_jax.interop.family import read_config
    from flan_jax.interop.safetensors_files import Planned, write_files
    from flan_jax.interop.tensors import flat, one_layer
    from flan_jax.models.decoder import abstract_params

    directory.mkdir(parents=True, exist_ok=True)
    llama = family("llama")
    config = read_config(llama, FIELDS, "config.json")
    shapes = {path: leaf.shape for path, leaf in flat(abstract_params(config)).items()}
    block = np.random.default_rng(0).standard_normal(2**20, np.float32) * 0.02
    planned = []
    for name, tensor, _ in llama.stored(config):
        shape = tensor.stored_shape([one_layer(path, shapes[path]) for path in tensor.parameters])
        planned.append(Planned(name, shape, lambda shape=shape: np.resize(block, shape)))
    write_files(directory, planned, "BF16", 10**9)
    (directory / "config.json").write_text(json.dumps(FIELDS))


def import_here(directory: pathlib.Path, tensor: int, dtype: str) -> None:
    """Import and print, as JSON, the bytes of the parameters, the peak over the beginning and the seconds."""
    import jax

    from flan_jax.interop.import_hf import import_hf, read_source
    from flan_jax.models.decoder import abstract_params, logical_axes
    from flan_jax.training.partitioning import MeshConfig, make_mesh, shardings

    source = read_source(directory)
    mesh = make_mesh(MeshConfig(data=1, fsdp=DEVICES // tensor, tensor=tensor))
    config = dataclasses.replace(source.config, param_dtype=dtype)
    where = shardings(mesh, abstract_params(config), logical_axes(config))
    jax.block_until_ready(jax.device_put(np.zeros(1024), jax.devices()[0]))
    before = resident()
    begun = time.perf_counter()
    params = jax.block_until_ready(import_hf(source, param_dtype=dtype, shardings=where)[1])
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(params))
    print(json.dumps({"parameters": size, "peak": peak - before, "before": before, "seconds": seconds}))


def resident() -> int:
    """Bytes of this process in memory now."""
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=pathlib.Path, required=True, help="where the checkpoint is, or is made")
    parser.add_argument("--tensor", type=int, default=1)
    parser.add_argument("--param_dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        import_here(arguments.directory, arguments.tensor, arguments.param_dtype)
        return
    print_setting(vars(arguments), ("jax", "jaxlib", "numpy"))
    if not (arguments.directory / "config.json").is_file():
        write_checkpoint(arguments.directory)
    stored = sum(path.stat().st_size for path in arguments.directory.glob("*.safetensors"))
    environment = {
        **os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": f"--xla_force_host_platform_device_count={DEVICES}",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, __file__, "--inside", *sys.argv[1:]],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    found = json.loads(done.stdout)
    print(f"checkpoint  {stored / 1e9:.2f} GB, parameters {found['parameters'] / 1e9:.2f} GB {arguments.param_dtype}")
    print(f"peak memory {found['peak'] / 1e9:.2f} GB over the {found['before'] / 1e9:.2f} GB before: "
          f"{found['peak'] / stored:.2f} of the checkpoint")  # fmt: skip
    print(f"time        {found['seconds']:.1f} s")


if __name__ == "__main__":
    main()
