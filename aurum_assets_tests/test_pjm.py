"""PJM: off without a key of one's own; pages by link, prices that add up, requests that fit."""

import contextlib
import datetime as dt
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurum_assets import ingest
from aurum_assets.definitions import build
from aurum_assets.graph.jobs import asked_by, schedule_groups
from aurum_assets.ingest.day import bring
from aurum_assets.ingest.doctor import examine
from aurum_assets.model.dataset import Endpoint, Feed
from aurum_assets.model.errors import MalformedPayload, NotYetPublished, SourceRefused
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.operators import DATASETS
from aurum_assets.operators.pjm.lmp import PJM_DA_LMP, PJM_ITSCED_LMP, PJM_RT_LMP
from aurum_assets.operators.pjm.operator import PJM, is_not_out, next_page, problem_in
from aurum_assets.resources import redaction
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.credentials import Credentials
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.wire import Reply, Request, Server
from aurum_assets_tests.conftest import NOON, Aurum, Desk, printed, utc
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import recording

TODAY, TOMORROW = "2026-07-21", "2026-07-22"
KEY = "demo-key-of-pjm"
OURS = [d for d in DATASETS if d.operator is PJM]


def opened(tmp_path: Path, variables: Mapping[str, str]) -> Resources:
    return open_resources(DATASETS, Settings.read(home=tmp_path / "home"), variables=variables)


def names_of(resources: Resources) -> set[str]:
    """Everything in the graph that is called after PJM, but for the resource."""
    defs = build(resources)
    graph = defs.resolve_asset_graph()
    names = {key.to_user_string() for key in graph.get_all_asset_keys()}
    names |= {job.name for job in defs.resolve_all_job_defs()}
    names |= {schedule.name for schedule in defs.schedules or ()}
    names |= {sensor.name for sensor in defs.sensors or ()}
    return {name for name in names if "pjm" in name}


def test_without_a_key_nothing_of_it_is_in_the_graph_and_with_one_all_is(tmp_path: Path) -> None:
    assert names_of(opened(tmp_path, {})) == set()
    found = names_of(opened(tmp_path, {"PJM_API_KEY": KEY}))
    assert {f"{room}/{d.key}" for room in ("raw", "market") for d in OURS} <= found
    assert {"pjm_five_minutes_schedule", "pjm_fifteen_minutes_schedule"} <= found
    assert {"pjm_daily_schedule", "pjm_da_lmp_daily_schedule"} <= found


def test_without_a_key_the_doctor_says_in_one_sentence_where_to_get_one(tmp_path: Path) -> None:
    (found,) = (f for f in examine(opened(tmp_path, {})) if f.part == "pjm")
    assert (found.state, found.result) == ("off", "no credentials")
    assert found.remedy == "set PJM_API_KEY (register at https://apiportal.pjm.com)"


def test_what_a_key_brought_is_missed_by_nobody_once_the_key_is_gone(live_desk: Desk) -> None:
    day = PJM_RT_LMP.day(TODAY)
    ingest.collect(live_desk.resources, PJM_RT_LMP, day)
    ingest.normalize(live_desk.resources, PJM_RT_LMP, day)

    def late(resources: Resources) -> list[str]:
        live_desk.clock.set(NOON)
        ingest.look(resources, DATASETS)
        for hours in range(1, 4):
            live_desk.clock.set(NOON + dt.timedelta(hours=hours))
            found = ingest.look(resources, DATASETS)
        return [a.sentence for a in found if a.dataset == PJM_RT_LMP.key]

    off = live_desk.resources.configuration.opted(DATASETS, ())
    assert late(replace(live_desk.resources, configuration=off)) == []
    assert any("prelim_day" in sentence for sentence in late(live_desk.resources))


def test_a_file_is_loaded_without_a_key(aurum: Aurum) -> None:
    file = recording("pjm_da_lmp", "live", "ordinary").path
    done = printed(aurum("load", "--dataset", "pjm_da_lmp", file, "--json", PJM_API_KEY=""))
    assert (done["stored"], done["quarantined"]) == (3, 0)
    rows = aurum("sql", "select count(*) n from pjm_da_lmp where finality = 'final'", "--json")
    assert json.loads(rows.stdout)["data"] == [{"n": 3}]


def test_asking_without_a_key_says_what_to_set(aurum: Aurum) -> None:
    result = aurum("collect", "pjm", "da_lmp", PJM_API_KEY="")
    assert result.exit_code == 1
    assert "set PJM_API_KEY (register at https://apiportal.pjm.com)" in result.stderr


@pytest.mark.slow
def test_the_probe_leaves_out_what_is_off_unless_it_is_named(aurum: Aurum) -> None:
    def probed(*words: str, **more: str) -> set[str]:
        result = aurum("probe", "--json", *words, **more)
        return {p["state"] for p in printed(result)["probed"] if p["dataset"].startswith("pjm_")}

    assert probed(PJM_API_KEY="") == set()
    assert probed("--operator", "pjm", PJM_API_KEY="") == {"not asked"}
    assert probed("--operator", "pjm") == {"ok"}


@pytest.mark.parametrize("dataset", OURS, ids=lambda d: d.key)
def test_a_day_in_pages_is_the_day_of_one_page(desk: Desk, dataset: Any) -> None:  # noqa: ANN401  a Dataset
    day = dataset.day(TODAY)

    def rows(page_rows: int) -> tuple[int, int, list[dict[str, Any]]]:
        simulator = Simulator(desk.clock, locations=3, limits={}, page_rows=page_rows)
        with simulator.serve() as running:
            urls = {**desk.resources.base_urls, **running.urls}
            resources = remade(desk.resources, root=desk.resources.root / str(page_rows))
            resources = remade(resources, base_urls=urls)
            done = ingest.collect(resources, dataset, day)
            normalized = ingest.normalize(resources, dataset, day)
            assert normalized.quarantined == 0
            assert {s.status for s in simulator.requests} == {200}
        table = resources.lake.read(dataset.table, None).drop("raw_sha256", "fetched_at")
        return done.requests, done.count("stored"), table.to_dicts()

    one, pages = rows(50_000), rows(len(rows(50_000)[2]) // 3)
    assert one[:2] == (1, 1)
    assert pages[0] == pages[1] >= 3
    assert pages[2] == one[2]
    assert len(one[2]) > 50


def test_what_is_asked_for_is_a_day_of_new_york_of_the_listed_pnodes(
    configuration: Configuration,
) -> None:
    (feed,) = configuration.datasets["pjm_da_lmp"].feeds
    path = feed.endpoints[0].url_path(PJM_DA_LMP.day("2026-11-26"))
    assert "datetime_beginning_ept=11%2F26%2F2026%2000:00to11%2F26%2F2026%2023:59&" in path
    assert "startRow=1" in path
    pnodes = configuration.operators["pjm"].lists["pnodes"]
    assert f"pnode_id={';'.join(pnodes.values())}&" in path
    assert len(set(pnodes.values())) == len(pnodes) == 17


def test_the_next_page_is_the_one_that_the_link_names() -> None:
    href = "https://api.pjm.com/api/v1/da_hrl_lmps?startRow=51"
    links = [{"rel": "self", "href": "x"}, {"rel": "next", "href": href}]
    assert next_page(json.dumps({"items": [{}], "links": links}).encode(), {}) == href
    assert next_page(json.dumps({"items": [{}], "links": links[:1]}).encode(), {}) is None
    assert next_page(b'{"items":[]}', {}) is None
    assert next_page(b'{"items":[],"links":null}', {}) is None
    with pytest.raises(MalformedPayload, match="no page"):
        next_page(b'{"items":[],"links":7}', {})


def test_a_day_that_is_not_out_has_no_items_and_is_asked_for_again(live_desk: Desk) -> None:
    day = PJM_DA_LMP.day(TOMORROW)
    assert is_not_out(b'{"links":[],"items":[],"totalRows":0}')
    assert is_not_out(b'{"items":null,"totalRows":0,"links":[]}')
    live_desk.clock.set(utc("2026-07-21T13:29:00-04:00"))
    with pytest.raises(NotYetPublished, match="ask again later"):
        ingest.collect(live_desk.resources, PJM_DA_LMP, day)
    assert live_desk.resources.archive.size("pjm_da_lmp") == (0, 0)
    live_desk.clock.set(utc("2026-07-21T13:30:00-04:00"))
    assert ingest.collect(live_desk.resources, PJM_DA_LMP, day).count("stored") == 1


def test_the_first_interval_of_a_day_may_be_out_by_the_second_mark(live_desk: Desk) -> None:
    day = PJM_RT_LMP.day(TODAY)
    live_desk.clock.set(day.start + dt.timedelta(seconds=30))
    with pytest.raises(NotYetPublished):
        ingest.collect(live_desk.resources, PJM_RT_LMP, day, feeds=["prelim_day"])
    assert bring(live_desk.resources, PJM_RT_LMP, day, feeds=["prelim_day"]).expected
    live_desk.clock.set(day.start + dt.timedelta(minutes=3))
    assert ingest.collect(live_desk.resources, PJM_RT_LMP, day).count("stored") == 1


def test_the_forecast_across_midnight_is_there_before_midnight(live_desk: Desk) -> None:
    tomorrow = PJM_ITSCED_LMP.day(TOMORROW)
    live_desk.clock.set(utc("2026-07-21T23:52:00-04:00"))
    assert bring(live_desk.resources, PJM_ITSCED_LMP, tomorrow).error is None
    rows = live_desk.rows(PJM_ITSCED_LMP, TOMORROW)
    assert rows["interval_start"].min() == tomorrow.start
    normalized = ingest.normalize(live_desk.resources, PJM_ITSCED_LMP, tomorrow)
    assert [v for v in ingest.check(live_desk.resources, normalized) if not v.passed] == []
    live_desk.clock.set(tomorrow.start)  # the rest of the day is not due yet
    assert ingest.gap_of(live_desk.resources, PJM_ITSCED_LMP, tomorrow) is None


def test_that_no_forecast_reaches_tomorrow_yet_is_no_failure(live_desk: Desk) -> None:
    outcome = bring(live_desk.resources, PJM_ITSCED_LMP, PJM_ITSCED_LMP.day(TOMORROW))
    assert isinstance(outcome.error, NotYetPublished)
    assert outcome.expected


def test_the_forecast_is_asked_for_today_and_tomorrow_and_for_yesterday_after_midnight(
    configuration: Configuration,
) -> None:
    (feed,) = configuration.datasets["pjm_itsced_lmp"].feeds
    midnight = PJM_ITSCED_LMP.day(TODAY).start

    def asked(minutes: int) -> list[str]:
        at = midnight + dt.timedelta(minutes=minutes)
        return sorted(day.key for day in ingest.days_asked(PJM, feed, at))

    assert asked(7) == ["2026-07-20", TODAY, TOMORROW]
    assert asked(22) == [TODAY, TOMORROW]


# --- errors --------------------------------------------------------------------------------------


def test_a_refusal_is_an_error_with_its_text(live_desk: Desk) -> None:
    place = Endpoint("da_hrl_lmps", "/da_hrl_lmps?rowCount=1&startRow=1")
    with live_desk.resources.api(PJM) as api, pytest.raises(SourceRefused) as caught:
        api.fetch("pjm_da_lmp", Feed("now", "now", "backfill", (place,)))
    text = "(400, 'Filters: DateTime filter field value range is invalid')"
    assert text in str(caught.value)


def test_an_answer_of_errors_alone_is_rejected_with_its_text(desk: Desk) -> None:
    body = b'{"errors":[{"field":"Filters","message":"A datetime is missing."}]}'
    kept = desk.take(PJM_RT_LMP, body)
    assert kept.outcome == "rejected"
    assert "A datetime is missing." in kept.reason
    assert problem_in(body) == "Filters: A datetime is missing."
    assert problem_in(b"<html>") == ""


@contextlib.contextmanager
def answering(desk: Desk, bodies: Mapping[str, bytes]) -> Iterator[Resources]:
    """A desk whose Data Miner has these answers, by feed."""

    def reply(request: Request) -> Reply:
        found = [body for feed, body in bodies.items() if f"/{feed}?" in request.target]
        return Reply(200, found[0], {"Content-Type": "application/json"})

    server = Server("127.0.0.1", 0, reply)
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        yield remade(desk.resources, base_urls={**desk.resources.base_urls, "pjm": url})
    finally:
        server.stop()


@pytest.mark.parametrize(
    "body", [b'{"items":null,"totalRows":0,"links":[]}', b'{"items":[],"links":null}']
)
def test_a_page_of_null_has_no_items_and_no_next_page(desk: Desk, body: bytes) -> None:
    with answering(desk, {"da_hrl_lmps": body}) as resources:
        with pytest.raises(NotYetPublished):
            ingest.collect(resources, PJM_DA_LMP, PJM_DA_LMP.day(TOMORROW))
        done = ingest.collect(resources, PJM_DA_LMP, PJM_DA_LMP.day(TODAY))
        assert (done.count("stored"), done.archived[0].records) == (1, 0)
        assert ingest.normalize(resources, PJM_DA_LMP, PJM_DA_LMP.day(TODAY)).rejected == []


def test_the_bytes_of_a_page_that_cannot_be_read_are_kept(desk: Desk) -> None:
    with answering(desk, {"da_hrl_lmps": b'{"items":7,"links":[]}'}) as resources:
        done = ingest.Collected()
        with pytest.raises(MalformedPayload, match="the bytes are kept at"):
            ingest.collect(resources, PJM_DA_LMP, PJM_DA_LMP.day(TOMORROW), into=done)
        assert [a.outcome for a in done.archived] == ["rejected"]


def test_a_link_that_cannot_be_read_keeps_no_other_feed_from_being_asked(desk: Desk) -> None:
    day, good = "2026-07-10", recording("pjm_rt_lmp", "verified", "ordinary").body
    broken = b'{"items":[],"links":7}'
    bodies = {"rt_unverified_fivemin_lmps": broken, "rt_fivemin_hrl_lmps": good}
    with answering(desk, bodies) as resources:
        done = ingest.Collected()
        with pytest.raises(MalformedPayload, match="no page of Data Miner"):
            ingest.collect(resources, PJM_RT_LMP, PJM_RT_LMP.day(day), into=done)
    assert list(done.failed) == ["prelim_day"]
    assert [a.outcome for a in done.archived] == ["stored", "stored"]


# --- prices --------------------------------------------------------------------------------------


def changed(dialect: str, name: str, change: Mapping[str, Any], record: int = 0) -> bytes:
    """A recording with one of its records changed."""
    document = json.loads(recording(name, dialect, "ordinary").body)
    document["items"][record] |= change
    return json.dumps(document).encode()


RULES = [
    # system energy price: exactly one number an interval
    ("pjm_da_lmp", "live", {"system_energy_price_da": 24.31}, ""),
    ("pjm_da_lmp", "live", {"system_energy_price_da": 24.32}, "system_energy_price_is_one_number"),
    # the sum, within a cent inclusive
    ("pjm_da_lmp", "live", {"total_lmp_da": 21.014617}, ""),
    ("pjm_da_lmp", "live", {"total_lmp_da": 21.014618}, "lmp_is_the_sum_of_its_parts"),
    ("pjm_rt_lmp", "verified", {"total_lmp_rt": 52.108656}, "lmp_is_the_sum_of_its_parts"),
    (
        "pjm_rt_lmp",
        "verified",
        {"system_energy_price_rt": 62.21},
        "system_energy_price_is_one_number",
    ),
    ("pjm_rt_lmp", "verified", {"row_is_current": False}, "row_is_current"),
    # where there is none: lmp - congestion - loss, within three cents inclusive
    ("pjm_rt_lmp", "unverified", {"total_lmp_rt": 27.134218}, ""),
    (
        "pjm_rt_lmp",
        "unverified",
        {"total_lmp_rt": 27.134219},
        "energy_is_one_number_within_3_cents",
    ),
    ("pjm_itsced_lmp", "live", {"itsced_lmp": 31.17}, ""),
    ("pjm_itsced_lmp", "live", {"itsced_lmp": 31.16}, "energy_is_one_number_within_3_cents"),
    ("pjm_itsced_lmp", "live", {"pnode_id": "W1"}, "location_id_is_a_number_in_ascii_digits"),
]


@pytest.mark.parametrize(("name", "dialect", "change", "rule"), RULES)
def test_a_price_that_does_not_agree_with_its_interval_is_quarantined(
    desk: Desk, name: str, dialect: str, change: Mapping[str, Any], rule: str
) -> None:
    dataset = next(d for d in OURS if d.key == name)
    finality = {"unverified": "prelim", "verified": "final"}.get(dialect)
    finality = finality or ("final" if dataset is PJM_DA_LMP else None)
    body = changed(dialect, name, change)
    brought = desk.bring(dataset, body, dialect=dialect, finality=finality)
    assert brought.done.quarantined == (1 if rule else 0)
    if rule:
        kept = desk.resources.lake.read(QUARANTINE, None)
        assert kept["rules"].to_list() == [rule]
    good = len(json.loads(body)["items"]) - (1 if rule else 0)
    assert len(desk.rows(dataset)) == good


def test_a_forecast_keeps_every_vintage(live_desk: Desk) -> None:
    day = PJM_ITSCED_LMP.day(TODAY)
    for minutes in (0, 15):
        live_desk.clock.set(NOON + dt.timedelta(minutes=minutes))
        ingest.collect(live_desk.resources, PJM_ITSCED_LMP, day)
        done = ingest.normalize(live_desk.resources, PJM_ITSCED_LMP, day)
        assert done.quarantined == 0
    rows = live_desk.rows(PJM_ITSCED_LMP, TODAY)
    cases = Counter(rows["published_at"].to_list())
    assert max(cases) == NOON + dt.timedelta(minutes=11)
    of_one = rows.filter(interval_start=NOON, location_id=rows["location_id"][0])
    assert len(of_one) == 4
    assert of_one["lmp"].n_unique() == 4


# --- requests ------------------------------------------------------------------------------------


def test_a_day_of_schedules_fits_into_six_requests_a_minute(configuration: Configuration) -> None:
    groups = schedule_groups([(d, configuration.datasets[d.key]) for d in OURS])
    start = PJM_RT_LMP.day(TODAY).start
    planned: Counter[dt.datetime] = Counter()
    for minute in range(24 * 60):
        at = start + dt.timedelta(minutes=minute)
        for group in groups:
            if ticks(group.cadence, at):
                days = asked_by(group, at).values()
                planned[at] += sum(len(feeds) for one in days for feeds in one.values())
    text = (Path(__file__).parents[1] / "docs" / "guide" / "pjm.md").read_text()
    assert f"take {planned.total()} requests, never more than {max(planned.values())} in" in text
    assert max(planned.values()) < PJM.limits[0].requests


def ticks(cadence: Any, at: dt.datetime) -> bool:  # noqa: ANN401  a Cadence
    """Whether a schedule of that cadence ticks in the minute ``at``."""
    if cadence.within_the_day:
        return bool((at.minute - cadence.offset_minutes) % cadence.minutes == 0)
    return bool(PJM_RT_LMP.day(TODAY).at(cadence.at) == at)


def test_the_last_intervals_of_a_day_are_asked_for_after_midnight(
    configuration: Configuration,
) -> None:
    groups = schedule_groups([(d, configuration.datasets[d.key]) for d in OURS])
    group = next(g for g in groups if g.cadence.name == "five_minutes")
    midnight = PJM_RT_LMP.day(TODAY).start
    asked = asked_by(group, midnight + dt.timedelta(minutes=3))
    assert asked == {day: {"pjm_rt_lmp": ["prelim_day"]} for day in ("2026-07-20", TODAY)}
    assert list(asked_by(group, midnight + dt.timedelta(minutes=23))) == [TODAY]


# --- the key -------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_and_said_nowhere(live_desk: Desk) -> None:
    canary = "canary-key-of-pjm"
    credentials = {"pjm": Credentials.of(PJM, canary)}
    resources = remade(live_desk.resources, credentials=credentials)
    with pytest.raises(SourceRefused, match="set PJM_API_KEY") as caught:
        ingest.collect(resources, PJM_DA_LMP, PJM_DA_LMP.day(TODAY))
    assert canary not in str(caught.value)
    assert canary in redaction.known()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Ocp-Apim-Subscription-Key: hunter2", "Ocp-Apim-Subscription-Key: ***"),
        ("{'Ocp-Apim-Subscription-Key': 'hunter2'}", "{'Ocp-Apim-Subscription-Key': '***'}"),
        ("/da_hrl_lmps?subscription-key=hunter2", "/da_hrl_lmps?subscription-key=***"),
    ],
)
def test_what_looks_like_a_key_is_hidden(text: str, shown: str) -> None:
    assert redaction.redacted(text) == shown
