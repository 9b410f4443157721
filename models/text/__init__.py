"""Names as text and as tokens: normalisation, the vocabulary, and sets of names."""
