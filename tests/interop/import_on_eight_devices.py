"""Import a checkpoint onto several meshes of eight CPU devices, and compare with one device."""

import dataclasses
import os
import sys

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import numpy as np

from flan_jax.interop.import_hf import import_hf, read_source
from flan_jax.models.decoder import abstract_params, logical_axes
from flan_jax.training.partitioning import MeshConfig, make_mesh, shardings

source = read_source(sys.argv[1])
config, alone = import_hf(source)
padded = dataclasses.replace(config, padded_vocab_size=64)  # its vocabulary of 59 cannot be cut in two
with_padding = {**alone, "embedding": np.pad(alone["embedding"], ((0, 5), (0, 0)))}
meshes = (
    ({"fsdp": 8}, config, alone),
    ({"fsdp": 4, "data": 2}, config, alone),
    ({"fsdp": 4, "tensor": 2, "data": 1}, padded, with_padding),
)
for sizes, model, expected in meshes:
    mesh = make_mesh(MeshConfig(**{"data": 1, **sizes}))
    wanted = shardings(mesh, abstract_params(model), logical_axes(model))
    params = import_hf(source, padded_vocab_size=model.padded_vocab_size, shardings=wanted)[1]
    placed = jax.tree.map(lambda array, sharding: array.sharding.is_equivalent_to(sharding, array.ndim), params, wanted)
    equal = jax.tree.map(lambda one, other: np.array_equal(one, other), params, expected)
    print("same" if all(jax.tree.leaves((placed, equal))) else "different", flush=True)
