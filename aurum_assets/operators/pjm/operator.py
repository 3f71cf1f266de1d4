"""PJM, by its Data Miner 2: opt-in, since every user asks with a key of their own.

Source: PJM Data Miner 2 (API guide of 2026-02-10, as public catalogues quote it). An answer holds
``items``, ``totalRows`` and ``links``; the link called ``next`` leads to the next page. A day that
is not published yet is an answer without items. Stamps are UTC, without an offset.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import polars as pl

from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.operator import HeaderKey, Limit, Operator
from aurum_assets.model.reading import local_days


class Link(msgspec.Struct):
    """A link beside the items: to this page, to the next one, to the feed's metadata."""

    rel: str
    href: str


class Page(msgspec.Struct):
    """What an answer says beside its items."""

    items: list[msgspec.Raw] | None
    links: list[Link] | None = None


class Problem(msgspec.Struct):
    """An entry of ``errors``: what is wrong with the request."""

    message: str = ""
    field: str = ""


class Problems(msgspec.Struct):
    """The answer to a request that is refused; fields from the API guide."""

    errors: list[Problem]


def page_of(body: bytes) -> Page:
    """``body`` as a page. Raises ``MalformedPayload`` where it is none."""
    try:
        return msgspec.json.decode(body, type=Page)
    except msgspec.DecodeError as error:
        msg = f"the answer is no page of Data Miner: {error}"
        raise MalformedPayload(msg) from error


def next_page(body: bytes, headers: Mapping[str, str]) -> str | None:
    """The link called ``next``; None on the last page."""
    del headers
    return next((link.href for link in page_of(body).links or () if link.rel == "next"), None)


def is_not_out(body: bytes) -> bool:
    """Whether a page has no items, as that of a day that is not published yet."""
    return b'"items"' in body and not page_of(body).items


def problem_in(body: bytes) -> str:
    """What a refusal says; empty where it is none of Data Miner's own."""
    try:
        errors = msgspec.json.decode(body, type=Problems).errors
    except msgspec.DecodeError:
        return ""  # a page of the gateway before it
    return "; ".join(": ".join(filter(None, (e.field, e.message))) for e in errors)


PJM = Operator(
    name="pjm",
    title="PJM",
    zone="America/New_York",
    base_url="https://api.pjm.com/api/v1",
    limits=(Limit(6, 60),),
    auth=(HeaderKey("Ocp-Apim-Subscription-Key", "PJM_API_KEY"),),
    registration="https://apiportal.pjm.com",
    opt_in=True,
    next_page=next_page,
    is_not_out=is_not_out,
    problem_in=problem_in,
    about=(
        "Data Miner 2; opt-in by a key of your own. Days are operating days of New York; stamps "
        "are UTC without an offset. A day may come in pages, by the link called next; a day that "
        "is not published yet has no items."
    ),
    fields={
        "pnode_id": {"examples": [33092313]},
        "datetime_beginning_utc": {"examples": ["2026-07-20T04:00:00"]},
        "case_approval_datetime_utc": {"examples": ["2026-07-20T04:01:10"]},
    },
)


def utc_stamp(name: str) -> pl.Expr:
    """A stamp like ``2026-07-20T04:00:00`` or ``….000``, UTC; null where it is no stamp."""
    naive = pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    return naive.dt.replace_time_zone("UTC")


def days_in(records: list[Any], header: Mapping[str, Any]) -> list[str]:
    """The operating days of the records' ``datetime_beginning_utc``."""
    del header
    return local_days([f"{r.get('datetime_beginning_utc')}Z" for r in records], PJM.zone)
