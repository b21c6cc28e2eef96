"""What a training step needs, worked out before anything is allocated or compiled."""
