"""The web page at / and the API reference at /docs, served as static files."""
