"""Markov chains over names, multiplied by automata and conditioned on constraints, exactly."""
