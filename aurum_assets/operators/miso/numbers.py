"""MISO's numbers are texts: how they are read, and the rule on those that are none."""

import polars as pl

from aurum_assets.model.table import Rule

UNREAD = "texts_that_are_no_numbers"


def number(name: str) -> pl.Expr:
    """The number that a text is; null where it is none, or blank."""
    return pl.col(name).cast(pl.Float64, strict=False)


def unread(*names: str) -> pl.Expr:
    """How many of these texts are neither a number nor blank: a parser's column ``UNREAD``."""
    return pl.sum_horizontal(
        (pl.col(name).str.strip_chars() != "") & number(name).is_null() for name in names
    )


def texts_are_numbers(rule: str, *shows: str) -> Rule:
    """Require that none of a row's texts is ``UNREAD``; ``shows`` tells which row it is."""
    return Rule(rule, pl.col(UNREAD) == 0, (*shows, UNREAD))
