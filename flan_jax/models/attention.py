"""Attention backends by name.  A backend honours what it is asked or raises: none falls back to another in silence."""

from typing import Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float

from ..errors import FlanJaxError
from . import blockwise
from .masks import Documents


@runtime_checkable
class Backend(Protocol):
    """Softmax attention within the documents, of scores q·k times `scale` (None: 1 / sqrt(H)), capped if `cap`."""

    def __call__(
        self,
        q: Float[Array, "B T N H"],
        k: Float[Array, "B T K H"],
        v: Float[Array, "B T K H"],
        documents: Documents,
        scale: float | None = None,
        cap: float | None = None,
    ) -> Float[Array, "B T N H"]: ...


BACKENDS: dict[str, Backend] = {"xla": blockwise.attention}
# Names people know from other trainers, and why they are refused instead of being replaced by something else.
REFUSED = {
    "splash": "it is a TPU kernel, not wired into this version",
    "cudnn": "jax's public cuDNN call takes no segment ids, so documents of a packed row would see each other",
    "triton": "it is a GPU kernel, not wired into this version",
}


class UnsupportedAttention(FlanJaxError, ValueError):
    """The named backend cannot do what was asked here; names those that can."""


def backend(name: str) -> Backend:
    """The attention function of that name.  Raises UnsupportedAttention, naming those that work, for any other."""
    if name in BACKENDS:
        return BACKENDS[name]
    reason = REFUSED.get(name, "there is no backend of that name")
    raise UnsupportedAttention(
        f"DecoderConfig.attention={name!r} cannot be used on {jax.default_backend()}: {reason}.  "
        f"Set it (in gin: RunAs.attention) to one of: {', '.join(BACKENDS)}"
    )
