"""Import a checkpoint onto several meshes of eight CPU devices, and compare with one device."""

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
for sizes in ({"fsdp": 8}, {"fsdp": 4, "data": 2}, {"fsdp": 4, "tensor": 2, "data": 1}):
    mesh = make_mesh(MeshConfig(**{"data": 1, **sizes}))
    try:
        wanted = shardings(mesh, abstract_params(config), logical_axes(config))
    except ValueError:  # the vocabulary of 59 cannot be cut in two: it stays whole
        axes = {**logical_axes(config), "embedding": (None, "embed")}
        wanted = shardings(mesh, abstract_params(config), axes)
    params = import_hf(source, shardings=wanted)[1]
    placed = jax.tree.map(lambda array, sharding: array.sharding.is_equivalent_to(sharding, array.ndim), params, wanted)
    equal = jax.tree.map(lambda one, other: np.array_equal(one, other), params, alone)
    print("same" if all(jax.tree.leaves((placed, equal))) else "different", flush=True)
