"""Numbers in quotes: which texts of a JSON answer are accepted as numbers."""

import re
from math import isfinite

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def clean_number(text: str) -> float | None:
    """The number that ``text`` would be without its quotes; None where it is no JSON number.

    A JSON number is ASCII digits, a minus, a fraction, and an exponent, which writers of doubles
    use for small values ("1.0E-4"). No blank, comma, plus, leading zero, hexadecimal or NaN, and
    nothing that exceeds a double: the operators' feeds do not write these, and their meaning would
    be a guess.
    """
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if isfinite(number) else None
