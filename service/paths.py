"""URL paths that several rooms of the service know."""

ASSETS = "/assets/"  # prefix of the page's files
DOCS = "/docs"  # the API reference, and the prefix of its files
PROBES = {"/healthz", "/readyz"}
