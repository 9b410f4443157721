"""Rules for the text of a row in a table of counts, checked one distinct row at a time."""

from models.text.normalization import CONTROL_CHARACTER, normalize_part
from models.text.vocabulary import LINE_END
from training.counts.counting import MAX_ORDER

PADDING = chr(LINE_END)  # in place of BOUNDARY: no name contains it, and it sorts first


def row_problem(context_length: int, last: str, next_: str, keep_case: bool) -> str | None:
    """Return what is wrong with the text of a row and what to do, or None if it is valid.

    context_length: number of characters that `last` must have, `min(position, MAX_ORDER)`
    """
    if len(next_) > 1:
        return f"column next: {next_!r} has more than one character; write one row for each"
    if len(last) != context_length:
        return (
            f"column last: {last!r} must have {context_length} characters, the last {MAX_ORDER}"
            " before next, or all if there are fewer"
        )
    if not last and not next_:
        return "column next: a name ends before its first character; leave out empty names"
    if match := CONTROL_CHARACTER.search(last + next_):
        return (
            f"the text has the control character U+{ord(match[0]):04X};"
            " remove control characters from the names"
        )
    if (not last and next_.isspace()) or (not next_ and last[-1].isspace()):
        return "a name starts or ends with white space; trim the names"
    if not _is_normalized(context_length, last, next_, keep_case):
        form = "NFC" if keep_case else "lower case and NFC"
        return f"the text is not in {form}; normalise the names before counting"
    return None


def _is_normalized(context_length: int, last: str, next_: str, keep_case: bool) -> bool:
    """Return whether normalisation keeps the text of a row.

    It removes a joiner beside the start or the end of a name, but not at the start of `last` where
    more characters come before.
    """
    start = PADDING if context_length < MAX_ORDER else ""
    text = f"{start}{last}{next_ or PADDING}"
    return normalize_part(text, keep_case) == text
