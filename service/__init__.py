"""The HTTP service: loads checkpoints, samples names and scores them."""
