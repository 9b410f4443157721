"""Speed of the models: counting, fitting, sampling and scoring."""
