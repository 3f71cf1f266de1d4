"""The hours that marts are made of, as tables of the source ``calendar`` in dbt.

Two frames, pure functions of their arguments; whoever runs the models gives them to dbt as sources,
with the same days as the other sources or with more of them:

- ``calendar.hours``: ``hours(operators, first, last, choices)``
- ``calendar.operators``: ``operators(operators, choices)``

``operators`` are ``aurum_assets.operators.OPERATORS`` (all of them: one without rows costs
nothing), ``choices`` is ``aurum_assets.marts.choices.read(…)``. Not here: what is on-peak
(``model.peak``), and which block an operator has (``choices``).
"""

import datetime as dt
from collections.abc import Iterable

import polars as pl

from aurum_assets.marts.choices import Choices
from aurum_assets.model.clock import HOUR, OperatingDay, every_day
from aurum_assets.model.operator import Operator
from aurum_assets.model.peak import hour_ending
from aurum_assets.model.table import UTC

HOURS = {
    "operator": pl.String(),
    "operating_day": pl.Date(),
    "interval_start": UTC,
    "interval_end": UTC,
    "hour_ending": pl.String(),
    "on_peak": pl.Boolean(),
}
OPERATORS = {
    "operator": pl.String(),
    "main_location": pl.String(),
}


def hours(
    operators: Iterable[Operator], first: dt.date, last: dt.date, choices: Choices
) -> pl.DataFrame:
    """Every hour of the operating days ``first`` to ``last`` (both included) of each operator.

    Columns ``operator, operating_day, interval_start, interval_end`` (UTC)``, hour_ending``
    (``01`` to ``24``, ``02X`` for the one that comes twice) and ``on_peak``: 23, 24 or 25 rows a
    day.
    """
    rows = []
    for operator in operators:
        peak = choices.peak_of(operator)
        bounds = (OperatingDay(date, operator.zone) for date in (first, last))
        for day in every_day(*bounds):
            rows += [
                (
                    operator.name,
                    day.date,
                    start,
                    start + HOUR,
                    hour_ending(start, operator.zone),
                    peak.holds(start),
                )
                for start in day.marks(HOUR)
            ]
    return pl.DataFrame(rows, schema=HOURS, orient="row")


def operators(operators: Iterable[Operator], choices: Choices) -> pl.DataFrame:
    """``operator, main_location``: the location whose price stands for the operator's market."""
    rows = [(o.name, choices.main_locations.get(o.name)) for o in operators]
    return pl.DataFrame(rows, schema=OPERATORS, orient="row")
