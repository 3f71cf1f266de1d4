"""Every format and every place of records and header: ordinary, empty, single and damaged answers.

The dialects are made here: no operator's own names, only what a dialect may say of an answer.
"""

import json
from dataclasses import replace
from typing import Any, get_args

import msgspec
import polars as pl
import pytest

from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, Envelope, FormatName, Snapshot
from aurum_assets.model.drift import PARTIAL, Expected
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.formats import FORMATS, sniff
from aurum_assets.model.reading import Reading, Record, inspect_answer, read, record_as_received
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets_tests.conftest import utc

EXPECTED: dict[str, Expected] = {
    name: {"name": "string", "price": "number"} for name in ("table", "rows", "deep", "blocks")
}


class Price(Record):
    name: str
    price: float


class QuotedPrice(Record):
    name: str
    price: str


class Block(msgspec.Struct, forbid_unknown_fields=True):
    at: str


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    date: str
    now: Block


class DeepHeader(msgspec.Struct, forbid_unknown_fields=True):
    data: Inner


class BlockInner(msgspec.Struct, forbid_unknown_fields=True, rename={"block": BLOCK}):
    date: str
    block: Block


class BlockHeader(msgspec.Struct, forbid_unknown_fields=True):
    data: BlockInner


def days(records: list[Any], header: Any) -> list[str]:  # noqa: ANN401  a decoded tree
    del records
    return [header["data"]["date"]] if "data" in header else []


def as_it_is(frame: pl.DataFrame) -> pl.DataFrame:
    return frame


TABLE = Dialect(
    name="table",
    path=(),
    record=Price,
    parse=as_it_is,
    days=days,
    every=ISONE_RT_LMP.interval(),
)
ROWS = replace(TABLE, name="rows", path=("data",), column_names="headers", record=QuotedPrice)
DEEP = replace(
    TABLE,
    name="deep",
    path=("data", "now", "node"),
    header=DeepHeader,
    ignored=("data.then",),
)
BLOCKS = replace(
    TABLE, name="blocks", path=("data", BLOCK, "node"), blocks=("now", "then"), header=BlockHeader
)


def dataset(*dialects: Dialect) -> Dataset:
    return replace(ISONE_RT_LMP, dialects=dialects)


def snapshot(dialect: Dialect, body: bytes, fmt: FormatName) -> Snapshot:
    envelope = Envelope(
        dataset="made",
        endpoint="made",
        dialect=dialect.name,
        format=fmt,
        day="2026-07-20",
        fetched_at=utc("2026-07-21T12:00:00Z"),
        raw_sha256="0" * 64,
        content_sha256="",
    )
    return Snapshot(envelope, body)


def reading(dialect: Dialect, text: object, fmt: FormatName = "json") -> Reading:
    body = text if isinstance(text, bytes) else json.dumps(text).encode()
    return read(dataset(dialect), snapshot(dialect, body, fmt), EXPECTED)


def content(dialect: Dialect, text: object, fmt: FormatName = "json") -> str:
    body = text if isinstance(text, bytes) else json.dumps(text).encode()
    return inspect_answer(dataset(dialect), body, fmt).content_sha256


def received(dialect: Dialect, message: object, at: int, fmt: FormatName = "json") -> Any:  # noqa: ANN401
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    (text,) = record_as_received(dataset(dialect), snapshot(dialect, body, fmt), [at])
    return json.loads(text)


def drift(found: Reading) -> list[tuple[str, str]]:
    return [(d.kind, d.field) for d in found.drift]


def test_every_format_that_an_endpoint_may_name_has_a_reader() -> None:
    assert set(get_args(FormatName)) == set(FORMATS)


@pytest.mark.parametrize(
    ("dialect", "body", "fmt"),
    [
        (TABLE, b"name,price\nA,1\n", "csv"),
        (TABLE, b'\xef\xbb\xbf"name","price"\n"A","1"\n', "csv"),
        (TABLE, b'[{"name": "A", "price": 1}]', "json"),
        (TABLE, b"<html/>", "xml"),
        (DEEP, b"name,price\nA,1\n", "json"),
    ],
)
def test_a_format_is_known_by_its_first_character(
    dialect: Dialect, body: bytes, fmt: FormatName
) -> None:
    assert sniff(dataset(dialect), body) == fmt


# --- csv -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"name,price\nA,1.50\nB,-2\n",
        b"name,price\r\nA,1.50\r\nB,-2",
        b"\xef\xbb\xbfprice,name\n1.50,A\n\n-2,B\n\n",
        b'"name","price"\n"A","1.50"\n"B","-2"\n',
    ],
)
def test_csv_is_a_record_a_row_below_its_header(body: bytes) -> None:
    found = reading(TABLE, body, "csv")
    assert found.frame.rows() == [("A", 1.5), ("B", -2.0)]
    assert (found.records, found.refused, found.drift) == (2, (), ())
    assert content(TABLE, body, "csv") == content(TABLE, b"name,price\nA,1.50\nB,-2\n", "csv")


def test_a_quoted_value_of_csv_may_hold_a_comma_a_quote_and_a_line_break() -> None:
    body = b'name,price\n"A, ""the\nhub""",1\nB,2\n'
    found = reading(TABLE, body, "csv")
    assert found.frame["name"].to_list() == ['A, "the\nhub"', "B"]
    assert found.refused == ()


def test_csv_without_a_row_is_empty_and_a_single_row_is_one() -> None:
    assert reading(TABLE, b"name,price\n", "csv").records == 0
    assert reading(TABLE, b"name,price\nA,1\n", "csv").frame.rows() == [("A", 1.0)]


def test_a_column_of_csv_that_is_new_is_drift_and_costs_no_row() -> None:
    found = reading(TABLE, b"name,price,zone\nA,1,X\n", "csv")
    assert drift(found) == [("added", "zone")]
    assert found.frame.rows() == [("A", 1.0)]


def test_a_column_of_csv_that_is_gone_is_drift_and_refuses_what_lacks_it() -> None:
    found = reading(TABLE, b"name,cost\nA,1\nB,2\n", "csv")
    assert drift(found) == [("renamed", "price")]
    assert [r.position for r in found.refused] == [0, 1]


@pytest.mark.parametrize("row", [b"B", b"B,2,3"])
def test_a_row_of_csv_with_another_number_of_values_is_refused_alone(row: bytes) -> None:
    body = b"name,price\nA,1\n" + row + b"\nC,3\n"
    found = reading(TABLE, body, "csv")
    assert found.frame["name"].to_list() == ["A", "C"]
    (refused,) = found.refused
    values = len(row.split(b","))
    assert refused.position == 1
    assert f"it has {values} values, and the table 2 columns" in refused.reason
    assert received(TABLE, body, 1, "csv") == row.decode().split(",")


def test_a_value_of_csv_that_is_no_number_is_refused_as_received() -> None:
    body = b"name,price\nA,1\nB,n/a\nC,\n"
    found = reading(TABLE, body, "csv")
    assert [r.position for r in found.refused] == [1, 2]
    assert received(TABLE, body, 1, "csv") == {"name": "B", "price": "n/a"}
    assert ("retyped", "price") in drift(found)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "not even a header row"),
        (b"\n\n", "not even a header row"),
        (b'name,price\nA,"1\n', "the bytes are not CSV: unexpected end of data"),
        (b'name,price\n"A"x,1\n', "the bytes are not CSV"),
        (b"name,price\nA\0,1\n", "the bytes are not CSV: it holds a character that is zero"),
        (b"name,price\n\xe4,1\n", "the bytes are not CSV"),
        ("name,price\nA,1\n".encode("utf-16"), "text in UTF-16"),
        (b"name,price,name\nA,1,B\n", "two columns of the table are called 'name'"),
        (b'{"error": "no data"}', "the answer holds no table of name, price; it holds {"),
        (b"<html>\n", "the answer holds no table of name, price; it holds <html>"),
    ],
)
def test_bytes_that_are_no_csv_of_the_dataset_are_one_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(MalformedPayload) as raised:
        reading(TABLE, body, "csv")
    assert sentence in str(raised.value)


def test_csv_of_more_rows_than_anyone_sends_is_refused_unread() -> None:
    with pytest.raises(MalformedPayload, match="more than 5,000,000 values"):
        reading(TABLE, b"name\n" + b"\n" * 5_000_001, "csv")


def test_a_list_without_a_wrapper_is_read_as_a_table_is() -> None:
    found = reading(TABLE, [{"name": "A", "price": 1}, {"name": "B"}])
    assert found.frame.rows() == [("A", 1.0)]
    assert [r.position for r in found.refused] == [1]
    assert reading(TABLE, []).records == 0
    with pytest.raises(MalformedPayload, match="it holds a list"):
        reading(TABLE, [{"error": "no data"}])
    with pytest.raises(MalformedPayload, match="it holds a list"):
        reading(TABLE, [1, 2])


def test_what_is_volatile_in_a_table_is_no_content() -> None:
    steady = replace(TABLE, volatile=("asked",))
    one, other = b"name,price,asked\nA,1,x\n", b"name,price,asked\nA,1,y\n"
    assert content(TABLE, one, "csv") != content(TABLE, other, "csv")
    assert content(steady, one, "csv") == content(steady, other, "csv")


# --- a table in JSON -----------------------------------------------------------------------------


def table(*rows: object, headers: object = ("name", "price")) -> object:
    return {"headers": headers, "data": list(rows)}


def test_a_table_in_json_is_a_record_a_row() -> None:
    found = reading(ROWS, table(["A", "1.50"], ["B", "2"]))
    assert found.frame.rows() == [("A", "1.50"), ("B", "2")]
    other = reading(ROWS, table(["1.50", "A"], headers=["price", "name"]))
    assert other.frame.rows() == [("A", "1.50")]
    assert (drift(found), found.refused) == ([("retyped", "price")], ())  # config expects a number


def test_a_table_in_json_without_rows_is_empty() -> None:
    assert reading(ROWS, table()).records == 0


def test_a_row_of_a_table_in_json_that_does_not_fit_is_refused_alone_and_as_received() -> None:
    text = table(["A", "1"], ["B"], "C", ["D", 4], ["E", "5"])
    found = reading(ROWS, text)
    assert found.frame["name"].to_list() == ["A", "E"]
    assert [r.position for r in found.refused] == [1, 2, 3]
    assert "it has 1 values, and the table 2 columns" in found.refused[0].reason
    assert received(ROWS, text, 1) == ["B"]
    assert received(ROWS, text, 3) == {"name": "D", "price": 4}


def test_a_column_of_a_table_in_json_that_is_new_or_gone_is_drift() -> None:
    added = reading(ROWS, table(["A", "1", "X"], headers=["name", "price", "zone"]))
    assert ("added", "zone") in drift(added)
    assert added.frame.rows() == [("A", "1")]
    gone = reading(ROWS, table(["A"], headers=["name"]))
    assert ("vanished", "price") in drift(gone)
    assert len(gone.refused) == 1


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"data": [["A", "1"]]}, "holds no data[] (beside headers)"),
        ({"headers": ["name"]}, "holds no data[] (beside headers)"),
        (table(headers="name"), "are no list of texts"),
        (table(headers=["name", 1]), "are no list of texts"),
        (table(headers=["name", "name"]), "two columns of the table are called 'name'"),
        (b'{"headers": ["name"], "headers": ["price"], "data": []}', "headers appears twice"),
    ],
)
def test_what_is_no_table_in_json_is_one_sentence(answer: object, sentence: str) -> None:
    with pytest.raises(MalformedPayload) as raised:
        reading(ROWS, answer)
    assert sentence in str(raised.value)


# --- records and header at any depth -------------------------------------------------------------


def deep(**changes: object) -> dict[str, Any]:
    inner = {
        "date": "2026-07-20",
        "now": {"at": "08:15", "node": [{"name": "A", "price": 1}, {"name": "B", "price": 2}]},
        "then": {"at": "HE 9", "node": [{"name": "A", "cost": [3]}]},
    }
    return {"data": inner | changes}


ROW_A = {"name": "A", "price": 1.0, "data.date": "2026-07-20", "data.now.at": "08:15"}


def test_a_header_may_lie_on_the_way_to_records_and_ignored_blocks_are_no_drift() -> None:
    found = reading(DEEP, deep())
    assert found.frame.rows(named=True)[0] == ROW_A
    assert (found.records, found.drift, found.refused) == (2, (), ())
    seen = inspect_answer(dataset(DEEP), json.dumps(deep()).encode(), "json")
    assert seen.days == ("2026-07-20",)


def test_records_at_any_depth_may_be_one_object_or_none() -> None:
    one = reading(DEEP, deep(now={"at": "08:15", "node": {"name": "A", "price": 1}}))
    assert one.frame.rows(named=True) == [ROW_A]
    nothing: tuple[object, ...] = ([], "", None, {})
    for none in nothing:
        assert reading(DEEP, deep(now={"at": "08:15", "node": none})).records == 0


def test_what_is_new_beside_deep_records_is_drift_by_its_dotted_name() -> None:
    found = reading(DEEP, deep(soon={"at": "HE 10"}))
    assert drift(found) == [("added", "data.soon")]
    inner = {"at": "08:15", "node": [{"name": "A", "price": 1}], "unit": "USD"}
    assert drift(reading(DEEP, deep(now=inner))) == [("added", "data.now.unit")]
    more = deep() | {"nextPage": "/2"}
    assert drift(reading(DEEP, more)) == [(PARTIAL, "nextPage")]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"data": {"now": {"at": "1", "node": []}}}, "(beside data.date, data.now.at)"),
        (deep(now={"node": []}), "holds no data.now.node[] (beside data.date, data.now.at)"),
        (deep(now="08:15"), "holds no data.now.node[]"),
        (deep(date=3), "the answer's header cannot be read"),
        (b'{"data": {"date": "a", "date": "b", "now": {"at": "1", "node": []}}}', "date appears"),
        (b'{"data": {"date": "a", "now": {"at": "1", "at": "2", "node": []}}}', "at appears twice"),
        (b'{"data": {"date": "a", "now": {"at": "1", "node": [{]}}}', "the bytes are not JSON"),
    ],
)
def test_deep_answers_that_cannot_be_read_are_one_sentence(answer: object, sentence: str) -> None:
    with pytest.raises(MalformedPayload) as raised:
        reading(DEEP, answer)
    assert sentence in str(raised.value)


def both(**changes: object) -> dict[str, Any]:
    return deep(then={"at": "HE 9", "node": [{"name": "A", "price": 3}]}) | changes


def test_the_records_of_several_blocks_are_one_frame_that_names_them() -> None:
    found = reading(BLOCKS, both())
    assert found.frame.select(BLOCK, f"data.{BLOCK}.at", "name", "price").rows() == [
        ("now", "08:15", "A", 1.0),
        ("now", "08:15", "B", 2.0),
        ("then", "HE 9", "A", 3.0),
    ]
    assert (found.records, found.positions, found.drift) == (3, [0, 1, 2], ())


def test_a_record_of_the_second_block_is_refused_by_its_number_in_the_whole_answer() -> None:
    text = deep()  # its second block lacks the price
    found = reading(BLOCKS, text)
    assert [(r.position) for r in found.refused] == [2]
    assert received(BLOCKS, text, 2) == {"name": "A", "cost": [3]}
    assert found.positions == [0, 1]


def test_an_answer_that_lacks_a_block_is_partial_and_keeps_the_other() -> None:
    text = both()
    del text["data"]["then"]
    found = reading(BLOCKS, text)
    assert drift(found) == [(PARTIAL, "data.then.node")]
    assert found.frame[BLOCK].to_list() == ["now", "now"]
    seen = inspect_answer(dataset(BLOCKS), json.dumps(text).encode(), "json")
    assert seen.partial == "the answer is partial: it holds no data.then.node"


def test_an_answer_of_no_block_is_not_of_the_dataset() -> None:
    with pytest.raises(MalformedPayload, match=r"holds no data\.now\|then\.node\[\]"):
        reading(BLOCKS, {"data": {"date": "2026-07-20"}})


def test_what_is_new_in_a_block_is_drift_by_the_name_of_the_block() -> None:
    text = both()
    text["data"]["then"]["unit"] = "USD"
    assert drift(reading(BLOCKS, text)) == [("added", "data.then.unit")]


def test_a_name_given_twice_on_the_way_to_the_blocks_is_refused() -> None:
    body = b'{"data": {"date": "a", "date": "b", "now": {"at": "1", "node": []}}}'
    with pytest.raises(MalformedPayload, match="date appears twice"):
        reading(BLOCKS, body)


def test_xml_is_read_at_any_depth_as_json_is() -> None:
    body = b"""<data><date>2026-07-20</date><now><at>08:15</at>
        <node><name>A</name><price>1</price></node></now></data>"""
    assert reading(DEEP, body, "xml").frame.rows(named=True) == [ROW_A]
