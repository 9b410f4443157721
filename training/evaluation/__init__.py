"""Evaluation of models: held-out names, figures, plots and the report."""
