"""Doctor: a list of checks, one of each resource, run side by side: what works and what to do.

Each resource checks itself by the clients that a run uses, and reports the errors that a run gets.
What waits is given up after ``PATIENCE`` seconds, and all of it after ``DEADLINE``. What a check
writes is removed again; an operator is asked once, and once for each dataset that is only
documented, within its limits. No text of a library that may hold a secret is passed on.
"""

import datetime as dt
import os
import shutil
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from aurum_assets.ingest.maintain import last_maintained
from aurum_assets.ingest.probe import looking, newest_published_by, not_offered_by
from aurum_assets.ingest.query import known_tables
from aurum_assets.model.errors import (
    AurumError,
    ConfigError,
    LakeBusy,
    LakeUnreachable,
    SourceError,
)
from aurum_assets.model.finding import Finding, broken
from aurum_assets.model.operator import Operator
from aurum_assets.operators import DATASETS
from aurum_assets.resources.breaker import Breaker
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.redaction import masked
from aurum_assets.resources.scratch import check_file, draft
from aurum_assets.resources.settings import Settings
from aurum_assets.resources.workers import check_workers

PATIENCE = 4.0
DEADLINE = 8.0
_LITTLE_SPACE = 1e9
_MUCH_SKEW = 5.0
_MAINTAINED_WITHIN = dt.timedelta(days=3)
_POSTGRES_URL = "AURUM_DAGSTER_POSTGRES_URL"

_Check = Callable[[Resources], Finding]


def examine(resources: Resources) -> list[Finding]:
    """Check every part; takes at most ``DEADLINE`` seconds. Raises nothing."""
    checks: dict[str, _Check] = {
        "home": _home,
        "place": _place,
        "config": _config,
        "archive": _archive,
        "catalog": lambda r: r.lake.within(PATIENCE).check(known_tables()),
        "redis": lambda r: (r.redis or r.state).check(),
        "kafka": lambda r: r.events.check(_topics(r), PATIENCE),
        "dagster": _dagster,
        "workers": _workers,
        "maintenance": _maintenance,
        **{d.operator.name: partial(_operator, operator=d.operator) for d in DATASETS},
        "webhook": lambda r: r.alerts.check(),
        "metrics": lambda r: r.metrics.check(),
    }
    # Redis alone: a run gives up on it after a second, which loading the other clients may take.
    started = {"redis": _start("redis", checks["redis"], resources)}
    wait(started.values(), timeout=DEADLINE / 4)
    started |= {p: _start(p, check, resources) for p, check in checks.items() if p != "redis"}
    wait(started.values(), timeout=DEADLINE)
    found = [_outcome(part, started[part]) for part in checks]
    return [*found, _clock(found)]


def _start(part: str, check: _Check, resources: Resources) -> "Future[Finding]":
    """Check in a thread that delays no exit: an executor would wait for it at the end."""
    future: Future[Finding] = Future()

    def run() -> None:
        started = time.monotonic()
        try:
            found = check(resources)
            took = found.milliseconds
            if took is None and found.state in {"ok", "unsure"}:
                took = round((time.monotonic() - started) * 1000) or None
            future.set_result(replace(found, milliseconds=took))
        except BaseException as error:  # noqa: BLE001  handed to the one who waits
            future.set_exception(error)

    threading.Thread(target=run, name=f"doctor-{part}", daemon=True).start()
    return future


def _outcome(part: str, future: "Future[Finding]") -> Finding:
    if not future.done():
        result = f"gave no answer within {DEADLINE:.0f} s"
        return Finding(part, "broken", result=result, remedy="check whether it is up and reachable")
    error = future.exception()
    if error is None:
        return future.result()
    if isinstance(error, AurumError):
        return broken(part, "", error)
    result = f"could not be checked ({type(error).__name__})"  # its text may hold a secret
    return Finding(part, "broken", result=result, remedy="check its variables in .env.example")


def _clock(found: list[Finding]) -> Finding:
    """How far this machine's clock is from those of the servers that tell theirs."""
    skews = {f.part: f.skew for f in found if f.skew is not None}
    if not skews:
        return Finding("clock", "off", result="no configured server tells its time")
    part, skew = max(skews.items(), key=lambda item: abs(item[1]))
    result = f"{abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} {part}'s"
    if abs(skew) < _MUCH_SKEW:
        return Finding("clock", "ok", result=result)
    remedy = "set the clock (NTP): snapshots are ordered by it"
    return Finding("clock", "unsure", result=result, remedy=remedy)


def _home(resources: Resources) -> Finding:
    where = str(resources.root.resolve())
    try:
        with draft(check_file(resources.root)) as file:
            file.write_bytes(b"aurum doctor")
    except OSError as error:
        remedy = "set AURUM_HOME to a folder that this user can write to"
        result = f"cannot be written: {error.strerror or error}"
        return Finding("home", "broken", where, result, remedy)
    if not resources.exists:
        remedy = "make one with `aurum collect`, `aurum load` or `aurum demo`, or set AURUM_HOME"
        return Finding("home", "unsure", where, "there is no home here yet", remedy)
    free = shutil.disk_usage(resources.root).free
    result = f"{resources.origin or 'no'} data, {free / 1e9:,.0f} GB free"
    if free < _LITTLE_SPACE:
        return Finding("home", "unsure", where, result, "make room, or set AURUM_HOME elsewhere")
    return Finding("home", "ok", where, result)


def _place(resources: Resources) -> Finding:
    """Whether the tables name their files where home and warehouse are now."""
    catalog, lake = resources.lake.configured, resources.lake.within(PATIENCE)
    if not (catalog or resources.exists):
        return Finding("place", "off", result="there is no table yet")
    if catalog and catalog["type"] != "sql":
        return Finding("place", "off", result="the catalog decides where its tables are")
    try:
        lake.refuse_elsewhere()
    except (LakeUnreachable, LakeBusy):
        return Finding("place", "off", result="the catalog does not answer")
    where = lake.place.removeprefix("file://")
    return Finding("place", "ok", where, "the tables name their files here")


def _config(resources: Resources) -> Finding:
    enabled = [c.enabled for c in resources.configuration.datasets.values()]
    result = f"{sum(enabled)} of {len(enabled)} datasets enabled, {resources.environment}"
    return Finding("config", "ok", str(resources.config_folder.resolve()), result)


def _archive(resources: Resources) -> Finding:
    found = resources.archive.check(PATIENCE)
    default = found.state == "ok" and not resources.archive.settings.place
    return replace(found, state="embedded default") if default else found


def _topics(resources: Resources) -> set[str]:
    return {c.topic for c in resources.configuration.datasets.values() if c.enabled}


def _maintenance(resources: Resources) -> Finding:
    """When ``aurum maintain`` or its job last ended well, once there is something to maintain."""
    marks = [p for p in (resources.root / "origin", resources.root / "identity") if p.exists()]
    if not marks:
        return Finding("maintenance", "off", result="there is nothing to maintain yet")
    last = last_maintained(resources)
    since = dt.datetime.fromtimestamp(min(p.stat().st_mtime for p in marks), dt.UTC)
    result = f"last ended well on {last:%F %R}Z" if last else "has not run to its end yet"
    if resources.now() - (last or since) <= _MAINTAINED_WITHIN:
        return Finding("maintenance", "ok", result=result)
    remedy = "run `aurum maintain`, or switch its schedule on in the UI (AURUM_SCHEDULES=running)"
    return Finding("maintenance", "unsure", result=result, remedy=remedy)


def _operator(resources: Resources, operator: Operator) -> Finding:
    """Ask for the smallest thing that the operator has, unless no run may ask now."""
    config = resources.configuration.operators[operator.name]
    where = masked(resources.base_urls[operator.name])
    credentials = resources.credentials.get(operator.name)
    if operator.credentials and (credentials is None or not credentials.given):
        variables = ", or ".join(operator.credentials)
        remedy = f"set {variables} (register at {operator.registration})"
        return Finding(operator.name, "off", where, "no credentials", remedy)
    try:
        if resources.exists:
            known = resources.known_of(operator)
            Breaker(config, operator, known, resources.clock).refuse_if_open()
        with looking(resources, operator) as api:
            started = time.monotonic()
            result = newest_published_by(resources, api, operator)
            took = round((time.monotonic() - started) * 1000)
            result = "; ".join([result, *not_offered_by(resources, api, operator)])
    except (SourceError, ConfigError) as error:
        return broken(operator.name, where, error)
    except AurumError as error:  # the limits leave no room at the moment
        return replace(broken(operator.name, where, error), state="unsure")
    return Finding(operator.name, "ok", where, result, "", took)


def _dagster(resources: Resources) -> Finding:
    """Dagster's own storage, which no resource uses."""
    url = os.environ.get(_POSTGRES_URL, "")
    if not url:
        where = os.environ.get("DAGSTER_HOME", str((resources.root / "dagster").resolve()))
        return Finding("dagster", "embedded default", where, "SQLite")
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.exc import SQLAlchemyError

    where = masked(url)
    try:
        address = make_url(url).set(drivername="postgresql+psycopg2")
        engine = create_engine(address, connect_args={"connect_timeout": int(PATIENCE)})
        started = time.monotonic()
        with engine.connect() as connection:
            asked = "SELECT clock_timestamp(), has_schema_privilege('public', 'CREATE')"
            now, may = connection.execute(text(asked)).one()
        theirs = cast("dt.datetime", now)
        skew = round((theirs - dt.datetime.now(dt.UTC)).total_seconds(), 1)
        took = round((time.monotonic() - started) * 1000)
        engine.dispose()
    except SQLAlchemyError as error:
        return Finding("dagster", "broken", where, *_cause_and_remedy(str(error)))
    if not may:
        remedy = "GRANT CREATE ON SCHEMA public, or make its tables with dagster instance migrate"
        return Finding("dagster", "unsure", where, "may not make tables", remedy, took, skew)
    return Finding("dagster", "ok", where, "Postgres, may make tables", "", took, skew)


def _workers(resources: Resources) -> Finding:
    named = os.environ.get("DAGSTER_HOME")
    return check_workers(Settings.read(), Path(named) if named else resources.root / "dagster")


_POSTGRES = (
    ("password authentication failed", "refuses the user name or password", "these two"),
    ("no password supplied", "wants a password", "the password"),
    ("does not exist", "has no such database or user", "the name of the database"),
    ("could not translate host name", "has a host whose name is not known", "the host"),
    ("timeout", "gave no answer in time", "host and port, and the network"),
    ("refused", "cannot be reached (refused)", "host and port, and whether it is up"),
)


def _cause_and_remedy(text: str) -> tuple[str, str]:
    """For what the library says, which may hold a secret."""
    for mark, cause, what in _POSTGRES:
        if mark in text:
            return cause, f"check {_POSTGRES_URL}: {what}"
    return "cannot be used", f"check {_POSTGRES_URL}: postgresql+psycopg2://user:password@host/db"
