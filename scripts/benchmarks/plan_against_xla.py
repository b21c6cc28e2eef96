"""Compare `flan-jax plan` with XLA's own memory analysis, on models small enough to compile here.

    python scripts/benchmarks/plan_against_xla.py [--switches llama opt gemma] [--meshes fsdp=8 tensor=2]

For every setting the step is compiled, and what XLA gives as arguments + outputs - aliased + temporaries on a device is
compared with the plan's total.  Weights, optimiser and batch are exact and are checked to be; what is off is the rest.
On meshes of several devices it runs them as virtual ones of this machine.
"""

import argparse
import dataclasses
import itertools
import math
import os
import time

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
from measured import print_setting

from flan_jax.models.config import DecoderConfig
from flan_jax.planning.memory_plan import plan_memory
from flan_jax.training import partitioning
from flan_jax.training.run_config import TrainConfig
from flan_jax.training.train_step import make_trainer

SIZES = {"vocab_size": 8000, "num_layers": 6, "embed_dim": 384, "num_heads": 6, "mlp_dim": 1024}
SWITCHES = {
    "llama": {**SIZES, "num_kv_heads": 6},  # models/llama_17m.gin
    "opt": {
        **SIZES, "mlp_dim": 1536, "norm": "layer", "position": "learned", "position_offset": 2, "gated_mlp": False,
        "activation": "relu", "qkv_bias": True, "attention_output_bias": True, "mlp_bias": True,
        "tied_embeddings": True,
    },
    "gemma": {
        **SIZES, "num_kv_heads": 2, "head_dim": 64, "norm_scale_offset": 1.0, "norm_placement": "sandwich",
        "window": 128, "window_pattern": "LG", "attention_cap": 50.0, "logit_cap": 30.0, "scaled_embeddings": True,
        "tied_embeddings": True, "activation": "gelu_tanh",
    },
}  # fmt: skip


def compiled_bytes(config: TrainConfig, mesh: jax.sharding.Mesh) -> tuple[int, int]:
    """(bytes of arguments, bytes of all) on a device, as XLA has it."""
    assert config.model is not None
    trainer = make_trainer(
        config.model, config.optimizer, mesh, steps=config.steps, microbatches=config.microbatches, tuning=config.tune
    )
    rows = partitioning.batch_sharding(mesh)
    shape = config.rows_per_batch, config.row_length
    names = {"tokens": jnp.int32, "positions": jnp.int32, "segment_ids": jnp.int32, "loss_weights": jnp.float32}
    batch = {name: jax.ShapeDtypeStruct(shape, dtype, sharding=rows) for name, dtype in names.items()}
    step = trainer.jitted_step().lower(trainer.abstract_state(), batch, trainer.abstract_frozen())
    found = step.compile().memory_analysis()
    arguments = found.argument_size_in_bytes
    beside = found.output_size_in_bytes - found.alias_size_in_bytes + found.temp_size_in_bytes
    return arguments, arguments + beside


def mesh_sizes(text: str) -> partitioning.MeshConfig:
    """`fsdp=4,tensor=2`, the other axes 1."""
    given = {name: int(size) for name, _, size in (part.partition("=") for part in text.split(",") if part)}
    return partitioning.MeshConfig(**{"data": 1, **given})


def compare(name: str, length: int, microbatches: int, remat: str, scanned: bool, mesh: str) -> float:
    """Print a line; returns the error of the total."""
    model = DecoderConfig(**SWITCHES[name], remat=remat, scan_layers=scanned)
    sizes = mesh_sizes(mesh)
    devices = math.prod(dataclasses.astuple(sizes))
    rows = 8 * max(1, sizes.data * sizes.fsdp * microbatches // 8)
    config = TrainConfig(
        mixture="none", store="none", vocabulary="none", model_dir="none", steps=100, model=model, mesh=sizes,
        tokens_per_batch=rows * length, row_length=length, microbatches=microbatches,
    )  # fmt: skip
    begun = time.perf_counter()
    plan = plan_memory(config, devices)
    took = time.perf_counter() - begun
    begun = time.perf_counter()
    arguments, total = compiled_bytes(config, partitioning.make_mesh(sizes, jax.devices()[:devices]))
    compiling = time.perf_counter() - begun
    exact = plan.weights + plan.optimizer + plan.batch
    off = 100 * (plan.total - total) / total
    print(
        f"{name:<6} {length:>4} {rows:>4} {microbatches:>3}  {remat:<5} {'scan' if scanned else 'unroll':<7}"
        f"{mesh or '-':<16}{arguments / 1e6:>8.1f} {exact / 1e6:>8.1f}"
        f" {(total - arguments) / 1e6:>9.1f} {(plan.total - exact) / 1e6:>9.1f}"
        f" {off:>+7.1f}%  {took:>5.1f} {compiling:>6.1f}",
        flush=True,
    )
    return off


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--switches", nargs="+", default=list(SWITCHES), choices=list(SWITCHES))
    parser.add_argument("--lengths", nargs="+", type=int, default=[512, 256])
    parser.add_argument("--meshes", nargs="+", default=[""], help="as fsdp=8 or fsdp=4,tensor=2 (default: one device)")
    arguments = parser.parse_args()
    print_setting(vars(arguments), ("jax", "jaxlib", "flax", "optax"))
    print("megabytes on a device; arguments are weights, optimiser and batch, the rest gradients and activations")
    print(f"{'':<6} {'long':>4} {'rows':>4} {'mb':>3}  {'remat':<5} {'layers':<7}{'mesh':<16}"
          f"{'args':>8} {'planned':>8} {'rest':>9} {'planned':>9} {'total':>8}  plan s compile s")  # fmt: skip
    grid = itertools.product(
        arguments.switches, arguments.lengths, (1, 2), ("none", "full"), (True, False), arguments.meshes
    )
    errors = [compare(*setting) for setting in grid]
    within = sum(abs(error) <= 5 for error in errors)
    print(f"{within} of {len(errors)} within 5%; worst {max(errors, key=abs):+.1f}%")


if __name__ == "__main__":
    main()
