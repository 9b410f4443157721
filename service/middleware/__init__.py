"""ASGI middlewares for every request: observability and API keys."""
