"""Constraints on names, and deterministic automata that accept the names that satisfy them."""
