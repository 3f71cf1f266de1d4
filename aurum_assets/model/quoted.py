"""Numbers in quotes: which texts of a JSON answer are taken for the number that they spell."""

import re
from math import isfinite

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")


def clean_number(text: str) -> float | None:
    """The number that ``text`` would be without its quotes; None where JSON would not take it.

    So it is what JSON calls a number and nothing else: ASCII digits, a minus, a fraction, and an
    exponent, which writers of doubles use for small values ("1.0E-4"). No blank, no comma, no plus,
    no leading zero, no hexadecimal, no NaN, and nothing that no double holds: whoever writes these
    does not write numbers as the operator's feed does, and what they mean would be a guess.
    """
    if _NUMBER.fullmatch(text) is None:
        return None
    number = float(text)
    return number if isfinite(number) else None
