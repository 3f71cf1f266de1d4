"""Schema drift: every kind in every field of every dataset is seen; clean days raise no alarm."""

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby
from typing import Any
from urllib.parse import parse_qsl

import pytest

from aurum_assets import ingest
from aurum_assets.model.dataset import BLOCK, Dataset, Dialect, Endpoint, Envelope, Feed, Snapshot
from aurum_assets.model.drift import SCHEMA_RULE, Drift, ExpectedField, field_of
from aurum_assets.model.errors import ContractBroken, MalformedPayload
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.reading import Reading, inspect_answer, read
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets.simulator.isone.lmp import lmp_records, render_lmp_hour
from aurum_assets.simulator.isone.payloads import render, wrapped
from aurum_assets.simulator.operators import answer
from aurum_assets.simulator.payloads import records_of
from aurum_assets.simulator.world import Ask, Refusal, World
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.recordings import FETCHED_AT, READABLE, recording

CONFIG = load_config(PROJECT / "config", DATASETS).datasets
LMP, CTS = ISONE_RT_LMP, MISO_CTS
WORLD = World(locations=20, nodes=2)
Json = dict[str, Any]


def drift_of(dataset: Dataset, dialect: str, body: bytes, fmt: str = "json") -> Reading:
    """A payload as config expects it, or not."""
    day = "2026-07-20"
    if dataset is CTS and dialect == "documented":
        day = json.loads(body)["metadata"]["operatingDay"]
    envelope = Envelope(
        dataset=dataset.key,
        endpoint="recorded",
        dialect=dialect,
        format="xml" if fmt == "xml" else "json",
        day=day,
        fetched_at=FETCHED_AT,
        raw_sha256="0" * 64,
        content_sha256="0" * 64,
        asked=day,
    )
    return read(dataset, Snapshot(envelope, body), CONFIG[dataset.key].expected)


# --- every kind, every field ---------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A field of a dialect of a dataset, in one format."""

    dataset: Dataset
    dialect: Dialect
    fmt: str
    name: str

    def __str__(self) -> str:
        return f"{self.dataset.key}-{self.dialect.name}-{self.fmt}-{self.name}"

    @property
    def expected(self) -> ExpectedField:
        return field_of(CONFIG[self.dataset.key].expected[self.dialect.name][self.name])


def _places() -> Iterator[Place]:
    for recorded in READABLE:
        if recorded.case == "ordinary":
            dialect = recorded.dataset.dialect(recorded.dialect)
            fields = CONFIG[recorded.dataset.key].expected_fields[dialect.name]
            for name in fields:
                yield Place(recorded.dataset, dialect, recorded.format, name)


PLACES = list(_places())
SHAPES = [list(places) for _, places in groupby(PLACES, lambda p: str(p).removesuffix(p.name))]
in_json = [p for p in PLACES if p.fmt == "json"]
everywhere = pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda s: f"{s[0]}"[: -len(s[0].name) - 1]
)
Spoil = Callable[[Json, str], None]


def ordinary(place: Place) -> Json:
    """The ordinary recording, its records given twice, so that there is more than a handful."""
    recorded = recording(place.dataset.key, place.dialect.name, "ordinary")
    tree: Json = json.loads(recorded.body)
    for records in lists_of(place.dialect, with_named_values(place.dialect, tree)):
        records.extend(deepcopy(records) + deepcopy(records))
    return tree


def with_named_values(dialect: Dialect, tree: Json) -> Json:
    """``tree``, whose rows are records: a table may have rows that name their values themselves."""
    if dialect.column_names:
        (name,) = dialect.path
        names = tree[dialect.column_names]
        tree[name] = [dict(zip(names, row, strict=True)) for row in tree[name]]
    return tree


def of(dialect: Dialect, tree: Json) -> list[Json]:
    """The records themselves, to be spoiled."""
    first, *others = lists_of(dialect, tree)
    return first + [record for records in others for record in records] if others else first


def lists_of(dialect: Dialect, tree: Json) -> list[list[Json]]:
    """The list of records, or that of each block."""
    found = []
    for block in dialect.blocks or ("",):
        inner: Any = tree
        for name in dialect.path:
            inner = inner.get(block if name == BLOCK else name, inner)
        assert isinstance(inner, list)
        found.append(inner)
    return found


def holder_of(record: Json, dotted: str) -> tuple[Json, str]:
    """Where a record keeps a field, and the field's own name."""
    *path, name = dotted.split(".")
    for step in path:
        record = record[step]
    return record, name


def spoiled(place: Place, spoil: Spoil, *, some: bool = False) -> tuple[Drift, ...]:
    """The drift of an ordinary payload whose field was spoiled in every record, or in one."""
    tree = ordinary(place)
    for record in of(place.dialect, tree)[: 1 if some else None]:
        spoil(*holder_of(record, place.name))
    body = json.dumps(tree).encode() if place.fmt == "json" else render(tree, "xml")
    return drift_of(place.dataset, place.dialect.name, body, place.fmt).drift


def kinds_and_fields(drift: Sequence[Drift]) -> list[tuple[str, str]]:
    return [(d.kind, d.field) for d in drift]


def keep(holder: Json, name: str) -> None:
    del holder, name


def vanish(holder: Json, name: str) -> None:
    holder.pop(name, None)


def to_the_end(holder: Json, name: str) -> None:
    if name in holder:
        holder[name] = holder.pop(name)


def add(holder: Json, name: str) -> None:
    holder["@newer" if name.startswith("@") else "newer"] = "1"


def put(value: object) -> Spoil:
    def change(holder: Json, name: str) -> None:
        holder[name] = value

    return change


def renamed(of_type: str) -> Spoil:
    def change(holder: Json, name: str) -> None:
        value = holder.pop(name, 1 if of_type == "number" else "UNIT")
        holder["@newer" if name.startswith("@") else "newer"] = value

    return change


OTHER: Json = {"string": 7, "label": True, "number": "seven", "boolean": "yes"}


@everywhere
def test_an_ordinary_payload_has_no_drift_in_whatever_order_its_fields_come(
    shape: list[Place],
) -> None:
    for place in shape:
        assert spoiled(place, keep) == ()
        assert spoiled(place, to_the_end) == ()


@everywhere
def test_a_field_that_is_added_beside_another_is_a_warning(shape: list[Place]) -> None:
    for place in shape:
        (found,) = spoiled(place, add)
        assert (found.kind, found.severity, found.refuses) == ("added", "WARN", False)
        assert found.field.endswith("newer")


@everywhere
def test_a_field_that_vanishes_everywhere_is_found(shape: list[Place]) -> None:
    for place in shape:
        drift = spoiled(place, vanish)
        if place.expected.optional:
            assert drift == ()
            continue
        assert ("vanished", place.name) in kinds_and_fields(drift)
        assert any(d.refuses for d in drift) is not place.expected.nullable
        assert any(place.name in d.detail for d in drift)


@everywhere
def test_a_field_that_is_renamed_is_one_finding_and_not_two(shape: list[Place]) -> None:
    for place in shape:
        (found,) = spoiled(place, renamed(place.expected.type))
        if place.expected.optional:  # nobody knows that it was to be there
            assert found.kind == "added"
            continue
        assert (found.kind, found.field) == ("renamed", place.name)
        assert found.refuses is not place.expected.nullable
        assert "newer" in found.detail


@everywhere
def test_a_field_that_comes_as_another_type_is_an_error_where_the_format_knows_types(
    shape: list[Place],
) -> None:
    for place in shape:
        for some in (True, False):
            if place.fmt == "xml" and place.expected.type != "number":
                continue  # XML knows texts only
            found = [
                d
                for d in spoiled(place, put(OTHER[place.expected.type]), some=some)
                if d.kind == "retyped"
            ]
            assert kinds_and_fields(found) == [("retyped", place.name)]
            assert (found[0].severity, found[0].refuses) == ("ERROR", False)


@everywhere
def test_a_record_without_a_value_is_a_warning_unless_the_field_is_nullable(
    shape: list[Place],
) -> None:
    for place in shape:
        drift = spoiled(place, vanish, some=True)
        if place.expected.nullable:
            assert drift == ()
        else:
            assert ("null", place.name) in kinds_and_fields(drift)
            assert {d.severity for d in drift} == {"WARN"}
        if place.fmt == "json":
            assert kinds_and_fields(spoiled(place, put(None), some=True)) == kinds_and_fields(drift)
            gone = ("vanished", place.name) in kinds_and_fields(spoiled(place, put(None)))
            assert gone is not place.expected.optional


RULED = {  # a rule of the table refuses what is none of these: it is not reported twice
    "MarginalFlag": "marginal_is_a_flag",
    "forecastedLMP.direction": "lmp_direction_is_known",
    "transactionVolume.direction": "volume_direction_is_known",
}


@everywhere
def test_a_new_word_is_a_warning_where_the_words_are_known(shape: list[Place]) -> None:
    for place in shape:
        if place.name in RULED:
            assert place.expected.enum == ()
            assert RULED[place.name] in {r.name for r in place.dataset.table.rules}
        if place.expected.enum:
            for some in (True, False):
                (found,) = spoiled(place, put("Fusion"), some=some)
                assert kinds_and_fields([found]) == [("new_value", place.name)]
                assert found.severity == "WARN"
                assert "'Fusion'" in found.detail


def test_every_field_of_words_has_an_enum_or_a_rule() -> None:
    fields = {p.name for p in PLACES if p.expected.enum} | set(RULED)
    assert fields == {
        "Location.@LocType",
        "FuelCategory",
        "FuelCategoryRollup",
        "MarginalFlag",
        "Product",
        "LocationType",
        "AreaType",
        "NetworkNodeType",
        "forecastedLMP.direction",
        "transactionVolume.direction",
        "region",
        "type",
        "CATEGORY",
    }


# --- rescaled ------------------------------------------------------------------------------------

DAYS = ("2024-03-10", "2024-11-03", "2025-04-13", "2026-02-03", "2026-07-20")


@cache
def simulated(
    dataset: Dataset, feed: Feed, endpoint: Endpoint, day: str, hour: str, after: float
) -> bytes | None:
    """What the stand-in answers; None where it does not."""
    when = dataset.day(day)
    now = when.start + dt.timedelta(hours=after)
    path = endpoint.url_path(None if feed.asks == "now" else when, hour)
    path, _, query = path.partition("?")
    asked = dict(parse_qsl(query))
    try:
        found = answer(dataset.operator.name, WORLD, Ask(path, now, endpoint.format, asked))
    except Refusal:
        return None
    return found.fast(endpoint.format) if found.fast else render(found.tree(), endpoint.format)


def simulated_day(place: Place, day: str) -> Json | None:
    """A day (an hour of one, or what is current in the evening) as a feed of the place gives it."""
    feeds = sorted(CONFIG[place.dataset.key].feeds, key=lambda f: f.asks != "hour")
    for feed in sorted(feeds, key=lambda f: f.asks == "now"):
        for endpoint in feed.endpoints:
            if (endpoint.dialect, endpoint.format) == (place.dialect.name, "json"):
                after = 21.0 if feed.asks == "now" else 200.0
                part = {"hour": "18", "location": "".join(feed.location_ids[-1:])}.get(
                    feed.asks, ""
                )
                body = simulated(place.dataset, feed, endpoint, day, part, after)
                return with_named_values(place.dialect, json.loads(body)) if body else None
    return None


MEASURED = [p for p in in_json if p.expected.magnitude]


def is_price(place: Place) -> bool:
    declared = CONFIG[place.dataset.key].expected_fields[place.dialect.name][place.name]
    return field_of(declared).magnitude == "price"


ONE_EACH = {p.dataset.key: p for p in MEASURED}.values()


@pytest.mark.parametrize(
    ("place", "power"), [(p, 3) for p in MEASURED] + [(p, -4) for p in ONE_EACH], ids=str
)
@pytest.mark.slow
def test_an_ordinary_day_in_other_units_is_found_and_the_power_of_ten_named(
    place: Place, power: int
) -> None:
    power += 2 if power > 0 and is_price(place) else 0  # a thousand times a price may be scarcity
    judged = 0
    for tree in filter(None, (simulated_day(place, day) for day in DAYS)):
        sizes = set()
        for record in of(place.dialect, tree):
            holder, name = holder_of(record, place.name)
            if name not in holder:
                continue
            scaled = float(holder[name]) * 10.0**power
            sizes.add(abs(scaled))
            holder[name] = str(scaled) if isinstance(holder[name], str) else scaled
        drift = drift_of(place.dataset, place.dialect.name, json.dumps(tree).encode()).drift
        for found in drift:
            assert (found.kind, found.field) == ("rescaled", place.name)
            assert (found.severity, found.refuses) == ("WARN", False), "it is one field alone"
            assert "10^" in found.detail
        if len(sizes - {0.0}) >= place.expected.at_least and place.name not in FEW_CENTS:
            judged += 1
            assert drift
    assert judged or place.name in FEW_CENTS or str(place) in ONE_VALUE_A_TICK


FEW_CENTS = {  # the sum rule sees them
    "CongestionComponent",
    "forecastedLMP.components.congestion",
    "congestion_price_rt",
    "congestion_price_da",
    "marginal_congestion",
}
ONE_VALUE_A_TICK = {  # the feeds that bring a day or an hour see it
    "isone_rt_lmp-documented-json-EnergyComponent",
    "isone_system_load-documented-json-ArdDemand",
    "pjm_rt_lmp-unverified-json-system_energy_price_rt",  # only the verified feed has it
}


NUMBERS_AS_TEXT = {
    "PJMFORECASTEDLMP",
    "LMP",
    "Load.Value",
    "ClearedMWHourly.Value",
    "Forecast.LoadForecast",
}


OF_NO_USUAL_SIZE = {  # a tie may be idle, a constraint bind by a cent, an adjustment be nothing
    "isone_interchange": {"ActInterchange", "Purchase", "Sale"},
    "isone_interchange_15min": {"ActInterchange", "Purchase", "Sale"},
    "isone_external_flow": {
        *("ActualFlow", "CurrentSchedule", "ExportLimit", "ImportLimit", "Purchase", "Sale"),
        *("TotalExports", "TotalImports"),
    },
    "isone_da_constraints": {"MarginalValue"},
    "isone_rt_constraints": {"MarginalValue"},
    "isone_hourly_load_forecast": {"LoadAdjustmentMw"},
    "isone_da_strike_prices": {
        *("expected_closeout_charge", "expected_closeout_charge_override"),
        "expected_rt_hub_lmp_override",
    },
}


def test_every_number_of_every_dataset_has_a_magnitude_but_where_any_size_is_usual() -> None:
    numbers = {p for p in in_json if p.expected.type == "number" or p.name in NUMBERS_AS_TEXT}
    without = {(p.dataset.key, p.name) for p in numbers} - {
        (p.dataset.key, p.name) for p in MEASURED
    }
    assert without == {(key, name) for key, names in OF_NO_USUAL_SIZE.items() for name in names}
    assert {str(p) for p in MEASURED} <= {str(p) for p in numbers}


def test_the_power_of_ten_that_brings_it_back_is_named() -> None:
    records = lmp_records(LMP.day("2026-07-20"), range(12), locations=4)
    for record in records:
        record["LmpTotal"] *= 1000
    (found,) = drift_of(
        LMP, "live", json.dumps(wrapped("FiveMinLmps", "FiveMinLmp", records)).encode()
    ).drift
    assert "10^-1 times that is" in found.detail or "10^-2 times that is" in found.detail
    for record in records:
        record["LmpTotal"] *= 1e30
    (found,) = drift_of(
        LMP, "live", json.dumps(wrapped("FiveMinLmps", "FiveMinLmp", records)).encode()
    ).drift
    assert "no power of ten brings it back" in found.detail


# --- no false alarm ------------------------------------------------------------------------------


def lmp_body(prices: Sequence[float], times: float = 1) -> bytes:
    """One interval of that many locations, at these prices; the total in other units."""
    (record,) = lmp_records(LMP.day("2026-07-20"), [100], locations=1)
    parts = {"CongestionComponent": 0, "LossComponent": 0}
    records = [{**record, **parts, "LmpTotal": times * p, "EnergyComponent": p} for p in prices]
    return json.dumps(wrapped("FiveMinLmps", "FiveMinLmp", records)).encode()


@pytest.mark.parametrize(
    "prices",
    [
        [-150 + n / 100 for n in range(50)],
        [2000 + n / 10 for n in range(50)],
        [2816.09 + n / 10 for n in range(50)],
        [0.0] * 50,
        [n % 9 / 100 for n in range(50)],
        [-0.01 * (n % 5) for n in range(50)],
        [39.16],
    ],
    ids=["floor", "cap", "scarcity", "zero", "cents", "cents below zero", "one"],
)
def test_the_wildest_clean_prices_raise_no_alarm(prices: list[float]) -> None:
    assert drift_of(LMP, "live", lmp_body(prices)).drift == ()


def _generated() -> Iterator[tuple[Dataset, Endpoint, bytes]]:
    """Each endpoint on every third of the days, beginning with another one each."""
    days = [*DAYS, "2025-03-09", "2025-11-02", "2025-07-15", "2026-05-20", "2026-12-24"]
    asked = [(d, f, e) for d in DATASETS for f in CONFIG[d.key].feeds for e in f.endpoints]
    for number, (dataset, feed, endpoint) in enumerate(asked):
        known = list(enumerate(days if endpoint.format == "json" else days[:6]))
        for n, day in known[number % 3 :: 3]:
            hour = f"{7 * n % 24:02d}".replace("02", "03") if feed.asks == "hour" else ""
            moments = (0.4, 5.0, 12.0) if feed.asks == "now" else (200.0,)
            for after in moments[: 1 if endpoint.format == "xml" else None]:
                body = simulated(dataset, feed, endpoint, day, hour, after)
                if body is not None:
                    yield dataset, endpoint, body


@pytest.mark.slow
def test_five_hundred_clean_payloads_raise_no_false_alarm() -> None:
    count, heard = 0, set()
    for dataset, endpoint, body in _generated():
        found = drift_of(dataset, endpoint.dialect, body, endpoint.format)
        assert found.drift == (), endpoint.name
        assert found.refused == ()
        count += 1
        heard.add((dataset.key, endpoint.dialect, endpoint.format))
    assert count >= 500
    assert {d.key for d in DATASETS} == {key for key, _, _ in heard}


# --- what becomes of a snapshot that drifted -----------------------------------------------------

JULY = LMP.day("2026-07-20")


def hour_body(change: Callable[[Json], object]) -> bytes:
    tree: Json = json.loads(render_lmp_hour(JULY, "05", 3))
    for record in records_of(tree):
        change(record)
    return json.dumps(tree).encode()


BLOCKING: list[tuple[str, Callable[[Json], object]]] = [
    ("vanished", lambda r: r.pop("LmpTotal")),
    ("renamed", lambda r: r.update(Lmp=r.pop("LmpTotal"))),
    (
        "rescaled",
        lambda r: r.update({n: v * 1000 for n, v in r.items() if isinstance(v, int | float)}),
    ),
]
each_blocking = pytest.mark.parametrize(("kind", "change"), BLOCKING, ids=[k for k, _ in BLOCKING])


@each_blocking
def test_what_drifted_by_an_error_is_quarantined_whole_and_as_received(
    desk: Desk, kind: str, change: Callable[[Json], object]
) -> None:
    body = hour_body(change)
    brought = desk.bring(LMP, body)
    assert desk.rows(LMP).is_empty()
    assert brought.done.rejected == []
    out = desk.resources.lake.read(QUARANTINE)
    assert len(out) == brought.done.quarantined == 36
    assert all(SCHEMA_RULE in rules.split(",") for rules in out["rules"])
    assert all(f"{SCHEMA_RULE}: " in reason for reason in out["reason"])
    received = [json.loads(r) for r in out["record"]]
    assert sorted(received, key=str) == sorted(records_of(json.loads(body)), key=str)
    verdict = brought.verdicts["schema_drift"]
    assert (verdict.passed, verdict.severity) == (False, "ERROR")
    assert {s["kind"] for s in verdict.sample} == {kind}


@each_blocking
def test_what_drifted_touches_nothing_that_is_stored_and_replay_agrees(
    desk: Desk, kind: str, change: Callable[[Json], object]
) -> None:
    desk.bring(LMP, hour_body(lambda r: r))
    before = desk.rows(LMP)
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    brought = desk.bring(LMP, hour_body(change))
    assert kind in {d.kind for d in brought.done.drift}
    assert desk.rows(LMP).equals(before)
    assert len(before) == 36
    out = desk.resources.lake.read(QUARANTINE)
    again = ingest.replay(desk.resources, LMP, JULY)
    assert again.merged.snapshot_id is None
    assert desk.rows(LMP).equals(before)
    assert desk.resources.lake.read(QUARANTINE).equals(out)
    assert again.quarantined == len(out)


def test_a_later_answer_puts_it_right_and_the_check_still_tells_of_the_earlier_one(
    desk: Desk,
) -> None:
    desk.bring(LMP, hour_body(BLOCKING[1][1]))
    desk.clock.set(desk.clock() + dt.timedelta(minutes=5))
    brought = desk.bring(LMP, hour_body(lambda r: r))
    assert len(desk.rows(LMP)) == 36
    assert brought.done.drift == ()
    verdict = brought.verdicts["schema_drift"]
    assert (verdict.severity, verdict.count) == ("ERROR", 36)
    assert "36 records of earlier answers were quarantined" in verdict.reason


def test_what_may_be_absent_takes_nothing_with_it(desk: Desk) -> None:
    """All parts of a price are optional in the operator's XSD: then the sum rule is silent."""
    parts = ("EnergyComponent", "CongestionComponent", "LossComponent")
    brought = desk.bring(LMP, hour_body(lambda r: [r.pop(p) for p in parts]))
    assert len(desk.rows(LMP)) == 36
    assert {(d.kind, d.severity) for d in brought.done.drift} == {("vanished", "WARN")}
    assert brought.done.quarantined == 0


def test_a_price_near_zero_is_not_taken_for_one_in_other_units(desk: Desk) -> None:
    def cents(record: Json) -> None:
        number = int(record["Location"]["@LocId"]) % 12 + 1
        record |= {"LmpTotal": number / 100, "EnergyComponent": number / 100}
        record |= {"CongestionComponent": 0, "LossComponent": 0}

    tree: Json = json.loads(render_lmp_hour(JULY, "05", 40))
    for record in records_of(tree):
        cents(record)
    brought = desk.bring(LMP, json.dumps(tree).encode())
    assert brought.done.drift == ()
    assert brought.done.quarantined == 0


def test_a_new_field_in_a_lone_record_is_not_the_one_that_is_absent() -> None:
    (found,) = drift_of(
        ISONE_SYSTEM_LOAD,
        "live",
        b'{"FiveMinSystemLoad":[{"BeginDate":"2026-07-20T12:00:00.000-04:00","LoadMw":15000.5,'
        b'"NativeLoad":15000.5,"SystemLoadBtmPv":16000.5,"NativeLoadBtmPv":16000.5,"NewMw":7}]}',
    ).drift
    assert not found.refuses


def test_rows_of_what_counts_as_drifted_now_are_not_dropped_by_a_rebuild(desk: Desk) -> None:
    desk.bring(LMP, hour_body(lambda r: r))
    later = desk.clock() + dt.timedelta(minutes=5)
    desk.take(LMP, hour_body(lambda r: r.update(LmpTotal=r["LmpTotal"])), at=later, force=True)
    config = desk.resources.config(LMP)
    fields = {**config.expected_fields["live"], "Unheard": "number"}
    stricter = replace(config, expected_fields={"live": fields})
    datasets = {**desk.resources.configuration.datasets, LMP.key: stricter}
    resources = replace(
        desk.resources, configuration=replace(desk.resources.configuration, datasets=datasets)
    )
    with pytest.raises(ContractBroken, match="not the one that config expects now"):
        ingest.replay(resources, LMP, JULY)
    assert len(desk.rows(LMP)) == 36
    assert ingest.replay(resources, LMP, JULY, force=True).merged.removed == 36


def test_a_warning_stores(desk: Desk) -> None:
    def warn(record: Json) -> None:
        record["Newer"] = 1
        record["Location"]["@LocType"] = "MICROGRID"

    brought = desk.bring(LMP, hour_body(warn))
    assert len(desk.rows(LMP)) == 36
    assert {(d.kind, d.severity) for d in brought.done.drift} == {
        ("added", "WARN"),
        ("new_value", "WARN"),
    }
    assert brought.verdicts["schema_drift"].severity == "WARN"


def test_a_retyped_value_keeps_out_its_own_record_alone(desk: Desk) -> None:
    tree: Json = json.loads(render_lmp_hour(JULY, "05", 3))
    records_of(tree)[7]["LmpTotal"] = "39.16"
    brought = desk.bring(LMP, json.dumps(tree).encode())
    assert len(desk.rows(LMP)) == 35
    (out,) = desk.resources.lake.read(QUARANTINE).to_dicts()
    assert out["rules"] == "record_can_be_read"
    assert brought.verdicts["schema_drift"].severity == "ERROR"


def test_drift_rejects_the_snapshot_where_config_says_so(desk: Desk) -> None:
    config = desk.resources.configuration
    strict = replace(config.datasets[LMP.key], on_broken_row="reject")
    desk.resources.configuration = replace(config, datasets={**config.datasets, LMP.key: strict})
    brought = desk.bring(LMP, hour_body(BLOCKING[1][1]))
    assert desk.rows(LMP).is_empty()
    assert SCHEMA_RULE in brought.done.rejected[0]
    assert not brought.verdicts["contract"].passed


def test_a_field_that_may_lack_is_not_missed_in_fewer_than_a_handful_of_records() -> None:
    def without_parts(count: int) -> bytes:
        parts = ("EnergyComponent", "CongestionComponent", "LossComponent")
        records = lmp_records(JULY, range(count), locations=1)
        bare = [{n: v for n, v in r.items() if n not in parts} for r in records]
        return json.dumps(wrapped("FiveMinLmps", "FiveMinLmp", bare)).encode()

    assert drift_of(LMP, "live", without_parts(4)).drift == ()
    assert {d.kind for d in drift_of(LMP, "live", without_parts(5)).drift} == {"vanished"}


def test_two_fields_that_vanish_for_one_that_came_are_not_guessed_at() -> None:
    def change(record: Json) -> None:
        del record["EnergyComponent"], record["LossComponent"]
        record["Newer"] = 1.5

    kinds = kinds_and_fields(drift_of(LMP, "live", hour_body(change)).drift)
    assert kinds == [
        ("added", "Newer"),
        ("vanished", "EnergyComponent"),
        ("vanished", "LossComponent"),
    ]


def test_a_shape_that_no_dialect_has_is_no_drift() -> None:
    with pytest.raises(MalformedPayload):
        inspect_answer(LMP, b'{"Other": []}', "json")
