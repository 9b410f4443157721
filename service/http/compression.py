"""Gzip compression of JSON responses of 2 to 128 KiB, for clients that accept it."""

import gzip

from fastapi import Request, Response

from service.http.negotiation import GZIP, IDENTITY, accepted_codings

# Bytes. Shorter bodies fit into a few packets anyway; compressing longer ones would block the
# event loop for more than a millisecond.
COMPRESSED_SIZES = range(2**11, 2**17)
FASTEST = 1  # gzip level: a third of the time of the default, a few per cent more bytes


def compressed(response: Response, request: Request) -> Response:
    """Compress a response in place if its size and the client allow it, and return it."""
    if len(response.body) in COMPRESSED_SIZES:
        response.headers.add_vary_header("Accept-Encoding")
        if accepted_codings(request, [GZIP, IDENTITY])[0] == GZIP:
            response.body = gzip.compress(response.body, FASTEST, mtime=0)
            response.headers["Content-Encoding"] = GZIP
            response.headers["Content-Length"] = str(len(response.body))
    return response
