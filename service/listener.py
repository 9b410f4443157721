"""The socket on which the service listens."""

import ctypes
import socket
import struct
from contextlib import suppress

from service.settings import Settings

SO_ATTACH_FILTER = 26  # of Linux
# A program for the kernel: load the flags of a TCP packet, throw it away if it opens a connection.
NO_MORE = b"".join(
    struct.pack("HBBI", *instruction)
    for instruction in (
        (0x30, 0, 0, 13),  # load the byte at 13
        (0x45, 0, 1, 0x02),  # if SYN is set
        (0x06, 0, 0, 0),  # take nothing of the packet
        (0x06, 0, 0, 0xFFFFFFFF),  # else all of it
    )
)


def bind(settings: Settings) -> socket.socket:
    """A socket at the address of the settings, not yet listening. Raises OSError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    bound = socket.socket(family)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((settings.host, settings.port))
    except OSError:
        bound.close()
        raise
    return bound


def let_nobody_come(bound: socket.socket) -> None:
    """Let the kernel take no more connections for a socket, where it knows how to.

    Those that come are neither made nor refused until the socket is closed. Without this it
    resets the ones that are made between the last look at who has come and the closing.
    """
    program = ctypes.create_string_buffer(NO_MORE)
    with suppress(OSError):
        option = struct.pack("HL", len(NO_MORE) // 8, ctypes.addressof(program))
        bound.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, option)
