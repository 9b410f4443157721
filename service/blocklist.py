"""The operator's list of substrings that no name of this service may have."""

from pathlib import Path

from service.catalog import CatalogError


def read_blocklist(path: Path) -> list[str]:
    """The substrings in a file, UTF-8, one a line. Raises CatalogError if it cannot be read."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise CatalogError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CatalogError(f"{path}: not UTF-8") from error
    return [word for word in map(str.strip, lines) if word]
