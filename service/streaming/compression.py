"""Gzip for JSON replies of 2 to 128 KiB, if the client accepts it."""

import gzip

from fastapi import Request, Response

from service.negotiation import GZIP, IDENTITY, accepted_codings

# Bytes. Shorter replies fit into a few packets as they are; longer ones would hold up the event
# loop for more than a millisecond.
SIZES = range(2**11, 2**17)
FASTEST = 1  # a third of the time of the usual level, for a few per cent more bytes


def compressed(reply: Response, request: Request) -> Response:
    """The reply, compressed in place if its size and the client allow it."""
    if len(reply.body) in SIZES:
        reply.headers.add_vary_header("Accept-Encoding")
        if accepted_codings(request, [GZIP, IDENTITY])[0] == GZIP:
            reply.body = gzip.compress(reply.body, FASTEST, mtime=0)
            reply.headers["Content-Encoding"] = GZIP
            reply.headers["Content-Length"] = str(len(reply.body))
    return reply
