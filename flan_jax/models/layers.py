"""A layer of the decoder: attention and the MLP, each a branch beside the residual stream."""

from collections.abc import Callable
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from .config import DecoderConfig
from .mlp import MLP
from .norms import Norm
from .positions import Rotation
from .self_attention import Attend, SelfAttention

Stream = Float[Array, "B T D"]


class Block(nnx.Module):
    """A layer; where its norms stand and whether its branches read the same is the configuration's."""

    def __init__(self, config: DecoderConfig, rngs: nnx.Rngs):
        self.placement, self.residual = config.norm_placement, config.residual
        self.attention_norm = Norm(config)
        self.attention = SelfAttention(config, rngs)
        if self.residual != "parallel_one_norm":
            self.mlp_norm = Norm(config)
        self.mlp = MLP(config, rngs)
        if self.placement == "sandwich":
            self.attention_post_norm = Norm(config)
            self.mlp_post_norm = Norm(config)

    def __call__(self, x: Stream, by: Rotation | None, attend: Attend) -> tuple[Stream, Any]:
        if self.residual != "sequential":
            normed = self.attention_norm(x)
            attended, cache = self.attention(normed, by, attend)
            return x + attended + self.mlp(normed if self.residual == "parallel_one_norm" else self.mlp_norm(x)), cache
        sandwiched = self.placement == "sandwich"
        attention: Callable[[Stream], tuple[Stream, Any]] = lambda y: self.attention(y, by, attend)  # noqa: E731
        x, cache = self._beside(x, attention, self.attention_norm, self.attention_post_norm if sandwiched else None)
        return self._beside(
            x, lambda y: (self.mlp(y), cache), self.mlp_norm, self.mlp_post_norm if sandwiched else None
        )

    def _beside(
        self, x: Stream, branch: Callable[[Stream], tuple[Stream, Any]], norm: Norm, post_norm: Norm | None
    ) -> tuple[Stream, Any]:
        """The stream with what a branch adds to it, normalised as `norm_placement` says."""
        y, cache = branch(x if self.placement in ("post", "branch") else norm(x))
        if post_norm is not None:
            y = post_norm(y)
        if self.placement == "branch":
            return x + norm(y), cache
        return (norm(x + y) if self.placement == "post" else x + y), cache
