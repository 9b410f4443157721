"""Benchmarks: moniker compared with the post's code and other tools in one run, as ratios."""
