"""The decoder, its attention backends, positions and cache.  Knows nothing of data."""

from .config import DecoderConfig as DecoderConfig
