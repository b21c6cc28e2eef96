"""What can be wrong with a model of another library."""

from ..errors import FlanJaxError


class InteropError(FlanJaxError, ValueError):
    """A model could not be read or written; names the file or field, the value, and the way out."""


class UnsupportedModel(InteropError):
    """A configuration that this decoder cannot compute as it is meant; names the field and its value."""


class BadCheckpoint(InteropError):
    """Files or tensors that are missing, damaged, of another shape, or of a kind that is not read."""
