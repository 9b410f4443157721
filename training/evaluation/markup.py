"""HTML, as far as the report needs it: a page that needs nothing from elsewhere.

Arguments called `text` are plain and are shown as they are; all others are HTML.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from html import escape

# Control characters, line ends, and what would turn the order of the text around it.
INVISIBLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
STYLE = """
:root {
  color-scheme: light dark;
  --ink: #1d1f23; --quiet: #555b66; --paper: #fff; --shade: #f3f4f6; --line: #d5d8de;
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e6ea; --quiet: #a4abb8; --paper: #16181d; --shade: #23262d; --line: #3b404a; }
}
body {
  max-width: 46rem; margin: 0 auto; padding: 1rem 1rem 4rem;
  color: var(--ink); background: var(--paper); font: 1rem/1.6 system-ui, sans-serif;
}
h1, h2 { line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin-top: 3rem; }
code { font: 0.9em ui-monospace, monospace; }
p code, li code { background: var(--shade); padding: 0.1em 0.3em; border-radius: 0.25em; }
img {
  display: block; box-sizing: border-box; width: 100%; height: auto; margin: 1.5rem 0;
  padding: 0.5rem; border-radius: 0.5rem; background: #fff;
}
.table { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; font-size: 0.875rem; font-variant-numeric: tabular-nums; }
th, td {
  padding: 0.3rem 0.8rem 0.3rem 0; text-align: right; vertical-align: top; white-space: nowrap;
}
th { font-weight: normal; }
thead th { color: var(--quiet); vertical-align: bottom; white-space: normal; }
tr { border-bottom: 1px solid var(--line); }
tr > :last-child { padding-right: 0; }
.text { text-align: left; }
td.text { white-space: normal; }
td.text:nth-child(2) { min-width: 6rem; overflow-wrap: anywhere; }
"""


def plain(text: str) -> str:
    """Text that shows as it is, in one line, whatever characters it has."""
    return escape(INVISIBLE.sub("\N{REPLACEMENT CHARACTER}", text))


def foreign(text: str) -> str:
    """The same within other text, which keeps its direction."""
    return f"<bdi>{plain(text)}</bdi>"


def code(text: str) -> str:
    """The name of something in the program."""
    return f"<code>{plain(text)}</code>"


def heading(text: str) -> str:
    """The heading of a section."""
    return f"<h2>{plain(text)}</h2>"


def paragraph(content: str) -> str:
    """A paragraph."""
    return f"<p>{content}</p>"


def points(contents: Iterable[str]) -> str:
    """A list of points."""
    return "\n".join(["<ul>", *(f"<li>{content}</li>" for content in contents), "</ul>"])


def image(svg: bytes, text: str) -> str:
    """A plot, and the text in its place for those who do not see it."""
    return f'<img src="data:image/svg+xml;base64,{b64encode(svg).decode()}" alt="{plain(text)}">'


def table(text: str, header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table about something, so many of its columns to the left and the others to the right.

    header: of the columns; empty where the first cell of each row says what the other is
    """
    lines = [
        # With a keyboard, too, a table that is wider than the screen can be moved.
        f'<div class="table" role="region" aria-label="{plain(text)}" tabindex="0"><table>',
        *([f"<thead>{_row(header, left, 'col')}</thead>"] if header else []),
        "<tbody>",
        *(_row(row, left, "row") for row in rows),
        "</tbody></table></div>",
    ]
    return "\n".join(lines)


def page(text: str, checkpoints: Iterable[str], contents: Iterable[str]) -> str:
    """The whole page with its title, and which checkpoints it tells of."""
    lines = [
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
        f'<meta name="moniker-checkpoints" content="{" ".join(checkpoints)}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{plain(text)}</title>",
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        *contents,
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(lines)


def _row(cells: Sequence[str], left: int, scope: str) -> str:
    """A row of a table: header cells of the columns, or one of the row and what it is about."""
    made = []
    for column, cell in enumerate(cells):
        kind = ' class="text"' if column < left else ""
        if scope == "col" or column == 0:
            made.append(f'<th scope="{scope}"{kind}>{cell}</th>')
        else:
            made.append(f"<td{kind}>{cell}</td>")
    return f"<tr>{''.join(made)}</tr>"
