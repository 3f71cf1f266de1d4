"""The real answers, loaded and looked at: what is stored must be what the operators sent.

    python -m aurum_assets_tests.proofs.samples FOLDER

FOLDER holds ``isone_fiveminutelmp_current.json``, ``isone_fiveminutesystemload_current.json``,
``isone_genfuelmix_current.json``, ``miso_cts_live.json``, ``miso_total_load.json``,
``miso_fuel_mix.json``, ``miso_wind_solar.json``, ``miso_ex_ante_lmp.json``,
``miso_nsi_five_minute.json``, ``miso_binding_constraints.json``, ``miso_ancillary_mcp.json`` and
``miso_five_min_expost_current.json`` (cut to two columns), fetched on 27 July 2026, and perhaps
those of ``_AGAIN``. Each goes into a temporary home; the numbers are read from the JSON once more,
as decimals and by nothing of ours. Then every file of the folder that some dataset can read is
loaded, and every check of what is in an answer must pass; how much of the day is there, and how old
it is, a sample cannot say. Exit code 1 where anything differs.
"""

import datetime as dt
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from aurum_assets import ingest
from aurum_assets.model.dataset import Dataset, Envelope, Snapshot
from aurum_assets.model.errors import MalformedPayload
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.model.reading import read
from aurum_assets.operators import DATASETS
from aurum_assets.operators.isone.constraints import ISONE_DA_CONSTRAINTS
from aurum_assets.operators.isone.demand import ISONE_DA_HOURLY_DEMAND, ISONE_RT_HOURLY_DEMAND
from aurum_assets.operators.isone.generation import ISONE_GENERATION_MIX
from aurum_assets.operators.isone.interchange import ISONE_INTERCHANGE
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.operators.isone.load_forecast import ISONE_HOURLY_LOAD_FORECAST
from aurum_assets.operators.miso.ancillary import MISO_ANCILLARY_PRICES
from aurum_assets.operators.miso.constraints import MISO_CONSTRAINTS
from aurum_assets.operators.miso.cts import MISO_CTS
from aurum_assets.operators.miso.ex_ante import MISO_EX_ANTE_LMP
from aurum_assets.operators.miso.expost import MISO_EXPOST_LMP
from aurum_assets.operators.miso.fuel_mix import MISO_FUEL_MIX
from aurum_assets.operators.miso.interchange import MISO_INTERCHANGE
from aurum_assets.operators.miso.load import MISO_CLEARED_LOAD, MISO_LOAD, MISO_LOAD_FORECAST
from aurum_assets.operators.miso.wind_solar import MISO_WIND_SOLAR, MISO_WIND_SOLAR_FORECAST
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import load_config
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.made import made

_LMP_FILE = "isone_fiveminutelmp_current.json"
_LOAD_FILE = "isone_fiveminutesystemload_current.json"
_MIX_FILE = "isone_genfuelmix_current.json"
_CTS_FILE = "miso_cts_live.json"
_TOTAL_LOAD_FILE = "miso_total_load.json"
_FUEL_MIX_FILE = "miso_fuel_mix.json"
_WIND_SOLAR_FILE = "miso_wind_solar.json"
_EX_ANTE_FILE = "miso_ex_ante_lmp.json"
_NSI_FILE = "miso_nsi_five_minute.json"
_CONSTRAINTS_FILE = "miso_binding_constraints.json"
_MCP_FILE = "miso_ancillary_mcp.json"
_EXPOST_FILE = "miso_five_min_expost_current.json"
_MCP_COLUMNS = {
    "GenRegMCP": "regulation_price",
    "GenSpinMCP": "spinning_reserve_price",
    "GenSuppMCP": "supplemental_reserve_price",
    "StrMcp": "short_term_reserve_price",
    "DemandRegMcp": "demand_regulation_price",
    "DemandSpinMcp": "demand_spinning_reserve_price",
    "DemandSuppMcp": "demand_supplemental_reserve_price",
    "RcpUpMcp": "ramp_up_price",
    "RcpDownMcp": "ramp_down_price",
}
_FETCHED = dt.datetime.fromisoformat("2026-07-27T21:26:00Z")
_LMP_AT = dt.datetime.fromisoformat("2026-07-27T21:25:00Z")
_LOAD_AT = dt.datetime.fromisoformat("2026-07-27T21:20:00Z")
_MIX_AT = dt.datetime.fromisoformat("2026-07-27T21:23:19Z")
_CTS_AT = [dt.datetime.fromisoformat(f"2026-07-27T13:{minute}:00Z") for minute in ("00", "15")]
_CTS_PUBLISHED = dt.datetime.fromisoformat("2026-07-27T13:04:09Z")
_MISO_MIDNIGHT = dt.datetime.fromisoformat("2026-07-27T05:00:00Z")
_MISO_SHOWN = dt.datetime.fromisoformat("2026-07-27T13:10:00Z")
_WIND_SHOWN = dt.datetime.fromisoformat("2026-07-27T13:00:00Z")
_LOCATIONS = 16
_OF_A_WHOLE_DAY = {"completeness", "freshness", "volume", "prelim_against_final"}


@dataclass(frozen=True)
class Again:
    """How the records of a file are read once more: where they lie, and by column their fields."""

    dataset: Dataset
    path: tuple[str, ...]
    numbers: Mapping[str, str]
    texts: Mapping[str, str] = field(default_factory=dict)
    instants: Mapping[str, str] = field(default_factory=lambda: {"interval_start": "BeginDate"})


_LOCATED = {"location_id": "Location.@LocId", "location_name": "Location.$"}
_AGAIN = {
    "isone_hourlyloadforecast_current.json": Again(
        ISONE_HOURLY_LOAD_FORECAST,
        ("HourlyLoadForecast",),
        {"load": "LoadMw", "net_load": "NetLoadMw"},
        instants={"interval_start": "BeginDate", "published_at": "CreationDate"},
    ),
    "isone_realtimehourlydemand_current.json": Again(
        ISONE_RT_HOURLY_DEMAND, ("HourlyRtDemands", "HourlyRtDemand"), {"load": "Load"}, _LOCATED
    ),
    "isone_dayaheadhourlydemand_current.json": Again(
        ISONE_DA_HOURLY_DEMAND, ("HourlyDaDemands", "HourlyDaDemand"), {"load": "Load"}, _LOCATED
    ),
    "isone_actualinterchange_current.json": Again(
        ISONE_INTERCHANGE,
        ("ActualInterchanges", "ActualInterchange"),
        {"interchange": "ActInterchange", "purchase": "Purchase", "sale": "Sale"},
        _LOCATED,
    ),
    "isone_dayaheadconstraints_current.json": Again(
        ISONE_DA_CONSTRAINTS,
        ("DayAheadConstraints", "DayAheadConstraint"),
        {"marginal_value": "MarginalValue"},
        {
            "constraint_name": "ConstraintName",
            "contingency": "ContingencyName",
            "interface_flag": "InterfaceFlag",
        },
    ),
}


class Differs(Exception):
    """What is stored is not what the file says."""


def look(folder: Path) -> list[str]:
    """Load the files, compare, and say what was seen. Raises ``Differs``."""
    with tempfile.TemporaryDirectory(prefix="aurum-samples-") as place:
        resources = made(
            Path(place), load_config(PROJECT / "config", DATASETS), clock=lambda: _FETCHED
        )
        lines = [part(resources, folder) for part in _PARTS]
        there = {name: again for name, again in _AGAIN.items() if (folder / name).is_file()}
        lines += [_again(resources, folder / name, again) for name, again in there.items()]
    return lines + _each(folder)


def _again(resources: Resources, path: Path, again: Again) -> str:
    """Load a file, and compare every record with its row."""
    rows = _stored(resources, again.dataset, path)
    records = _decimals(path)
    for name in again.path:
        records = records[name]
    found = [
        *(rows[column].to_list() for column in (*again.instants, *again.texts)),
        *(_as_decimals(rows[column]) for column in again.numbers),
    ]
    sent = [
        *(
            [dt.datetime.fromisoformat(_at(r, f)).astimezone(dt.UTC) for r in records]
            for f in again.instants.values()
        ),
        *([_at(r, f) for r in records] for f in (*again.texts.values(), *again.numbers.values())),
    ]
    _same(
        f"the rows of {path.name}",
        sorted(zip(*found, strict=True)),
        sorted(zip(*sent, strict=True)),
    )
    return f"{again.dataset.key}: {len(rows)} rows, as they were sent"


def _at(record: Any, dotted: str) -> Any:  # noqa: ANN401  whatever JSON holds
    """The value in the nested field ``dotted``."""
    for name in dotted.split("."):
        record = record[name]
    return record


def _each(folder: Path) -> list[str]:
    """Every file that a dataset can read, and what its checks say; the others are named."""
    files = sorted(folder.glob("*.json"))
    lines, strange = [], []
    for path in files:
        readers = [d for d in DATASETS if _reads(d, path)]
        lines += [_quiet(dataset, path) for dataset in readers]
        strange += [] if readers or path.name == _EXPOST_FILE else [path.name]
    return [*lines, f"{len(strange)} of {len(files)} files are of feeds that no dataset reads"]


def _reads(dataset: Dataset, path: Path) -> bool:
    """Whether ``dataset`` can read a record: answers of several feeds have one shape."""
    envelope = Envelope(
        dataset=dataset.key,
        endpoint="sample",
        dialect=dataset.dialects[0].name,
        format="json",
        day=_FETCHED.date().isoformat(),
        fetched_at=_FETCHED,
        raw_sha256="",
        content_sha256="",
    )
    try:
        return bool(len(read(dataset, Snapshot(envelope, path.read_bytes())).frame))
    except MalformedPayload:
        return False


def _quiet(dataset: Dataset, path: Path) -> str:
    """Load a file into a home of its own. Raises ``Differs`` where a check is not content."""
    with tempfile.TemporaryDirectory(prefix="aurum-sample-") as place:
        resources = made(
            Path(place), load_config(PROJECT / "config", DATASETS), clock=lambda: _FETCHED
        )
        done = ingest.load(resources, dataset, [path], fetched_at=_FETCHED)
        _same(f"what was rejected of {path.name}", done.rejected, [])
        _same(f"what was quarantined of {path.name}", done.quarantined, 0)
        passed = []
        for verdict in (v for day in done.days for v in ingest.check(resources, day)):
            if verdict.check not in _OF_A_WHOLE_DAY:
                _same(f"{verdict.check} of {path.name} ({verdict.reason})", verdict.passed, True)
                passed.append(verdict.check)
    return f"{path.name}: {dataset.key}, no warning of {', '.join(passed)}"


def _lmp(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, ISONE_RT_LMP, folder / _LMP_FILE)
    sent = {
        record["Location"]["@LocId"]: record["LmpTotal"]
        for record in _decimals(folder / _LMP_FILE)["FiveMinLmps"]["FiveMinLmp"]
    }
    _same("the number of locations", len(rows), _LOCATIONS)
    totals = zip(rows["location_id"], _as_decimals(rows["lmp"]), strict=True)
    _same("the totals", dict(totals), sent)
    _same("the interval", rows["interval_start"].unique().to_list(), [_LMP_AT])
    hub = rows.filter(location_id="4000")["lmp"].item()
    return f"{ISONE_RT_LMP.key}: {len(rows)} rows at {_LMP_AT:%H:%MZ}, the hub at {hub} USD/MWh"


def _load(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, ISONE_SYSTEM_LOAD, folder / _LOAD_FILE)
    sent = [record["LoadMw"] for record in _decimals(folder / _LOAD_FILE)["FiveMinSystemLoad"]]
    _same("the interval", rows["interval_start"].to_list(), [_LOAD_AT])
    _same("the load", _as_decimals(rows["load"]), sent)
    load = rows["load"].item()
    return f"{ISONE_SYSTEM_LOAD.key}: {len(rows)} row at {_LOAD_AT:%H:%MZ}, {load} MW"


def _mix(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, ISONE_GENERATION_MIX, folder / _MIX_FILE)
    records = _decimals(folder / _MIX_FILE)["GenFuelMixes"]["GenFuelMix"]
    sent = {r["FuelCategory"]: r["GenMw"] for r in records}
    _same("the instant, to the second", rows["interval_start"].unique().to_list(), [_MIX_AT])
    _same(
        "the fuels",
        dict(zip(rows["fuel"], _as_decimals(rows["generation"]), strict=True)),
        sent,
    )
    return f"{ISONE_GENERATION_MIX.key}: {len(rows)} fuels at {_MIX_AT:%H:%M:%SZ}"


def _cts(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, MISO_CTS, folder / _CTS_FILE).sort("interval_start")
    sent = [Decimal(r["PJMFORECASTEDLMP"]) for r in _decimals(folder / _CTS_FILE)["Interval"]]
    _same("the intervals", rows["interval_start"].to_list(), _CTS_AT)
    _same("the publication", rows["published_at"].unique().to_list(), [_CTS_PUBLISHED])
    _same("the forecasts", _as_decimals(rows["lmp"]), sent)
    prices = " and ".join(str(price) for price in rows["lmp"])
    return (
        f"{MISO_CTS.key}: {len(rows)} rows from {_CTS_AT[0]:%H:%MZ}, "
        f"published {_CTS_PUBLISHED:%H:%M:%SZ}, {prices} USD/MWh"
    )


def _total_load(resources: Resources, folder: Path) -> str:
    info = _decimals(folder / _TOTAL_LOAD_FILE)["LoadInfo"]
    sent = {
        MISO_LOAD: [r["Load"]["Value"] for r in info["FiveMinTotalLoad"]],
        MISO_CLEARED_LOAD: [r["ClearedMWHourly"]["Value"] for r in info["ClearedMW"]],
        MISO_LOAD_FORECAST: [r["Forecast"]["LoadForecast"] for r in info["MediumTermLoadForecast"]],
    }
    for dataset, values in sent.items():
        rows = _stored(resources, dataset, folder / _TOTAL_LOAD_FILE).sort("interval_start")
        starts = [_MISO_MIDNIGHT + n * dataset.interval() for n in range(len(values))]
        _same(f"the intervals of {dataset.key}", rows["interval_start"].to_list(), starts)
        found = _as_decimals(rows[dataset.table.values[-1]])
        _same(f"the megawatts of {dataset.key}", found, [Decimal(v) for v in values])
    published = resources.lake.read(MISO_LOAD_FORECAST.table)["published_at"].unique().to_list()
    _same("the forecast's publication", published, [_MISO_SHOWN])
    return f"{', '.join(d.key for d in sent)}: {len(values)} rows each from {_MISO_MIDNIGHT:%H:%MZ}"


def _fuel_mix(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, MISO_FUEL_MIX, folder / _FUEL_MIX_FILE)
    records = _decimals(folder / _FUEL_MIX_FILE)["Fuel"]["Type"]
    made = dict(zip(rows["fuel"], _as_decimals(rows["generation"]), strict=True))
    _same("MISO's fuels", made, {r["CATEGORY"]: Decimal(r["ACT"]) for r in records})
    _same("the interval", rows["interval_start"].unique().to_list(), [_MISO_SHOWN])
    return f"{MISO_FUEL_MIX.key}: {len(rows)} fuels at {_MISO_SHOWN:%H:%MZ}"


def _wind_solar(resources: Resources, folder: Path) -> str:
    records = _decimals(folder / _WIND_SOLAR_FILE)["instance"]
    for dataset, which in ((MISO_WIND_SOLAR, "Actual"), (MISO_WIND_SOLAR_FORECAST, "Forecast")):
        rows = _stored(resources, dataset, folder / _WIND_SOLAR_FILE).sort("interval_start")
        starts = [_MISO_MIDNIGHT + n * dataset.interval() for n in range(len(records))]
        _same(f"the hours of {dataset.key}", rows["interval_start"].to_list(), starts)
        for name in ("wind", "solar"):
            sent = [Decimal(r[f"{which}{name.title()}Value"]) for r in records]
            _same(f"{name} of {dataset.key}", _as_decimals(rows[name]), sent)
    _same("the forecast's publication", rows["published_at"].unique().to_list(), [_WIND_SHOWN])
    return f"{MISO_WIND_SOLAR.key}, {MISO_WIND_SOLAR_FORECAST.key}: {len(rows)} hours each"


def _ex_ante(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, MISO_EX_ANTE_LMP, folder / _EX_ANTE_FILE)
    hubs = _decimals(folder / _EX_ANTE_FILE)["LMPData"]["ExAnteLMP"]["Hub"]
    sent = {
        hub["name"]: [Decimal(hub[name]) for name in ("LMP", "loss", "congestion")] for hub in hubs
    }
    columns = [_as_decimals(rows[name]) for name in ("lmp", "loss", "congestion")]
    held = dict(zip(rows["location"], map(list, zip(*columns, strict=True)), strict=True))
    _same("the hubs' prices", held, sent)
    energies = {lmp - loss - congestion for lmp, loss, congestion in sent.values()}
    _same("the energy", set(_as_decimals(rows["energy"])), energies)
    _same("the number of energies", len(energies), 1)
    at = dt.datetime.fromisoformat("2026-07-27T08:15:00-05:00")
    _same("the interval", rows["interval_start"].unique().to_list(), [at])
    return f"{MISO_EX_ANTE_LMP.key}: {len(rows)} hubs, one energy, {energies.pop()} USD/MWh"


def _interchange(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, MISO_INTERCHANGE, folder / _NSI_FILE)
    sent = {
        (_est(instance["timestamp"]), name): Decimal(value)
        for instance in _decimals(folder / _NSI_FILE)["instance"]
        for name, value in instance.items()
        if name != "timestamp"
    }
    keys = zip(rows["interval_start"], rows["neighbour"], strict=True)
    held = dict(zip(keys, _as_decimals(rows["interchange"]), strict=True))
    _same("the interchange", held, sent)
    return f"{MISO_INTERCHANGE.key}: {len(rows)} rows of {rows['neighbour'].n_unique()} neighbours"


def _constraints(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, MISO_CONSTRAINTS, folder / _CONSTRAINTS_FILE)
    fields = {
        "shadow_price": "Price",
        "breakpoint_1": "BP1",
        "penalty_1": "PC1",
        "breakpoint_2": "BP2",
        "penalty_2": "PC2",
    }
    sent = {
        (_est(record["Period"]), record["Name"]): [Decimal(record[f]) for f in fields.values()]
        for record in _decimals(folder / _CONSTRAINTS_FILE)["Constraint"]
    }
    values = zip(*(_as_decimals(rows[name]) for name in fields), strict=True)
    keys = zip(rows["interval_end"], rows["constraint_name"], strict=True)
    _same("the constraints", dict(zip(keys, map(list, values), strict=True)), sent)
    return f"{MISO_CONSTRAINTS.key}: {len(rows)} constraints"


def _ancillary(resources: Resources, folder: Path) -> str:
    rows = _stored(resources, MISO_ANCILLARY_PRICES, folder / _MCP_FILE)
    data = _decimals(folder / _MCP_FILE)["MCPData"]
    sent = {
        (market, zone["number"]): [Decimal(zone[name]) for name in _MCP_COLUMNS]
        for market, block in (("real_time", "RealTimeMCP"), ("day_ahead", "DayAheadMCP"))
        for zone in data[block]["Zone"]
    }
    values = zip(*(_as_decimals(rows[name]) for name in _MCP_COLUMNS.values()), strict=True)
    keys = zip(rows["market"], rows["reserve_zone_id"], strict=True)
    _same("the clearing prices", dict(zip(keys, map(list, values), strict=True)), sent)
    starts = dict(zip(rows["market"], rows["interval_start"], strict=True))
    expected = {"real_time": _est("2026-07-27 08:15:00"), "day_ahead": _est("2026-07-27 08:00:00")}
    _same("the intervals", starts, expected)
    return f"{MISO_ANCILLARY_PRICES.key}: {len(rows)} rows of two markets"


def _expost(resources: Resources, folder: Path) -> str:
    """The sample lacks the columns of prices: each row is kept out, with the reason."""
    path = folder / _EXPOST_FILE
    rows = _decimals(path)["data"]
    done = ingest.load(resources, MISO_EXPOST_LMP, [path], fetched_at=_FETCHED)
    _same(f"what was quarantined of {path.name}", done.quarantined, len(rows))
    _same("the rows", len(resources.lake.read(MISO_EXPOST_LMP.table)), 0)
    reasons = resources.lake.read(QUARANTINE, {"dataset": MISO_EXPOST_LMP.key})["reason"]
    _same("the reason", reasons.str.contains("field LMP .* is gone").all(), True)
    return f"{MISO_EXPOST_LMP.key}: none of {len(rows)} rows has a price, and all are kept out"


def _est(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"{text}-05:00")


_PARTS = (
    _lmp,
    _load,
    _mix,
    _cts,
    _total_load,
    _fuel_mix,
    _wind_solar,
    _ex_ante,
    _interchange,
    _constraints,
    _ancillary,
    _expost,
)


def _stored(resources: Resources, dataset: Dataset, path: Path) -> pl.DataFrame:
    """The rows that the table holds once the file is loaded; nothing may have been kept out."""
    done = ingest.load(resources, dataset, [path], fetched_at=_FETCHED)
    _same(f"what was rejected of {path.name}", done.rejected, [])
    _same(f"what was quarantined of {path.name}", done.quarantined, 0)
    return resources.lake.read(dataset.table)


def _decimals(path: Path) -> Any:  # noqa: ANN401  whatever JSON holds
    return json.loads(path.read_text(), parse_float=Decimal, parse_int=Decimal)


def _as_decimals(column: pl.Series) -> list[Decimal]:
    return [Decimal(repr(value)) for value in column.to_list()]


def _same(what: str, found: object, expected: object) -> None:
    if found != expected:
        msg = f"{what}: expected {expected}, found {found}"
        raise Differs(msg)


def main() -> int:
    """Print what was seen; 1 where something differs."""
    if len(sys.argv) != 2:  # noqa: PLR2004  the program and the folder
        print("python -m aurum_assets_tests.proofs.samples FOLDER", file=sys.stderr)
        return 2
    try:
        for line in look(Path(sys.argv[1])):
            print(line)
    except (Differs, OSError) as error:
        print(f"FAILED {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
