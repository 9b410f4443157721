"""HTML as its reader has it: text, tables and images in sections; only if it is well-formed."""

from base64 import b64decode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from xml.etree import ElementTree

VOID = {"meta", "img"}  # elements that have no end
PLOT = "data:image/svg+xml;base64,"


@dataclass
class Section:
    """What there is from a heading to the next one.

    rows: the cells of all its tables
    """

    pieces: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All of it, a blank for any white space."""
        return " ".join("".join(self.pieces).split())

    def cells(self, first: str) -> list[str]:
        """The row that begins so."""
        (row,) = (row for row in self.rows if row[0] == first)
        return row


@dataclass(frozen=True)
class Element:
    """An element with its attributes, and all text within it."""

    tag: str
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """With a blank for any white space."""
        return " ".join("".join(self.pieces).split())


class Hypertext(HTMLParser):
    """A page taken apart. Raises AssertionError if its elements are not nested and ended."""

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
        """An element begins."""
        attributes = {name: value for name, value in attrs if value is not None}
        assert len(attributes) == len(attrs), f"an attribute of {tag} is there twice or is empty"
        self.elements.append(Element(tag, attributes))
        if tag == "tr":
            self._section.rows.append([])
        if tag not in VOID:
            self._open.append(self.elements[-1])

    def handle_endtag(self, tag: str) -> None:
        """The element that began last ends."""
        ended = self._open.pop()
        assert ended.tag == tag, f"{tag} ends within {ended.tag}"
        if tag == "h2":
            self._section = self.sections[ended.text] = Section()
        elif tag in ("th", "td"):
            self._section.rows[-1].append(ended.text)

    def handle_data(self, data: str) -> None:
        """Text within all that is open."""
        for element in self._open:
            element.pieces.append(data)
        self._section.pieces.append(data)

    def handle_comment(self, data: str) -> None:
        """There is none."""
        raise AssertionError(f"a comment: {data}")

    def all(self, tag: str) -> list[Element]:
        """The elements of a kind."""
        return [element for element in self.elements if element.tag == tag]

    @property
    def text(self) -> str:
        """All text that is shown."""
        (body,) = self.all("body")
        return body.text

    @property
    def plots(self) -> list[ElementTree.Element]:
        """The images, which are SVG within the page."""
        sources = [image.attributes["src"] for image in self.all("img")]
        assert all(source.startswith(PLOT) for source in sources)
        return [ElementTree.fromstring(b64decode(one.removeprefix(PLOT))) for one in sources]
