"""Greedy generation with a KV cache, in batches of prompts of similar length."""

from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int

from flan_jax.evaluation.ranking import fetch, place
from flan_jax.evaluation.requests import Request
from flan_jax.evaluation.rows import power_of_two, rows_for
from flan_jax.models.cache import decode_step, init_cache, prefill
from flan_jax.models.config import DecoderConfig
from flan_jax.models.decoder import Params

SHORTEST = 32
"""Prompts are padded to SHORTEST × 1, 1.5, 2, 3, 4, 6, ...: few shapes, at most a third of them padding."""


@partial(jax.jit, static_argnums=(0, 5))
def greedy(
    config: DecoderConfig,
    params: Params,
    prompts: Int[Array, "B T"],
    lengths: Int[Array, " B"],
    eos: Int[Array, ""],
    new_tokens: int,
) -> Int[Array, "B N"]:
    """The most probable token, `new_tokens` times or until every row has said EOS; what follows a row's EOS is EOS.

    Prompts are padded on the right; a row of length 0 is padding and takes no part.
    """
    rows, width = prompts.shape
    cache = init_cache(config, rows, width + new_tokens)
    scores, cache = prefill(config, params, cache, prompts, jnp.maximum(lengths, 1))
    said = jnp.full((rows, new_tokens), eos, jnp.int32)

    def open_rows(state: tuple) -> Array:
        step, _, _, done, _ = state
        return (step < new_tokens) & ~done.all()

    def say(state: tuple) -> tuple:
        step, scores, cache, done, said = state
        token = jnp.where(done, eos, jnp.argmax(scores, axis=-1).astype(jnp.int32))
        said = said.at[:, step].set(token)
        scores, cache = decode_step(config, params, cache, token, lengths + step)
        return step + 1, scores, cache, done | (token == eos), said

    return jax.lax.while_loop(open_rows, say, (jnp.int32(0), scores, cache, lengths == 0, said))[-1]


def prompt_width(length: int) -> int:
    """The padded length of a prompt of `length` tokens."""
    size = SHORTEST * power_of_two(-(-length // SHORTEST))
    return size * 3 // 4 if size > SHORTEST and length <= size * 3 // 4 else size


def generate(
    config: DecoderConfig,
    params: Params,
    requests: Sequence[Request],
    eos: int,
    *,
    tokens_per_batch: int = 4096,
    mesh: Mesh | None = None,
    advance: Callable[[int], object] = lambda questions: None,
) -> list[list[int]]:
    """The tokens generated for each request, without EOS, in the order of `requests`.

    tokens_per_batch bounds the cache: rows × (prompt + new tokens).  With a mesh, as in `ranking.score_options`.
    """
    answers: list[list[int]] = [[] for _ in requests]
    shards = 1 if mesh is None else mesh.shape["data"] * mesh.shape["fsdp"]
    groups: dict[tuple[int, int], list[int]] = {}
    for index, request in enumerate(requests):
        groups.setdefault((prompt_width(len(request.context)), request.max_new_tokens), []).append(index)
    for width, new_tokens in sorted(groups, reverse=True):
        members = sorted(groups[width, new_tokens], key=lambda index: len(requests[index].context))
        rows = rows_for(len(members), tokens_per_batch // (width + new_tokens), shards)
        for start in range(0, len(members), rows):
            chosen = members[start : start + rows]
            prompts, lengths = np.zeros((rows, width), np.int32), np.zeros(rows, np.int32)
            for row, index in enumerate(chosen):
                context = requests[index].context
                prompts[row, : len(context)], lengths[row] = context, len(context)
            said = fetch(greedy(config, params, place(prompts, mesh), place(lengths, mesh), jnp.int32(eos), new_tokens))
            for row, index in enumerate(chosen):
                ends = np.flatnonzero(said[row] == eos)
                answers[index] = said[row, : ends[0] if len(ends) else new_tokens].tolist()
            advance(len(chosen))
    return answers
