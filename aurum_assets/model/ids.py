"""What a text that identifies something may look like.

Two spellings of one identity would be two series, so a text of a key is plain: an operator's number
is ASCII digits, and a name is printable ASCII without a space at either end. Nothing is repaired
here: a record that is spelled otherwise goes to quarantine as it came.
"""

import polars as pl

from aurum_assets.model.table import Rule

_NUMBER = r"^[0-9]{1,18}$"  # \d would take the digits of every script
_NAME = r"^[!-~]([ -~]*[!-~])?$"


def is_a_number(column: str) -> Rule:
    """The operator's number of something, in ASCII digits."""
    holds = pl.col(column).str.contains(_NUMBER)
    return Rule(f"{column}_is_a_number_in_ascii_digits", holds, (column,), "contract")


def is_a_name(column: str) -> Rule:
    """A word of the operator's: printable ASCII, not blank, no space at either end."""
    holds = pl.col(column).str.contains(_NAME)
    return Rule(f"{column}_is_a_plain_name", holds, (column,), "contract")
