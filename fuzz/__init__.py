"""Coverage-guided fuzzing of patterns and checkpoints."""
