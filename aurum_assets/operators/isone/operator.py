"""ISO New England's web services: the operator, and what all of its feeds have in common.

Source: ISO New England web services v1.1. A record's ``BeginDate`` is the beginning of its
interval, with an explicit offset: in autumn 01:00 appears with -04:00 and then with -05:00.
"""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.operator import Basic, HeaderKey, Limit, Operator
from aurum_assets.model.prices import FINALITY_IS_KNOWN as FINALITY_IS_KNOWN  # noqa: PLC0414
from aurum_assets.model.reading import Record, local_days


class ServiceInfo(msgspec.Struct):
    """The answer of ``/info``: when a resource was published last."""

    LatestBeginDate: dt.datetime


class Info(msgspec.Struct):
    """The answer of ``/<resource>/info``."""

    ServiceInfo: ServiceInfo


def latest_begin(body: bytes) -> dt.datetime:
    """``ServiceInfo.LatestBeginDate`` of ``/info`` (JSON), UTC.

    Raises ``MalformedPayload`` where it does not say, or without an offset.
    """
    try:
        begin = msgspec.json.decode(body, type=Info).ServiceInfo.LatestBeginDate
    except msgspec.DecodeError as error:
        msg = f"the answer of /info does not say ServiceInfo.LatestBeginDate: {error}"
        raise MalformedPayload(msg) from error
    if begin.tzinfo is None:
        msg = f"LatestBeginDate {begin.isoformat()} of /info has no offset, so it is no instant"
        raise MalformedPayload(msg)
    return begin.astimezone(dt.UTC)


class Area(Record):
    """A ``Location`` without a type, as feeds of load and of ties have it."""

    id: str = msgspec.field(name="@LocId")
    name: str = msgspec.field(name="$")


_STAMP = {"format": "date-time"}

ISONE = Operator(
    name="isone",
    title="ISO New England",
    zone="America/New_York",
    base_url="https://webservices.iso-ne.com/api/v1.1",
    limits=(Limit(60, 60), Limit(1000, 3600)),
    auth=(Basic("ISONE_USERNAME", "ISONE_PASSWORD"), HeaderKey("X-API-Key", "ISONE_API_KEY")),
    registration="https://www.iso-ne.com/participate/applications-status-changes/access-software-systems",
    newest_in=latest_begin,
    info=Info,
    about=(
        "Days are operating days of New York. XML unless `Accept: application/json` or the suffix "
        "`.json` asks for JSON; XML is the same tree, attributes where JSON has `@`, text where it "
        "has `$`. A single record comes as an object, not as a list, and a day without records as "
        "an empty text or object. Numbers of things come as numbers or as texts."
    ),
    fields={
        "BeginDate": _STAMP,
        "CreationDate": _STAMP,
        "ServiceInfo.LatestBeginDate": _STAMP,
        "interval_begin_date": _STAMP,
        "market_hour.local_day": _STAMP,
        "strike_price_timestamp": _STAMP,
    },
)

SYSTEM = "7000"
"""The number of the whole system where reserves are bought: ROS, of type SYSTEM, in
``/locations/all``. The reserve zones are 7001 to 7003.
"""


STAMPS_NOT_SEEN = (
    "no answer was seen; stamps of reserve prices come a second or two past the interval"
)
"""Why the stamps of a feed are aligned of which no answer was captured."""


def utc_stamp(name: str) -> pl.Expr:
    """A stamp like ``2026-07-27T17:25:00.000-04:00`` as UTC; null where it is no stamp."""
    return pl.col(name).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S%.f%:z", time_unit="us", time_zone="UTC", strict=False
    )


def days_in(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The operating days of the records' ``BeginDate``."""
    del header
    return local_days([r.get("BeginDate") for r in records], ISONE.zone)
