"""Loss, optimisers, partitioning, checkpoints and the trainer."""
