"""Arrays of rows onto the devices of a mesh, and back to every host."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

ROWS = PartitionSpec(("data", "fsdp"))


def place(array: np.ndarray, mesh: Mesh | None, spec: PartitionSpec = ROWS) -> Array:
    """A batch array on the devices, its rows shared over data × fsdp; every process gives the whole of it."""
    if mesh is None:
        return jnp.asarray(array)
    return jax.make_array_from_callback(array.shape, NamedSharding(mesh, spec), lambda index: array[index])


def fetch(array: Array) -> np.ndarray:
    """The whole array on this host, gathered from the other processes where they hold parts of it."""
    if array.is_fully_addressable:
        return np.asarray(array)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True))
