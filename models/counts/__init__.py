"""Counts of transitions: all that the loss and its gradient need to know about a list."""
