"""Base class of the exceptions that moniker raises on purpose."""


class MonikerError(Exception):
    """Base class; the message is one line for the person who can fix the cause."""
