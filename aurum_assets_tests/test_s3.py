"""A failing S3 loses nothing, doubles nothing, and holds nobody up for long."""

import json
import os
import subprocess
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aurum_assets import ingest
from aurum_assets.graph.translate import translated_failures
from aurum_assets.ingest.keep import waiting as in_spool
from aurum_assets.model.dataset import Dataset
from aurum_assets.model.errors import (
    ConfigError,
    MalformedPayload,
    NothingArchived,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources import objects
from aurum_assets.resources.archive import (
    CONNECT_SECONDS,
    READ_SECONDS,
    TRIES,
    Archive,
    ArchiveSettings,
)
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.lake import Lake
from aurum_assets.resources.objects import S3, bounded_client, open_store, s3_properties
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets_tests.conftest import Desk
from aurum_assets_tests.made import remade
from aurum_assets_tests.servers.s3 import S3Server
from aurum_assets_tests.test_archive import BODY, envelope, minutes, put

LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
DAY = "2026-07-20"
BROKEN = b"<html>maintenance</html>"
LOADS = [
    b'{"FiveMinSystemLoads":{"FiveMinSystemLoad":'
    b'{"BeginDate":"2026-07-20T17:20:00.000-04:00","LoadMw":%d}}}' % (15_000 + n)
    for n in range(3)
]


@pytest.fixture
def store(s3: S3Server) -> S3:
    return S3("raw", uuid.uuid4().hex, endpoint=s3.url)


@pytest.fixture
def archive(store: S3) -> Archive:
    return Archive(store)


@pytest.fixture
def on_s3(resources: Resources, s3: S3Server) -> Resources:
    place = f"s3://raw/{uuid.uuid4().hex}"
    return remade(resources, archive=ArchiveSettings(place, endpoint=s3.url))


@pytest.fixture
def desk(on_s3: Resources, desk: Desk) -> Desk:
    return Desk(on_s3, desk.clock)


def waiting(desk: Desk) -> list[Path]:
    """The objects in the spool."""
    return sorted((desk.resources.root / "spool").rglob("*.gz"))


# --- what an object is ---------------------------------------------------------------------------


def test_an_object_carries_its_envelope_checksum_and_version(
    archive: Archive, s3: S3Server
) -> None:
    stored = put(archive, filters={"node": "Châteauguay"})
    key = archive.uri.removeprefix("s3://raw/") + "/" + stored.path
    assert "/sourcing/isone_rt_lmp/year=2026/month=07/day=20/2026" in key
    found = bounded_client(s3.url, "", "").get_object(Bucket="raw", Key=key, ChecksumMode="ENABLED")
    metadata = found["Metadata"]
    assert {name: json.loads(metadata[name]) for name in ("endpoint", "dialect", "finality")} == {
        "endpoint": "fiveminutelmp_current_all",
        "dialect": "live",
        "finality": "prelim",
    }
    assert json.loads(metadata["raw-sha256"]) == envelope().raw_sha256
    assert json.loads(metadata["filters"]) == {"node": "Châteauguay"}
    assert all(value.isascii() for value in metadata.values())
    assert (found["VersionId"], found["ETag"].strip('"')) == (stored.version, stored.etag)
    assert found["ChecksumSHA256"]
    again = put(archive, filters={"node": "Châteauguay"})
    assert (again.version, again.etag) == (stored.version, stored.etag), "asked for where it lay"


def test_metadata_beyond_2_kb_lies_beside_the_object_and_less_is_user_metadata(
    store: S3, s3: S3Server
) -> None:
    before = s3.count("PUT", match=".meta.json")
    for length, beside in ((1_500, 0), (2_500, 1)):
        metadata = json.dumps({"raw_sha256": "0", "filters": {"node": "n" * length}}).encode()
        store.put(f"sourcing/x/{length}.json.gz", BODY, metadata)
        assert json.loads(store.metadata(f"sourcing/x/{length}.json.gz")) == json.loads(metadata)
        assert s3.count("PUT", match=".meta.json") - before == beside


def test_a_listing_goes_on_over_its_pages(s3: S3Server) -> None:
    store = S3("raw", uuid.uuid4().hex, endpoint=s3.url, page=3)
    archive = Archive(store)
    for n in range(7):
        put(archive, b'{"n":%d}' % n, day=f"2026-07-0{n + 1}", endpoint=f"e{n}")
    assert [day[-1] for day in archive.days("isone_rt_lmp")] == [*"1234567"]
    assert archive.size("isone_rt_lmp")[0] == 7


def test_without_versions_an_object_has_no_version(s3: S3Server) -> None:
    s3.make_bucket("plain", versioned=False)
    assert put(Archive(S3("plain", endpoint=s3.url))).version == ""


def test_region_endpoint_and_waits_are_those_that_were_configured(s3: S3Server) -> None:
    config: Any = bounded_client(s3.url, "eu-west-3", "").meta.config  # more than its stub says
    assert config.region_name == "eu-west-3"
    assert (config.connect_timeout, config.read_timeout) == (3, 8)
    assert config.retries["mode"] == "standard"
    assert config.retries["total_max_attempts"] == 3


# --- failures that pass --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["503", "500", "reset", "409", "swallow"])
def test_a_put_that_meets_trouble_once_makes_one_object(
    archive: Archive, s3: S3Server, kind: str
) -> None:
    s3.fail(kind, method="PUT")
    stored = put(archive)
    assert stored.created, "by this very put, whatever its first try was answered"
    assert archive.size("isone_rt_lmp")[0] == 1
    assert not put(archive).created


def test_a_lost_answer_leaves_one_version(archive: Archive, s3: S3Server) -> None:
    s3.fail("swallow", 2, method="PUT")
    stored = put(archive)
    client = bounded_client(s3.url, "", "")
    prefix = archive.uri.removeprefix("s3://raw/")
    versions = client.list_object_versions(Bucket="raw", Prefix=prefix)["Versions"]
    assert [v["VersionId"] for v in versions] == [stored.version]


@pytest.mark.parametrize("kind", ["503", "500", "reset", "cut", "corrupt"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_read_that_meets_trouble_is_asked_again(
    archive: Archive, s3: S3Server, kind: str, times: int
) -> None:
    put(archive)
    (identifier,) = archive.identifiers("isone_rt_lmp", DAY)
    s3.fail(kind, times if kind not in ("503", "500") else 1, method="GET", match=identifier)
    assert archive.snapshot("isone_rt_lmp", DAY, identifier).body == BODY


def test_bytes_that_always_come_damaged_are_one_clear_error_after_a_few_tries(
    archive: Archive, s3: S3Server
) -> None:
    put(archive)
    (identifier,) = archive.identifiers("isone_rt_lmp", DAY)
    asked = s3.count("GET", match=identifier)
    with s3.out_of_reach("corrupt"), pytest.raises(MalformedPayload, match="checksum"):
        archive.snapshot("isone_rt_lmp", DAY, identifier)
    assert s3.count("GET", match=identifier) - asked == 3


def test_an_answer_that_always_breaks_off_is_no_lost_object(archive: Archive, s3: S3Server) -> None:
    put(archive)
    (identifier,) = archive.identifiers("isone_rt_lmp", DAY)
    with s3.out_of_reach("cut"), pytest.raises(StoreUnavailable, match="ask again later"):
        archive.snapshot("isone_rt_lmp", DAY, identifier)


def test_racing_writers_of_other_objects_and_slow_answers_lose_nothing(
    archive: Archive, s3: S3Server
) -> None:
    s3.fail("slow", 5, method="PUT", seconds=0.2)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: put(archive, b'{"n":%d}' % n), range(12)))
    assert archive.size("isone_rt_lmp")[0] == 12


# --- out of reach --------------------------------------------------------------------------------


READS: dict[str, Callable[[Archive], object]] = {
    "identifiers": lambda a: a.identifiers("isone_rt_lmp", DAY),
    "days": lambda a: a.days("isone_rt_lmp"),
    "size": lambda a: a.size("isone_rt_lmp"),
    "rejections": lambda a: list(a.rejections("isone_rt_lmp")),
    "envelope": lambda a: a.envelope("isone_rt_lmp", DAY, envelope().identifier),
    "snapshot": lambda a: a.snapshot("isone_rt_lmp", DAY, envelope().identifier),
}


@pytest.mark.parametrize("read", READS)
def test_out_of_reach_is_an_error_and_never_an_empty_archive_or_a_lost_object(
    archive: Archive, s3: S3Server, read: str
) -> None:
    put(archive)
    with s3.out_of_reach(), pytest.raises(StoreUnavailable, match="out of reach"):
        READS[read](archive)
    with s3.out_of_reach("403"), pytest.raises(StoreRefused, match="403"):
        READS[read](archive)
    assert READS[read](archive) is not None


@pytest.mark.parametrize("read", READS)
def test_a_missing_bucket_is_an_error_and_never_an_empty_archive_or_a_lost_object(
    s3: S3Server, read: str
) -> None:
    with pytest.raises(StoreRefused, match="there is no bucket 'absent': make it"):
        READS[read](Archive(S3("absent", endpoint=s3.url)))


@pytest.mark.parametrize(("kind", "ask"), [("drip", "GET"), ("slow", "PUT")])
def test_nobody_waits_longer_than_the_bound_whatever_the_server_does(
    archive: Archive, s3: S3Server, monkeypatch: pytest.MonkeyPatch, kind: str, ask: str
) -> None:
    put(archive)
    monkeypatch.setattr(objects, "SECONDS", 0.3)
    s3.fail(kind, method=ask, seconds=1)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable, match="no answer within"):
        put(archive, b"{}") if ask == "PUT" else archive.size("isone_rt_lmp")
    assert time.monotonic() - began < 0.9


def test_a_place_that_was_silent_is_not_asked_for_a_while_and_others_are(
    archive: Archive, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "SECONDS", 0.3)
    s3.fail("slow", method="PUT", seconds=1)
    with pytest.raises(StoreUnavailable, match="no answer within"):
        put(archive)
    asked = s3.count()
    for read in READS.values():
        with pytest.raises(StoreUnavailable, match="silent less than a minute ago"):
            read(archive)
    assert s3.count() == asked
    monkeypatch.setattr(objects, "SECONDS", 30.0)
    put(Archive(S3("raw", uuid.uuid4().hex, endpoint=s3.url)))
    later = time.monotonic() + objects.QUIET_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    put(archive)
    monkeypatch.undo()
    assert len(archive.identifiers("isone_rt_lmp", DAY)) == 1, "an answer ends the quiet"


def test_the_tries_of_a_silent_server_fit_the_bound() -> None:
    waits = TRIES * (CONNECT_SECONDS + READ_SECONDS)
    backoff = 1 + 2
    assert waits - 2 * CONNECT_SECONDS + backoff <= objects.SECONDS


def test_dagster_asks_again_later() -> None:
    import dagster as dg

    with pytest.raises(dg.Failure) as failed, translated_failures():
        raise StoreUnavailable
    assert failed.value.allow_retries


# --- the spool -----------------------------------------------------------------------------------


def test_what_cannot_be_archived_is_spooled_and_goes_up_with_the_next_run(
    live_desk: Desk, s3: S3Server, on_s3: Resources
) -> None:
    desk = Desk(remade(on_s3, base_urls=live_desk.resources.base_urls), live_desk.clock)
    today = CTS.operator.day_of(desk.resources.now())
    with s3.out_of_reach(), pytest.raises(StoreUnavailable, match=r"kept in file:.*/spool"):
        ingest.collect(desk.resources, CTS, today)
    (kept,) = waiting(desk)
    assert kept.relative_to(desk.resources.root / "spool").parts[:2] == (
        "sourcing",
        CTS.archive_name,
    )
    live_desk.clock.set(desk.resources.now().replace(minute=30))
    done = ingest.collect(desk.resources, CTS, today)
    assert waiting(desk) == []
    assert done.days == [today.key]
    names = desk.resources.archive.identifiers(CTS.archive_name, today.key)
    assert kept.name.partition(".")[0] in names
    ingest.normalize(desk.resources, CTS, today)
    assert ingest.verify(desk.resources, CTS, today).problems == []
    assert kept.name[-24:-8] in {raw[:16] for raw in desk.rows(CTS)["raw_sha256"]}


def test_every_tick_of_an_outage_is_kept_and_repeats_go_up_once(desk: Desk, s3: S3Server) -> None:
    desk.bring(LOAD, LOADS[0])
    with s3.out_of_reach():
        for i, n in enumerate([0, 1, 1, 2]):
            with pytest.raises(StoreUnavailable):
                desk.take(LOAD, LOADS[n], at=minutes(desk, 5 * (i + 1)))
    assert len(waiting(desk)) == 4
    done = ingest.normalize(desk.resources, LOAD, LOAD.day(DAY))
    assert waiting(desk) == []
    assert len(desk.resources.archive.identifiers(LOAD.archive_name, DAY)) == 3
    assert done.rows["load"].to_list() == [15_002.0]
    assert done.rows["fetched_at"].to_list() == [minutes(desk, 20)]
    assert ingest.verify(desk.resources, LOAD, LOAD.day(DAY)).problems == []


def test_rejected_bytes_are_spooled_too(desk: Desk, s3: S3Server) -> None:
    with s3.out_of_reach(), pytest.raises(StoreUnavailable, match="kept in"):
        desk.take(LOAD, BROKEN)
    with pytest.raises(NothingArchived):  # what was spooled goes up first
        ingest.normalize(desk.resources, LOAD, LOAD.day(DAY))
    (rejection,) = desk.resources.archive.rejections(LOAD.key)
    assert desk.resources.archive.rejected_body(rejection) == BROKEN
    assert waiting(desk) == []


def test_where_the_store_refuses_the_bytes_are_kept_as_well(desk: Desk, s3: S3Server) -> None:
    with s3.out_of_reach("403"), pytest.raises(StoreRefused, match=r"AWS_PROFILE.*kept in"):
        desk.take(LOAD, LOADS[0])
    assert len(waiting(desk)) == 1


def test_an_outage_does_not_keep_the_next_answer_from_being_fetched(
    live_desk: Desk, s3: S3Server, on_s3: Resources
) -> None:
    desk = Desk(remade(on_s3, base_urls=live_desk.resources.base_urls), live_desk.clock)
    today = LOAD.operator.day_of(desk.resources.now())
    with s3.out_of_reach():
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="spool"):
                ingest.collect(desk.resources, LOAD, today, feeds=["now"])
            live_desk.clock.set(minutes(desk, 5))
    assert len(waiting(desk)) == 2


def test_a_day_that_came_up_from_the_spool_is_owed_until_it_is_normalized(
    live_desk: Desk, s3: S3Server, on_s3: Resources
) -> None:
    desk = Desk(remade(on_s3, base_urls=live_desk.resources.base_urls), live_desk.clock)
    today = LOAD.operator.day_of(desk.resources.now())
    with s3.out_of_reach(), pytest.raises(StoreUnavailable):
        desk.take(LOAD, LOADS[0])
    for _ in range(2):  # as after a kill between archive and table
        done = ingest.collect(desk.resources, LOAD, today, feeds=["now"])
        assert done.days == [DAY, today.key]
    for key in done.days:
        ingest.normalize(desk.resources, LOAD, LOAD.day(key))
    assert ingest.collect(desk.resources, LOAD, today, feeds=["now"]).days == [today.key]
    assert len(desk.rows(LOAD, DAY)) == 1


@pytest.mark.slow
def test_a_kill_between_upload_and_removal_loses_and_doubles_nothing(
    desk: Desk, s3: S3Server
) -> None:
    with s3.out_of_reach():
        for n in range(2):
            with pytest.raises(StoreUnavailable):
                desk.take(LOAD, LOADS[n], at=minutes(desk, 5 * n))
    place, root = (desk.resources.archive.settings, desk.resources.root)
    program = f"""
import os, signal
from pathlib import Path
from aurum_assets.ingest.keep import drain_spool
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD as LOAD
from aurum_assets.resources import archive
from aurum_assets.operators import DATASETS
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.composition import Specification, compose
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
archive.Archive.discard = die
drain_spool(compose(Specification(Path({str(root)!r}), load_config(Path('config'), DATASETS),
      archive=archive.ArchiveSettings({place.place!r}, {place.endpoint!r}))), LOAD)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, check=False)  # noqa: S603  our own lines
    assert done.returncode == -9
    assert len(waiting(desk)) == 2
    assert len(desk.resources.archive.identifiers(LOAD.archive_name, DAY)) == 1
    ingest.normalize(desk.resources, LOAD, LOAD.day(DAY))
    assert waiting(desk) == []
    assert len(desk.resources.archive.identifiers(LOAD.archive_name, DAY)) == 2
    assert desk.rows(LOAD)["load"].to_list() == [15_001.0]
    assert not list((root / "spool" / "owed").rglob("*Z-*"))


def test_a_damaged_file_in_the_spool_does_not_hold_up_the_others(desk: Desk, s3: S3Server) -> None:
    with s3.out_of_reach():
        for n in range(2):
            with pytest.raises(StoreUnavailable):
                desk.take(LOAD, LOADS[n], at=minutes(desk, 5 * n))
    waiting(desk)[0].write_bytes(b"damaged")
    ingest.normalize(desk.resources, LOAD, LOAD.day(DAY))
    assert len(waiting(desk)) == 1
    assert len(desk.resources.archive.identifiers(LOAD.archive_name, DAY)) == 1


def test_a_damaged_reason_in_the_spool_does_not_hold_up_the_others(
    desk: Desk, s3: S3Server
) -> None:
    with s3.out_of_reach("403"):
        for body in (BROKEN, BROKEN + b" "):
            with pytest.raises(StoreRefused):
                desk.take(LOAD, body)
        with pytest.raises(StoreRefused):
            desk.take(LOAD, LOADS[0])
    min((desk.resources.root / "spool").rglob("*.reason.json")).write_bytes(b"")
    ingest.normalize(desk.resources, LOAD, LOAD.day(DAY))
    assert len(waiting(desk)) == 1
    assert len(list(desk.resources.archive.rejections(LOAD.key))) == 1
    assert len(desk.rows(LOAD)) == 1


def test_a_correction_back_is_no_repetition_while_what_it_corrects_waits_in_the_spool(
    desk: Desk, s3: S3Server
) -> None:
    desk.bring(LOAD, LOADS[0])
    with s3.out_of_reach("403"), pytest.raises(StoreRefused):
        desk.take(LOAD, LOADS[1], at=minutes(desk, 5))
    assert desk.take(LOAD, LOADS[0], at=minutes(desk, 10)).outcome == "stored"
    ingest.normalize(desk.resources, LOAD, LOAD.day(DAY))
    (row,) = desk.rows(LOAD).iter_rows(named=True)
    assert (row["load"], row["fetched_at"]) == (15_000.0, minutes(desk, 10))
    assert desk.take(LOAD, LOADS[0], at=minutes(desk, 15)).outcome == "duplicate"


@pytest.fixture
def on_a_disk_that_is_gone(desk: Desk, tmp_path: Path) -> Desk:
    (tmp_path / "mount").write_text("no folder any more")
    place = ArchiveSettings(f"file:{tmp_path}/mount/archive")
    return Desk(remade(desk.resources, archive=place), desk.clock)


def test_what_a_disk_does_not_take_is_spooled_too(on_a_disk_that_is_gone: Desk) -> None:
    desk = on_a_disk_that_is_gone
    for body in (LOADS[0], BROKEN):
        with pytest.raises(StoreUnavailable, match=r"mount/archive is out of reach.*kept in"):
            desk.take(LOAD, body)
    assert len(waiting(desk)) == 2


def test_a_spool_that_takes_nothing_is_a_sentence(on_a_disk_that_is_gone: Desk) -> None:
    desk = on_a_disk_that_is_gone
    desk.resources.root.mkdir()
    (desk.resources.root / "spool").write_text("no folder")
    with pytest.raises(StoreUnavailable, match=r"mount/archive is out.*lost: file:.*/spool is out"):
        desk.take(LOAD, LOADS[0])


def test_a_spool_that_cannot_be_read_keeps_nothing_out_of_the_archive(desk: Desk) -> None:
    desk.resources.root.mkdir()
    (desk.resources.root / "spool").write_text("no folder")
    assert desk.take(LOAD, LOADS[0]).outcome == "stored"


def test_an_outage_stops_no_feed_and_no_hour_and_a_retry_asks_only_what_was_not_answered(
    live_desk: Desk, on_a_disk_that_is_gone: Desk, tmp_path: Path
) -> None:
    urls = live_desk.resources.base_urls
    resources = remade(
        on_a_disk_that_is_gone.resources,
        base_urls=urls,
        credentials=live_desk.resources.credentials,
    )
    day = LMP.operator.day_of(resources.now()).plus(-1)
    (hourly, *_) = [
        f for f in resources.config(LMP).feeds if f.asks == "hour" and f.finality == "prelim"
    ]

    def collect() -> ingest.Collected:
        done = ingest.Collected()
        with pytest.raises(StoreUnavailable, match="out of reach"):
            ingest.collect(resources, LMP, day, feeds=[hourly.name], attempts_of="run", into=done)
        return done

    assert len(collect().spooled) == 24
    again = collect()
    assert (again.requests, again.count("resumed")) == (0, 24)
    (tmp_path / "mount").unlink()
    done = ingest.collect(resources, LMP, day, feeds=[hourly.name], attempts_of="run")
    assert (done.requests, done.count("resumed"), done.days) == (0, 24, [day.key])
    assert len(resources.archive.identifiers(LMP.archive_name, day.key)) == 24
    assert in_spool(resources) == (0, None)


def test_a_table_is_not_touched_while_its_archive_is_out_of_reach(desk: Desk, s3: S3Server) -> None:
    desk.bring(LOAD, LOADS[0])
    before = desk.rows(LOAD)
    for verb in (ingest.normalize, ingest.replay, ingest.verify):
        with s3.out_of_reach(), pytest.raises(StoreUnavailable):
            verb(desk.resources, LOAD, LOAD.day(DAY))
    assert desk.rows(LOAD).equals(before)


# --- secrets and settings ------------------------------------------------------------------------


def test_no_secret_is_in_an_error_nor_in_what_led_to_it(
    resources: Resources, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "CANARYKEY")
    port = s3.url.rpartition(":")[2]
    endpoints = [
        f"http://canary-user:canary-password@127.0.0.1:{port}",
        "http://canary-user:canary-password@127.0.0.1:1",
        "canary-user:canary-password",
    ]
    traces = []
    for endpoint in endpoints:
        place = Archive(S3("absent", endpoint=endpoint))
        for kind in ("403", "reset"):
            with s3.out_of_reach(kind), pytest.raises((ConfigError, StoreError)) as found:
                put(place)
            traces.append("".join(traceback.format_exception(found.value, limit=0)))
    with pytest.raises(ConfigError) as wrong:
        open_store(ArchiveSettings("s3://CANARYKEY:canary-secret@raw"), resources.root)
    traces.append("".join(traceback.format_exception(wrong.value, limit=0)))
    assert "canary" not in "".join(traces).lower()


def test_credentials_that_cannot_be_found_are_a_sentence(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in s3.environment:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for profile in ("", "nobody"):
        store = S3("raw", endpoint=s3.url, region="us-west-2", profile=profile)
        with pytest.raises(StoreRefused, match="check the credentials"):
            put(Archive(store))


def test_the_profile_that_was_set_for_us_wins_over_that_of_the_shell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "shell")
    s3_properties(ArchiveSettings(profile="ours"))
    assert os.environ["AWS_PROFILE"] == "ours"


@pytest.mark.parametrize(
    "wrong", ["/folder", "raw", "s3://", "s3:raw", "file:folder", "gs://raw/x", "s3://raw?x=1"]
)
def test_a_wrong_place_is_one_sentence(resources: Resources, wrong: str) -> None:
    with pytest.raises(ConfigError, match="AURUM_ARCHIVE: expected file:/folder or s3://bucket"):
        remade(resources, archive=ArchiveSettings(wrong))


def test_the_place_is_what_the_environment_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def uri(**settings: str) -> str:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        return open_resources(DATASETS, Settings.read()).archive.uri

    monkeypatch.setenv("AURUM_HOME", str(tmp_path))
    assert uri() == (tmp_path / "archive").as_uri()
    assert uri(S3_BUCKET="raw") == "s3://raw"
    assert uri(AURUM_ARCHIVE="s3://raw/some/where/") == "s3://raw/some/where"
    assert uri(AURUM_ARCHIVE=f"file:{tmp_path}/a%20b") == (tmp_path / "a b").as_uri()


# --- the whole way -------------------------------------------------------------------------------


@pytest.mark.parametrize("dataset", [LOAD, CTS], ids=lambda d: d.key)
def test_collect_normalize_replay_and_verify_give_the_same_rows_as_on_a_folder(
    live_desk: Desk, on_s3: Resources, dataset: Dataset
) -> None:
    urls = live_desk.resources.base_urls
    day = dataset.operator.day_of(live_desk.resources.now())
    rows = []
    for home in (
        live_desk.resources,
        remade(on_s3, root=live_desk.resources.root.with_name("other"), base_urls=urls),
    ):
        for key in ingest.collect(home, dataset, day).days:
            ingest.normalize(home, dataset, dataset.day(key))
        assert ingest.replay(home, dataset, day).merged.snapshot_id is None
        assert ingest.verify(home, dataset, day).problems == []
        rows.append(home.lake.read(dataset.table))
        (_, size), status = home.archive.size(dataset.archive_name), ingest.status(home, (dataset,))
        assert status[0].bytes == size
    assert len(rows[0])
    assert rows[0].equals(rows[1])


def test_a_warehouse_lies_on_the_same_s3(desk: Desk, s3: S3Server, tmp_path: Path) -> None:
    s3.make_bucket("lake")
    lake = Lake(
        {
            "type": "sql",
            "uri": f"sqlite:///{tmp_path}/catalog.sqlite",
            "warehouse": "s3://lake/warehouse",
            **s3_properties(desk.resources.archive.settings),
        },
        locks=tmp_path,
    )
    desk.resources.lake = lake
    for n in range(3):
        desk.bring(LOAD, LOADS[n], at=minutes(desk, 5 * n))
    assert desk.rows(LOAD)["load"].to_list() == [15_002.0]
    assert lake.read(LOAD.table.history)["load"].to_list() == [15_000.0, 15_001.0]
    assert s3.count("PUT", match="/lake/warehouse/") > 3


# --- whose data it holds -------------------------------------------------------------------------


def test_an_archive_that_homes_share_holds_what_one_side_gave_and_never_both(
    on_s3: Resources, tmp_path: Path
) -> None:
    simulated = remade(on_s3, base_urls={"isone": "http://127.0.0.1:1/api"})
    simulated.api(LOAD.operator).close()
    other = remade(on_s3, root=tmp_path / "other", base_urls={"isone": "https://real.invalid/api"})
    with pytest.raises(ConfigError, match=r"holds simulated data.*set AURUM_ARCHIVE"):
        other.api(LOAD.operator)
    again = remade(on_s3, root=tmp_path / "again", base_urls=simulated.base_urls)
    again.api(LOAD.operator).close()


def test_an_archive_out_of_reach_is_asked_whose_it_is_once_it_is_back(
    on_s3: Resources, s3: S3Server, tmp_path: Path
) -> None:
    remade(on_s3, base_urls={"isone": "http://127.0.0.1:1/api"}).api(LOAD.operator).close()
    other = remade(on_s3, root=tmp_path / "other", base_urls={"isone": "https://real.invalid/api"})
    for kind in ("reset", "403"):
        with s3.out_of_reach(kind):
            other.api(LOAD.operator).close()
    with pytest.raises(ConfigError, match="holds simulated data"):
        other.api(LOAD.operator)


class Claimed(Lake):
    """A lake that counts how often it is asked whose it is."""

    asked = 0

    def claimed_by(self, ours: str) -> str:
        self.asked += 1
        return ours


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("postgresql+psycopg2://other:new@db/lake?sslmode=require", 1),
        ("postgresql+psycopg2://user:old@elsewhere/lake", 2),
        ("postgresql+psycopg2://user:old@db/another", 2),
        ("postgresql+psycopg2://user:old@db/lake?host=/run/other", 2),
    ],
)
def test_a_lake_is_asked_again_when_it_is_elsewhere_and_not_when_a_password_is_new(
    resources: Resources, uri: str, asked: int
) -> None:
    lake = Claimed({})
    for one in ("postgresql+psycopg2://user:old@db/lake", uri):
        catalog = {"type": "sql", "uri": one, "warehouse": "s3://lake/warehouse"}
        lake.configured = catalog
        there = replace(resources, lake=lake)
        there.api(LOAD.operator).close()
    assert lake.asked == asked
