"""Log-likelihoods of names, their percentiles, explanations and spelling suggestions."""
