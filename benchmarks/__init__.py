"""Measurements of moniker against the post's code, side by side in one run, as ratios."""
