"""The paths that more than one room of the service knows."""

ASSETS = "/assets/"  # the files of the page, below it
DOCS = "/docs"  # the API reference, and below it its files
ERRORS = "/errors/"  # the explanations of problems, below it
PROBES = {"/healthz", "/readyz"}
