"""The HTTP server: uvicorn with deadlines for clients, graceful shutdown and several processes."""
