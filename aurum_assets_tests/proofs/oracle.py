"""An oracle: what of a payload may be stored, worked out with ``json``, ``expat`` and ``Decimal``.

It shares no line with the product's readers and rules. Of each record it says whether it must be
stored, may be (an odd spelling that a reader is free to accept or refuse), or never, and with
which values; of the whole answer whether it must, may or must not be rejected.
"""

import datetime as dt
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import IntEnum
from statistics import median
from typing import Any
from xml.parsers import expat
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
EST = dt.timezone(dt.timedelta(hours=-5))
_EST_IS_BEHIND = dt.timedelta(hours=5)
_CENT = Decimal("0.01")
_DEEP = 100
_FIVE = dt.timedelta(minutes=5)
_QUARTER = dt.timedelta(minutes=15)
_SLACK = dt.timedelta(minutes=10)
_DAY = dt.timedelta(days=1)
_MOST_DOLLARS = 1e6
_MOST_MEGAWATTS = 2e5


class May(IntEnum):
    """Whether something may happen; of several opinions the smallest counts."""

    NEVER = 0
    MAY = 1
    MUST = 2


class Unreadable(Exception):
    """No reader could make sense of the bytes."""


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it was sent: names and values, in order, twice where sent twice."""

    def get(self, name: str) -> Any:  # noqa: ANN401
        """The value of ``name``, None where it is absent."""
        return next((v for n, v in reversed(self) if n == name), None)

    def names(self) -> list[str]:
        """The names, twice where sent twice."""
        return [n for n, _ in self]

    def twice(self) -> set[str]:
        """The names that were sent more than once."""
        return {n for n, count in Counter(self.names()).items() if count > 1}


@dataclass
class Row:
    """What is thought of a record. ``values`` by column, ``key`` the columns that identify it."""

    may: May
    values: dict[str, Any] = field(default_factory=dict)
    days: set[str] = field(default_factory=set)


@dataclass
class Answer:
    """What is thought of a whole answer: ``reject`` it, or take its ``rows`` (one a record)."""

    reject: May
    rows: list[Row] = field(default_factory=list)
    records: list[str] = field(default_factory=list)
    days: Mapping[str, int] = field(default_factory=dict)
    why: str = ""


def is_xml(body: bytes) -> bool:
    """Whether the first character that is not white space is ``<``."""
    return body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def json_tree(body: bytes) -> Any:  # noqa: ANN401
    """JSON as the standard has it: UTF-8, no NaN, no lone surrogate; numbers are decimals."""

    def refuse(word: str) -> None:
        raise Unreadable(word)

    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        tree = json.loads(
            text,
            object_pairs_hook=Pairs,
            parse_constant=refuse,
            parse_float=Decimal,
            parse_int=Decimal,
        )
        for _, found in _leaves(tree):
            if isinstance(found, str):
                found.encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise Unreadable(str(error)) from error
    return tree


def xml_tree(body: bytes) -> Any:  # noqa: ANN401
    """XML as a tree like the operator's JSON; a document type of its own makes it unreadable."""
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    stack: list[tuple[str, dict[str, str], list[str], list[tuple[str, Any]]]] = [("", {}, [], [])]

    def start(name: str, attributes: dict[str, str]) -> None:
        stack.append((_local(name), attributes, [], []))

    def text(data: str) -> None:
        if not stack[-1][3]:
            stack[-1][2].append(data)

    def end(_: str) -> None:
        name, attributes, words, children = stack.pop()
        stack[-1][3].append((name, _element(attributes, "".join(words), children)))

    def doctype(*_: object) -> None:
        msg = "a document type"
        raise Unreadable(msg)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
    try:
        parser.Parse(body.removeprefix(b"\xef\xbb\xbf"), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Unreadable(str(error)) from error
    return Pairs(stack[0][3])


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _element(attributes: Mapping[str, str], text: str, children: list[tuple[str, Any]]) -> Any:  # noqa: ANN401
    named = {f"@{_local(n)}": v for n, v in attributes.items()}
    if named.pop("@nil", "") in ("true", "1"):
        return None
    if not named and not children:
        return text
    found: dict[str, Any] = dict(named)
    if text.strip():
        found["$"] = text
    for name, value in children:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list) and not isinstance(found[name], Pairs):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return Pairs(found.items())


def _leaves(tree: Any) -> Iterator[tuple[int, Any]]:  # noqa: ANN401
    """Every name, text, number and constant of a tree with its depth, without recursion."""
    waiting = [(0, tree)]
    while waiting:
        depth, found = waiting.pop()
        if isinstance(found, Pairs):
            for name, value in found:
                yield depth + 1, name
                waiting.append((depth + 1, value))
        elif isinstance(found, list):
            waiting += [(depth + 1, value) for value in found]
        yield depth, found


def received(tree: Any) -> str:  # noqa: ANN401
    """A record as text, alike for records that only differ in how a number is spelled."""
    return json.dumps(_plain(tree, 0), separators=(",", ":"))


def _plain(tree: Any, depth: int) -> Any:  # noqa: ANN401
    if depth > _DEEP:
        return "..."
    if isinstance(tree, Pairs):
        return {n: _plain(v, depth + 1) for n, v in tree}
    if isinstance(tree, list):
        return [_plain(v, depth + 1) for v in tree]
    if isinstance(tree, Decimal):
        is_whole = re.fullmatch(r"-?\d+", str(tree)) is not None
        return str(tree) if is_whole else repr(float(tree))
    return tree


_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def number(value: Any, *, text: bool) -> tuple[May, float | None]:  # noqa: ANN401
    """A number: a JSON number, or its text where the format has only text."""
    if text:
        if not isinstance(value, str):
            return May.NEVER, None
        plain = value.strip()
        try:
            decimal = Decimal(plain)
        except InvalidOperation:
            return (May.MAY, None) if plain in ("", "null") else (May.NEVER, None)
        may = May.MUST if _NUMBER.fullmatch(value) else May.MAY
    elif isinstance(value, Decimal):
        decimal, may = value, May.MUST
    else:
        return May.NEVER, None
    try:
        found = float(decimal)
    except (OverflowError, ValueError):
        return May.NEVER, None
    if found != found or found in (float("inf"), float("-inf")):  # noqa: PLR0124  nan is not itself
        return May.NEVER, None
    return may, found


def optional(value: Any, *, text: bool) -> tuple[May, float | None]:  # noqa: ANN401
    """A number that may be absent."""
    return (May.MUST, None) if value is None else number(value, text=text)


def within_a_cent(total: float, parts: Sequence[float]) -> bool:
    """The sum rule, on the shortest decimals of the doubles."""
    exact = [Decimal(repr(part)) for part in parts]
    return abs(Decimal(repr(total)) - sum(exact)) <= _CENT


_STAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(\.\d{1,6})?([+-])(\d\d):(\d\d)")
_ODD_STAMP = re.compile(
    r"\s*\+?(\d{1,4})-\s*(\d{1,2})-\s*(\d{1,2})[T ]\s*(\d{1,2}):\s*(\d{1,2}):\s*(\d{1,2})"
    r"(\.\d+)?\s*([+-])(\d\d):?\s*(\d\d)\s*"
)


def stamp(value: Any) -> tuple[May, dt.datetime | None]:  # noqa: ANN401
    """An instant with an offset."""
    if not isinstance(value, str):
        return May.NEVER, None
    found, may = _STAMP.fullmatch(value), May.MUST
    if found is None:
        found, may = _ODD_STAMP.fullmatch(value), May.MAY
    if found is None:
        return _iso(value)
    year, month, day, hour, minute, second = (int(found[i]) for i in range(1, 7))
    micro = int(((found[7] or ".")[1:] + "000000")[:6])
    away = dt.timedelta(hours=int(found[9]), minutes=int(found[10]))
    try:
        zone = dt.timezone(away if found[8] == "+" else -away)
        naive = dt.datetime(year, month, day, hour, minute, second, micro, tzinfo=zone)
        return may, naive.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return May.NEVER, None


def _iso(value: str) -> tuple[May, dt.datetime | None]:
    try:
        instant = dt.datetime.fromisoformat(value.strip())
        if instant.tzinfo is None:
            return May.NEVER, None
        return May.MAY, instant.astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return May.NEVER, None


_CLOCK = re.compile(r"\d{4}-\d\d-\d\d (0?[1-9]|1[0-2]):\d\d:\d\d (AM|PM)")


def est(value: Any) -> tuple[May, dt.datetime | None]:  # noqa: ANN401
    """``2026-07-27 8:04:09 AM``, EST."""
    if not isinstance(value, str):
        return May.NEVER, None
    try:
        text = " ".join(value.split()).upper() + " -0500"
        instant = dt.datetime.strptime(text, "%Y-%m-%d %I:%M:%S %p %z").astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return May.NEVER, None
    return (May.MUST if _CLOCK.fullmatch(value) else May.MAY), instant


def word(value: Any) -> May:  # noqa: ANN401
    """A text that must be there."""
    if not isinstance(value, str):
        return May.NEVER
    return May.MUST if value and value == value.strip() and "\0" not in value else May.MAY


def spelled(value: Any, pattern: str) -> May:  # noqa: ANN401
    """A text of a key, which must be spelled like that throughout."""
    fits = isinstance(value, str) and re.fullmatch(pattern, value) is not None
    return May.MUST if fits else May.NEVER


_DIGITS = "[0-9]{1,18}"
_PLAIN = "[!-~]([ -~]*[!-~])?"


def within(numbers: Sequence[float | None], most: float) -> May:
    """Numbers that may be absent, and are no larger than anything can be."""
    return May.MUST if all(abs(n or 0) <= most for n in numbers) else May.NEVER


def label(value: Any) -> tuple[May, str | None]:  # noqa: ANN401
    """A text that does no harm where it is absent."""
    if value is None:
        return May.MAY, None
    return word(value), value if isinstance(value, str) else None


def _lmp(record: Pairs, text: bool) -> Row:  # noqa: FBT001
    at, start = stamp(record.get("BeginDate"))
    where = record.get("Location")
    if not isinstance(where, Pairs) or start is None:
        return Row(May.NEVER, days=_new_york(start))
    known = {"BeginDate", "Location", *_LMP_NUMBERS}
    total, *parts = (optional(record.get(n), text=text) for n in _LMP_NUMBERS)
    name, kind = label(where.get("$")), label(where.get("@LocType"))
    opinions = [
        at,
        spelled(where.get("@LocId"), _DIGITS),
        name[0],
        kind[0],
        total[0],
        *(p[0] for p in parts),
    ]
    opinions += [_given_once(record, known), _given_once(where, {"@LocId", "@LocType", "$"})]
    numbers = [value for _, value in parts]
    present = [value for value in numbers if value is not None]
    whole = len(present) in (0, len(parts))
    if total[1] is None or not whole or (present and not within_a_cent(total[1], present)):
        opinions.append(May.NEVER)
    opinions.append(within([total[1], *numbers], _MOST_DOLLARS))
    opinions.append(_on_a_mark(start))
    values = {
        "interval_start": start,
        "location_id": where.get("@LocId"),
        "interval_end": start + _FIVE,
        "lmp": total[1],
        "energy": numbers[0],
        "congestion": numbers[1],
        "loss": numbers[2],
    }
    days = _new_york(start)
    return Row(min(opinions) if days else May.NEVER, values, days)


def _on_a_mark(start: dt.datetime) -> May:
    return May.NEVER if start.timestamp() % 300 or start.microsecond else May.MUST


_LMP_NUMBERS = ("LmpTotal", "EnergyComponent", "CongestionComponent", "LossComponent")
_LOADS = {
    "load": "LoadMw",
    "native_load": "NativeLoad",
    "ard_demand": "ArdDemand",
    "load_btm_pv": "SystemLoadBtmPv",
    "native_load_btm_pv": "NativeLoadBtmPv",
}


def _load(record: Pairs, text: bool) -> Row:  # noqa: FBT001
    at, start = stamp(record.get("BeginDate"))
    if start is None:
        return Row(May.NEVER)
    numbers = {c: optional(record.get(n), text=text) for c, n in _LOADS.items()}
    opinions = [at, *(may for may, _ in numbers.values())]
    opinions.append(_given_once(record, {"BeginDate", *_LOADS.values()}))
    load = numbers["load"][1]
    if load is None or load < 0:
        opinions.append(May.NEVER)
    opinions.append(within([value for _, value in numbers.values()], _MOST_MEGAWATTS))
    opinions.append(_on_a_mark(start))
    values: dict[str, Any] = {c: value for c, (_, value) in numbers.items()}
    values |= {"interval_start": start, "interval_end": start + _FIVE}
    days = _new_york(start)
    return Row(min(opinions) if days else May.NEVER, values, days)


def _live(record: Pairs, text: bool) -> Row:  # noqa: FBT001
    del text
    approved, published = est(record.get("CASEAPPROVALDATE"))
    at, start = est(record.get("SOLUTIONTIME"))
    price = number(record.get("PJMFORECASTEDLMP"), text=True)
    if published is None or start is None or price[1] is None:
        return Row(May.NEVER)
    once = _given_once(record, {"CASEAPPROVALDATE", "SOLUTIONTIME", "PJMFORECASTEDLMP"})
    values = {
        "published_at": published,
        "interval_start": start,
        "location": "PJM",
        "interval_end": start + _QUARTER,
        "lmp": price[1],
    }
    try:
        days = {published.astimezone(EST).date().isoformat()}
    except OverflowError:
        return Row(May.NEVER)
    possible = within([price[1]], _MOST_DOLLARS)
    return Row(min(approved, at, price[0], once, possible), values, days)


_WAYS = {"export", "import", "neutral"}
_FLOWS = {"MISO_TO_PJM", "PJM_TO_MISO", "BALANCED"}
_QUALITIES = {"FORECAST", "PRELIMINARY", "VALIDATED"}
_MARK = re.compile(r"([01]\d|2[0-3]):[0-5][05]")


def _documented(record: Pairs, text: bool) -> Row:  # noqa: FBT001
    at, start = stamp(record.get("timestamp"))
    lmp, volume = record.get("forecastedLMP"), record.get("transactionVolume")
    parts = lmp.get("components") if isinstance(lmp, Pairs) else None
    if not (isinstance(lmp, Pairs) and isinstance(volume, Pairs) and isinstance(parts, Pairs)):
        return Row(May.NEVER)
    if start is None or start.year < 2:  # noqa: PLR2004  the first day of all has no hour before it
        return Row(May.NEVER)
    total = number(lmp.get("total"), text=text)
    names = ("energy", "congestion", "losses")
    three = [number(parts.get(n), text=text) for n in names]
    mwh = number(volume.get("mwh"), text=text)
    node, mark = record.get("node"), record.get("interval")
    opinions = [at, total[0], mwh[0], *(may for may, _ in three), spelled(node, _PLAIN)]
    fields = {"timestamp", "interval", "node", "forecastedLMP", "transactionVolume"}
    opinions += [
        _given_once(record, fields),
        _given_once(lmp, {"total", "components", "direction"}),
        _given_once(parts, set(names)),
        _given_once(volume, {"mwh", "direction"}),
    ]
    numbers = [value for _, value in three if value is not None]
    fits = (
        isinstance(mark, str)
        and _MARK.fullmatch(mark) is not None
        and start.timestamp() % 300 == 0
        and f"{start - _EST_IS_BEHIND:%H:%M}" == mark
        and _is_one_of(lmp.get("direction"), _WAYS)
        and _is_one_of(volume.get("direction"), _FLOWS)
        and mwh[1] is not None
        and 0 <= mwh[1] <= _MOST_MEGAWATTS
        and within([total[1], *numbers], _MOST_DOLLARS)
        and total[1] is not None
        and len(numbers) == len(names)
        and within_a_cent(total[1], numbers)
    )
    values = {
        "interval_start": start,
        "location": node,
        "interval_end": start + _FIVE,
        "lmp": total[1],
        **dict(zip(("energy", "congestion", "loss"), (v for _, v in three), strict=True)),
        "lmp_direction": lmp.get("direction"),
        "volume": mwh[1],
        "volume_direction": volume.get("direction"),
    }
    return Row(min(opinions) if fits else May.NEVER, values)


def _is_one_of(value: Any, words: set[str]) -> bool:  # noqa: ANN401
    return isinstance(value, str) and value in words


def _given_once(record: Pairs, known: set[str]) -> May:
    twice = record.twice()
    if twice & known:
        return May.NEVER
    return May.MAY if twice else May.MUST


def _new_york(start: dt.datetime | None) -> set[str]:
    try:
        return {start.astimezone(NEW_YORK).date().isoformat()} if start else set()
    except (ValueError, OverflowError):
        return set()


Judge = Callable[[Pairs, bool], Row]
_ISONE: Mapping[str, tuple[tuple[str, str], Judge]] = {
    "isone_rt_lmp": (("FiveMinLmps", "FiveMinLmp"), _lmp),
    "isone_system_load": (("FiveMinSystemLoads", "FiveMinSystemLoad"), _load),
}


def judge(dataset: str, body: bytes, asked: str | None, fetched_at: dt.datetime) -> Answer:
    """What may become of ``body``, fetched at that instant."""
    text = is_xml(body)
    if body[:2] in _WIDE:  # the bytes say what the declaration denies: a reader may believe either
        found = judge(dataset, _narrowed(body), asked, fetched_at)
        found.reject = max(found.reject, May.MAY)
        return found
    try:
        tree = xml_tree(body) if text else json_tree(body)
    except Unreadable as error:
        return Answer(May.MUST, why=f"unreadable: {error}")
    if not isinstance(tree, Pairs):
        return Answer(May.MUST, why="no object")
    if dataset == "miso_cts":
        found = _cts(tree, asked, text)
        _impossible(found, fetched_at)
    else:
        path, how = _ISONE[dataset]
        found = _isone(tree, path, how, text)
        if dataset == "isone_system_load":
            _drifted(found)
    odd = any(
        depth > _DEEP or (isinstance(leaf, Decimal) and _is_beyond(leaf))
        for depth, leaf in _leaves(tree)
    )
    odd = odd or (text and not _is_utf8(body))
    if odd and found.reject == May.NEVER:
        found.reject = May.MAY
    return found


_WIDE = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}


def _narrowed(body: bytes) -> bytes:
    """UTF-16 as UTF-8; what is no UTF-16, or no XML, as nothing that could be read."""
    try:
        text = body.decode(_WIDE[body[:2]])
    except UnicodeDecodeError:
        return b""
    return text.encode("utf-8", "replace") if text.startswith("<") else b""


def _is_beyond(decimal: Decimal) -> bool:
    """A number that no double holds: a reader may refuse the document for it."""
    try:
        return abs(float(decimal)) == float("inf") or len(str(decimal)) > 300  # noqa: PLR2004
    except (OverflowError, ValueError):
        return True


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return b"encoding=" not in body[:100] or b'encoding="UTF-8"' in body[:100]


def _isone(  # noqa: PLR0911  as many as there are ways to be wrong
    tree: Pairs,
    path: tuple[str, str],
    how: Judge,
    text: bool,  # noqa: FBT001
) -> Answer:
    outer, inner = path
    if {outer, inner} & tree.twice():
        return Answer(May.MUST, why="a wrapper given twice")
    if outer in tree.names():
        wrapped = tree.get(outer)
        if _is_nothing(wrapped):
            return Answer(May.NEVER)
        if not isinstance(wrapped, Pairs) or inner not in wrapped.names():
            return Answer(May.MUST, why="no records")
        if inner in wrapped.twice():
            return Answer(May.MUST, why="a wrapper given twice")
        listed = wrapped.get(inner)
    elif inner in tree.names():
        listed = tree.get(inner)
    else:
        return Answer(May.MUST, why="no wrapper")
    records = _listed(listed)
    if records is None:
        return Answer(May.MUST, why="no list of records")
    rows = [how(r, text) if isinstance(r, Pairs) else Row(May.NEVER) for r in records]
    days = Counter(d for row in rows for d in row.days)
    return Answer(May.NEVER, rows, [received(r) for r in records], days)


_LOAD_BOUNDS = (500, 200_000)
_TOGETHER = 2  # fields that have to be off: one alone is stored, whatever it says


def _drifted(answer: Answer) -> None:
    """An answer most of whose loads are in other units, all in all or of the sound records alone:
    it may be kept out whole. One field alone takes nothing with it.
    """
    for some in (answer.rows, [row for row in answer.rows if row.may != May.NEVER]):
        off, judged = 0, 0
        for name in set(_LOADS) - {"ard_demand"}:  # it is judged in longer answers only
            sizes = {abs(row.values.get(name) or 0) for row in some} - {0}
            judged += bool(sizes)
            off += bool(sizes) and not _LOAD_BOUNDS[0] <= median(sizes) <= _LOAD_BOUNDS[1]
        if off >= _TOGETHER and 2 * off > judged:
            for row in answer.rows:
                row.may = min(row.may, May.MAY)


def _is(value: Any) -> bool:  # noqa: ANN401
    return isinstance(value, Pairs)


def _listed(value: Any) -> list[Any] | None:  # noqa: ANN401
    if _is_nothing(value):
        return []
    if isinstance(value, Pairs):
        return [value]
    return value if isinstance(value, list) else None


def _is_nothing(value: Any) -> bool:  # noqa: ANN401
    return value is None or value in ("", Pairs())


def _cts(tree: Pairs, asked: str | None, text: bool) -> Answer:  # noqa: FBT001
    if {"Interval", "data", "RefId", "metadata"} & tree.twice():
        return Answer(May.MUST, why="a field of the answer given twice")
    if "Interval" in tree.names() and "RefId" in tree.names():
        listed, how = tree.get("Interval"), _live
        if not isinstance(tree.get("RefId"), str):
            return Answer(May.MUST, why="RefId is no text")
        message = _ref_day(tree.get("RefId"))
        extra: dict[str, Any] = {}
    elif "data" in tree.names() and "metadata" in tree.names():
        listed, how = tree.get("data"), _documented
        metadata = tree.get("metadata")
        reason = _metadata_breaks(metadata, asked)
        if reason:
            return Answer(May.MUST, why=reason)
        message = metadata.get("operatingDay")
        extra = {"data_quality": metadata.get("dataQuality")}
        may, extra["published_at"] = stamp(metadata.get("retrievalTimestamp"))
    else:
        return Answer(May.MUST, why="no shape")
    records = _listed(listed)
    if records is None:
        return Answer(May.MUST, why="no list of records")
    rows = [how(r, text) if isinstance(r, Pairs) else Row(May.NEVER) for r in records]
    for row in rows:
        row.values |= extra
        if "published_at" in extra:
            row.may = min(row.may, may)
    days = {message: len(records)} if message else Counter(d for row in rows for d in row.days)
    reject = May.NEVER if message else May.MAY
    return Answer(reject, rows, [received(r) for r in records], days)


def _impossible(answer: Answer, fetched_at: dt.datetime) -> None:
    """No row may be published after it was fetched, or name another day than its answer does.

    Where the answer's own day is not clear, a row may be possible of one and not of another.
    """
    most = max(answer.days.values(), default=0)
    days = [dt.date.fromisoformat(day) for day, count in answer.days.items() if count == most]
    for row in answer.rows:
        if row.may != May.NEVER:
            found = {_is_possible(row.values, day, fetched_at) for day in days}
            row.may = min(row.may, May.MUST if found == {True} else May.MAY)
            row.may = min(row.may, May.NEVER if found == {False} else May.MUST)


def _is_possible(values: Mapping[str, Any], day: dt.date, fetched_at: dt.datetime) -> bool:
    published, start = values["published_at"], values["interval_start"]
    try:
        midnight = dt.datetime.combine(day, dt.time(), EST)
        first, last = midnight - _DAY, fetched_at + _SLACK
        near = midnight - 2 * _DAY <= start < midnight + 3 * _DAY
    except OverflowError:
        return False
    return published is not None and first <= published <= last and near


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def _ref_day(text: str) -> str | None:
    found = re.match(r"(\d{1,2})-([A-Z][a-z]{2})-(\d{4})\b", text)
    if not found or found[2] not in _MONTHS:
        return None
    try:
        return dt.date(int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1])).isoformat()
    except ValueError:
        return None


def _metadata_breaks(metadata: Any, asked: str | None) -> str:  # noqa: ANN401
    fields = ("operatingDay", "retrievalTimestamp", "dataQuality")
    if not isinstance(metadata, Pairs):
        return "no metadata"
    if metadata.twice() & set(fields):
        return "metadata given twice"
    if any(not isinstance(metadata.get(n), str) for n in fields):
        return "metadata is not text"
    if metadata.get("dataQuality") not in _QUALITIES:
        return "dataQuality"
    day = metadata.get("operatingDay")
    try:
        right = re.fullmatch(r"\d{4}-\d\d-\d\d", day) and dt.date.fromisoformat(day)
    except ValueError:
        right = None
    if not right:
        return "operatingDay is no day"
    return "operatingDay is not the asked one" if asked and asked != day else ""
