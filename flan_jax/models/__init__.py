"""The decoder, its attention backends, positions and cache.  Knows nothing of data."""
