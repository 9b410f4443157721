"""Parser of well-formed HTML: the text, tables and images of its sections."""

from base64 import b64decode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = {"meta", "img"}  # elements without an end tag
PLOT = "data:image/svg+xml;base64,"


@dataclass
class Section:
    """The content between two headings.

    pieces: all text
    rows: the cells of all tables
    """

    pieces: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text with white space collapsed."""
        return " ".join("".join(self.pieces).split())

    def cells(self, first: str) -> list[str]:
        """Return the only row whose first cell has this text."""
        (row,) = (row for row in self.rows if row[0] == first)
        return row


@dataclass(frozen=True)
class Element:
    """An element, its attributes and the text inside."""

    tag: str
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text with white space collapsed."""
        return " ".join("".join(self.pieces).split())


class Hypertext(HTMLParser):
    """A parsed page. Raises AssertionError if its elements are not well nested and closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.sections: dict[str, Section] = {}
        self._open: list[Element] = []
        self._section = Section()
        assert page.startswith("<!doctype html>\n")
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open an element."""
        attributes = {name: value for name, value in attrs if value is not None}
        assert len(attributes) == len(attrs), f"{tag} has a duplicate or empty attribute"
        self.elements.append(Element(tag, attributes))
        if tag == "tr":
            self._section.rows.append([])
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        element = self._open.pop()
        assert element.tag == tag, f"{tag} is closed inside {element.tag}"
        if tag == "h2":
            self._section = self.sections[element.text] = Section()
        elif tag in ("th", "td"):
            self._section.rows[-1].append(element.text)

    def handle_data(self, data: str) -> None:
        """Add text to all open elements."""
        for element in self._open:
            element.pieces.append(data)
        self._section.pieces.append(data)

    def handle_comment(self, data: str) -> None:
        """Fail: a page has no comments."""
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[Element]:
        """Return the elements with a tag."""
        return [element for element in self.elements if element.tag == tag]

    @property
    def text(self) -> str:
        """The text of the body."""
        (body,) = self.all("body")
        return body.text

    @property
    def plots(self) -> list[ElementTree.Element]:
        """The images, which must be SVG in data URLs."""
        sources = [image.attributes["src"] for image in self.all("img")]
        assert all(source.startswith(PLOT) for source in sources)
        return [ElementTree.fromstring(b64decode(source.removeprefix(PLOT))) for source in sources]
