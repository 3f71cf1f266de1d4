"""Rules on texts that identify something: numbers and names.

Two spellings of one identity would be two series, so a text in a key is plain: an operator's number
is ASCII digits, and a name is printable ASCII without a space at either end. Nothing is repaired: a
record that is spelled otherwise is quarantined as received.
"""

import polars as pl

from aurum_assets.model.table import Rule

_NUMBER = r"^[0-9]{1,18}$"  # \d would take the digits of every script
_NAME = r"^[!-~]([ -~]*[!-~])?$"


def is_a_number(column: str) -> Rule:
    """Require an operator's number in ASCII digits."""
    holds = pl.col(column).str.contains(_NUMBER)
    return Rule(f"{column}_is_a_number_in_ascii_digits", holds, (column,), "contract")


def is_a_name(column: str) -> Rule:
    """Require printable ASCII, not blank, without a space at either end."""
    holds = pl.col(column).str.contains(_NAME)
    return Rule(f"{column}_is_a_plain_name", holds, (column,), "contract")
