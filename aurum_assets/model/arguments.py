"""Parse instants and names that a person gives, in their usual forms.

A text without an offset is UTC, as in the tables. A day alone, as an instant, is the last instant
of that day in UTC: "as known on 2026-11-27" includes all that was known by its end. No clock is
read here: a caller that accepts ``now`` passes it.
"""

import datetime as dt
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher
from typing import TypeVar

from aurum_assets.model.errors import ConfigError

_T = TypeVar("_T")

_DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{8}", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d|\d{8})[T ](\d\d[\d:.,]*)\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_LEAD = re.compile(r"(?:(\d+)d)? ?(?:(\d+)h)? ?(?:(\d+)m)?", re.ASCII | re.IGNORECASE)
_ZERO = {"": "+00:00", "Z": "+00:00", "UTC": "+00:00"}
_AGO = {"today": 0, "yesterday": 1}
_NEAR = 0.6  # difflib's default cutoff
_AS_NEAR = 0.12  # by how much a suggestion may be less similar than the best one
_LEAST_PART = 3  # letters of a part of a name that is enough to suggest it


def instant_of(given: str | dt.datetime | dt.date, now: dt.datetime | None = None) -> dt.datetime:
    """The instant that ``given`` means, UTC.

    A text is ``2026-11-27T12:00Z``, ``2026-11-27 12:00`` (UTC), either with any offset, or a day,
    ``2026-11-27`` or ``20261127``, which means its last instant in UTC, as a ``date`` does. Where
    ``now`` is given, ``now``, ``today`` and ``yesterday`` are understood as well. A ``datetime``
    needs a tzinfo. Raises ``ValueError`` with a sentence that holds an example, ``TypeError`` for
    anything else.
    """
    if isinstance(given, dt.datetime):
        if given.tzinfo is None:
            msg = (
                f"{given.isoformat()} has no offset: give it a tzinfo, for instance "
                "datetime(2026, 7, 20, 12, tzinfo=UTC), or give it as text, '2026-07-20T12:00Z'"
            )
            raise ValueError(msg)
        return given.astimezone(dt.UTC)
    if isinstance(given, dt.date):
        return dt.datetime.combine(given, dt.time.max, dt.UTC)
    if not isinstance(given, str):
        msg = f"an instant is a text, a datetime or a date, not {type(given).__name__}"
        raise TypeError(msg)
    text = given.strip()
    word = text.lower()
    if now is not None and word == "now":
        return now.astimezone(dt.UTC)
    if now is not None and word in _AGO:
        return instant_of(now.astimezone(dt.UTC).date() - _AGO[word] * dt.timedelta(days=1))
    try:
        if names_day(text):
            return instant_of(dt.date.fromisoformat(text))
        if found := _INSTANT.fullmatch(text):
            day, time, offset = found.groups(default="")
            offset = _ZERO.get(offset.upper(), offset)
            return dt.datetime.fromisoformat(f"{day}T{time}{offset}").astimezone(dt.UTC)
    except (ValueError, OverflowError):
        pass  # no such hour or day: the same sentence
    msg = (
        f"{given!r} is not an instant: expected for instance 2026-07-20T12:00Z, "
        "or 2026-07-20 for the end of that day, UTC"
    )
    raise ValueError(msg)


def lead_of(given: str | dt.timedelta) -> dt.timedelta:
    """The time that ``given`` means: ``2h``, ``75m``, ``1d``, ``1h 30m``, or a timedelta.

    Raises ``ValueError`` for another text and for less than zero, ``TypeError`` for anything else.
    """
    if isinstance(given, str):
        found = _LEAD.fullmatch(given.strip())
        if found and any(found.groups()):
            days, hours, minutes = (int(number or 0) for number in found.groups())
            try:
                return dt.timedelta(days, hours=hours, minutes=minutes)
            except OverflowError:
                pass  # the same sentence
    elif of_type(given, dt.timedelta, "a lead, for instance '2h'") >= dt.timedelta():
        return given
    msg = f"{given!r} is not a lead: expected for instance 2h, 75m, 1d or 1h 30m"
    raise ValueError(msg)


def names_day(given: str) -> bool:
    """Whether ``given`` is a day alone, by its form: ``2026-11-27``, ``20261127``, ``today``."""
    text = given.strip()
    return bool(_DAY.fullmatch(text)) or text.lower() in _AGO


def named(
    given: str, names: Iterable[str], what: str, listed: str, whole: Collection[str] = ()
) -> str:
    """The one of ``names`` that ``given`` means: in full, or without operator where unambiguous.

    ``op_rt_lmp`` may be given as ``rt_lmp``, ``market.op_rt_lmp`` or ``RT-LMP``; those of ``whole``
    begin with no operator. Raises ``ValueError`` for any other, with similar names; ``listed`` says
    where all are listed.
    """
    known = list(names)
    plain = given.strip().lower().replace("-", "_").rpartition(".")[2]
    if plain in known:
        return plain
    short = short_names(name for name in known if name not in whole)
    if plain in short:
        return short[plain]
    near = _near(plain, {**short, **{name: name for name in known}})
    meant = f"; did you mean {_either(near)}?" if near else "."
    msg = f"no {what} {given!r}{meant} {listed}"
    raise ValueError(msg)


def known_name(
    given: str, names: Iterable[str], what: str, listed: str, whole: Collection[str] = ()
) -> str:
    """Resolve a name given in Python as ``named`` does. Raises ``ConfigError``, ``TypeError``."""
    text = of_type(given, str, f"the name of a {what}, for instance 'da_lmp'")
    try:
        return named(text, names, what, listed, whole)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def of_type(given: _T, kind: type[_T], example: str) -> _T:
    """Return ``given``. Raises ``TypeError`` where it is not of ``kind``, without showing it."""
    if isinstance(given, kind):
        return given
    msg = f"expected {example}; this is of type {type(given).__name__}"
    raise TypeError(msg)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """The whole name by its part behind the operator.

    Where two operators have the same part, it stays the first one's in ``names``: what was written
    before the second one came keeps its meaning.
    """
    known = list(names)
    found: dict[str, str] = {}
    for name in known:
        found.setdefault(name.partition("_")[2], name)
    return {short: name for short, name in found.items() if short and short not in known}


def _near(given: str, names: Mapping[str, str]) -> list[str]:
    """At most three names that contain ``given`` or are similar to it, the most similar first."""
    ratio = {name: SequenceMatcher(None, name, given).ratio() for name in names}
    near = [n for n, r in ratio.items() if r >= _NEAR or (len(given) >= _LEAST_PART and given in n)]
    near.sort(key=lambda name: -ratio[name])
    best = max((ratio[n] for n in near), default=0)
    as_near = (n for n in near if ratio[n] >= best - _AS_NEAR or given in n)
    return list(dict.fromkeys(names[n] for n in as_near))[:3]


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
