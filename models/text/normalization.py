"""Normalisation: the spelling in which a name is counted, scored and matched with constraints.

1. Remove invisible format characters: byte order marks, zero-width spaces, soft hyphens, word
   joiners, bidirectional marks.
2. Replace no-break spaces by spaces.
3. Convert letters to lower case, unless case is kept. U+0130 (I with a dot) becomes a plain i;
   in Turkish, I becomes U+0131 (i without a dot).
4. Compose to NFC (Unicode Standard Annex 15).
5. Remove joiners (U+200C, U+200D), except between letters of a script that joins.
6. Remove white space at both ends.

Three rules depend on the neighbours of a character: NFC, the rule for joiners, and the lower
case of a capital sigma, which is a final sigma (U+03C2) at the end of a word. Every other rule
maps each character by itself.
"""

import re
from functools import cache
from unicodedata import category
from unicodedata import normalize as unicode_form

CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # in no name
INVISIBLE = "\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
NO_BREAK = "\u00a0\u2007\u202f"
JOINERS = "\u200c\u200d"
DOT_ABOVE = "\u0307"  # after an I it is canonically equivalent to U+0130
JOINING_BLOCKS = (  # of scripts in which a joiner changes the shape of letters
    range(0x0600, 0x0900),  # Arabic, Syriac, N'Ko, Mandaic
    range(0x0900, 0x0E00),  # scripts of India and Sri Lanka
    range(0x1780, 0x18B0),  # Khmer, Mongolian
    range(0x1B00, 0x1B80),  # Balinese
    range(0xA840, 0xA880),  # Phags-pa
    range(0xA980, 0xA9E0),  # Javanese
    range(0xFB50, 0xFE00),  # Arabic presentation forms A
    range(0xFE70, 0xFEFF),  # Arabic presentation forms B
    range(0x11000, 0x11800),  # Brahmi and its descendants
    range(0x1E900, 0x1E960),  # Adlam
)
WILDCARDS = "*?[]"  # in a pattern they stand for any letter

_special = re.compile(f"[{INVISIBLE}{NO_BREAK}{JOINERS}{DOT_ABOVE}]")
_invisible = re.compile(f"[{INVISIBLE}]")
_no_break = re.compile(f"[{NO_BREAK}]")
_repeated = re.compile(f"([{JOINERS}])[{JOINERS}]+")


def normalize(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    r"""Return a whole name as it is counted and scored. Idempotent.

    >>> normalize("  Zoe\u0308 ")
    'zoë'
    >>> normalize("Mc\u00a0Kay", keep_case=True)  # a no-break space
    'Mc Kay'
    """
    return _normalized(text, keep_case, turkish, part=False).strip()


def normalize_untrimmed(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    """Return whole names, one per line, normalised but not trimmed."""
    return _normalized(text, keep_case, turkish, part=False)


def normalize_part(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    """Return part of a name, or a pattern, normalised but not trimmed.

    The characters before and after it are not known: a capital sigma becomes a plain (not a
    final) sigma, and a joiner at either end stays.

    >>> normalize_part("Mar")
    'mar'
    """
    text = text if keep_case else text.replace("\u03a3", "\u03c3")
    return _normalized(text, keep_case, turkish, part=True)


def is_joining(character: str) -> bool:
    """Return whether the character is a letter or a mark of a script that joins."""
    in_block = any(ord(character) in block for block in JOINING_BLOCKS)
    return in_block and category(character)[0] in "LM"


def _normalized(text: str, keep_case: bool, turkish: bool, part: bool) -> str:
    if text.isascii() and not turkish:
        return text if keep_case else text.lower()
    special = _special.search(text) is not None
    if special:
        text = _no_break.sub(" ", _invisible.sub("", text))
    if not keep_case:
        # The combining marks of a capital may decide its lower case: compose before.
        text = unicode_form("NFC", text) if special or turkish else text
        text = _lower(text, turkish)
    # Lower-casing can leave a letter and its accent uncomposed.
    text = unicode_form("NFC", text)
    return _without_stray_joiners(text, part) if special else text


def _lower(text: str, turkish: bool) -> str:
    text = text.replace("I", "\u0131") if turkish else text
    return text.replace("\u0130", "i").lower()


def _without_stray_joiners(text: str, part: bool) -> str:
    """Return the text in NFC with joiners only between letters that join, one at a time."""
    stray, previous = _stray(part), None
    while text != previous:  # the neighbours of a removed joiner may compose or be reordered
        previous = text
        text = unicode_form("NFC", stray.sub("", _repeated.sub(r"\1", text)))
    return text


@cache
def _stray(part: bool) -> re.Pattern[str]:
    """Return a pattern for joiners that step 5 removes; at the ends of a part none is removed."""
    points = (chr(point) for block in JOINING_BLOCKS for point in block)
    letters = "".join(filter(is_joining, points))
    if part:
        allowed = re.escape(letters + WILDCARDS)
        return re.compile(f"[{JOINERS}](?:(?<=[^{allowed}].)|(?=[^{allowed}]))", re.DOTALL)
    return re.compile(f"[{JOINERS}](?:(?<![{letters}].)|(?![{letters}]))", re.DOTALL)
