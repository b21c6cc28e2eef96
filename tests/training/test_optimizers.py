"""Schedules, decay and clipping do what their settings say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.training.optimizers import OptimizerConfig, OptimizerError, make_optimizer, make_schedule

AXES = {"matrix": ("embed", "mlp"), "scale": ("layers", "norm"), "bias": ("layers", "heads", "head_dim")}
PARAMS = {"matrix": jnp.full((4, 3), 2.0), "scale": jnp.full((2, 4), 2.0), "bias": jnp.full((2, 2, 2), 2.0)}


def rates(steps=100, **settings):
    schedule = make_schedule(OptimizerConfig(learning_rate=2.0, **settings), steps)
    return [float(schedule(step)) for step in range(steps)]


def test_warmup_rises_evenly_from_the_first_update():
    assert rates(warmup_steps=4)[:6] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.0, 2.0])
    assert rates()[0] == 2.0
    assert rates(warmup_steps=1)[:2] == [2.0, 2.0]


def test_linear_and_cosine_end_near_their_final_fraction():
    linear = rates(schedule="linear", warmup_steps=10, final_fraction=0.1)
    assert linear[10] == pytest.approx(2.0)
    assert linear[55] == pytest.approx(1.1)
    assert linear[-1] == pytest.approx(0.22)
    cosine = rates(schedule="cosine", final_fraction=0.5)
    assert cosine[50] == pytest.approx(1.5)
    assert cosine[-1] == pytest.approx(1.0, abs=1e-3)


def test_rsqrt_halves_when_the_step_quadruples():
    values = rates(steps=500, schedule="rsqrt", warmup_steps=100)
    assert values[100] == pytest.approx(2.0)
    assert values[400] == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_decay_spares_norms_and_biases(name):
    config = OptimizerConfig(name=name, learning_rate=0.1, weight_decay=0.5)
    optimizer = make_optimizer(config, 10, AXES)
    updates, _ = optimizer.update(jax.tree.map(jnp.zeros_like, PARAMS), optimizer.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["matrix"], -0.1 * 0.5 * 2.0, rtol=1e-6)
    assert not np.any(updates["scale"])
    assert not np.any(updates["bias"])


@pytest.mark.parametrize("name", ["adamw", "adafactor"])
def test_goes_downhill(name):
    optimizer = make_optimizer(OptimizerConfig(name=name, learning_rate=0.05), 100, AXES)
    params, state = PARAMS, optimizer.init(PARAMS)

    def height(params):
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(params))

    @jax.jit
    def step(params, state):
        updates, state = optimizer.update(jax.grad(height)(params), state, params)
        return jax.tree.map(jnp.add, params, updates), state

    for _ in range(30):
        params, state = step(params, state)
    assert height(params) < 0.5 * height(PARAMS)


def test_clipping_is_of_the_global_norm():
    optimizer = make_optimizer(OptimizerConfig(clip_norm=1.0), 10, AXES)
    _, state = optimizer.update(jax.tree.map(lambda p: 100 * p, PARAMS), optimizer.init(PARAMS), PARAMS)
    first_moments = jax.tree.leaves(state[1][0].mu)
    norm = np.sqrt(sum(float(jnp.sum(mu**2)) for mu in first_moments))
    assert norm == pytest.approx(1 - 0.9, rel=1e-5)


@pytest.mark.parametrize("setting", ["name", "schedule"])
def test_unknown_names_are_refused(setting):
    config = OptimizerConfig()
    object.__setattr__(config, setting, "sgd")  # past the type checks that only tests make
    with pytest.raises(OptimizerError, match=f"OptimizerConfig.{setting}='sgd'"):
        make_optimizer(config, 10, AXES)
