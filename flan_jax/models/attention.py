"""Attention backends by name.  A backend honours what it is asked or raises: none falls back to another in silence."""

from typing import Protocol, runtime_checkable

import jax
from jaxtyping import Array, Float

from ..errors import FlanJaxError
from . import blockwise, splash
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


BACKENDS: dict[str, Backend] = {"xla": blockwise.attention, "splash": splash.attention}
PLATFORMS = {"splash": ("tpu",)}  # where a backend runs, if not everywhere
# Names people know from other trainers, and why they are refused instead of being replaced by something else.
REFUSED = {
    "cudnn": "jax's public cuDNN call takes no segment ids, so documents of a packed row would see each other",
    "triton": "it is a GPU kernel, not wired into this version",
}


class UnsupportedAttention(FlanJaxError, ValueError):
    """The named backend cannot do what was asked here; names those that can."""


def backend(name: str) -> Backend:
    """The attention function of that name.  Raises UnsupportedAttention, naming those that work here, for any other."""
    here = platform()
    working = [known for known in BACKENDS if here in PLATFORMS.get(known, (here,))]
    if name in working:
        return BACKENDS[name]
    reason = REFUSED.get(name, "there is no backend of that name")
    if name in BACKENDS:
        reason = f"it runs on {' and '.join(PLATFORMS[name])} only"
    raise UnsupportedAttention(
        f"DecoderConfig.attention={name!r} cannot be used on {here}: {reason}.  "
        f"Set it (in gin: RunAs.attention) to one of: {', '.join(working)}"
    )


def platform() -> str:
    """What is compiled for: the devices of the mesh in force, which need not be here, else those that are."""
    device = getattr(jax.sharding.get_abstract_mesh(), "abstract_device", None)
    return jax.default_backend() if device is None else device.platform
