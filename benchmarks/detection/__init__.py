"""Accuracy of scores as detectors of strings that are not names."""
