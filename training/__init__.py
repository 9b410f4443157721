"""The training job: a list of names goes in, a checkpoint file for each model comes out."""
