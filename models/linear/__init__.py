"""The linear layer: features of a context switch on rows of weights that add up to logits."""
