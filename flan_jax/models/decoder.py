"""The decoder as pure functions over a plain tree of arrays.

NNX modules say what the parameters are and how a layer computes; they are split once, so nothing but nested dicts of
arrays goes through `jit`, optimisers and checkpoints.  Parameters of all layers are stacked on a leading axis `layers`,
whether they are scanned or unrolled: a checkpoint does not depend on how the model is run.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from .attention import backend
from .config import DecoderConfig
from .layers import Attend, Block, Norm, weight
from .masks import Documents
from .positions import rotation
from .projection import project

Params = dict[str, Any]  # nested dicts of arrays, or of what describes them


class Decoder(nnx.Module):
    """The parameters: `embedding`, `positions` (if learned), `layers` (stacked), `final_norm`, `head` (unless tied)."""

    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs):
        d = config.embed_dim

        @nnx.split_rngs(splits=config.num_layers)
        @nnx.vmap(in_axes=0, out_axes=0)
        def stacked(rngs: nnx.Rngs) -> Block:
            return Block(config, rngs)

        # Unit-variance logits from a normalised hidden state when tied, the same size when not.
        self.embedding = weight(config, rngs, (config.vocab_size, d), ("vocab", "embed"), d)
        if config.position == "learned":
            self.positions = weight(config, rngs, (config.max_length, d), ("positions", "embed"), d)
        self.layers = stacked(rngs)
        self.final_norm = Norm(config)
        if not config.tied_embeddings:
            self.head = weight(config, rngs, (d, config.vocab_size), ("embed", "vocab"), d)


@lru_cache(maxsize=64)
def _abstract(config: DecoderConfig) -> tuple[Any, Any, Any, Any]:
    """(graph of the decoder, its abstract state, graph of one layer, graph of a norm), without computing anything."""
    decoder = nnx.eval_shape(lambda: Decoder(config, nnx.Rngs(0)))
    graph, state = nnx.split(decoder)
    return graph, state, nnx.split(decoder.layers)[0], nnx.split(decoder.final_norm)[0]


def abstract_params(config: DecoderConfig) -> Params:
    """The tree of parameters as `jax.ShapeDtypeStruct`s."""
    return nnx.to_pure_dict(_abstract(config)[1])


def logical_axes(config: DecoderConfig) -> Params:
    """The tree of parameters as tuples of logical axis names.

    Names: `vocab`, `embed`, `heads`, `kv_heads`, `head_dim`, `mlp`, `positions`, `layers` (the stack), `norm` (vectors
    of width embed).
    """
    state = _abstract(config)[1]
    axes = jax.tree.map(lambda p: p.get_metadata("axes"), state, is_leaf=lambda p: isinstance(p, nnx.Variable))
    axes = nnx.to_pure_dict(axes)
    stacked = jax.tree.map(lambda names: ("layers", *names), axes["layers"], is_leaf=lambda n: isinstance(n, tuple))
    return {**axes, "layers": stacked}


def init_params(config: DecoderConfig, seed: int | Int[Array, ""]) -> Params:
    """Fresh parameters: a function of (config, seed) alone, the same under any mesh, to be jitted with `out_shardings`.

    Embeddings, positions and the head: normal, standard deviation 1/sqrt(embed_dim).  Projections: normal, 1/sqrt(fan
    in), those that write into the residual stream divided by sqrt(2 · layers) besides.  Norm scales 1, all biases 0.
    """
    return nnx.to_pure_dict(nnx.state(Decoder(config, nnx.Rngs(params=jax.random.key(seed)))))


def build_decoder(config: DecoderConfig, seed: int) -> tuple[nnx.GraphDef, Params]:
    """The module graph and fresh parameters; `nnx.merge(graph, params)` gives the module back, for a look inside."""
    backend(config.attention)
    return _abstract(config)[0], jax.jit(init_params, static_argnums=0)(config, seed)


def count_params(config: DecoderConfig) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(abstract_params(config)))


def embed(
    config: DecoderConfig, params: Params, tokens: Int[Array, "B T"], positions: Int[Array, "B T"]
) -> Float[Array, "B T D"]:
    """Token embeddings, plus learned positions if any.  An id outside its table gives NaN: clamping would be silent."""
    x = jnp.take(params["embedding"], tokens, axis=0, mode="fill").astype(config.dtype)
    if config.position == "learned":
        x = x + jnp.take(params["positions"], positions, axis=0, mode="fill").astype(config.dtype)
    return x


def run_layers(
    config: DecoderConfig,
    params: Params,
    x: Float[Array, "B T D"],
    positions: Int[Array, "B T"],
    attend: Callable[..., tuple[Array, Any]],
    caches: Any = None,
) -> tuple[Float[Array, "B T D"], Any]:
    """All layers and the final norm.  `attend(q, k, v, cache)` gets a layer's part of `caches`, returns its new one."""
    _, _, block_graph, norm_graph = _abstract(config)
    by = rotation(positions, config.head_size, config.rope_theta) if config.position == "rotary" else None

    def layer(x: Float[Array, "B T D"], inputs: tuple[Params, Any]) -> tuple[Float[Array, "B T D"], Any]:
        weights, cache = inputs
        bound: Attend = partial(attend, cache=cache)
        return nnx.merge(block_graph, weights)(x, by, bound)

    if config.remat == "full":
        layer = jax.checkpoint(layer, prevent_cse=not config.scan_layers)
    if config.scan_layers:
        x, caches = jax.lax.scan(layer, x, (params["layers"], caches))
    else:
        per_layer = []
        for i in range(config.num_layers):
            x, cache = layer(x, jax.tree.map(lambda stack, i=i: stack[i], (params["layers"], caches)))
            per_layer.append(cache)
        caches = jax.tree.map(lambda *slices: jnp.stack(slices), *per_layer)
    return nnx.merge(norm_graph, params["final_norm"])(x), caches


def apply(
    config: DecoderConfig,
    params: Params,
    tokens: Int[Array, "B T"],
    positions: Int[Array, "B T"],
    segment_ids: Int[Array, "B T"],
    branch_ids: Int[Array, "B T"] | None = None,
) -> Float[Array, "B T D"]:
    """Hidden states after the final norm, in `config.dtype`; `logits` turns them into scores.

    A token attends to itself and to earlier columns of its own segment (0 is padding); with `branch_ids`, only to those
    of branch 0 or of its own branch.  `positions` restart in every document, and after the shared prefix in every
    branch.  Raises UnsupportedAttention where `config.attention` cannot do this.
    """
    attention = backend(config.attention)
    documents = Documents(segment_ids, branch_ids)

    def attend(q: Array, k: Array, v: Array, cache: None) -> tuple[Array, None]:
        return attention(q, k, v, documents), cache

    return run_layers(config, params, embed(config, params, tokens, positions), positions, attend)[0]


def logits(config: DecoderConfig, params: Params, hidden: Float[Array, "*B D"]) -> Float[Array, "*B V"]:
    """Unnormalised scores over the vocabulary in float32; products are of `config.dtype`, summed in float32."""
    return project(hidden, params["embedding"].T if config.tied_embeddings else params["head"], 1, jnp.float32)
