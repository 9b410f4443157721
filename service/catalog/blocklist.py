"""The operator's list of substrings that no name of this service may have."""

from pathlib import Path


class BlocklistError(Exception):
    """A list that cannot be used; the message is one line naming the setting and the file."""


def read_blocklist(path: Path) -> list[str]:
    """The substrings in a file, UTF-8, one a line. Raises BlocklistError."""
    try:
        if not path.is_file() and path.exists():
            raise BlocklistError(f"MONIKER_BLOCKLIST: {path}: not a file")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise BlocklistError(f"MONIKER_BLOCKLIST: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BlocklistError(f"MONIKER_BLOCKLIST: {path}: not UTF-8") from error
    return [word for word in map(str.strip, lines) if word]
