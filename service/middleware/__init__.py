"""ASGI middlewares for every request: observability, API keys and methods without a body."""
