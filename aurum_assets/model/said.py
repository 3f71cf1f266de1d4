"""What a person says for an instant or a name, in the usual forms.

A text without an offset is UTC, as everything in the tables is. A day alone, as an instant, is the
last one of that day in UTC: "as known on 2026-11-27" holds all that was known by its end. No clock
is read here: who accepts ``now`` says when that is.
"""

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from typing import TypeVar

from aurum_assets.model.errors import ConfigError

_T = TypeVar("_T")

_DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{8}", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\d|\d{8})[T ](\d\d[\d:.,]*)\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)
_ZERO = {"": "+00:00", "Z": "+00:00", "UTC": "+00:00"}
_AGO = {"today": 0, "yesterday": 1}
_NEAR = 0.6  # difflib's own usual cutoff
_AS_NEAR = 0.12  # how much farther than the nearest a name may be, to be offered as well
_PART = 3  # letters, of a name of which no more is said


def instant_of(said: str | dt.datetime | dt.date, now: dt.datetime | None = None) -> dt.datetime:
    """The instant that ``said`` means, UTC.

    A text is ``2026-11-27T12:00Z``, ``2026-11-27 12:00`` (UTC), either with any offset, or a day,
    ``2026-11-27`` or ``20261127``, which means its last instant in UTC, as a ``date`` does. Where
    ``now`` is given, ``now``, ``today`` and ``yesterday`` are understood as well. A ``datetime``
    needs a tzinfo. Raises ``ValueError`` with a sentence that holds an example, ``TypeError`` for
    anything else.
    """
    if isinstance(said, dt.datetime):
        if said.tzinfo is None:
            msg = (
                f"{said.isoformat()} has no offset: give it a tzinfo, for instance "
                "datetime(2026, 7, 20, 12, tzinfo=UTC), or say it as text, '2026-07-20T12:00Z'"
            )
            raise ValueError(msg)
        return said.astimezone(dt.UTC)
    if isinstance(said, dt.date):
        return dt.datetime.combine(said, dt.time.max, dt.UTC)
    if not isinstance(said, str):
        msg = f"an instant is a text, a datetime or a date, not {type(said).__name__}"
        raise TypeError(msg)
    text = said.strip()
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
        f"{said!r} is not an instant: expected for instance 2026-07-20T12:00Z, "
        "or 2026-07-20 for the end of that day, UTC"
    )
    raise ValueError(msg)


def names_day(said: str) -> bool:
    """Whether ``said`` is a day alone, by its form: ``2026-11-27``, ``20261127``, ``today``."""
    text = said.strip()
    return bool(_DAY.fullmatch(text)) or text.lower() in _AGO


def named(said: str, names: Iterable[str], what: str, listed: str) -> str:
    """The one of ``names`` that ``said`` means: whole, or without its operator, where one fits.

    ``isone_rt_lmp`` goes by ``rt_lmp``, ``market.isone_rt_lmp`` and ``RT-LMP`` too. Raises
    ``ValueError`` for any other, with the names near it; ``listed`` says where all are.
    """
    known = list(names)
    plain = said.strip().lower().replace("-", "_").rpartition(".")[2]
    if plain in known:
        return plain
    short = short_names(known)
    if plain in short:
        return short[plain]
    near = _near(plain, {**short, **{name: name for name in known}})
    meant = f"; did you mean {_either(near)}?" if near else "."
    msg = f"no {what} {said!r}{meant} {listed}"
    raise ValueError(msg)


def known_name(said: str, names: Iterable[str], what: str, listed: str) -> str:
    """As ``named``, for callers from Python. Raises ``ConfigError``, ``TypeError`` for no text."""
    text = of_type(said, str, f"the name of a {what}, for instance 'isone_da_lmp'")
    try:
        return named(text, names, what, listed)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def of_type(said: _T, kind: type[_T], example: str) -> _T:
    """``said``. Raises ``TypeError`` where it is not of ``kind``, without showing it."""
    if isinstance(said, kind):
        return said
    msg = f"expected {example}; this is of type {type(said).__name__}"
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


def _near(said: str, names: Mapping[str, str]) -> list[str]:
    """At most three names that hold ``said`` or are written much like it, the nearest first."""
    ratio = {name: SequenceMatcher(None, name, said).ratio() for name in names}
    near = [n for n, r in ratio.items() if r >= _NEAR or (len(said) >= _PART and said in n)]
    near.sort(key=lambda name: -ratio[name])
    best = max((ratio[n] for n in near), default=0)
    as_near = (n for n in near if ratio[n] >= best - _AS_NEAR or said in n)
    return list(dict.fromkeys(names[n] for n in as_near))[:3]


def _either(names: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
