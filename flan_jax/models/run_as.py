"""How a decoder is run on a machine, apart from what it is: a checkpoint brings its shape, the machine this."""

import dataclasses
from typing import Literal

from .config import DecoderConfig


@dataclasses.dataclass(frozen=True)
class RunAs:
    """Settings of `DecoderConfig` that leave the parameters as they are, for a model of whatever origin.

    None keeps what the model says, which is what a checkpoint was trained with, or the default of a new one.
    """

    dtype: Literal["float32", "bfloat16"] | None = None
    scan_layers: bool | None = None
    remat: Literal["none", "full"] | None = None
    attention: str | None = None

    def applied_to(self, model: DecoderConfig) -> DecoderConfig:
        """The same model, run so.  Raises InvalidDecoderConfig for a value that there is not."""
        return dataclasses.replace(model, **{name: value for name, value in vars(self).items() if value is not None})
