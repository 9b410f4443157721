"""The HTTP service: loads checkpoints, samples and scores names."""
