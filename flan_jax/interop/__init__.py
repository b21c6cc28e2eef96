"""Models of other libraries: Hugging Face families, one file each, weights in and out with equal logits."""
