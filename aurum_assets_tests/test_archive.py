"""The archive keeps every byte once, under the day that it names, and never changes it.

The same claims for a folder and for S3. What only S3 can do wrong is in ``test_s3``.
"""

import datetime as dt
import errno
import gzip
import hashlib
import json
import os
import re
import subprocess
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from aurum_assets import ingest
from aurum_assets.model.dataset import Envelope
from aurum_assets.model.errors import ContractBroken, MalformedPayload, StoreUnavailable
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.locations import ISONE_LOCATIONS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.resources.archive import (
    Archive,
    ArchiveSettings,
    DaySize,
    Rejection,
    Stored,
    digest_of,
    order_of,
    seal_of,
    sealed,
)
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.objects import Folder, bounded_client
from aurum_assets_tests.conftest import Desk, utc
from aurum_assets_tests.made import remade
from aurum_assets_tests.recordings import READABLE, Recording, recording
from aurum_assets_tests.servers.s3 import S3Server

LMP, LOAD, CTS = ISONE_RT_LMP, ISONE_SYSTEM_LOAD, MISO_CTS
BODY = b'{"FiveMinLmps":""}'
FETCHED = utc("2026-07-20T21:26:03.000250Z")


def envelope(**changes: object) -> Envelope:
    found = Envelope(
        dataset="isone_rt_lmp",
        endpoint="fiveminutelmp_current_all",
        dialect="live",
        format="json",
        day="2026-07-20",
        fetched_at=FETCHED,
        raw_sha256=hashlib.sha256(BODY).hexdigest(),
        content_sha256="c" * 64,
        finality="prelim",
        asked="2026-07-20",
        filters={"hour": "17"},
    )
    return replace(found, **changes)  # type: ignore[arg-type]  # of any field


class Folded:
    """What a test does to the files of an archive behind its back."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        (self.root / path).write_bytes(content)

    def lose(self, path: str) -> None:
        (self.root / path).unlink()

    def edit(self, path: str, name: str, value: str) -> None:
        about = self.root / f"{path.removesuffix('.json.gz')}.meta.json"
        about.write_text(json.dumps(json.loads(about.read_text()) | {name: value}))

    def stamp(self, path: str) -> object:
        return (self.root / path).stat().st_mtime_ns


class Bucketed:
    """The same to the objects of a bucket."""

    def __init__(self, s3: S3Server, prefix: str) -> None:
        self.client, self.prefix = bounded_client(s3.url, "", ""), prefix

    def read(self, path: str) -> bytes:
        return self.client.get_object(Bucket="raw", Key=f"{self.prefix}/{path}")["Body"].read()

    def write(self, path: str, content: bytes) -> None:
        key = f"{self.prefix}/{path}"
        about = self.client.head_object(Bucket="raw", Key=key)["Metadata"]
        self.client.put_object(Bucket="raw", Key=key, Body=content, Metadata=about)

    def lose(self, path: str) -> None:
        self.client.delete_object(Bucket="raw", Key=f"{self.prefix}/{path}")

    def edit(self, path: str, name: str, value: str) -> None:
        key = f"{self.prefix}/{path}"
        found = self.client.get_object(Bucket="raw", Key=key)
        about = found["Metadata"] | {name: json.dumps(value)}
        self.client.put_object(Bucket="raw", Key=key, Body=found["Body"].read(), Metadata=about)

    def stamp(self, path: str) -> object:
        return self.client.head_object(Bucket="raw", Key=f"{self.prefix}/{path}")["VersionId"]


Behind = Folded | Bucketed


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest) -> ArchiveSettings:
    if request.param == "folder":
        return ArchiveSettings()
    s3: S3Server = request.getfixturevalue("s3")
    return ArchiveSettings(f"s3://raw/{uuid.uuid4().hex}", endpoint=s3.url)


@pytest.fixture
def resources(resources: Resources, place: ArchiveSettings) -> Resources:
    return remade(resources, archive=place)


@pytest.fixture
def archive(resources: Resources) -> Archive:
    return resources.archive


@pytest.fixture
def behind(request: pytest.FixtureRequest, resources: Resources) -> Behind:
    if not resources.archive.settings.place:
        return Folded(resources.root / "archive")
    return Bucketed(
        request.getfixturevalue("s3"), resources.archive.settings.place.rpartition("/")[2]
    )


on_a_folder = pytest.mark.parametrize("place", ["folder"], indirect=True)


def put(archive: Archive, body: bytes = BODY, **changes: object) -> Stored:
    raw = hashlib.sha256(body).hexdigest()
    return archive.put("isone_rt_lmp", envelope(raw_sha256=raw, **changes), body)


def test_an_object_lies_under_its_operating_day_and_is_named_after_fetch_and_bytes(
    archive: Archive,
) -> None:
    stored = put(archive)
    digest = hashlib.sha256(BODY).hexdigest()[:16]
    name = f"20260720T212603000250Z-fiveminutelmp_current_all-{digest}"
    folder = "sourcing/isone_rt_lmp/year=2026/month=07/day=20"
    assert stored.path == f"{folder}/{name}.json.gz"
    assert archive.identifiers("isone_rt_lmp", "2026-07-20") == [name]
    assert archive.days("isone_rt_lmp") == ["2026-07-20"]


def test_bytes_and_envelope_come_back_as_they_went_in(archive: Archive, behind: Behind) -> None:
    body = bytes(range(256)) * 40
    stored = put(archive, body)
    (identifier,) = archive.identifiers("isone_rt_lmp", "2026-07-20")
    snapshot = archive.snapshot("isone_rt_lmp", "2026-07-20", identifier)
    assert snapshot.body == body
    assert snapshot.envelope == envelope(raw_sha256=hashlib.sha256(body).hexdigest())
    packed = behind.read(stored.path)
    assert gzip.decompress(packed) == body
    assert packed[4:8] == b"\0\0\0\0", "no time stamp: equal bytes make equal objects"
    assert stored.etag == hashlib.md5(packed, usedforsecurity=False).hexdigest()
    assert stored.bytes == len(packed)
    assert archive.size("isone_rt_lmp") == (1, len(packed))


def test_an_object_is_put_once_and_never_changed(archive: Archive, behind: Behind) -> None:
    first = put(archive)
    before = (behind.stamp(first.path), behind.read(first.path))
    again = put(archive)
    assert (first.created, again.created) == (True, False)
    assert replace(again, created=True) == first
    assert (behind.stamp(first.path), behind.read(first.path)) == before


def test_many_writers_of_one_object_make_one_object(archive: Archive) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: put(archive), range(40)))
    assert sum(s.created for s in stored) == 1
    assert len({s.path for s in stored}) == 1
    assert archive.size("isone_rt_lmp")[0] == 1


@on_a_folder
def test_many_writers_leave_nothing_but_the_object_and_its_envelope(
    archive: Archive, behind: Folded
) -> None:
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda _: put(archive), range(40)))
    left = [p.name for p in (behind.root / stored[0].path).parent.iterdir()]
    assert sorted(Path(n).suffix for n in left) == [".gz", ".json"]


@on_a_folder
def test_an_object_is_never_there_without_its_envelope(archive: Archive, behind: Folded) -> None:
    stored = put(archive)
    path = behind.root / stored.path
    meta = path.with_name(path.name.replace(".json.gz", ".meta.json"))
    assert meta.stat().st_mtime_ns <= path.stat().st_mtime_ns
    assert json.loads(meta.read_bytes())["finality"] == "prelim"
    path.unlink()  # as a kill between the two leaves it
    assert archive.identifiers("isone_rt_lmp", "2026-07-20") == []
    assert put(archive).created
    assert len(archive.identifiers("isone_rt_lmp", "2026-07-20")) == 1


@on_a_folder
def test_half_a_file_is_never_seen_under_its_name(archive: Archive, behind: Folded) -> None:
    stored = put(archive)
    folder = (behind.root / stored.path).parent
    (folder / ".0123456789abcdef.tmp").write_bytes(b"half")
    assert len(archive.identifiers("isone_rt_lmp", "2026-07-20")) == 1
    assert archive.size("isone_rt_lmp")[0] == 1


def test_snapshots_are_listed_in_the_order_of_their_fetch_then_hash(
    archive: Archive,
) -> None:
    bodies = [b'{"n":%d}' % n for n in range(6)]
    for n, body in reversed(list(enumerate(bodies))):
        put(archive, body, fetched_at=FETCHED + dt.timedelta(seconds=n // 2), endpoint=f"e{n % 3}")
    found = archive.identifiers("isone_rt_lmp", "2026-07-20")
    envelopes = [archive.envelope("isone_rt_lmp", "2026-07-20", i) for i in found]
    assert [e.order for e in envelopes] == sorted(e.order for e in envelopes)
    assert [order_of(i) for i in found] == sorted(order_of(i) for i in found)
    assert len(found) == 6


def test_a_day_without_an_object_is_empty(archive: Archive) -> None:
    assert archive.identifiers("isone_rt_lmp", "2026-07-20") == []
    assert archive.days("isone_rt_lmp") == []
    assert archive.size("isone_rt_lmp") == (0, 0)
    assert list(archive.rejections("isone_rt_lmp")) == []


@pytest.mark.parametrize(
    "damage", [b"", b"no gzip", b"\x1f\x8b\x08\x00", gzip.compress(b"{}", mtime=0)]
)
def test_a_damaged_object_is_one_clear_error(
    archive: Archive, behind: Behind, damage: bytes
) -> None:
    behind.write(put(archive).path, damage)
    (identifier,) = archive.identifiers("isone_rt_lmp", "2026-07-20")
    with pytest.raises(MalformedPayload, match=r"cannot be unpacked|not those that were archived"):
        archive.snapshot("isone_rt_lmp", "2026-07-20", identifier)


def test_a_cut_object_is_one_clear_error(archive: Archive, behind: Behind) -> None:
    path = put(archive, BODY * 100).path
    behind.write(path, behind.read(path)[:-9])
    (identifier,) = archive.identifiers("isone_rt_lmp", "2026-07-20")
    with pytest.raises(MalformedPayload, match="cannot be unpacked"):
        archive.snapshot("isone_rt_lmp", "2026-07-20", identifier)


def test_a_lost_object_is_one_clear_error(archive: Archive, behind: Behind) -> None:
    path = put(archive, format="xml").path
    (identifier,) = archive.identifiers("isone_rt_lmp", "2026-07-20")
    behind.lose(path)
    with pytest.raises(MalformedPayload, match="lost"):
        archive.snapshot("isone_rt_lmp", "2026-07-20", identifier)


def test_xml_is_kept_under_its_own_name(archive: Archive) -> None:
    assert put(archive, format="xml").path.endswith(".xml.gz")
    (identifier,) = archive.identifiers("isone_rt_lmp", "2026-07-20")
    assert archive.snapshot("isone_rt_lmp", "2026-07-20", identifier).body == BODY
    assert archive.envelope("isone_rt_lmp", "2026-07-20", identifier).format == "xml"


@pytest.mark.parametrize("text", ["Châteauguay\n \x7f  ends with a blank ", "é" * 3000])
def test_words_of_any_alphabet_and_length_come_back(archive: Archive, text: str) -> None:
    put(archive, filters={"Node": text})
    (identifier,) = archive.identifiers("isone_rt_lmp", "2026-07-20")
    assert archive.envelope("isone_rt_lmp", "2026-07-20", identifier).filters == {"Node": text}
    snapshot = archive.snapshot("isone_rt_lmp", "2026-07-20", identifier)
    assert (snapshot.body, snapshot.envelope.filters) == (BODY, {"Node": text})
    rejection = Rejection("miso_cts", "cts_live", FETCHED, "d" * 64, text)
    archive.reject(rejection, b"<html>")
    assert list(archive.rejections("miso_cts")) == [rejection]
    assert archive.size("isone_rt_lmp")[0] == 1


def test_days_are_listed_in_order_over_years_and_months(archive: Archive) -> None:
    days = ["2025-12-31", "2026-01-01", "2026-07-02", "2026-07-20"]
    for day in reversed(days):
        put(archive, day=day)
    assert archive.days("isone_rt_lmp") == days
    assert archive.days("isone_rt") == []


def test_the_first_day_is_found_without_listing_the_others(archive: Archive) -> None:
    assert archive.first_day("isone_rt_lmp") is None
    for day in ("2026-07-02", "2025-12-31", "2026-01-01"):
        put(archive, day=day)
    assert archive.first_day("isone_rt_lmp") == "2025-12-31"


@on_a_folder
def test_a_day_that_did_not_change_is_not_counted_again(archive: Archive, behind: Folded) -> None:
    for day in ("2026-07-19", "2026-07-20"):
        stored = put(archive, day=day)
        folder = behind.root / stored.path
        os.utime(folder.parent, (1_000_000, 1_000_000))  # not within the last seconds
    first = archive.sizes("isone_rt_lmp", {})
    assert [size.objects for size in first.values()] == [1, 1]
    known = {day: DaySize(size.changed, 7, 7) for day, size in first.items()}
    put(archive, b'{"FiveMinLmps":{}}')
    again = archive.sizes("isone_rt_lmp", known)
    assert {day: size.objects for day, size in again.items()} == {
        "2026-07-19": 7,
        "2026-07-20": 2,
    }
    assert again["2026-07-20"].changed is None, "it changed just now: it is counted again"


def test_rejected_bytes_are_kept_with_their_reason_once_a_day(
    archive: Archive, behind: Behind
) -> None:
    rejection = Rejection("miso_cts", "cts_live", FETCHED, "d" * 64, "no dialect's shape")
    path = archive.reject(rejection, b"<html>")
    assert path == f"rejected/miso_cts/year=2026/month=07/day=20/cts_live-{'d' * 16}.gz"
    assert archive.reject(rejection, b"<html>") == path
    assert gzip.decompress(behind.read(path)) == b"<html>"
    assert list(archive.rejections("miso_cts")) == [rejection]


def test_rejected_bytes_come_back_as_they_were_and_can_be_settled(
    archive: Archive, behind: Behind
) -> None:
    raw = hashlib.sha256(b"<html>").hexdigest()
    rejection = Rejection("miso_cts", "cts_live", FETCHED, raw, "no dialect's shape")
    path = archive.reject(rejection, b"<html>")
    assert archive.rejected_body(rejection) == b"<html>"
    archive.settle(rejection, "2026-07-20")
    assert list(archive.rejections("miso_cts")) == []
    assert behind.read(path), "nothing is removed"
    archive.reject(rejection, b"<html>")
    assert list(archive.rejections("miso_cts")) == [rejection], "rejected anew"
    assert archive.rejected_body(rejection) == b"<html>"


def test_rejected_bytes_that_are_lost_or_others_are_one_clear_error(
    archive: Archive, behind: Behind
) -> None:
    raw = hashlib.sha256(b"<html>").hexdigest()
    rejection = Rejection("miso_cts", "cts_live", FETCHED, raw, "no dialect's shape")
    path = archive.reject(rejection, b"<html>")
    behind.write(path, gzip.compress(b"<xml>", mtime=0))
    with pytest.raises(MalformedPayload, match="not those that were rejected"):
        archive.rejected_body(rejection)
    behind.lose(path)
    with pytest.raises(MalformedPayload, match="not there"):
        archive.rejected_body(rejection)


def test_an_archive_out_of_reach_is_an_error_and_leaves_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("a file, where a folder should be")
    folder = Folder(tmp_path / "archive")
    asks: list[Callable[[], object]] = [
        lambda: put(Archive(folder)),
        lambda: Archive(folder).identifiers("isone_rt_lmp", "2026-07-20"),
        lambda: folder.folders("sourcing/"),
        lambda: folder.remove("sourcing/x.json.gz"),
    ]
    for ask in asks:
        with pytest.raises(StoreUnavailable, match=r"archive is out of reach .*: ask again later"):
            ask()


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EROFS, errno.ESTALE])
def test_a_disk_that_takes_nothing_is_a_store_out_of_reach_and_is_left_clean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: int
) -> None:
    def fail(_: int) -> None:
        raise OSError(why, os.strerror(why))

    archive = Archive(Folder(tmp_path / "archive"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(StoreUnavailable, match=os.strerror(why)):
            put(archive)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert put(archive).created


def test_of_two_that_claim_an_archive_at_once_not_both_have_it(tmp_path: Path) -> None:
    class Late(Folder):
        """Sees at its first look what was there before the other one came."""

        looks = 0

        def below(self, prefix: str) -> Iterator[tuple[str, int]]:
            self.looks += 1
            return super().below(prefix) if self.looks > 1 else iter(())

    for first, second in (("real", "simulated"), ("simulated", "real")):
        root = tmp_path / first
        assert Archive(Folder(root)).claimed_by(first) == first
        assert Archive(Late(root)).claimed_by(second) == first
        assert Archive(Folder(root)).claimed_by(second) == first


# --- what is archived, and under which day -------------------------------------------------------


def test_the_folder_of_cts_has_the_name_that_was_ordered(desk: Desk) -> None:
    taken = desk.take(CTS, recording("miso_cts", "live", "ordinary").body)
    assert re.fullmatch(
        r"sourcing/miso_coordinated_transaction_scheduling/year=2026/month=07/day=20/"
        r"\d{8}T\d{12}Z-load-[0-9a-f]{16}\.json\.gz",
        taken.path,
    )


@on_a_folder
@pytest.mark.parametrize(
    "recorded",
    [r for r in READABLE if r.expected["rows"] and r.dataset is not ISONE_LOCATIONS],  # no date
    ids=str,
)
def test_an_answer_lies_under_the_day_of_its_content_whatever_was_asked(
    desk: Desk, recorded: Recording
) -> None:
    taken = desk.take(recorded.dataset, recorded.body, dialect=recorded.dialect, asked="2026-07-19")
    assert taken.day == recorded.expected["day"]
    archive = desk.resources.archive
    assert archive.days(recorded.dataset.archive_name) == [recorded.expected["day"]]
    (kept,) = archive.identifiers(recorded.dataset.archive_name, taken.day)
    snapshot = archive.snapshot(recorded.dataset.archive_name, taken.day, kept)
    assert snapshot.body == recorded.body
    assert snapshot.envelope.asked == "2026-07-19"


def test_an_answer_that_says_no_day_lies_under_the_asked_one_else_under_its_fetch(
    desk: Desk,
) -> None:
    assert desk.take(LMP, BODY, asked="2026-07-19").day == "2026-07-19"
    assert desk.take(LMP, BODY, at=utc("2026-07-21T03:59:00Z")).day == "2026-07-20"


@pytest.mark.parametrize("year", ["1998", "2031", "9999"])
def test_a_day_that_nobody_can_believe_rejects_the_bytes(
    desk: Desk, behind: Behind, year: str
) -> None:
    body = recording("isone_rt_lmp", "live", "ordinary").body
    body = body.replace(b"2026-", year.encode() + b"-")
    taken = desk.take(LMP, body)
    assert taken.outcome == "rejected"
    assert "not believable" in taken.reason
    assert gzip.decompress(behind.read(taken.path)) == body


LOADS = [
    b'{"FiveMinSystemLoads":{"FiveMinSystemLoad":'
    b'{"BeginDate":"2026-07-20T17:20:00.000-04:00","LoadMw":%d}}}' % n
    for n in range(3)
]


def minutes(desk: Desk, count: int) -> dt.datetime:
    return desk.clock() + dt.timedelta(minutes=count)


def test_the_same_answer_again_is_a_duplicate_and_no_object(desk: Desk) -> None:
    first = desk.take(LOAD, LOADS[0])
    again = desk.take(LOAD, LOADS[0], at=minutes(desk, 5))
    assert (first.outcome, again.outcome) == ("stored", "duplicate")
    assert again.path == first.path
    assert desk.resources.archive.size(LOAD.archive_name)[0] == 1


def test_an_answer_that_goes_back_to_what_it_was_is_two_changes(desk: Desk) -> None:
    outcomes = [
        desk.take(LOAD, LOADS[n], at=minutes(desk, 5 * i)).outcome
        for i, n in enumerate([0, 1, 1, 0, 0])
    ]
    assert outcomes == ["stored", "stored", "duplicate", "stored", "duplicate"]


def test_what_another_machine_archived_meanwhile_is_no_duplicate_of_before(desk: Desk) -> None:
    shared = desk.resources.archive
    other = Desk(remade(desk.resources, root=desk.resources.root / "other"), desk.clock)
    other.resources.archive = shared  # and a registry of its own
    outcomes = [
        one.take(LOAD, LOADS[n], at=minutes(desk, 5 * i)).outcome
        for i, (one, n) in enumerate([(desk, 0), (other, 1), (desk, 0), (other, 1), (other, 1)])
    ]
    assert outcomes == ["stored", "stored", "stored", "stored", "duplicate"]


def test_what_the_registry_knows_and_the_archive_lost_is_archived_again(
    desk: Desk, behind: Behind
) -> None:
    behind.lose(desk.take(LOAD, LOADS[0]).path)
    assert desk.take(LOAD, LOADS[0], at=minutes(desk, 5)).outcome == "stored"


def test_an_answer_takes_one_look_at_the_day(desk: Desk) -> None:
    looks = []

    class Watched(Folder):
        def below(self, prefix: str) -> Iterator[tuple[str, int]]:
            looks.append(prefix)
            return super().below(prefix)

    desk.resources.archive = Archive(Watched(desk.resources.root / "archive"))
    for i, n in enumerate([0, 1, 1, 0]):
        desk.take(LOAD, LOADS[n], at=minutes(desk, 5 * i))
    assert len(looks) == 4


def test_force_archives_even_what_was_archived_before(desk: Desk) -> None:
    desk.take(LOAD, LOADS[0])
    assert desk.take(LOAD, LOADS[0], at=minutes(desk, 5), force=True).outcome == "stored"
    assert desk.resources.archive.size(LOAD.archive_name)[0] == 2


@pytest.mark.parametrize("lost", ["flushed", "gone"])
def test_without_the_registry_duplicates_are_still_known(desk: Desk, lost: str) -> None:
    desk.take(LOAD, LOADS[0])
    state = desk.resources.root / "state.sqlite"
    desk = Desk(remade(desk.resources), desk.clock)
    if lost == "gone":
        for path in state.parent.glob("state.sqlite*"):
            path.unlink()
    else:
        desk.resources.registry._state.delete("newest:isone_system_load:2026-07-20:load?")  # noqa: SLF001  the flush
    assert desk.take(LOAD, LOADS[0], at=minutes(desk, 5)).outcome == "duplicate"
    assert desk.take(LOAD, LOADS[1], at=minutes(desk, 10)).outcome == "stored"


def test_other_requests_with_the_same_content_are_no_duplicates(desk: Desk) -> None:
    assert desk.take(LOAD, BODY_EMPTY, endpoint="a", asked="2026-07-20").outcome == "stored"
    assert desk.take(LOAD, BODY_EMPTY, endpoint="b", asked="2026-07-20").outcome == "stored"
    asked = {"hour": "01"}
    first = desk.take(LOAD, BODY_EMPTY, endpoint="a", asked="2026-07-20", filters=asked)
    assert first.outcome == "stored"


BODY_EMPTY = b'{"FiveMinSystemLoads":""}'


def test_final_values_that_equal_the_preliminary_ones_are_no_duplicates(
    desk: Desk, tmp_path: Path
) -> None:
    path = tmp_path / "values.json"
    path.write_bytes(recording("isone_rt_lmp", "live", "ordinary").body)
    when = utc("2026-07-21T12:00:00Z")
    for finality in ("prelim", "final"):
        done = ingest.load(desk.resources, LMP, [path], finality=finality, fetched_at=when)
        assert done.count("stored") == 1, finality
    rows = desk.rows(LMP)
    assert sorted(rows["finality"].value_counts().rows()) == [("final", 5), ("prelim", 5)]


def test_an_older_answer_is_compared_with_the_ones_before_it(desk: Desk) -> None:
    desk.take(LOAD, LOADS[0], at=minutes(desk, 0))
    desk.take(LOAD, LOADS[1], at=minutes(desk, 10))
    assert desk.take(LOAD, LOADS[0], at=minutes(desk, 5)).outcome == "duplicate"
    assert desk.take(LOAD, LOADS[1], at=minutes(desk, 4)).outcome == "stored"


def test_a_gzip_bomb_is_cut_short_and_what_is_no_gzip_is_kept_as_it_is(
    desk: Desk, tmp_path: Path
) -> None:
    path = tmp_path / "broken.json.gz"
    path.write_bytes(gzip.compress(LOADS[0], mtime=0)[:-12])
    done = ingest.load(desk.resources, LOAD, [path])
    assert done.count("rejected") == 1
    (kept,) = desk.resources.archive.rejections(LOAD.key)
    assert kept.raw_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_gzip_of_two_members_is_read_to_its_end(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "two.json.gz"
    half = len(LOADS[0]) // 2
    path.write_bytes(
        gzip.compress(LOADS[0][:half], mtime=0) + gzip.compress(LOADS[0][half:], mtime=0)
    )
    assert gzip.decompress(path.read_bytes()) == LOADS[0]
    done = ingest.load(desk.resources, LOAD, [path])
    assert (done.count("stored"), done.rows) == (1, 1)


def test_a_file_that_cannot_be_opened_is_an_error_and_nothing_is_stored(
    desk: Desk, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="absent"):
        ingest.load(desk.resources, LOAD, [tmp_path / "absent.json"])
    assert desk.resources.archive.size(LOAD.archive_name) == (0, 0)


# --- verify --------------------------------------------------------------------------------------


def loaded(desk: Desk) -> str:
    return desk.bring(LOAD, LOADS[0]).archived.path


def problems(desk: Desk) -> list[str]:
    return ingest.verify(desk.resources, LOAD, LOAD.day("2026-07-20")).problems


def test_what_was_kept_verifies(desk: Desk) -> None:
    loaded(desk)
    found = ingest.verify(desk.resources, LOAD, LOAD.day("2026-07-20"))
    assert (found.objects, found.rows, found.problems) == (1, 1, [])


@pytest.mark.parametrize(
    ("damage", "sentences"),
    [
        (
            lambda b, p: b.write(p, gzip.compress(LOADS[1], mtime=0)),
            ["not those that were archived", "does not hold"],
        ),
        (lambda b, p: b.write(p, b"no gzip"), ["cannot be unpacked", "does not hold"]),
        (lambda b, p: b.lose(p), ["does not hold"]),
    ],
    ids=["changed", "damaged", "lost"],
)
def test_verify_finds_what_happened_to_an_object(
    desk: Desk, behind: Behind, damage: Callable[[Behind, str], object], sentences: list[str]
) -> None:
    damage(behind, loaded(desk))
    found = problems(desk)
    assert len(found) == len(sentences)
    for sentence, problem in zip(sentences, found, strict=True):
        assert sentence in problem


def test_an_edited_envelope_is_damage_on_every_store(desk: Desk, behind: Behind) -> None:
    path = loaded(desk)
    before = desk.rows(LOAD)
    behind.edit(path, "endpoint", "another")
    assert "the envelope is not the one that was archived" in problems(desk)[0]
    with pytest.raises(ContractBroken, match="the archive lacks"):
        ingest.replay(desk.resources, LOAD, LOAD.day("2026-07-20"))
    assert desk.rows(LOAD).equals(before)


def test_a_seal_is_the_same_at_each_put_and_any_gunzip_reads_it(desk: Desk) -> None:
    path = loaded(desk)
    packed, metadata = desk.resources.archive.store.get(path)
    assert seal_of(packed) == digest_of(metadata)
    plain = gzip.compress(LOADS[0], compresslevel=6, mtime=0)
    assert sealed(plain, metadata) == packed
    done = subprocess.run(["gzip", "-dc"], input=packed, capture_output=True, check=True)  # noqa: S607  gzip of the PATH
    assert done.stdout == LOADS[0]


def test_long_words_that_lie_beside_an_object_are_sealed_too(resources: Resources) -> None:
    long = envelope(filters={"name": "x" * 3000})
    stored = resources.archive.put("isone_rt_lmp", long, BODY)
    packed, metadata = resources.archive.store.get(stored.path)
    assert seal_of(packed) == digest_of(metadata)
    assert resources.archive.snapshot("isone_rt_lmp", long.day, long.identifier).body == BODY


def test_bytes_that_are_not_those_that_were_archived_are_never_merged(
    desk: Desk, behind: Behind
) -> None:
    path = loaded(desk)
    before = desk.rows(LOAD)
    behind.write(path, gzip.compress(LOADS[1], mtime=0))
    with pytest.raises(ContractBroken, match="the archive lacks"):
        ingest.replay(desk.resources, LOAD, LOAD.day("2026-07-20"))
    assert desk.rows(LOAD).equals(before)


def test_verify_writes_nothing(desk: Desk) -> None:
    loaded(desk)
    lake = desk.resources.root / "lake"
    before = {p: p.stat().st_mtime_ns for p in lake.rglob("*.parquet")}
    metadata = sorted(p.name for p in lake.rglob("*.metadata.json"))
    assert problems(desk) == []
    assert {p: p.stat().st_mtime_ns for p in lake.rglob("*.parquet")} == before
    assert sorted(p.name for p in lake.rglob("*.metadata.json")) == metadata
