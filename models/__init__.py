"""Mathematics of the models: no files, no HTTP, no clock, no environment."""

__version__ = "0.1.0"
