"""Every recording of every dataset becomes its rows, and every column states its meaning."""

import datetime as dt
from functools import cache
from types import UnionType
from typing import Any, get_args, get_type_hints

import msgspec
import polars as pl
import pytest

from aurum_assets.model.dataset import Dataset, Dialect, Envelope, Snapshot
from aurum_assets.model.drift import field_of
from aurum_assets.model.errors import DataError
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.reading import inspect_answer, read
from aurum_assets.model.table import Table
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.lake import iceberg_schema
from aurum_assets_tests.conftest import PROVENANCE, Brought, Desk
from aurum_assets_tests.recordings import (
    CASES,
    FETCHED_AT,
    READABLE,
    RECORDINGS,
    REFUSED,
    Recording,
)

every_dataset = pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.key)
every_table = pytest.mark.parametrize(
    "table", [*(d.table for d in DATASETS), QUARANTINE], ids=lambda t: t.name
)
every_readable = pytest.mark.parametrize("recorded", READABLE, ids=str)
DIALECTS = [(d, dialect) for d in DATASETS for dialect in d.dialects]
every_dialect = pytest.mark.parametrize(
    ("dataset", "dialect"), DIALECTS, ids=[f"{d.key}-{dialect.name}" for d, dialect in DIALECTS]
)


def written(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows without provenance, instants as text: as ``expected.json`` has them."""
    rows = frame.drop(*(n for n in PROVENANCE if n in frame.columns)).to_dicts()
    return [
        {
            n: v.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(v, dt.datetime) else v
            for n, v in r.items()
        }
        for r in rows
    ]


@cache
def parsed(recorded: Recording) -> pl.DataFrame:
    """What the parser alone makes of a recording."""
    seen = inspect_answer(recorded.dataset, recorded.body, recorded.format)
    envelope = Envelope(
        dataset=recorded.dataset.key,
        endpoint="recorded",
        dialect=recorded.dialect,
        format=recorded.format,
        day=recorded.expected["day"],
        fetched_at=FETCHED_AT,
        raw_sha256="0" * 64,
        content_sha256=seen.content_sha256,
    )
    return read(recorded.dataset, Snapshot(envelope, recorded.body)).frame


@cache
def framed(recorded: Recording) -> pl.DataFrame:
    """A recording's rows as they come before the table's rules."""
    day = recorded.dataset.day(recorded.expected["day"])
    frame = parsed(recorded)
    table = recorded.dataset.table
    given: dict[str, Any] = {
        "operating_day": day.date,
        "interval_start": day.start,
        "interval_end": day.end,
        "source_timezone": recorded.dataset.operator.zone,
        "finality": recorded.expected.get("finality"),
        "fetched_at": FETCHED_AT,
        "raw_sha256": "0" * 64,
    }
    return frame.with_columns(
        pl.lit(value, table.schema[name]).alias(name)
        for name, value in given.items()
        if name in table.names and name not in frame.columns
    )


def bring(desk: Desk, recorded: Recording) -> Brought:
    """A recording through archive, parser, table and checks."""
    return desk.bring(
        recorded.dataset,
        recorded.body,
        endpoint="recorded",
        dialect=recorded.dialect,
        at=FETCHED_AT,
        finality=recorded.expected.get("finality"),
        asked=recorded.expected["day"],
    )


@every_dataset
def test_every_dialect_and_format_that_is_asked_for_has_all_owed_recordings(
    dataset: Dataset, configuration: Configuration
) -> None:
    feeds = configuration.datasets[dataset.key].feeds
    asked = {(e.dialect, e.format) for feed in feeds for e in feed.endpoints}
    assert {dialect for dialect, _ in asked} <= {d.name for d in dataset.dialects}
    have = {(r.dialect, r.format, r.case) for r in RECORDINGS if r.dataset is dataset}
    required = {(dialect, fmt, case) for dialect, fmt in asked for case in CASES}
    assert not required - have


# Of the others the test after this one holds what comes of them.
ALL_THE_WAY = [r for r in RECORDINGS if r.case in {"ordinary", "autumn", "empty", "malformed"}]


@pytest.mark.parametrize("recorded", ALL_THE_WAY, ids=str)
def test_a_recording_becomes_the_rows_that_stand_beside_it(desk: Desk, recorded: Recording) -> None:
    brought = bring(desk, recorded)
    if not recorded.readable:
        assert brought.archived.outcome == "rejected"
        assert recorded.expected["error"] in brought.archived.reason
        assert desk.resources.archive.size(recorded.dataset.archive_name) == (0, 0)
        (kept,) = desk.resources.archive.rejections(recorded.dataset.key)
        assert kept.reason == brought.archived.reason
        return
    assert (brought.archived.outcome, brought.archived.day) == ("stored", recorded.expected["day"])
    rows = desk.rows(recorded.dataset, brought.archived.day)
    assert written(rows) == recorded.expected["rows"]
    assert brought.done.quarantined == 0
    assert brought.done.rejected == []
    assert brought.done.drift == ()
    for name in ("contract", "enums_and_ranges", "schema_drift"):
        assert brought.verdicts[name].passed, brought.verdicts[name].reason
    empty = brought.verdicts.get("empty_answer")  # none where a table is sparse
    assert (empty is None) is bool(recorded.dataset.table.sparse)
    assert empty is None or empty.count == (0 if recorded.expected["rows"] else 1)


@every_readable
def test_what_is_parsed_are_the_rows_that_stand_beside_it(recorded: Recording) -> None:
    table, day = recorded.dataset.table, recorded.dataset.day(recorded.expected["day"])
    found = table.conform(framed(recorded), day)
    assert found.broken.is_empty()
    assert written(found.good.sort(table.order)) == recorded.expected["rows"]


@every_readable
def test_a_parser_gives_the_columns_of_its_table_one_row_a_record(recorded: Recording) -> None:
    frame = parsed(recorded)
    assert len(frame) == len(recorded.expected["rows"])
    of_table = recorded.dataset.table.schema
    given = {n: t for n, t in frame.schema.items() if n in of_table}
    required = {n: t for n, t in of_table.items() if n not in (*PROVENANCE, "finality")}
    if recorded.dataset is ISONE_LOCATIONS:  # carries no date: the pipeline gives it its day
        required = {n: t for n, t in required.items() if not n.startswith("interval_")}
    assert given == required


@pytest.mark.parametrize("recorded", [r for r in READABLE if r.format == "xml"], ids=str)
def test_json_and_xml_of_the_same_answer_parse_alike(recorded: Recording) -> None:
    twin = next(
        r
        for r in READABLE
        if (r.dataset, r.dialect, r.case, r.format)
        == (recorded.dataset, recorded.dialect, recorded.case, "json")
    )
    assert parsed(recorded).equals(parsed(twin), null_equal=True)


@pytest.mark.parametrize("recorded", REFUSED, ids=str)
def test_bytes_without_a_shape_are_one_clear_error(recorded: Recording) -> None:
    with pytest.raises(DataError) as caught:
        inspect_answer(recorded.dataset, recorded.body, recorded.format)
    assert recorded.expected["error"] in str(caught.value)
    assert "\n" not in str(caught.value)


@every_dataset
def test_every_dialects_fields_are_the_ones_that_config_expects(
    dataset: Dataset, configuration: Configuration
) -> None:
    expected = {
        dialect: {name: field_of(text).type for name, text in fields.items()}
        for dialect, fields in configuration.datasets[dataset.key].expected_fields.items()
    }
    declared = {d.name: fields_of(d.record) for d in dataset.dialects}
    assert expected == declared


def fields_of(struct: type[msgspec.Struct], prefix: str = "") -> dict[str, str]:
    """Dotted names of a record's fields, and their JSON types; ``label``: number or text."""
    names = {str: "string", float: "number", int: "number", bool: "boolean"}
    found: dict[str, str] = {}
    hints = get_type_hints(struct)
    for name, results in zip(
        struct.__struct_fields__, struct.__struct_encode_fields__, strict=True
    ):
        hint = hints[name]
        kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        kind = next(k for k in kinds if k is not type(None))
        if issubclass(kind, msgspec.Struct):
            found |= fields_of(kind, f"{prefix}{results}.")
        else:
            either = {int, str} <= set(kinds)
            found[prefix + results] = "label" if either else names[kind]
    return found


@every_dialect
def test_a_dialect_refuses_fields_that_it_does_not_declare(
    dataset: Dataset, dialect: Dialect
) -> None:
    assert dialect.record.__struct_config__.forbid_unknown_fields
    assert dt.timedelta(minutes=5) <= dialect.every <= dt.timedelta(days=1)
    assert dataset.dialect(dialect.name) is dialect


@every_table
def test_every_column_says_what_it_means_and_every_number_its_unit(table: Table) -> None:
    for column in table.columns:
        assert column.doc.endswith("."), column.name
        assert len(column.doc) > 15, column.name  # a sentence, not the name again
        if column.dtype.is_numeric():
            assert column.unit, column.name
        if isinstance(column.dtype, pl.Datetime):
            assert (column.dtype.time_unit, column.dtype.time_zone) == ("us", "UTC")


@every_table
def test_the_iceberg_schema_carries_documentation_and_units(table: Table) -> None:
    schema = iceberg_schema(table)
    assert [f.name for f in schema.fields] == table.names
    assert [f.field_id for f in schema.fields] == list(range(1, len(table.names) + 1))
    for column, found in zip(table.columns, schema.fields, strict=True):
        assert found.doc is not None
        assert found.doc.startswith(column.doc)
        assert column.unit in found.doc
        assert found.required is not column.nullable


@every_table
def test_a_key_is_made_of_columns_that_are_never_null(table: Table) -> None:
    by_name = {c.name: c for c in table.columns}
    assert len(by_name) == len(table.columns)
    assert table.doc
    for name in (*table.key, *table.partition):
        assert not by_name[name].nullable
    assert set(table.order) <= set(by_name)
    assert not set(table.key) & set(table.values)
    assert set(table.values) <= set(by_name)
    for rule in table.rules:
        assert set(rule.shows)
        assert rule.check in ("contract", "lmp_arithmetic", "enums_and_ranges")


@every_dataset
def test_provenance_is_none_of_the_values(dataset: Dataset) -> None:
    named = {*dataset.table.key, *dataset.table.values}
    assert not named & {"source_timezone", "fetched_at", "raw_sha256"}
    numbers = {c.name for c in dataset.table.columns if c.dtype == pl.Float64}
    assert numbers <= named


@every_dataset
def test_a_dataset_describes_itself_to_who_trades_on_it(dataset: Dataset) -> None:
    for word in ("Source:", "Grain:", "Units:", "Caveats:"):
        assert word in dataset.doc, word


@every_dataset
def test_every_endpoints_path_can_be_filled_in(
    dataset: Dataset, configuration: Configuration
) -> None:
    day = dataset.day("2024-11-03")
    written = (day.key, day.compact, "11%2F03%2F2024")
    seen: set[str] = set()
    for feed in configuration.datasets[dataset.key].feeds:
        for endpoint in feed.endpoints:
            path = endpoint.url_path(None if feed.asks == "now" else day, "01")
            assert path.startswith("/")
            assert "{" not in path
            assert endpoint.name not in seen, "an endpoint's name is part of its objects' names"
            seen.add(endpoint.name)
            if feed.asks != "now" and feed.keeps_days != 1:
                assert any(text in path for text in written)


@every_dataset
def test_keys_of_config_and_code_agree(dataset: Dataset, configuration: Configuration) -> None:
    config = configuration.datasets[dataset.key]
    assert config.key == dataset.key == dataset.table.name
    assert dataset.operator.name in configuration.operators
    limits = configuration.operators[dataset.operator.name].endpoint_limits
    endpoints = {
        e.name
        for d in DATASETS
        if d.operator is dataset.operator
        for feed in configuration.datasets[d.key].feeds
        for e in feed.endpoints
    }
    assert set(limits) <= endpoints
