"""The marts: what each of them says, in words, and its columns, key, rules and tests.

A mart is a table of the namespace ``marts`` that dbt computes from the market tables, one operating
day at a time. Its definition is here (``DEFINITIONS``), word by word what ``models/<name>.sql``
does; the columns ``computed_at`` and ``made_from`` are added to what the model selects. What dbt
tests of each follows from here: the key is unique, what is not nullable is not null, and each rule
holds. A day with a row that breaks one of these is not stored; what may well happen, and should be
looked at, is a file of ``tests/``, as is what is said of several rows.

Common to all: one location, hour or fuel is called the same for all operators. Final values count
before preliminary ones. Means and differences are computed in decimals and given to six places, so
that 0.3 is 0.3. Times are UTC; an operating day has 23, 24 or 25 hours in New York, 24 in MISO.
"""

from collections.abc import Mapping, Sequence

from aurum_assets.marts import columns as m
from aurum_assets.model import columns as c
from aurum_assets.model.table import Column, Rule, Table

Bounds = tuple[float, float | None]
OPERATORS = ("isone", "miso", "pjm")
_KINDS = ("hub", "zone", "interface")
_FINALITIES = ("prelim", "final")
_FORECASTS = ("miso_cts", "pjm_itsced_lmp")
_DIRECTIONS = ("MISO_TO_PJM", "PJM_TO_MISO")
_SMALL = 0.0001  # USD/MWh: what rounding to six places may leave between two sums


DEFINITIONS: dict[str, str] = {}
"""By the name of a mart, what it is, in words: the first sentence is its table's ``doc``."""


def _mart(
    name: str,
    columns: Sequence[Column],
    key: Sequence[str],
    definition: str,
    rules: Sequence[Rule] = (),
    accepted: Mapping[str, Sequence[str]] | None = None,
    between: Mapping[str, Bounds] | None = None,
) -> Table:
    """A mart of these columns, with a rule for each column of ``accepted`` and ``between``.

    ``accepted``: the values that a column may have. ``between``: its least and its greatest value
    (None: no bound).
    """
    derived = [
        *(_is_one_of(column, values) for column, values in (accepted or {}).items()),
        *(_lies_between(column, bounds) for column, bounds in (between or {}).items()),
    ]
    DEFINITIONS[name] = definition
    return Table(
        name=name,
        namespace="marts",
        columns=(c.OPERATING_DAY, *columns, m.COMPUTED_AT, m.MADE_FROM),
        key=tuple(key),
        values=tuple(column.name for column in columns if column.name not in key),
        rules=(*rules, *derived),
        stays_in_day=False,
        doc=definition.split("\n\n", maxsplit=1)[0].replace("\n", " "),
    )


def _is_one_of(column: str, values: Sequence[str]) -> Rule:
    listed = ", ".join(f"'{value}'" for value in values)
    return Rule.of_sql(f"{column}_is_known", f"{column} IN ({listed})", column)


def _lies_between(column: str, bounds: Bounds) -> Rule:
    least, greatest = bounds
    sql = f"{column} >= {least}" if greatest is None else f"{column} BETWEEN {least} AND {greatest}"
    return Rule.of_sql(f"{column}_is_within_bounds", sql, column)


def _is_difference(name: str, of: str, less: str) -> Rule:
    """``name`` is ``of`` less ``less``; null where one of them is."""
    sql = f"ABS({of} - {less} - {name}) <= {_SMALL}"
    return Rule.of_sql(f"{name}_is_{of}_less_{less}", sql, name, of, less)


HUB_PRICES = _mart(
    "hub_prices",
    (
        m.OPERATOR,
        m.LOCATION_ID,
        c.INTERVAL_START,
        c.INTERVAL_END,
        m.HOUR_ENDING,
        m.ON_PEAK,
        m.LOCATION_NAME,
        m.LOCATION_KIND,
        m.DA_LMP,
        m.RT_LMP,
        m.RT_FINALITY,
        m.RT_MEAN_LMP,
        m.RT_INTERVALS,
    ),
    ("operator", "location_id", "interval_start"),
    """Hourly day-ahead and real-time prices of every operator's hubs, zones and interfaces.

A row for each hour that has any of the prices. Hubs, zones and interfaces are what ISO-NE and PJM
type as such (HUB; LOAD ZONE, ZONE; EXT. NODE, INTERFACE), and of MISO's locations those whose name
ends in ``.HUB`` and those of ``reference.interfaces``. ``da_lmp`` is what the day-ahead market
settles on, of MISO's two runs the ex-post one. ``rt_lmp`` is the operator's own hourly price;
``rt_mean_lmp`` the mean of those five-minute prices that are there (``rt_intervals``), each final
where it is, else preliminary. ``rt_finality`` is that of ``rt_lmp``; where there is none, final if
all five-minute prices are.

Source: day-ahead, hourly and five-minute prices of ISO-NE, MISO and PJM.
Grain: hour x location, within operating days of the location's operator.
Units: USD/MWh; UTC, and the hour by its end on the operator's clock (MISO: EST all year).
Caveats: PJM's hourly real-time prices are not collected, so ``rt_lmp`` is null there. MISO's prices
are never final here; an interval that its display lacks is taken from its ex-post display. On-peak
is 5x16 by default: hours ending 8 to 23 Eastern prevailing time, Monday to Friday, NERC's holidays
off, for MISO too, as its hubs are traded; ``config/marts.json`` says otherwise, with its sources.
""",
    accepted={
        "operator": OPERATORS,
        "location_type": _KINDS,
        "rt_finality": _FINALITIES,
    },
    between={"rt_intervals": (0, 12)},
)

DART_SPREAD = _mart(
    "dart_spread",
    (
        m.OPERATOR,
        m.LOCATION_ID,
        c.INTERVAL_START,
        m.LOCATION_NAME,
        m.LOCATION_KIND,
        m.price("da_lmp", "Day-ahead price of the hour.", nullable=False),
        m.price("rt_lmp", "Real-time price of the hour, as rt_from says.", nullable=False),
        Column("rt_finality", c.TEXT, "final where all of the real-time price is, else prelim."),
        m.RT_FROM,
        m.price("dart_lmp", "Day-ahead less real-time price.", nullable=False),
        m.price("dart_energy", "Day-ahead less real-time energy component."),
        m.price("dart_congestion", "Day-ahead less real-time congestion component."),
        m.price("dart_loss", "Day-ahead less real-time loss component."),
    ),
    ("operator", "location_id", "interval_start"),
    """Day-ahead less real-time price of each hour and location, and of each component.

A row where both prices are there, at every location of every operator. The real-time price is the
operator's hourly one, final where it is, else preliminary; where the operator has none for the
hour, the mean of all twelve five-minute prices (``rt_from``), and no row where one of them is
missing. Positive: the day-ahead price was the higher one.

Source: day-ahead, hourly and five-minute prices of ISO-NE, MISO and PJM.
Grain: hour x location, within operating days of the location's operator.
Units: USD/MWh; UTC.
Caveats: of PJM no hourly real-time price is collected: it is always the mean of five-minute prices.
The components of MISO's hourly prices are rounded each by itself, so they may add up to a few cents
beside the price; of one whose components are absent they are null.
""",
    rules=(_is_difference("dart_lmp", "da_lmp", "rt_lmp"),),
    accepted={
        "operator": OPERATORS,
        "location_type": (*_KINDS, "node"),
        "rt_finality": _FINALITIES,
        "rt_from": ("hourly", "five-minute mean"),
    },
)

RT_RECONCILIATION = _mart(
    "rt_reconciliation",
    (
        m.OPERATOR,
        m.LOCATION_ID,
        c.INTERVAL_START,
        m.price("hourly_lmp_prelim", "The operator's preliminary hourly price."),
        m.price("hourly_lmp_final", "The operator's final hourly price."),
        m.price("mean_lmp_prelim", "Mean of the preliminary five-minute prices."),
        m.price("mean_lmp_final", "Mean of the final five-minute prices."),
        m.count("intervals_prelim", "Preliminary five-minute prices in the mean."),
        m.count("intervals_final", "Final five-minute prices in the mean."),
        m.price("hourly_minus_mean", "Best hourly price less the mean of the best prices."),
        m.price("final_minus_prelim", "Final less preliminary price."),
    ),
    ("operator", "location_id", "interval_start"),
    """The operator's hourly real-time price beside the mean of its five-minute prices.

A row where there is an hourly price, or both a preliminary and a final five-minute price.
``hourly_minus_mean`` compares the best of each: the final hourly price, else the preliminary one,
with the mean of five-minute prices that are each final where they are. ``final_minus_prelim`` is
that of the hourly price; where there is no hourly price at all, that of the means, if as many
intervals are in both.

Source: hourly and five-minute prices of ISO-NE and MISO, five-minute prices of PJM.
Grain: hour x location, within operating days of the location's operator.
Units: USD/MWh; UTC.
Caveats: ISO-NE says that its hourly price is not the mean of the preliminary five-minute ones. A
mean over fewer than twelve prices (``intervals_…``) differs for that reason alone. PJM's
preliminary prices are the unverified ones, its final ones the verified.
""",
    accepted={"operator": OPERATORS},
    between={"intervals_prelim": (0, 12), "intervals_final": (0, 12)},
)

CTS_FORECAST_ACCURACY = _mart(
    "cts_forecast_accuracy",
    (
        m.FORECAST,
        c.INTERVAL_START,
        c.PUBLISHED_AT,
        c.INTERVAL_END,
        Column(
            "lead_minutes",
            c.NUMBER,
            "From publication to the start of the interval; below zero once it has begun.",
            "min",
        ),
        m.price("forecast_lmp", "What was forecast for PJM's interface.", nullable=False),
        m.price("realized_lmp", "The price that came, as realized_from says.", nullable=False),
        Column(
            "realized_from",
            c.TEXT,
            "pjm verified, pjm unverified, or miso interface: MISO's price.",
        ),
        m.price("error", "Forecast less realized price.", nullable=False),
        m.price("absolute_error", "The error without its sign.", nullable=False),
        m.price("miso_lmp", "MISO's price at the interface in the interval."),
        Column(
            "sign_hit",
            m.FLAG,
            "Whether the forecast lay on that side of MISO's price on which PJM's came to lie.",
            nullable=True,
        ),
    ),
    ("forecast", "interval_start", "published_at"),
    """Each forecast of PJM's price at its interface with MISO, against the price that came.

A row for each vintage that was published before its interval ended, once the price is known.
``realized_lmp`` is the mean of PJM's five-minute prices at its MISO interface over the forecast's
interval, verified where all of them are; without PJM's prices (no key), MISO's own at ``PJMC``,
labelled so. A mean needs each of its five-minute prices. ``sign_hit`` is what decides a schedule:
whether MISO less forecast has the sign of MISO less realized price. It is null where MISO's price
is missing or is itself what the forecast is held against.

Source: MISO's CTS forecasts and PJM's IT SCED forecasts; five-minute prices of PJM and MISO at the
locations of the seam ``miso-pjm`` in ``reference.interfaces``.
Grain: forecast x interval x publication; the operating day is that of the interval, in MISO for
``miso_cts``, in PJM for ``pjm_itsced_lmp``.
Units: USD/MWh, minutes; UTC.
Caveats: nodes of the documented dialect are not in ``reference.interfaces`` and have no row.
""",
    rules=(
        _is_difference("error", "forecast_lmp", "realized_lmp"),
        Rule.of_sql(
            "absolute_error_is_that_of_error",
            "absolute_error = ABS(error)",
            *("error", "absolute_error"),
        ),
        Rule.of_sql(
            "published_before_the_interval_ends",
            "published_at < interval_end",
            *("published_at", "interval_end"),
        ),
    ),
    accepted={
        "forecast": _FORECASTS,
        "realized_from": ("pjm verified", "pjm unverified", "miso interface"),
    },
    between={"absolute_error": (0, None)},
)

CTS_FORECAST_REVISION = _mart(
    "cts_forecast_revision",
    (
        m.FORECAST,
        c.INTERVAL_START,
        m.price("first_lmp", "The first forecast.", nullable=False),
        m.instant("first_published_at", "When it was published.", nullable=False),
        m.price("last_lmp", "The last forecast that counts.", nullable=False),
        m.instant("last_published_at", "When it was published.", nullable=False),
        m.price("lowest_lmp", "The lowest forecast.", nullable=False),
        m.price("highest_lmp", "The highest forecast.", nullable=False),
        m.price("range_lmp", "Highest less lowest forecast.", nullable=False),
        m.count("revisions", "Vintages with another value than the one before."),
        m.count("vintages", "Vintages that count."),
    ),
    ("forecast", "interval_start"),
    """How the forecast of an interval's price changed from its first vintage to its last.

The vintages of PJM's price at its interface with MISO that were published at or before the
beginning of the interval: before gate closure, where ``config/marts.json`` has one
(``cts.gate_closure_minutes``). An interval without such a vintage has no row.

Source: MISO's CTS forecasts and PJM's IT SCED forecasts, at the locations of the seam ``miso-pjm``
in ``reference.interfaces``.
Grain: forecast x interval; the operating day is that of the interval, in MISO for ``miso_cts``, in
PJM for ``pjm_itsced_lmp``.
Units: USD/MWh; UTC.
Caveats: no gate closure is built in, since no public source of one is known: ``last_lmp`` is what
was known as the interval began. What was not collected in time is not among the vintages.
""",
    rules=(
        _is_difference("range_lmp", "highest_lmp", "lowest_lmp"),
        Rule.of_sql(
            "first_and_last_lie_within_the_range",
            "first_lmp BETWEEN lowest_lmp AND highest_lmp "
            "AND last_lmp BETWEEN lowest_lmp AND highest_lmp",
            *("first_lmp", "last_lmp", "lowest_lmp", "highest_lmp"),
        ),
        Rule.of_sql(
            "fewer_revisions_than_vintages", "revisions < vintages", "revisions", "vintages"
        ),
        Rule.of_sql(
            "last_is_published_before_the_interval",
            "first_published_at <= last_published_at AND last_published_at <= interval_start",
            *("first_published_at", "last_published_at", "interval_start"),
        ),
    ),
    accepted={"forecast": _FORECASTS},
    between={"range_lmp": (0, None), "revisions": (0, None), "vintages": (1, None)},
)

SEAM_SPREAD = _mart(
    "seam_spread",
    (
        c.INTERVAL_START,
        m.price("miso_lmp", "MISO's price at the interface (PJMC)."),
        m.price("pjm_forecast_lmp", "PJM's price as the last CTS forecast had it."),
        m.price("pjm_lmp", "PJM's price at its MISO interface."),
        Column("pjm_finality", c.TEXT, "final where all of PJM's price is.", nullable=True),
        m.price("spread_forecast", "MISO's price less PJM's forecast price."),
        m.price("spread_realized", "MISO's price less PJM's."),
        m.power("scheduled_interchange", "MISO's net schedule with PJM; import is negative."),
        Column("scheduled_direction", c.TEXT, f"{m.DIRECTION_DOC}.", nullable=True),
        Column(
            "paying_direction", c.TEXT, f"{m.DIRECTION_DOC}: to the higher price.", nullable=True
        ),
        Column(
            "with_the_price",
            m.FLAG,
            "Whether the schedule goes from the lower to the higher price.",
            nullable=True,
        ),
        m.price("miso_congestion", "Congestion component of MISO's price."),
        m.price("pjm_congestion", "Congestion component of PJM's price."),
        m.count("binding_constraints", "Constraints that bound in MISO.", nullable=True),
        Column("top_constraint", c.TEXT, "The one with the greatest shadow price.", nullable=True),
        m.price("top_shadow_price", "Its shadow price, with its sign."),
    ),
    ("interval_start",),
    """Both sides of the seam of MISO and PJM, quarter of an hour by quarter of an hour.

Prices, their difference, what was scheduled over the seam and which direction would have paid: from
the lower to the higher price, once the difference exceeds ``cts.fee`` of ``config/marts.json``
(none by default). Prices, congestion and schedule are means over the three five-minute intervals of
the quarter, and null where one of them is missing. ``pjm_forecast_lmp`` is the last vintage of CTS
that was published at or before the quarter began (or before gate closure, where one is configured).
Of the constraints that bound in MISO at some time of the quarter, the top one has the greatest
shadow price by size. A quarter of which nothing is known has no row.

Source: five-minute prices and net scheduled interchange of MISO, its CTS forecasts, its binding
constraints; PJM's five-minute prices.
Grain: fifteen minutes, within MISO's operating days (EST).
Units: USD/MWh, MW; UTC.
Caveats: the schedule is all of MISO's with PJM, not CTS alone, and is of MISO's side. Without a key
PJM's columns are null, and so is which direction paid. No fee of CTS is built in, since no public
source of one is known. ``binding_constraints`` is null where no answer was collected, and 0 where
MISO said that nothing binds.
""",
    rules=(
        _is_difference("spread_forecast", "miso_lmp", "pjm_forecast_lmp"),
        _is_difference("spread_realized", "miso_lmp", "pjm_lmp"),
        Rule.of_sql(
            "with_the_price_agrees_with_the_directions",
            "with_the_price = (scheduled_direction = paying_direction)",
            *("with_the_price", "scheduled_direction", "paying_direction"),
        ),
        Rule.of_sql(
            "paying_direction_is_towards_the_higher_price",
            "(paying_direction = 'PJM_TO_MISO' AND spread_realized > 0) "
            "OR (paying_direction = 'MISO_TO_PJM' AND spread_realized < 0)",
            *("paying_direction", "spread_realized"),
        ),
    ),
    accepted={
        "pjm_finality": _FINALITIES,
        "scheduled_direction": _DIRECTIONS,
        "paying_direction": _DIRECTIONS,
    },
    between={"binding_constraints": (0, None)},
)

LOAD_FORECAST_ERROR = _mart(
    "load_forecast_error",
    (
        m.OPERATOR,
        m.REGION,
        c.INTERVAL_START,
        c.PUBLISHED_AT,
        Column("lead_hours", c.NUMBER, "From publication to the start of the hour.", "h"),
        m.power("forecast_load", "Load that was forecast for the hour.", nullable=False),
        m.power("actual_load", "Load of the hour.", nullable=False),
        Column("actual_from", c.TEXT, "What the load is: hourly, or five-minute mean."),
        m.power("error", "Forecast less actual load.", nullable=False),
        Column(
            "absolute_percentage_error",
            c.NUMBER,
            "The error without its sign, of the actual load; null where that is not above zero.",
            "% of load",
            nullable=True,
        ),
    ),
    ("operator", "region", "interval_start", "published_at"),
    """Every forecast of an hour's load against the load that came.

A row for each vintage that was published at or before its hour began, once the load is known. The
load of the system is the operator's hourly one (ISO-NE's of area 32), else the mean of all twelve
five-minute loads; that of a region is the mean of all twelve estimated loads of the load zone of
the same name.

Source: hourly load forecasts of ISO-NE, by system and reliability region, and of MISO; hourly and
five-minute loads of ISO-NE, its estimated zonal loads; five-minute loads of MISO.
Grain: hour x region x publication, within operating days of the operator.
Units: MW, hours, %; UTC.
Caveats: nothing published says that ISO-NE's forecast is of what its hourly system load counts, nor
that a reliability region is the load zone of its name. MISO does not say when it made a forecast:
``published_at`` is that of the first answer with it.
""",
    rules=(_is_difference("error", "forecast_load", "actual_load"),),
    accepted={
        "operator": ("isone", "miso"),
        "actual_from": ("hourly", "five-minute mean"),
    },
    between={"lead_hours": (0, None), "absolute_percentage_error": (0, None)},
)

GENERATION_SHARES = _mart(
    "generation_shares",
    (
        m.OPERATOR,
        c.INTERVAL_START,
        m.FUEL,
        m.power("generation", "Mean output of the fuel in the hour.", nullable=False),
        Column(
            "share",
            c.NUMBER,
            "Its part of the sum of all positive outputs; 0 below zero, null for imports.",
            "1",
            nullable=True,
        ),
        Column("marginal", m.FLAG, "Whether the fuel was marginal at some time.", nullable=True),
        m.count("intervals", "Instants or intervals in the mean; the fewest of its categories."),
    ),
    ("operator", "interval_start", "fuel"),
    """What each fuel made in each hour, and its share, in one vocabulary of fuels.

``generation`` is the mean of those instants (ISO-NE) or five-minute intervals (MISO) of the hour
that name the category; categories of one fuel are added up. ``share`` is its part of the sum of all
fuels above zero: storage that charges has none, and imports are no generation. ``marginal``:
whether the operator flagged the fuel as marginal at some time of the hour; null where it never
said.

Source: ISO-NE's generation mix, MISO's fuel mix, ``reference.fuels``.
Grain: hour x fuel, within operating days of the operator.
Units: MW, 1; UTC.
Caveats: a fuel that is absent is absent, not zero: one that is named at few of the hour's instants
(``intervals``) has the mean of those. The instants of ISO-NE count alike, though they are 3 to 1049
s apart. A category that ``reference.fuels`` lacks keeps the operator's name, and fails a test.
MISO's other holds hydro.
""",
    accepted={"operator": ("isone", "miso")},
    between={"share": (0, 1), "intervals": (1, None)},
)

DAILY_SUMMARY = _mart(
    "daily_summary",
    (
        m.OPERATOR,
        Column("main_location", c.TEXT, "The location that the averages are of.", nullable=True),
        m.price("on_peak_da_lmp", "Mean day-ahead price of its on-peak hours."),
        m.price("off_peak_da_lmp", "Mean day-ahead price of its off-peak hours."),
        m.price("on_peak_rt_lmp", "Mean real-time price of its on-peak hours."),
        m.price("off_peak_rt_lmp", "Mean real-time price of its off-peak hours."),
        m.price("highest_rt_lmp", "Highest hourly price of a hub, zone or interface."),
        Column("highest_rt_location", c.TEXT, "Where it was.", nullable=True),
        m.instant("highest_rt_at", "The beginning of its hour."),
        m.price("lowest_rt_lmp", "Lowest hourly price of a hub, zone or interface."),
        Column("lowest_rt_location", c.TEXT, "Where it was.", nullable=True),
        m.instant("lowest_rt_at", "The beginning of its hour."),
        m.count("negative_hours", "Hours in which the main location's price was below zero."),
        m.count("scarcity_hours", "Hours in which it was at or above the price of scarcity."),
        Column(
            "top_congested",
            c.TEXT,
            "The five locations with the greatest mean congestion: name, USD/MWh.",
            nullable=True,
        ),
        m.power("peak_load", "Greatest load of an hour."),
        m.instant("peak_load_at", "The beginning of that hour."),
        Column("completeness", c.NUMBER, "Part of the day's prices and loads that is there.", "1"),
        m.count("corrections", "Values of this day and the one before that were replaced."),
    ),
    ("operator",),
    """The numbers of the morning mail: a row for each operating day and operator.

Averages, negative and scarcity hours are of the operator's main location (``config/marts.json``);
where it has no price, of the hub with the least id. The real-time price of an hour is the
operator's hourly one, else the mean of all twelve five-minute prices. Extremes are hourly, over all
hubs, zones and interfaces; the earliest of equal ones. An hour of scarcity has a price of at least
``scarcity_price`` (1,000). ``top_congested``: of all locations, nodes too, the five whose mean
congestion component in real time is greatest by size, from half a cent on. ``peak_load`` as in
``load_forecast_error``. ``completeness`` is the mean of three parts of the day that are there:
hours with a day-ahead price, five-minute intervals with a real-time price, both of the main
location, and hours with a load (none is collected of PJM: two parts). ``corrections``: values of
prices, loads, mix, interchange and constraints of this day and the one before that were replaced
from the beginning of the day before until the day's end.

Source: ``marts.hub_prices``; prices and loads of ISO-NE, MISO and PJM, and their histories.
Grain: operator, within its operating days.
Units: USD/MWh, MW, 1; UTC.
Caveats: averages are of the hours that are there, not weighted by load. MISO shows the day-ahead
prices of the current hour only, so a day on which nothing was collected in time stays incomplete.
""",
    rules=(
        Rule.of_sql(
            "lowest_is_not_above_highest",
            "lowest_rt_lmp <= highest_rt_lmp",
            *("lowest_rt_lmp", "highest_rt_lmp"),
        ),
    ),
    accepted={"operator": OPERATORS},
    between={
        "completeness": (0, 1),
        "negative_hours": (0, 25),
        "scarcity_hours": (0, 25),
        "corrections": (0, None),
    },
)

MARTS: tuple[Table, ...] = (
    HUB_PRICES,
    DART_SPREAD,
    RT_RECONCILIATION,
    CTS_FORECAST_ACCURACY,
    CTS_FORECAST_REVISION,
    SEAM_SPREAD,
    LOAD_FORECAST_ERROR,
    GENERATION_SHARES,
    DAILY_SUMMARY,
)
