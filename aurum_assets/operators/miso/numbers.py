"""Numbers, which MISO's displays write as texts."""

import polars as pl


def number(name: str) -> pl.Expr:
    """The number that the text says; null where it says none."""
    return pl.col(name).cast(pl.Float64, strict=False)


def unread(*names: str) -> pl.Expr:
    """How many of these texts are neither a number nor blank."""
    return pl.sum_horizontal(
        (pl.col(name).str.strip_chars() != "") & number(name).is_null() for name in names
    )
