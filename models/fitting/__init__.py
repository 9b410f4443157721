"""Fitting of the linear layer to transition counts; the only room that imports torch."""
