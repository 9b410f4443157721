"""Limits of the fields of requests. /models reports most of them."""

MAX_NAMES = 10_000  # names in a request or a response as JSON
MAX_STREAMED = 10_000_000  # names in a response as text or JSON Lines
MAX_TOP = 1_000  # names in a response of /top
MAX_EXPLAINED = 100  # names in a request as JSON with `explain`
MAX_SEED = 2**53 - 1  # the largest integer that every JSON parser keeps exact
MAX_SAMPLED_LENGTH = 64  # characters of a sampled name
MAX_SCORED_LENGTH = 256  # characters of a name to score
MAX_CHARACTERS = 200  # characters in a response of /transitions
MAX_PATTERN_LENGTH = 256  # characters
MAX_EXCLUDED = 100  # substrings
MAX_EXCLUDED_LENGTH = 64  # characters of each substring
SMALL_BODY = 2**16  # bytes of a body that is parsed in a few milliseconds, whatever it contains
MAX_SCORE_BODY = MAX_NAMES * (MAX_SCORED_LENGTH + 4)  # bytes of names as JSON
