"""Answers in pages: each page is archived, and none is left out by a later attempt."""

from collections.abc import Iterator
from dataclasses import replace
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from aurum_assets import ingest
from aurum_assets.ingest import sharing
from aurum_assets.model.errors import SourceUnavailable
from aurum_assets.operators import DATASETS
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import Settings, open_resources
from aurum_assets_tests.test_a_new_operator import CONFIG, DAY, PRICES, Exchange


class Moody(Exchange):
    """An exchange whose second page cannot be had while it is ``down``, or read if ``garbled``."""

    down = garbled = False

    def do_GET(self) -> None:  # noqa: N802  as http.server calls it
        if self.down and self.path.endswith("?page=2"):
            self.send_error(503)
        elif self.garbled and self.path.endswith("?page=2"):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"neither,these,columns\n1,2,3\n")
        else:
            super().do_GET()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resources]:
    """The home of an exchange that is asked once."""
    monkeypatch.setenv("AURUM_NOW", "2026-10-26T12:00Z")
    config = tmp_path / "config"
    config.mkdir()
    for file in (PROJECT / "config").glob("*_ingest_datasets.json"):
        (config / file.name).write_text(file.read_text())
    once = CONFIG.replace('"name": "toy"', '"name": "toy", "attempts": 1')
    (config / "toy_ingest_datasets.json").write_text(once)
    with ThreadingHTTPServer(("127.0.0.1", 0), Moody) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        place = {"TOY_BASE_URL": f"http://127.0.0.1:{server.server_port}", "TOY_TOKEN": "toy-token"}
        settings = Settings.read(home=tmp_path / "home", config=config)
        yield open_resources((*DATASETS, PRICES), settings, variables=place)
        server.shutdown()


def collected(toy: Resources) -> list[str]:
    done = ingest.collect(toy, PRICES, DAY, attempts_of="a-run")
    return [one.outcome for one in done.archived]


def test_a_page_that_failed_is_asked_for_by_the_next_attempt_and_then_never_again(
    toy: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Moody, "down", True)
    with pytest.raises(SourceUnavailable, match="503"):
        collected(toy)
    assert len(toy.archive.identifiers(PRICES.archive_name, DAY.key)) == 1, "the page before it"
    monkeypatch.setattr(Moody, "down", False)
    assert collected(toy) == ["duplicate", "stored"]
    assert collected(toy) == ["resumed"]
    pages = [
        toy.archive.envelope(PRICES.archive_name, DAY.key, one).filters
        for one in toy.archive.identifiers(PRICES.archive_name, DAY.key)
    ]
    assert pages == [{}, {"page": "2"}]
    assert len(toy.lake.read(PRICES.table)) == 0
    assert ingest.normalize(toy, PRICES, DAY).merged.new == 50


def test_a_page_that_was_rejected_is_asked_for_by_the_next_attempt(
    toy: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Moody, "garbled", True)
    assert collected(toy) == ["stored", "rejected"]
    monkeypatch.setattr(Moody, "garbled", False)
    assert collected(toy) == ["duplicate", "stored"]


def test_the_pages_of_a_shared_answer_are_asked_for_once(
    toy: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = replace(PRICES.table, name="toy_others")
    others = replace(PRICES, key="toy_others", table=table, shares=PRICES)
    config = replace(toy.config(PRICES), key=others.key)
    datasets = {**toy.configuration.datasets, others.key: config}
    toy.configuration = replace(toy.configuration, datasets=datasets)
    monkeypatch.setattr(sharing, "DATASETS", (PRICES, others))
    assert [ingest.collect(toy, dataset, DAY).requests for dataset in (PRICES, others)] == [2, 0]
    assert ingest.normalize(toy, others, DAY).merged.new == 50
