"""From rendered text to packed batches: text layer, token layer, pack plan, loader."""
