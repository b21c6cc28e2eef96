"""Beam search, for whole batches of requests: the `beams` best continuations of each are carried on side by side.

A hypothesis ends with EOS, or is cut at the most tokens it may have.  Hypotheses are ranked by log-probability divided
by ((5 + tokens) / 6)^alpha, EOS counted (Wu et al. 2016, "Google's neural machine translation system", section 7; at
alpha 0 the score is the log-probability, as `transformers` has it at `length_penalty=0`).  A request is done when no
hypothesis that still goes on can come before the worst of its `beams` best ended ones.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Bool, Float, Int

from flan_jax.decoding.steps import held
from flan_jax.models.cache import Cache, decode_step
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params
from flan_jax.models.masks import MASKED


class Hypotheses(NamedTuple):
    """Of every request (Q), the best W of a kind, best first; what follows EOS is EOS."""

    tokens: Int[Array, "Q W N"]
    scores: Float[Array, "Q W"]
    lengths: Int[Array, "Q W"]


@partial(jax.jit, static_argnums=(0, 1, 2, 3, 4))
def beam_search(
    config: DecoderConfig, mesh: Mesh | None, beams: int, alpha: float, most: int, params: Params, cache: Cache,
    last: Int[Array, " Q"], position: Int[Array, " Q"], allowed: Int[Array, " Q"], eos: Int[Array, ""],
) -> Hypotheses:  # fmt: skip
    """The best hypotheses of every request, at most `allowed` tokens each, none of more than `most`.

    `cache` has `beams` rows a request, of which the first has read its prompt but for the token `last` at `position`.
    allowed 0 is padding.  Scores are those the hypotheses are ranked by.
    """
    questions, vocabulary = len(last), config.vocab_size
    rows = questions * beams
    first = jnp.repeat(jnp.arange(questions) * beams, beams)
    cache = jax.tree.map(lambda part: part[first], cache)
    empty = jnp.full((questions, beams, most), eos, jnp.int32)
    none = jnp.full((questions, beams), MASKED)
    # All beams begin alike; only the first counts, or they would stay alike.
    going = Hypotheses(empty, none.at[:, 0].set(0.0), jnp.zeros((questions, beams), jnp.int32))
    ended = Hypotheses(empty, none, jnp.zeros((questions, beams), jnp.int32))

    def penalty(length: Array) -> Array:
        return ((5.0 + length) / 6.0) ** alpha

    def done(step: Array, going: Hypotheses, ended: Hypotheses) -> Bool[Array, " Q"]:
        # Log-probabilities only fall, so what goes on is worth at most what it has, over the greatest penalty to come.
        hoped = going.scores[:, 0] / penalty(allowed)
        return (step >= allowed) | (ended.scores[:, -1] >= hoped)

    def open_questions(state: tuple) -> Array:
        step, _, going, ended, _ = state
        return ~done(step, going, ended).all()

    def extend(state: tuple) -> tuple:
        step, cache, going, ended, token = state
        scores, cache = decode_step(config, params, cache, token, jnp.repeat(position, beams) + step)
        logs = jax.nn.log_softmax(scores[:, :vocabulary], axis=-1).reshape(questions, beams, vocabulary)
        totals = (going.scores[:, :, None] + logs).reshape(questions, beams * vocabulary)
        # Of twice as many candidates at most half are EOS, so enough to go on remain.
        best, candidates = jax.lax.top_k(totals, min(2 * beams, beams * vocabulary))
        parents, tokens = candidates // vocabulary, (candidates % vocabulary).astype(jnp.int32)
        said = jnp.take_along_axis(going.tokens, parents[:, :, None], axis=1).at[:, :, step].set(tokens)
        ends, open_ = tokens == eos, ~done(step, going, ended)[:, None]
        length = jnp.full(tokens.shape, step + 1)
        # As in beam search everywhere, EOS ends a hypothesis only from among the first `beams` candidates.
        among = jnp.arange(tokens.shape[1]) < beams
        new = Hypotheses(said, jnp.where(ends & among & (best > MASKED / 2), best / penalty(step + 1), MASKED), length)
        ended_now = _best(_joined(ended, new), beams)
        going_now = _best(Hypotheses(said, jnp.where(ends, MASKED, best), length), beams)
        source = jnp.take_along_axis(parents, _order(jnp.where(ends, MASKED, best), beams), axis=1)
        flat = (source + jnp.arange(questions)[:, None] * beams).reshape(rows)
        cache = held(jax.tree.map(lambda part: part[flat], cache), mesh)
        ended = jax.tree.map(partial(_where, open_), ended_now, ended)
        going = jax.tree.map(partial(_where, open_), going_now, going)
        return step + 1, cache, going, ended, going.tokens[:, :, step].reshape(rows)

    state = jnp.int32(0), cache, going, ended, jnp.repeat(last, beams)
    _, _, going, ended, _ = jax.lax.while_loop(open_questions, extend, state)
    cut = (going.lengths >= allowed[:, None]) & (going.scores > MASKED / 2)
    going = going._replace(scores=jnp.where(cut, going.scores / penalty(going.lengths), MASKED))
    return _best(_joined(ended, going), beams)


def _joined(one: Hypotheses, other: Hypotheses) -> Hypotheses:
    return Hypotheses(*(jnp.concatenate(parts, axis=1) for parts in zip(one, other, strict=True)))


def _order(scores: Float[Array, "Q M"], count: int) -> Int[Array, "Q W"]:
    return jax.lax.top_k(scores, count)[1]


def _best(of: Hypotheses, count: int) -> Hypotheses:
    order = _order(of.scores, count)
    tokens = jnp.take_along_axis(of.tokens, order[:, :, None], axis=1)
    return Hypotheses(tokens, *(jnp.take_along_axis(part, order, axis=1) for part in of[1:]))


def _where(open_: Bool[Array, "Q 1"], now: Array, before: Array) -> Array:
    return jnp.where(open_[:, :, None] if now.ndim == 3 else open_, now, before)
