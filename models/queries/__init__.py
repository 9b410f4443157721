"""Exact queries and samples of a conditioned chain."""
