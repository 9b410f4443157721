"""The training job: a list of names goes in, a checkpoint file for each model comes out."""

from time import perf_counter

STARTED = perf_counter()  # about when the process did: nothing of the job is imported before
