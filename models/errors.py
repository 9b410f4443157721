"""The root of all errors that moniker raises on purpose."""


class MonikerError(Exception):
    """An error whose message is one line for the person who can mend its cause."""
