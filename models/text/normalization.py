"""Normalisation: the spelling in which a name is counted, scored and matched with constraints.

1. Invisible format characters are removed: byte order marks, zero-width spaces, soft
   hyphens, word joiners, bidirectional marks.
2. No-break spaces become spaces.
3. Letters become lower case, unless case is kept. U+0130 (I with a dot) becomes a plain i;
   in Turkish, I becomes U+0131 (i without a dot).
4. The text becomes NFC, Unicode's composed form.
5. Joiners (U+200C, U+200D) are removed, except between letters of a script that joins.
6. White space at both ends is removed.

NFC and the rule for joiners depend on the neighbours of a character. So does the lower case of
a capital sigma, which in a whole name is a final sigma (U+03C2) at the end of a word. Every other
rule maps each character by itself.
"""

import re
from functools import cache
from unicodedata import category
from unicodedata import normalize as unicode_form

INVISIBLE = "\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff"
NO_BREAK = "\u00a0\u2007\u202f"
JOINERS = "\u200c\u200d"
DOT_ABOVE = "\u0307"  # I and this are canonically equivalent to U+0130
JOINING = (  # blocks of scripts in which a joiner changes how letters look
    range(0x0600, 0x0900),  # Arabic, Syriac, N'Ko, Mandaic
    range(0x0900, 0x0E00),  # the scripts of India and Sri Lanka
    range(0x1780, 0x18B0),  # Khmer, Mongolian
    range(0x1B00, 0x1B80),  # Balinese
    range(0xA840, 0xA880),  # Phags-pa
    range(0xA980, 0xA9E0),  # Javanese
    range(0xFB50, 0xFE00),  # forms of Arabic letters
    range(0xFE70, 0xFEFF),
    range(0x11000, 0x11800),  # Brahmi and its descendants
    range(0x1E900, 0x1E960),  # Adlam
)
NEUTRAL = "*?[]"  # of a pattern: they stand for any letter

_special = re.compile(f"[{INVISIBLE}{NO_BREAK}{JOINERS}{DOT_ABOVE}]")
_invisible = re.compile(f"[{INVISIBLE}]")
_no_break = re.compile(f"[{NO_BREAK}]")
_repeated = re.compile(f"([{JOINERS}])[{JOINERS}]+")


def normalize(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    """A whole name as it is counted and scored; normalising it again changes nothing."""
    return _spelled(text, keep_case, turkish, part=False).strip()


def spell(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    """Whole names, one a line, normalised except that white space stays."""
    return _spelled(text, keep_case, turkish, part=False)


def fold(text: str, keep_case: bool = False, turkish: bool = False) -> str:
    """A part of a name, or a pattern, normalised except that white space stays.

    Nothing is known about what comes before and after it: a capital sigma becomes a plain
    one, and a joiner at either end stays.
    """
    text = text if keep_case else text.replace("\u03a3", "\u03c3")
    return _spelled(text, keep_case, turkish, part=True)


def joins(character: str) -> bool:
    """Whether it is a letter or a mark of a script that joins."""
    in_block = any(ord(character) in block for block in JOINING)
    return in_block and category(character)[0] in "LM"


def _spelled(text: str, keep_case: bool, turkish: bool, part: bool) -> str:
    if text.isascii() and not turkish:
        return text if keep_case else text.lower()
    special = _special.search(text) is not None
    if special:
        text = _no_break.sub(" ", _invisible.sub("", text))
    if not keep_case:
        # Composed first where the accents of a capital decide what its lower case is.
        text = unicode_form("NFC", text) if special or turkish else text
        text = _lower(text, turkish)
    # NFC comes last: lower-casing can leave a letter and its accent uncomposed.
    text = unicode_form("NFC", text)
    return _without_stray_joiners(text, part) if special else text


def _lower(text: str, turkish: bool) -> str:
    text = text.replace("I", "\u0131") if turkish else text  # without a dot
    return text.replace("\u0130", "i").lower()


def _without_stray_joiners(text: str, part: bool) -> str:
    """The text with joiners only between letters that join, one at a time, in NFC."""
    stray, before = _stray(part), None
    while text != before:  # what a joiner stood between may compose, or change its order
        before = text
        text = unicode_form("NFC", stray.sub("", _repeated.sub(r"\1", text)))
    return text


@cache
def _stray(part: bool) -> re.Pattern[str]:
    """Matches a joiner that is not between letters that join; at an end of a part it may be."""
    letters = "".join(filter(joins, (chr(point) for block in JOINING for point in block)))
    if part:
        beside = re.escape(letters + NEUTRAL)
        return re.compile(f"[{JOINERS}](?:(?<=[^{beside}].)|(?=[^{beside}]))", re.DOTALL)
    return re.compile(f"[{JOINERS}](?:(?<![{letters}].)|(?![{letters}]))", re.DOTALL)
