"""Payloads gone wrong: sound answers of every dataset, dialect, format, and what may befall them.

A mutation of a tree touches a record before it is written; a mutation of bytes what was written.
Every choice is drawn from the generator that is handed in, so a case can be made again.
"""

import datetime as dt
import gzip
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from html import escape
from typing import Any

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.isone.lmp import lmp_records
from aurum_assets.simulator.isone.load import load_records
from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.miso.cts import documented_records, live_records

DAY = "2025-07-14"
BOMB = "gzip bomb"
_RAW = "\x01raw:"
Tree = dict[str, Any]
Chance = random.Random


@dataclass(frozen=True)
class Case:
    """A payload, the file content that holds it, and how it came about."""

    dataset: str
    shape: str
    mutation: str
    body: bytes
    file: bytes
    asked: str | None = None


@dataclass(frozen=True)
class Shape:
    """A sound answer: ``path`` is where its records stand; the rest are dotted names of fields."""

    dataset: str
    name: str
    fmt: str
    tree: Callable[[], Tree]
    path: tuple[str, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    sums: tuple[str, ...] = ()
    header: tuple[str, ...] = ()


_NEW_YORK = OperatingDay.parse(DAY, "America/New_York")
_EST = OperatingDay.parse(DAY, "Etc/GMT+5")
_LMP = ("LmpTotal", "EnergyComponent", "CongestionComponent", "LossComponent")
_LOAD = ("LoadMw", "NativeLoad", "ArdDemand", "SystemLoadBtmPv", "NativeLoadBtmPv")
_WHERE = ("BeginDate", "Location.@LocId", "Location.@LocType", "Location.$")
_PRICE = "forecastedLMP."
_DOCUMENTED = (
    _PRICE + "total",
    _PRICE + "components.energy",
    _PRICE + "components.congestion",
    _PRICE + "components.losses",
)


def _lmp() -> Tree:
    return wrapped("FiveMinLmps", "FiveMinLmp", lmp_records(_NEW_YORK, (100, 101), locations=4))


def _load() -> Tree:
    records = load_records(_NEW_YORK, range(100, 106))
    return wrapped("FiveMinSystemLoads", "FiveMinSystemLoad", records)


def _current_load() -> Tree:
    return {"FiveMinSystemLoad": load_records(_NEW_YORK, (100,))}


def _cts() -> Tree:
    records = live_records(_EST, 2)[:8]
    return {"RefId": "14-Jul-2025 - Interval 00:15 EST", "Interval": records}


def _documented() -> Tree:
    return {
        "data": documented_records(_EST, 2)[:8],
        "metadata": {
            "operatingDay": DAY,
            "retrievalTimestamp": f"{DAY}T09:12:00-05:00",
            "dataQuality": "FORECAST",
        },
    }


def _shapes() -> Iterator[Shape]:
    for fmt in ("json", "xml"):
        path: tuple[str, ...] = ("FiveMinLmps", "FiveMinLmp")
        yield Shape("isone_rt_lmp", "live", fmt, _lmp, path, _LMP, _WHERE, _LMP)
        path = ("FiveMinSystemLoads", "FiveMinSystemLoad")
        yield Shape("isone_system_load", "live", fmt, _load, path, _LOAD, ("BeginDate",))
        path = ("FiveMinSystemLoad",)
        yield Shape("isone_system_load", "current", fmt, _current_load, path, _LOAD, ("BeginDate",))
        texts: tuple[str, ...] = ("CASEAPPROVALDATE", "SOLUTIONTIME", "PJMFORECASTEDLMP")
        yield Shape("miso_cts", "live", fmt, _cts, ("Interval",), (), texts, (), ("RefId",))
        texts = (
            "timestamp",
            "interval",
            "node",
            _PRICE + "direction",
            "transactionVolume.direction",
        )
        header = ("metadata.operatingDay", "metadata.retrievalTimestamp", "metadata.dataQuality")
        numbers = (*_DOCUMENTED, "transactionVolume.mwh")
        yield Shape(
            "miso_cts",
            "documented",
            fmt,
            _documented,
            ("data",),
            numbers,
            texts,
            _DOCUMENTED,
            header,
        )


SHAPES = tuple(_shapes())


def write(tree: Tree, fmt: str) -> bytes:
    """A tree as JSON or XML; what ``raw`` stands for is written as it is."""
    if fmt == "json":
        text = json.dumps(tree, ensure_ascii=False)
        return re.sub(r'"\\u0001raw:((?:[^"\\]|\\.)*)"', _unquoted, text).encode()
    if len(tree) == 1:
        ((name, value),) = tree.items()
    else:
        name, value = "CTS", tree
    value = value[0] if isinstance(value, list) and value else value
    message = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return (message + _element(name, value, ' xmlns="http://WEBSERV.iso-ne.com"')).encode()


def _unquoted(found: re.Match[str]) -> str:
    return str(json.loads(f'"{found[1]}"'))


def raw(text: str) -> str:
    """A value that is written as ``text``, whatever JSON makes of it."""
    return _RAW + text


def _element(name: str, value: Any, extra: str = "") -> str:  # noqa: ANN401
    if isinstance(value, list):
        return "".join(_element(name, item) for item in value)
    if not isinstance(value, dict):
        text = "" if value is None else str(value)
        text = text.removeprefix(_RAW) if text.startswith(_RAW) else escape(text, quote=False)
        return f"<{name}{extra}>{text}</{name}>"
    attributes = "".join(
        f' {k[1:]}="{escape(_plain(v))}"' for k, v in value.items() if k.startswith("@")
    )
    text = escape(_plain(value.get("$", "")), quote=False)
    inner = "".join(_element(k, v) for k, v in value.items() if k[:1] not in ("@", "$"))
    return f"<{name}{extra}{attributes}>{text}{inner}</{name}>"


def _plain(value: Any) -> str:  # noqa: ANN401
    return "" if value is None else str(value).removeprefix(_RAW)


def _records(shape: Shape, tree: Tree) -> list[Any]:
    found: Any = tree
    for name in shape.path:
        found = found[name]
    return found if isinstance(found, list) else [found]


def _holder(tree: Any, dotted: str) -> tuple[Any, str]:  # noqa: ANN401
    *path, name = dotted.split(".")
    for step in path:
        tree = tree.get(step, {}) if isinstance(tree, dict) else {}
    return tree, name


def get(record: Tree, dotted: str) -> Any:  # noqa: ANN401
    """The value of a dotted name."""
    holder, name = _holder(record, dotted)
    return holder.get(name)


def put(record: Tree, dotted: str, value: Any) -> None:  # noqa: ANN401
    """Set a dotted name."""
    holder, name = _holder(record, dotted)
    holder[name] = value


def _drop(record: Tree, dotted: str) -> None:
    holder, name = _holder(record, dotted)
    holder.pop(name, None)


_NOT_NUMBERS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e999",
    "nan",
    "inf",
    "0x10",
    "1,5",
    "--1",
)
_HUGE = ("1e308", "1" + "0" * 30, "9" * 19, "123456789012345678901234567890.5", "1e-320", "9" * 400)
_ZEROS = ("-0", "-0.0", "0.0", "0e0")
_STRANGE: Sequence[Any] = (
    None,
    True,
    False,
    "",
    "abc",
    "1.5",
    7,
    1.5,
    [],
    {},
    [1],
    {"a": 1},
    "null",
)
_STAMPS = (
    "2025-07-13T23:55:00.000-04:00",
    "2025-07-15T00:00:00.000-04:00",
    "2031-01-01T00:00:00.000-05:00",
    "0001-01-01T00:00:00.000+00:00",
    "9999-12-31T23:55:00.000-05:00",
    "1970-01-01T00:00:00.000+00:00",
    "2025-02-30T00:00:00.000-05:00",
    "2025-07-14T25:00:00.000-04:00",
    "2025-07-14T08:20:00",
    "2025-07-14T08:20:00.000-04:00 ",
    "2025-07-14 08:20:00-04:00",
    "2025-7-14T8:20:00-04:00",
    "2025-07-14T08:20:00.000+14:00",
    "2025-03-09T02:30:00.000-05:00",
    "14/07/2025 08:20",
    "2025-07-14 8:20:00 PM",
    "2025-07-14 13:20:00 PM",
    "2025-07-14 0:20:00 AM",
    "2025-07-15 8:20:00 AM",
    "2199-07-14 8:20:00 AM",
    "",
)
_WORDS = ("EXPORT", "Export", " export", "sideways", "", "NEUTRAL", "balanced", "MISO_TO_MISO")
_LABELS = ("09:03", "9:00", "24:00", "12:60", "00:05:00", "0005", "", "23:55", "00:00")
_OFFS = (
    "0.01",
    "-0.01",
    "0.0100001",
    "-0.0100001",
    "0.011",
    "-0.011",
    "0.009999",
    "0",
    "0.02",
    "1",
)


def _one(shape: Shape, tree: Tree, chance: Chance) -> Tree:
    record: Tree = chance.choice(_records(shape, tree))
    return record


def _any_field(shape: Shape, chance: Chance) -> str:
    return chance.choice((*shape.numbers, *shape.texts))


def retyped(shape: Shape, tree: Tree, chance: Chance) -> None:
    """A field of another type."""
    put(_one(shape, tree, chance), _any_field(shape, chance), chance.choice(_STRANGE))


def not_a_number(shape: Shape, tree: Tree, chance: Chance) -> None:
    """NaN, infinities and near misses where a number stands."""
    value = chance.choice(_NOT_NUMBERS)
    if shape.numbers:
        put(_one(shape, tree, chance), chance.choice(shape.numbers), raw(value))
    else:
        put(_one(shape, tree, chance), "PJMFORECASTEDLMP", value)


def huge(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Numbers at and beyond what a double holds."""
    value = chance.choice(_HUGE)
    if shape.numbers:
        put(_one(shape, tree, chance), chance.choice(shape.numbers), raw(value))
    else:
        put(_one(shape, tree, chance), "PJMFORECASTEDLMP", value)


def zero(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Every number a zero, some with a sign."""
    record = _one(shape, tree, chance)
    for name in shape.numbers:
        put(record, name, raw(chance.choice(_ZEROS)))
    if not shape.numbers:
        put(record, "PJMFORECASTEDLMP", chance.choice(_ZEROS))


def negative(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Numbers on the other side of zero."""
    record = _one(shape, tree, chance)
    for name in shape.numbers:
        put(record, name, -float(get(record, name)))
    if not shape.numbers:
        put(record, "PJMFORECASTEDLMP", f"-{get(record, 'PJMFORECASTEDLMP')}")


def arithmetic(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Totals off by a cent, a hair more, a hair less; parts with as many decimals as you like."""
    from decimal import Decimal

    for record in _records(shape, tree):
        if not shape.sums:
            return
        scale = Decimal(1).scaleb(-chance.choice((2, 2, 4, 6, 8)))
        large = chance.choice((100, 100, 100, 10**7, 10**10))
        parts = [chance.randint(-large, large) * scale + chance.randint(0, 99) for _ in range(3)]
        total = sum(parts, Decimal(chance.choice(_OFFS)))
        for name, value in zip(shape.sums, (total, *parts), strict=True):
            put(record, name, raw(format(value, "f")))


def wrong_word(shape: Shape, tree: Tree, chance: Chance) -> None:
    """A value that the operator does not define."""
    put(_one(shape, tree, chance), chance.choice(shape.texts), chance.choice(_WORDS + _LABELS))


def missing(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Fields gone, from one record or from all."""
    name = _any_field(shape, chance).partition(".")[chance.choice((0, 0))]
    name = chance.choice((name, _any_field(shape, chance)))
    records = _records(shape, tree)
    for record in records if chance.random() < 1 / 4 else [chance.choice(records)]:
        _drop(record, name)


def extra(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Fields that nobody knows, in a record, within a field, or beside the records."""
    value: Any = chance.choice((1, "x", None, {"deep": [1, {"er": 2}]}, [], True))
    place = chance.choice(("record", "inner", "top"))
    if place == "top":
        tree["Something"] = value
        return
    record = _one(shape, tree, chance)
    inner = [v for v in record.values() if isinstance(v, dict)]
    (chance.choice(inner) if inner and place == "inner" else record)["Something"] = value


def swapped(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Two fields with each other's values."""
    record = _one(shape, tree, chance)
    one, other = _any_field(shape, chance), _any_field(shape, chance)
    first, second = get(record, one), get(record, other)
    put(record, one, second)
    put(record, other, first)


def emptied(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Nothing where the records, or their wrapper, should be."""
    depth = chance.randrange(len(shape.path))
    put(tree, ".".join(shape.path[: depth + 1]), chance.choice(("", None, {}, [], 0, "none", [[]])))


def odd_records(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Things among the records that are no records."""
    records = _records(shape, tree)
    odd: Any = chance.choice((None, 5, "x", [], {}, [{}], True))
    put(tree, ".".join(shape.path), [*records, odd])


def alone(shape: Shape, tree: Tree, chance: Chance) -> None:
    """One record, as an object instead of a list."""
    put(tree, ".".join(shape.path), _one(shape, tree, chance))


def other_days(shape: Shape, tree: Tree, chance: Chance) -> None:
    """Stamps of other days, no day at all, or odd spellings of this one."""
    stamps = [n for n in shape.texts if n in ("BeginDate", "timestamp", *_STAMPED)]
    value, name = chance.choice(_STAMPS), chance.choice(stamps)
    records = _records(shape, tree)
    for record in records if chance.random() < 1 / 4 else [chance.choice(records)]:
        put(record, name, value)


_STAMPED = ("CASEAPPROVALDATE", "SOLUTIONTIME")


def shifted(shape: Shape, tree: Tree, chance: Chance) -> None:
    """The whole answer of another day, near or far."""
    away = chance.choice(("2025-07-13", "2025-07-15", "1998-12-31", "2030-01-01", "2024-02-29"))
    for name in shape.header:
        put(tree, name, str(get(tree, name)).replace(DAY, away))
    for record in _records(shape, tree):
        for name in shape.texts:
            value = get(record, name)
            if isinstance(value, str):
                put(record, name, value.replace(DAY, away))


def repeat_fields(shape: Shape, tree: Tree, chance: Chance) -> None:
    """A record twice: alike, spelled otherwise, or with another value."""
    record = deepcopy(_one(shape, tree, chance))
    kind = chance.choice(("alike", "spelled", "value", "name"))
    if kind == "spelled" and shape.numbers:
        for name in shape.numbers:
            put(record, name, raw(f"{float(get(record, name)):.6f}"))
    elif kind == "value" and shape.sums:
        for name in shape.sums[:2]:
            put(record, name, round(float(get(record, name)) + 5, 2))
    elif kind == "value" and shape.numbers:
        put(record, shape.numbers[0], float(get(record, shape.numbers[0])) + 1)
    elif kind == "value":
        put(record, "PJMFORECASTEDLMP", "99.25")
    elif kind == "name":
        record["Something"] = 1
    records = list(_records(shape, tree))
    records.insert(chance.randrange(len(records) + 1), record)
    put(tree, ".".join(shape.path), records)


def header(shape: Shape, tree: Tree, chance: Chance) -> None:
    """What the answer says beside its records: gone, of another type, with another value."""
    if not shape.header:
        tree["Header"] = {"x": 1}
        return
    name = chance.choice(shape.header)
    if chance.random() < 1 / 3:
        _drop(tree, chance.choice((name, name.partition(".")[0])))
    else:
        odd = ("GUESS", "", None, 5, "2025-07-15", "2025-13-45", "14-Jul-2025", "31-Feb-2025 x")
        put(tree, name, chance.choice((*odd, "15-Jul-2025 - Interval 00:15 EST", *_STAMPS)))


TREES: Mapping[str, Callable[[Shape, Tree, Chance], None]] = {
    f.__name__: f
    for f in (
        retyped,
        not_a_number,
        huge,
        zero,
        negative,
        arithmetic,
        wrong_word,
        missing,
        extra,
        swapped,
        emptied,
        odd_records,
        alone,
        other_days,
        shifted,
        repeat_fields,
        header,
    )
}


def truncated(body: bytes, chance: Chance) -> bytes:
    """Cut short."""
    return body[: chance.randrange(len(body))]


def bits_flipped(body: bytes, chance: Chance) -> bytes:
    """A few bits the other way."""
    found = bytearray(body)
    for _ in range(chance.randint(1, 6)):
        found[chance.randrange(len(found))] ^= 1 << chance.randrange(8)
    return bytes(found)


def bytes_changed(body: bytes, chance: Chance) -> bytes:
    """A stretch replaced by noise, or by another stretch."""
    at, length = chance.randrange(len(body)), chance.randint(1, 20)
    operator = chance.randrange(len(body))
    other = chance.choice((chance.randbytes(length), body[operator : operator + length]))
    return body[:at] + other + body[at + length :]


def marked(body: bytes, chance: Chance) -> bytes:
    """One byte order mark, or two, or one at the end."""
    mark = b"\xef\xbb\xbf"
    return chance.choice((mark + body, mark + mark + body, body + mark))


def encoded(body: bytes, chance: Chance) -> bytes:
    """Another encoding than the one that was promised."""
    text = body.decode()
    kind = chance.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp500", "declared"))
    if kind == "declared":
        return text.replace('encoding="UTF-8"', 'encoding="ISO-8859-1"').encode(
            "latin-1", "replace"
        )
    accented = text.replace("MISO", "MÉSO").replace("Jul", "Jül").replace("ZONE", "ZÖNE")
    return accented.encode(kind, "replace")


def twice_named(body: bytes, chance: Chance) -> bytes:
    """A name given twice, in a record or beside the records."""
    text = body.decode()
    if text.startswith("{") and chance.random() < 1 / 4:
        return f"{text[:-1]}, {text[1:]}".encode()  # all of it twice, in one object
    if text.startswith("<"):
        found = list(re.finditer(r"<(\w+)>([^<]*)</\1>", text))
        again = [f"<{m[1]}>{chance.choice((m[2], '1', 'x'))}</{m[1]}>" for m in found]
    else:
        found = list(re.finditer(r'"[^"]+": ("[^"]*"|-?[\d.]+|\{[^{}]*\})', text))
        again = [f"{m[0]}, " if chance.random() < 1 / 2 else _other(m[0]) for m in found]
    if not found:
        return body
    number = chance.randrange(len(found))
    at = found[number].start()
    return (text[:at] + again[number] + text[at:]).encode()


def _other(pair: str) -> str:
    name = pair.partition(":")[0]
    return f"{name}: 1, "


def deep(body: bytes, chance: Chance) -> bytes:
    """Nested deeper than any reader likes, alone or within a record."""
    depth = chance.choice((60, 300, 500, 900, 1_000, 1_500, 3_000, 20_000, 200_000))
    text = body.decode()
    if text.startswith("<"):
        nest = "<a>" * depth + "</a>" * depth
        return text.replace("</BeginDate>", f"</BeginDate>{nest}", 1).encode()
    nest = chance.choice(("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth))
    if chance.random() < 1 / 3:
        return nest.encode()
    at = text.find("{", text.find("["))
    return (text[: at + 1] + f'"Something": {nest}, ' + text[at + 1 :]).encode()


def trailing(body: bytes, chance: Chance) -> bytes:
    """Something after, or before, the end."""
    tail = chance.choice((b"\0", b"}", b" \n\t ", body, b"<!-- -->", b"//", b"\n{}"))
    return chance.choice((body + tail, tail + body))


def not_ours(body: bytes, chance: Chance) -> bytes:
    """Something else altogether."""
    return chance.choice(
        (
            b"",
            b"   ",
            b"<html><body>Service unavailable</body></html>",
            b'{"error":"no data"}',
            b"null",
            b"[]",
            b"{}",
            b"42",
            b'"text"',
            b"\x1f\x8b",
            body[::-1],
            b"[" + body + b"]",
            json.dumps({"d": body.decode("utf-8", "replace")}).encode(),
        )
    )


_LAUGHS = ["lol", *(f"&l{i};" * 10 for i in range(9))]
_BOMB = "".join(f'<!ENTITY l{i} "{laugh}">' for i, laugh in enumerate(_LAUGHS))
_DOCTYPES = (
    f"<!DOCTYPE FiveMinLmps [{_BOMB}]>",
    '<!DOCTYPE FiveMinLmps [<!ENTITY l9 SYSTEM "file:///etc/passwd">]>',
    '<!DOCTYPE FiveMinLmps SYSTEM "http://127.0.0.1:9/evil.dtd">',
    '<!DOCTYPE FiveMinLmps [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]>',
    '<!DOCTYPE FiveMinLmps [<!ENTITY l9 "39">]>',
)


def entities(body: bytes, chance: Chance) -> bytes:
    """A document type of its own: billion laughs, files of the machine, a network address."""
    text = body.decode()
    if not text.startswith("<"):
        return (chance.choice(_DOCTYPES) + text).encode()
    text = text.replace("?>", f"?>{chance.choice(_DOCTYPES)}", 1)
    return re.sub(r"(<(?:LmpTotal|LoadMw)>)[^<]*", r"\g<1>&l9;", text, count=1).encode()


def interrupted(body: bytes, chance: Chance) -> bytes:
    """Comments, instructions, CDATA and character references in the middle of a value."""
    text = body.decode()
    if not text.startswith("<"):
        found = list(re.finditer(r'"[^"]+"', text))
        m = chance.choice(found)
        odd = chance.choice(("\\u0000", "\\ud800", "\\ud83d\\ude00", "\t", "\\/", "\\u0041", "é"))
        return (text[: m.end() - 1] + odd + text[m.end() - 1 :]).encode()
    found = list(re.finditer(r"<(\w+)>([^<]+)</\1>", text))
    m = chance.choice(found)
    at = m.start(2) + chance.randrange(len(m[2]) + 1)
    rest = text[at : m.end(2)]
    odd = chance.choice(("<!-- c -->", "<?pi x?>", "cdata", "&#48;", "&#x35;", " ", "\n", "<x/>"))
    if odd == "cdata":
        return (text[:at] + f"<![CDATA[{rest}]]>" + text[m.end(2) :]).encode()
    return (text[:at] + odd + text[at:]).encode()


def rehung(body: bytes, chance: Chance) -> bytes:
    """Names and spaces of XML moved about; white space and order of JSON."""
    text = body.decode()
    if not text.startswith("<"):
        try:
            tree = json.loads(text)
        except ValueError:
            return body
        return json.dumps(tree, indent=chance.randint(0, 3), sort_keys=True).encode()
    kind = chance.choice(("prefix", "none", "unbound", "nil", "other"))
    if kind == "prefix":
        text = re.sub(r"<(/?)(\w)", r"<\1n:\2", text).replace("xmlns=", "xmlns:n=")
    elif kind == "none":
        text = text.replace(' xmlns="http://WEBSERV.iso-ne.com"', "")
    elif kind == "unbound":
        text = text.replace("<BeginDate>", "<q:BeginDate>", 1)
    elif kind == "nil":
        nil = ' xmlns:i="http://www.w3.org/2001/XMLSchema-instance" i:nil="true"/>'
        text = re.sub(r"<(\w+)>[^<]+</\1>", rf"<\1{nil}", text, count=1)
    else:
        text = text.replace("WEBSERV", "ELSEWHERE")
    return text.encode()


BYTES: Mapping[str, Callable[[bytes, Chance], bytes]] = {
    f.__name__: f
    for f in (
        truncated,
        bits_flipped,
        bytes_changed,
        marked,
        encoded,
        twice_named,
        deep,
        trailing,
        not_ours,
        entities,
        interrupted,
        rehung,
    )
}


def cases(count: int, seed: int = 0) -> Iterator[Case]:
    """``count`` cases: every shape with every mutation in turn, each time with other choices."""
    pairs = [(s, m) for m in ("none", *TREES, *BYTES) for s in SHAPES]
    order = random.Random(seed)  # noqa: S311  repeatable, no secret
    order.shuffle(pairs)
    for number in range(count):
        shape, mutation = pairs[number % len(pairs)]
        yield case(shape, mutation, random.Random(f"{seed}-{number}"))  # noqa: S311


def case(shape: Shape, mutation: str, chance: Chance) -> Case:
    """One case; now and then a gzipped file, or a day that was asked for."""
    tree = shape.tree()
    if mutation in TREES:
        TREES[mutation](shape, tree, chance)
    body = write(tree, shape.fmt)
    if mutation in BYTES:
        body = BYTES[mutation](body, chance)
    asked = chance.choice((None, None, DAY, "2025-07-13")) if shape.dataset == "miso_cts" else None
    packed = gzip.compress(body, mtime=0) if chance.random() < 1 / 5 else body
    name = f"{shape.name} {shape.fmt}"
    return Case(shape.dataset, name, mutation, body, packed, asked)


def bombs(cap_mb: float) -> Iterator[Case]:
    """Files that are small until unpacked: beyond the cap, and as much as the cap lets in."""
    cap = int(cap_mb * 1_000_000)
    inside = cap - 1_000
    wrap = b'{"FiveMinLmps":{"FiveMinLmp":[%s]}}'
    contents: Mapping[str, Callable[[], bytes]] = {
        "spaces beyond the cap": lambda: b" " * (4 * cap),
        "spaces up to the cap": lambda: b" " * inside,
        "brackets up to the cap": lambda: b"[" * inside,
        "one text up to the cap": lambda: b'"' + b"x" * (inside - 2) + b'"',
        "zeros up to the cap": lambda: b"0" * inside,
        "angle brackets up to the cap": lambda: b"<a>" * (inside // 3),
        "empty records up to the cap": lambda: wrap % (b"{}," * ((inside - 100) // 3) + b"{}"),
        "empty texts up to the cap": lambda: wrap % (b'"",' * ((inside - 100) // 3) + b'""'),
    }
    for name, make in contents.items():
        content = make()
        packed = gzip.compress(content, compresslevel=6, mtime=0)
        yield Case("isone_rt_lmp", BOMB, name, content, packed)
        del content


def instant(number: int) -> dt.datetime:
    """When case ``number`` was fetched."""
    return dt.datetime(2025, 7, 15, 12, tzinfo=dt.UTC) + dt.timedelta(seconds=number)
