"""The operator's blocklist: substrings that no sampled name may contain."""

from pathlib import Path

from models.errors import MonikerError


class BlocklistError(MonikerError):
    """The blocklist cannot be read; the message names the setting and the file."""


def read_blocklist(path: Path) -> list[str]:
    """Return the substrings in a UTF-8 file with one per line. Raises BlocklistError."""
    try:
        if not path.is_file() and path.exists():
            raise BlocklistError(f"MONIKER_BLOCKLIST: {path}: not a regular file")
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise BlocklistError(f"MONIKER_BLOCKLIST: {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BlocklistError(f"MONIKER_BLOCKLIST: {path}: not UTF-8") from error
    return [word for word in map(str.strip, lines) if word]
