"""What a result was made with: code, libraries and the exact parameters."""

import hashlib
import importlib.metadata
import pathlib
import platform
import subprocess
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped, UInt32

import flan_jax

LIBRARIES = ("jax", "jaxlib", "flax", "numpy", "pyarrow", "rapidfuzz", "rouge-score", "sacrebleu", "scipy")


def code_version() -> str:
    """The git commit of a checkout ("-dirty" if tracked files differ from it), else the package's version."""
    root = pathlib.Path(flan_jax.__file__).parents[1]
    if (root / ".git").exists():
        described = subprocess.run(
            ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if described.returncode == 0:
            return f"git {described.stdout.strip()}"
    return f"flan-jax {flan_jax.__version__}"


def library_versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in LIBRARIES}}


def parameter_digest(params: Any) -> str:
    """32 hex digits that change with any name, shape, type or value of the parameters.

    Values are summed up on the devices, as integers with weights that depend on the position: the sums are exact, so
    they do not depend on how the arrays are sharded, and no host needs the whole of them.
    """
    digest = hashlib.sha256()
    paths, leaves = zip(*jax.tree_util.tree_leaves_with_path(params), strict=True)
    for path, leaf, sums in zip(paths, leaves, jax.device_get(_checksums(list(leaves))), strict=True):
        digest.update(f"{jax.tree_util.keystr(path)} {leaf.shape} {leaf.dtype} {sums.tolist()}\n".encode())
    return digest.hexdigest()[:32]


@jax.jit
def _checksums(leaves: list[Any]) -> list[UInt32[Array, "2"]]:
    return [_checksum(leaf) for leaf in leaves]


def _checksum(leaf: Shaped[Array, "..."]) -> UInt32[Array, "2"]:
    """Two sums modulo 2³² of the values' bits, each value weighted by an odd number made from its place."""
    bits = jax.lax.bitcast_convert_type(leaf, jnp.dtype(f"uint{8 * leaf.dtype.itemsize}")).astype(jnp.uint32)
    place = jnp.zeros(leaf.shape, jnp.uint32)
    for axis, size in enumerate(leaf.shape):
        place = place * jnp.uint32(size) + jax.lax.broadcasted_iota(jnp.uint32, leaf.shape, axis)
    mixed = (bits ^ (bits >> 15)) * jnp.uint32(0x85EBCA6B)  # murmur3's constants
    weight = (place * jnp.uint32(0xC2B2AE35)) ^ (place >> 13)
    return jnp.stack([jnp.sum(mixed * (2 * place + 1)), jnp.sum((mixed ^ (mixed >> 13)) * (weight | 1))])
