"""Lists of names: reading files as people keep them."""
