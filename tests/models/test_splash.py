"""The splash kernel, run by plain JAX on the CPU, against the reference on packed rows: outputs and all gradients."""

import os
import pathlib
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.models import attention, blockwise, splash
from flan_jax.models.masks import Documents, Window

LENGTH, PADDING = 256, 20


def packed(batch, heads, kv_heads, size=16):
    draw = np.random.default_rng(heads)
    q, k, v = (
        jnp.asarray(draw.normal(size=(batch, LENGTH, n, size)), jnp.float32) for n in (heads, kv_heads, kv_heads)
    )
    segments = np.sort(draw.integers(1, 4, (batch, LENGTH)), axis=1)
    segments[:, -PADDING:] = 0
    return (q, k, v), Documents(jnp.asarray(segments, jnp.int32))


def with_gradients(compute, arrays, documents, **settings):
    """(outputs, gradients of q, k, v) where tokens are."""
    there = (documents.segment_ids > 0)[:, :, None, None]

    def weighed(*arrays):
        out = compute(*arrays, documents, **settings) * there
        return jnp.sum(jnp.sin(out)), out

    (_, out), gradients = jax.jit(jax.value_and_grad(weighed, argnums=(0, 1, 2), has_aux=True))(*arrays)
    return out, *gradients


@pytest.mark.parametrize(("kv_heads", "settings"), [(2, {}), (1, {"cap": 5.0, "scale": 0.5})])
def test_outputs_and_gradients_are_those_of_the_reference(kv_heads, settings):
    arrays, documents = packed(2, 4, kv_heads)
    expected = with_gradients(blockwise.attention, arrays, documents, **settings)
    computed = with_gradients(partial(splash.attention, interpret=True), arrays, documents, **settings)
    for one, other in zip(computed, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    assert np.std(expected[0]) > 0.1


def test_a_mesh_changes_nothing():
    flags = "--xla_force_host_platform_device_count=8"
    command = [sys.executable, "-m", "tests.models.splash_on_eight_devices"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=pathlib.Path(__file__).parents[2],
        env={**os.environ, "XLA_FLAGS": flags},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "equal on 8 devices" in done.stdout


def test_what_it_cannot_compute_is_refused_by_name():
    arrays, documents = packed(1, 2, 2)
    ones = jnp.ones((1, LENGTH), jnp.int32)
    asked = {
        "branches": documents._replace(branch_ids=ones),
        "prefix": documents._replace(shared=3),
        "window": documents._replace(window=Window(ones, jnp.int32(5))),
    }
    for word, documents in asked.items():
        with pytest.raises(splash.UnsupportedSplash, match=f"{word}(.|\n)*'xla'"):
            splash.attention(*arrays, documents)
    short = [array[:, :100] for array in arrays]
    with pytest.raises(splash.UnsupportedSplash, match="rows of 100 tokens"):
        splash.attention(*short, Documents(ones[:, :100]))


def test_it_is_for_tpus():
    with pytest.raises(attention.UnsupportedAttention, match=r"'splash' cannot be used on cpu.*tpu only.*one of: xla"):
        attention.backend("splash")
    described = jax.sharding.AbstractDevice(device_kind="TPU v5", num_cores=None, platform="tpu")
    mesh = jax.sharding.AbstractMesh((1,), ("data",), abstract_device=described)
    with jax.sharding.use_abstract_mesh(mesh):
        assert attention.backend("splash") is splash.attention
