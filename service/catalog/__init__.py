"""The models in service: checkpoints loaded from a folder, reloaded, compiled and cached."""
