"""Draws follow the distribution they should, and depend on nothing but the row itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from flan_jax.decoding.sampling import choose_tokens, in_nucleus
from flan_jax.decoding.settings import Decoding, DecodingError, random_bits

SCORES = np.log([0.5, 0.3, 0.15, 0.05]).astype(np.float32)
DRAWS = 4000
choose = jax.jit(choose_tokens, static_argnums=5)


def draws(temperature: float, top_p: float) -> np.ndarray:
    """The shares of the four tokens among DRAWS rows that differ in what they have said."""
    said, ones = jnp.arange(DRAWS), jnp.ones(DRAWS)
    tokens = choose(
        jnp.broadcast_to(SCORES, (DRAWS, 4)), temperature * ones, top_p * ones, jnp.ones((DRAWS, 2), jnp.uint32), said,
        top_p < 1,
    )  # fmt: skip
    return np.bincount(tokens, minlength=4) / DRAWS


@pytest.mark.parametrize(
    ("temperature", "top_p", "expected"),
    [
        (1.0, 1.0, [0.5, 0.3, 0.15, 0.05]),
        (0.5, 1.0, np.array([0.25, 0.09, 0.0225, 0.0025]) / 0.365),
        (1.0, 0.81, np.array([0.5, 0.3, 0.15, 0]) / 0.95),
        (1.0, 0.79, [0.625, 0.375, 0, 0]),
        (1.0, 1e-6, [1, 0, 0, 0]),
        (0.0, 1.0, [1, 0, 0, 0]),
    ],
)
def test_tokens_are_drawn_in_proportion(temperature, top_p, expected):
    expected = np.asarray(expected)
    shares = draws(temperature, top_p)
    assert (shares[expected == 0] == 0).all()
    np.testing.assert_allclose(shares, expected, atol=4 * np.sqrt(0.25 / DRAWS))


def test_tokens_that_tie_with_the_last_of_the_nucleus_are_in_it():
    kept = in_nucleus(jnp.log(jnp.array([[0.4, 0.2, 0.2, 0.2]])), jnp.array([0.5]))
    assert kept.tolist() == [[True] * 4]


def test_the_key_of_a_request_is_of_its_seed_and_id():
    keys = {random_bits(seed, name) for seed in (0, 1) for name in ("a", "b", "0/a")}
    assert len(keys) == 6 and random_bits(1, "a") in keys


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 0.0}, {"temperature": float("nan")}, {"top_p": 0.0}, {"top_p": 1.1},
        {"beams": 0}, {"length_penalty": -1.0}, {"task_max_new_tokens": {"t": 0}}, {"stop": ("",)}, {"stop": "."},
        {"seed": -1},
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(wrong):
    (name,) = wrong
    with pytest.raises(DecodingError, match=f"Decoding.{name}="):
        Decoding(**wrong)
