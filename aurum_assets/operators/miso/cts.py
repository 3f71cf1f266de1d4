"""Coordinated Transaction Scheduling: what the price at the MISO-PJM interface is forecast to be.

Every fifteen minutes a case forecasts the interface price for the hours ahead. Each forecast is
kept with the instant it was published, so a row answers *what was known when*; the newest vintage
of an interval is the one with the greatest ``published_at``.

Source: MISO public API, ``/CoordinatedTransactionScheduling``.
Grain: publication x interval x location. Live: fifteen-minute intervals, one location (``PJM``, our
label); ``published_at`` is the case's approval. Documented: five-minute intervals, one location a
node; ``published_at`` is the retrieval time of the first answer with that content.
Units: USD/MWh, MWh; UTC, half-open intervals stamped at their beginning.
Caveats: the operator's clock is EST all year. ``operating_day`` is the publication's: forecasts
cross midnight. No case is approved after it was fetched (but for the slack between two clocks) or
more than a day before its operating day, and none looks further than two days from it. The live
answer holds only a price, so components, directions, volume and quality are null; it holds the
whole day so far and shows today only.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model import columns as c
from aurum_assets.model.clock import FIFTEEN_MINUTES, FIVE_MINUTES
from aurum_assets.model.dataset import Dataset, Dialect, Envelope
from aurum_assets.model.ids import is_a_name
from aurum_assets.model.prices import LMP_IS_PRESENT, LMP_IS_THE_SUM_OF_ITS_PARTS, PARTS
from aurum_assets.model.reading import Record
from aurum_assets.model.table import Column, Rule, Table
from aurum_assets.operators.miso.operator import FIVE_MINUTE_MARK, MISO
from aurum_assets.operators.miso.stamps import twelve_hour_stamp

_MONTHS = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]  # not the machine's locale
LMP_DIRECTIONS = ("export", "import", "neutral")
VOLUME_DIRECTIONS = ("MISO_TO_PJM", "PJM_TO_MISO", "BALANCED")
QUALITIES = ("FORECAST", "PRELIMINARY", "VALIDATED")
_LOCATION = Column("location", c.TEXT, "The priced location: node of the interface, or PJM.")
_VOLUME_DIRECTION = Column(
    "volume_direction", c.TEXT, "MISO_TO_PJM, PJM_TO_MISO or BALANCED.", nullable=True
)
_TWELVE_HOURS = {
    "pattern": r"^\d{4}-\d\d-\d\d \d{1,2}:\d\d:\d\d [AP]M$",
    "description": "EST all year, twelve hours, not padded.",
}


class LiveHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What the live answer says beside its records."""

    RefId: str


class LiveRecord(Record):
    """A record of the live ``Interval[]``: every value is text."""

    CASEAPPROVALDATE: str
    SOLUTIONTIME: str
    PJMFORECASTEDLMP: str


def parse_live_cts(records: pl.DataFrame) -> pl.DataFrame:
    """``Interval[]`` to one row per case and fifteen-minute interval."""
    start = twelve_hour_stamp("SOLUTIONTIME")
    none = pl.lit(None)
    return records.select(
        published_at=twelve_hour_stamp("CASEAPPROVALDATE"),
        interval_start=start,
        interval_end=start + FIFTEEN_MINUTES,
        location=pl.lit("PJM"),
        lmp=pl.col("PJMFORECASTEDLMP").cast(pl.Float64, strict=False),
        energy=none.cast(pl.Float64),
        congestion=none.cast(pl.Float64),
        loss=none.cast(pl.Float64),
        lmp_direction=none.cast(pl.String),
        volume=none.cast(pl.Float64),
        volume_direction=none.cast(pl.String),
        data_quality=none.cast(pl.String),
        interval_label=none.cast(pl.String),
    )


def _live_days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The EST date of ``RefId``; failing that, that of most case approvals."""
    written = re.match(r"(\d{1,2})-([A-Z][a-z]{2})-(\d{4})\b", str(header.get("RefId")))
    if written and written[2] in _MONTHS:
        return [f"{written[3]}-{_MONTHS.index(written[2]) + 1:02d}-{int(written[1]):02d}"]
    dates = Counter(str(r.get("CASEAPPROVALDATE"))[:10] for r in records)
    return [d for d, _ in dates.most_common() if re.fullmatch(r"\d{4}-\d{2}-\d{2}", d)]


class LmpParts(Record):
    """``forecastedLMP.components``."""

    energy: float
    congestion: float
    losses: float


class ForecastedLmp(Record):
    """``forecastedLMP``."""

    total: float
    components: LmpParts
    direction: str


class TransactionVolume(Record):
    """``transactionVolume``."""

    mwh: float
    direction: str


class DocumentedRecord(Record):
    """A record of the documented ``data[]``."""

    timestamp: str
    interval: str
    node: str
    forecastedLMP: ForecastedLmp  # noqa: N815  the operator's word
    transactionVolume: TransactionVolume  # noqa: N815  the operator's word


class Metadata(msgspec.Struct, forbid_unknown_fields=True):
    """``metadata`` of the documented answer."""

    operatingDay: str  # noqa: N815  the operator's word
    retrievalTimestamp: str  # noqa: N815  the operator's word
    dataQuality: str  # noqa: N815  the operator's word


class DocumentedHeader(msgspec.Struct, forbid_unknown_fields=True):
    """What the documented answer says beside its records."""

    metadata: Metadata


def _stamp(name: str) -> pl.Expr:
    return pl.col(name).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False
    )


def parse_documented_cts(records: pl.DataFrame) -> pl.DataFrame:
    """``data[]`` to one row per node and five-minute interval."""
    start = _stamp("timestamp")
    return records.select(
        published_at=_stamp("metadata.retrievalTimestamp"),
        interval_start=start,
        interval_end=start + FIVE_MINUTES,
        location=pl.col("node"),
        lmp=pl.col("forecastedLMP.total"),
        energy=pl.col("forecastedLMP.components.energy"),
        congestion=pl.col("forecastedLMP.components.congestion"),
        loss=pl.col("forecastedLMP.components.losses"),
        lmp_direction=pl.col("forecastedLMP.direction"),
        volume=pl.col("transactionVolume.mwh"),
        volume_direction=pl.col("transactionVolume.direction"),
        data_quality=pl.col("metadata.dataQuality"),
        interval_label=pl.col("interval"),
    )


def _documented_days(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    del records
    metadata = header.get("metadata")
    day = str(metadata.get("operatingDay")) if isinstance(metadata, dict) else ""
    return [day] if re.fullmatch(r"\d{4}-\d{2}-\d{2}", day) else []


def _quality_is_known(header: Mapping[str, Any], envelope: Envelope) -> str | None:
    del envelope
    quality = header["metadata.dataQuality"]
    return None if quality in QUALITIES else f"{quality!r} is none of {', '.join(QUALITIES)}"


def _day_is_the_asked_one(header: Mapping[str, Any], envelope: Envelope) -> str | None:
    day = header["metadata.operatingDay"]
    asked = envelope.asked or envelope.day
    return None if day == asked else f"asked for {asked}, the answer is for {day}"


_LABEL = pl.col("interval_label")
_EST_LABEL = pl.col("interval_start").dt.convert_time_zone(MISO.zone).dt.strftime("%H:%M")

CTS_RULES = (
    LMP_IS_PRESENT,
    LMP_IS_THE_SUM_OF_ITS_PARTS,
    Rule(
        "interval_is_on_a_five_minute_mark",  # documented: live answers have no label
        _LABEL.is_null()
        | _LABEL.str.contains(r"^([01]\d|2[0-3]):[0-5][05]$")
        & (pl.col("interval_start").cast(pl.Int64) % (300 * 10**6) == 0),
        ("interval_label", "interval_start"),
    ),
    Rule(
        "interval_agrees_with_timestamp",
        _LABEL == _EST_LABEL,
        ("interval_label", "interval_start"),
    ),
    Rule(
        "lmp_direction_is_known",
        pl.col("lmp_direction").is_in(LMP_DIRECTIONS),
        ("lmp_direction",),
    ),
    Rule("volume_is_not_negative", pl.col("volume") >= 0, ("volume",)),
    Rule(
        "volume_direction_is_known",
        pl.col("volume_direction").is_in(VOLUME_DIRECTIONS),
        ("volume_direction",),
    ),
    Rule("data_quality_is_known", pl.col("data_quality").is_in(QUALITIES), ("data_quality",)),
    is_a_name("location"),
)

MISO_CTS = Dataset(
    key="miso_cts",
    operator=MISO,
    folder="miso_coordinated_transaction_scheduling",
    table=Table(
        name="miso_cts",
        columns=(
            c.OPERATING_DAY,
            c.PUBLISHED_AT,
            c.INTERVAL_START,
            c.INTERVAL_END,
            _LOCATION,
            c.LMP,
            c.ENERGY,
            c.CONGESTION,
            c.LOSS,
            c.LMP_DIRECTION,
            c.VOLUME,
            _VOLUME_DIRECTION,
            c.DATA_QUALITY,
            *c.PROVENANCE,
        ),
        key=("published_at", "interval_start", "location"),
        values=(
            "interval_end",
            "lmp",
            *PARTS,
            "lmp_direction",
            "volume",
            "volume_direction",
            "data_quality",
        ),
        rules=CTS_RULES,
        sort=("interval_start", "location", "published_at"),
        stays_in_day=False,
        ragged="live intervals are taken as sent; documented ones have a rule of their own",
        doc="Forecast prices at the MISO-PJM interface, every vintage kept.",
    ),
    dialects=(
        Dialect(
            name="live",
            path=("Interval",),
            record=LiveRecord,
            header=LiveHeader,
            parse=parse_live_cts,
            days=_live_days,
            every=FIFTEEN_MINUTES,
            complete_by="published_at",
            fields={
                "RefId": {
                    "pattern": r"^\d{1,2}-[A-Z][a-z]{2}-\d{4}\b",
                    "description": "The day, EST.",
                },
                "CASEAPPROVALDATE": _TWELVE_HOURS,
                "SOLUTIONTIME": _TWELVE_HOURS,
                "PJMFORECASTEDLMP": {
                    "pattern": r"^-?\d+(\.\d+)?$",
                    "description": "USD/MWh, as text.",
                },
            },
        ),
        Dialect(
            name="documented",
            path=("data",),
            record=DocumentedRecord,
            header=DocumentedHeader,
            parse=parse_documented_cts,
            days=_documented_days,
            every=FIVE_MINUTES,
            volatile=("metadata.retrievalTimestamp",),
            fields={
                "timestamp": {"format": "date-time"},
                "interval": {"pattern": FIVE_MINUTE_MARK},
                "forecastedLMP.direction": {"enum": list(LMP_DIRECTIONS)},
                "transactionVolume.mwh": {"minimum": 0},
                "transactionVolume.direction": {"enum": list(VOLUME_DIRECTIONS)},
                "metadata.operatingDay": {"format": "date"},
                "metadata.retrievalTimestamp": {"format": "date-time"},
                "metadata.dataQuality": {"enum": list(QUALITIES)},
            },
            snapshot_rules={
                "data_quality_is_known": _quality_is_known,
                "operating_day_is_the_asked_one": _day_is_the_asked_one,
            },
        ),
    ),
    doc=__doc__,
    group="prices",
)
