"""python -m service.healthcheck: exit with status 0 if the service on this machine is ready.

This is the HEALTHCHECK of the image. It requests /readyz at the address or Unix socket of the
settings.
"""

import os
import socket
import sys
from http.client import HTTPConnection, HTTPException

from service.settings import Settings

TIMEOUT = 4.0  # seconds; below the timeout of the HEALTHCHECK, so that its log has the reason


def check(settings: Settings) -> str | None:
    """Return why the service is not ready, or None if it is."""
    # A client that connects to 0.0.0.0 or :: reaches the loopback address.
    connection = HTTPConnection(settings.host, settings.port, timeout=TIMEOUT)
    try:
        if path := settings.unix_socket:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(TIMEOUT)
            connection.sock.connect(str(path))
        connection.request("GET", "/readyz", headers={"Host": "localhost"})
        response = connection.getresponse()
        return None if response.status == 200 else response.read().decode()
    except (OSError, HTTPException) as error:
        return f"no response: {error}"
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(check(Settings.from_environment(os.environ)))
