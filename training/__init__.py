"""Training job: reads a list of names and writes a checkpoint file for each model."""

from time import perf_counter

START_TIME = perf_counter()  # seconds; this module is imported before the rest of the job
