"""URL paths that several rooms of the service share."""

ASSETS = "/assets/"  # prefix of the page's files
ERRORS = "/errors/"  # prefix of the explanations of problem types
DOCS = "/docs"  # the API reference, and the prefix of its files
PROBES = {"/healthz", "/readyz"}
