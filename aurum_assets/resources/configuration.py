"""The dataset files: ``config/*_ingest_datasets.json``, read, checked against the code.

A wrong file is one ``ConfigError`` naming file, dataset, key, what it holds and what it should.
"""

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError

from aurum_assets.model.cadence import CADENCES
from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.dataset import (
    Dataset,
    DatasetConfig,
    Endpoint,
    Feed,
    OperatorConfig,
    is_safe_name,
)
from aurum_assets.model.drift import ExpectedField, field_of
from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.logs import get_logger

# Keys of a dataset: retention_days never meant retention; types are the code's.
_RENAMED = {"retention_days": "repair_days", "expected_fields": "fields"}
_LONGEST_SLACK = 1440  # minutes: clocks that differ by a day are no clocks
log = get_logger(__name__)


@dataclass(frozen=True)
class IngestConfig:
    """One ``*_ingest_datasets.json``: an operator and its datasets."""

    operator: OperatorConfig
    datasets: tuple[DatasetConfig, ...]
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  as pydantic reads it


def load_config(folder: Path, datasets: tuple[Dataset, ...]) -> "Configuration":
    """Read every ``*_ingest_datasets.json`` of ``folder``.

    A dataset without an entry there (a folder that is kept is older than the code) has that of the
    project; one warning names all of them. Raises ``ConfigError`` naming file, dataset, key, what
    was found and what was expected.
    """
    found = _read_folder(folder, datasets)
    missing = [d.key for d in datasets if d.key not in found.datasets]
    if not missing:
        return found
    usual = _read_folder(PROJECT / "config", datasets)
    names = ", ".join(missing)
    if not usual.datasets.keys() >= set(missing):
        msg = f"{folder}: no entry for {names}; every dataset of the code needs one"
        raise ConfigError(msg)
    theirs = f"those of {PROJECT / 'config'} hold; copy them to tune them, or to disable them"
    log.warning("%s: no entry for %s: %s", folder, names, theirs)
    entries = {key: usual.datasets[key] for key in missing}
    return Configuration({**usual.operators, **found.operators}, {**found.datasets, **entries})


def _read_folder(folder: Path, datasets: tuple[Dataset, ...]) -> "Configuration":
    """What the files of ``folder`` hold."""
    files = sorted(folder.glob("*_ingest_datasets.json"))
    if not files:
        msg = f"{folder}: no *_ingest_datasets.json here; set AURUM_CONFIG to the config folder"
        raise ConfigError(msg)
    operators: dict[str, OperatorConfig] = {}
    configs: dict[str, DatasetConfig] = {}
    known = {d.key: d for d in datasets}
    declared = {d.operator.name: d.operator for d in datasets}
    for file in files:
        found = _read_file(file)
        name = found.operator.name
        if name not in declared:
            expected = f"one of {', '.join(declared)}"
            msg = f"{file.name}: key operator.name: expected {expected}; found {name!r}"
            raise ConfigError(msg)
        _refuse_zeros(file, found.operator)
        operators[name] = found.operator.of(declared[name])
        for config in _with_lists(found):
            if config.key in configs:
                raise _wrong(file, config.key, "key", "one entry", "it is there twice")
            configs[config.key] = _checked_against_code(file, config, known)
    return Configuration(operators, configs)


def _with_lists(found: IngestConfig) -> list[DatasetConfig]:
    """The datasets, with the operator's lists filled in where paths name them."""
    lists = {f"{{{n}}}": ";".join(v.values()) for n, v in found.operator.lists.items()}

    def filled(endpoint: Endpoint) -> Endpoint:
        path = endpoint.path
        for name, values in lists.items():
            path = path.replace(name, values)
        return replace(endpoint, path=path)

    def asking(feed: Feed) -> Feed:
        return replace(feed, endpoints=tuple(map(filled, feed.endpoints)))

    return [replace(c, feeds=tuple(map(asking, c.feeds))) for c in found.datasets]


def _wrong(file: Path, dataset: str, key: str, expected: str, found: object) -> ConfigError:
    return ConfigError(
        f"{file.name}: dataset {dataset}, key {key}: expected {expected}; found {found}"
    )


def _refuse_zeros(file: Path, operator: OperatorConfig) -> None:
    numbers = asdict(operator)
    limits = [*operator.limits, *(x for many in operator.endpoint_limits.values() for x in many)]
    found: list[tuple[str, object]] = [
        (k, v) for k, v in numbers.items() if isinstance(v, int | float) and v <= 0
    ]
    found += [("limits", x) for x in limits if x.requests <= 0 or x.seconds <= 0]
    if found:
        key, value = found[0]
        msg = (
            f"{file.name}: operator {operator.name}, key {key}: expected more than 0; found {value}"
        )
        raise ConfigError(msg)


def _read_file(file: Path) -> IngestConfig:
    try:
        return _reader().validate_json(_current(file), strict=False)
    except ValidationError as error:
        first = max(error.errors(include_url=False), key=lambda e: len(e["loc"]))  # the innermost
        raise ConfigError(_sentence(file, first["loc"], first["msg"], first["input"])) from None


@cache
def _reader() -> TypeAdapter[IngestConfig]:
    return TypeAdapter(IngestConfig)


def _current(file: Path) -> bytes:
    """The text of ``file`` as the classes have it, keys of the last version under their new names.

    Raises ``ConfigError`` where a key stands beside its old one.
    """
    text = file.read_bytes()
    try:
        raw = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text  # refused later, with its place
    if not isinstance(raw, dict):
        return text
    raw.pop("$schema", None)
    renamed: dict[str, str] = {}
    if "source" in raw and "operator" not in raw:
        raw["operator"] = raw.pop("source")
        renamed["source"] = "operator"
    for entry in _objects(raw.get("datasets")):
        renamed |= _with_new_names(file, entry)
        formats = entry.pop("formats", None)
        for feed in _objects(entry.get("feeds")):
            if any("format" in endpoint for endpoint in _objects(feed.get("endpoints"))):
                renamed["format"] = "formats"
            if isinstance(feed.get("endpoints"), list):
                named = (_by_format(file, entry, e, formats) for e in feed["endpoints"])
                feed["endpoints"] = [endpoint for some in named for endpoint in some]
    for old, new in renamed.items():
        why = "a key has another name now; the old one is read by this version for the last time"
        log.warning(why, file=file.name, old=old, new=new)
    return msgspec.json.encode(raw)


def _objects(value: object) -> list[dict[str, Any]]:
    """The JSON objects of a list; others are refused later, with their place."""
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _with_new_names(file: Path, entry: dict[str, Any]) -> dict[str, str]:
    """Rename the old keys of a dataset; which ones it had."""
    renamed = {old: new for old, new in _RENAMED.items() if old in entry}
    for old, new in renamed.items():
        if new in entry:
            expected = f"{new} alone ({old} is its old name)"
            raise _wrong(file, str(entry.get("key")), old, expected, "both")
        value = entry.pop(old)
        entry[new] = _without_types(value) if old == "expected_fields" else value
    return renamed


def _without_types(value: Any) -> Any:  # noqa: ANN401  whatever JSON holds
    """``expected_fields`` of the last version, by dialect and with types, as ``fields``."""
    found: dict[str, Any] = {}
    for fields in value.values() if isinstance(value, dict) else [value]:
        if not isinstance(fields, dict):
            return value  # refused later, with its place
        for name, one in fields.items():
            if isinstance(one, dict):
                found[name] = {k: v for k, v in one.items() if k != "type"}
    return found


def _by_format(
    file: Path,
    entry: dict[str, Any],
    endpoint: Any,  # noqa: ANN401  as above
    usual: object,
) -> list[Any]:
    """An endpoint for each of its ``formats``, failing those the dataset's ``usual`` ones.

    The first keeps the name; the others' end in theirs.
    """
    if not isinstance(endpoint, dict) or ("formats" not in endpoint and usual is None):
        return [endpoint]
    formats = endpoint.pop("formats", usual)
    if not isinstance(formats, list) or not formats or "format" in endpoint:
        key, expected = str(entry.get("key")), "a list of formats, without format beside it"
        raise _wrong(file, key, "formats", expected, repr(formats))
    name = endpoint.get("name")
    return [
        {**endpoint, "name": name if n == 0 else f"{name}_{fmt}", "format": fmt}
        for n, fmt in enumerate(formats)
    ]


def _sentence(file: Path, loc: tuple[int | str, ...], message: str, found: object) -> str:
    dataset = ""
    if len(loc) > 1 and loc[0] == "datasets" and isinstance(loc[1], int):
        try:
            raw = msgspec.json.decode(file.read_bytes())
            dataset = f" dataset {raw['datasets'][loc[1]]['key']},"
        except (msgspec.DecodeError, KeyError, IndexError, TypeError):
            dataset = f" dataset number {loc[1] + 1},"
        loc = loc[2:]
    shapes = ("literal[", "tuple[")  # pydantic names which of two shapes it tried
    key = ".".join(str(p) for p in loc if not str(p).startswith(shapes)) or "(the whole file)"
    shown = repr(found)
    shown = shown if len(shown) < 80 else shown[:77] + "..."  # noqa: PLR2004  a line of a terminal
    return f"{file.name}:{dataset} key {key}: {message}; found {shown}"


def _checked_against_code(  # noqa: C901  a list of refusals
    file: Path, config: DatasetConfig, known: Mapping[str, Dataset]
) -> DatasetConfig:
    """With the types of the code. Refuses what the code has not, and what could never work."""
    if config.key not in known:
        raise _wrong(file, config.key, "key", f"one of {', '.join(sorted(known))}", config.key)
    dataset = known[config.key]
    dialects = {d.name for d in dataset.dialects}
    for dialect in config.live_dialects or ():
        if dialect not in dialects:
            raise _wrong(file, config.key, "live_dialects", _one_of(dialects), repr(dialect))
    config = config.of(dataset)
    fields = {name for some in config.expected_fields.values() for name in some}
    for name in config.fields:
        if not any(field == name or fnmatchcase(field, name) for field in fields):
            raise _wrong(file, config.key, f"fields.{name}", _one_of(fields), repr(name))
    _check_expectations(file, config)
    if config.locations and "location" not in dataset.table.names:
        expected = "none, as its table has no location"
        raise _wrong(file, config.key, "locations", expected, list(config.locations))
    for name in ("lateness_minutes", "repair_days"):
        if getattr(config, name) < 1:
            raise _wrong(file, config.key, name, "more than 0", getattr(config, name))
    if not 0 <= config.clock_slack_minutes <= _LONGEST_SLACK:
        expected = f"between 0 and {_LONGEST_SLACK}"
        found = config.clock_slack_minutes
        raise _wrong(file, config.key, "clock_slack_minutes", expected, found)
    names: set[str] = set()
    for feed in config.feeds:
        _check_probe(file, dataset, feed)
        _check_times(file, config.key, feed)
        _check_locations(file, config.key, feed)
        if not feed.endpoints:
            raise _wrong(file, config.key, f"feeds.{feed.name}.endpoints", "at least one", "none")
        for endpoint in feed.endpoints:
            _check_endpoint(file, dataset, feed, endpoint, names)
            names.add(endpoint.name)
    return config


def _one_of(names: Collection[str]) -> str:
    return f"one of {', '.join(sorted(names))}"


def _check_endpoint(
    file: Path, dataset: Dataset, feed: Feed, endpoint: Endpoint, names: Collection[str]
) -> None:
    """Refuse an endpoint of no dialect, or of a name that is none or one of ``names``."""
    key = f"feeds.{feed.name}.endpoints.{endpoint.name}"
    dialects = {d.name for d in dataset.dialects}
    if endpoint.dialect not in dialects:
        found = repr(endpoint.dialect)
        raise _wrong(file, dataset.key, f"{key}.dialect", _one_of(dialects), found)
    if endpoint.name in names or not is_safe_name(endpoint.name):
        expected = "a name that is not there twice, of letters, digits, dot, dash, _"
        raise _wrong(file, dataset.key, key, expected, repr(endpoint.name))
    _check_path(file, dataset.key, key, feed, endpoint)


def _check_probe(file: Path, dataset: Dataset, feed: Feed) -> None:
    if feed.probe is None:
        return
    key, path = f"feeds.{feed.name}.probe", feed.probe.path
    if dataset.operator.newest_in is None or feed.asks == "now":
        expected = "none: its operator has nothing to probe, or the feed asks for no day"
        raise _wrong(file, dataset.key, key, expected, repr(path))
    if not path.startswith("/") or "{" in path:
        expected = "a path that starts with / and holds no placeholder"
        raise _wrong(file, dataset.key, f"{key}.path", expected, repr(path))
    if feed.probe.every_minutes < 1:
        found = feed.probe.every_minutes
        raise _wrong(file, dataset.key, f"{key}.every_minutes", "1 or more", found)


def _check_locations(file: Path, dataset: str, feed: Feed) -> None:
    """Refuse locations where none is asked for, and none where they are."""
    if bool(feed.location_ids) != (feed.asks == "location"):
        expected = f"{'none' if feed.location_ids else 'some'}, as it asks for: {feed.asks}"
        key = f"feeds.{feed.name}.location_ids"
        raise _wrong(file, dataset, key, expected, list(feed.location_ids))


def _check_times(file: Path, dataset: str, feed: Feed) -> None:
    """Refuse offsets that lie beyond the next mark, and days that no schedule asks for."""
    key = f"feeds.{feed.name}"
    minutes = CADENCES[feed.cadence].minutes if feed.asked.within_the_day else 1
    if not 0 <= feed.offset_minutes < minutes:
        expected = f"0 to {minutes - 1}, as its cadence is {feed.cadence}"
        raise _wrong(file, dataset, f"{key}.offset_minutes", expected, feed.offset_minutes)
    if feed.again_days and (feed.cadence != "daily" or feed.asks == "now"):
        expected = "none: only a daily feed that asks for a day or its hours asks again"
        raise _wrong(file, dataset, f"{key}.again_days", expected, list(feed.again_days))
    if any(days <= -feed.offset_days for days in feed.again_days):
        expected = f"more than {max(-feed.offset_days, 0)}, as it is asked for then anyway"
        raise _wrong(file, dataset, f"{key}.again_days", expected, list(feed.again_days))
    if feed.keeps_days is not None and (feed.keeps_days < 1 or feed.asks == "now"):
        expected = "1 or more, of a feed that asks for a day or its hours"
        raise _wrong(file, dataset, f"{key}.keeps_days", expected, feed.keeps_days)
    if feed.span_days < 1:
        raise _wrong(file, dataset, f"{key}.span_days", "1 or more", feed.span_days)
    if feed.grace_days < 0:
        raise _wrong(file, dataset, f"{key}.grace_days", "0 or more", feed.grace_days)


def _check_expectations(file: Path, config: DatasetConfig) -> None:
    for fields in config.expected_fields.values():
        for name, value in fields.items():
            if expected := _wrong_field(field_of(value), config):
                raise _wrong(file, config.key, f"fields.{name}", expected, value)
    if config.price_bounds is not None and config.price_bounds[0] >= config.price_bounds[1]:
        raise _wrong(file, config.key, "price_bounds", "floor below cap", config.price_bounds)
    for name in ("price_tolerance", "volume_tolerance", "case_gap_seconds"):
        if not getattr(config, name) >= 0:
            raise _wrong(file, config.key, name, "0 or more", getattr(config, name))


def _wrong_field(field: ExpectedField, config: DatasetConfig) -> str:
    """What is expected of a field's entry where it is not so."""
    if field.enum and field.type not in ("string", "label"):
        return "enum only where type is string or label"
    if field.magnitude is None:
        return ""
    if field.type not in ("number", "string"):
        return "magnitude only where type is number or string"
    if field.magnitude == "price":
        if config.price_bounds is None:
            return "price_bounds beside it, from which the magnitude of a price follows"
    elif not 0 < field.magnitude[0] < field.magnitude[1]:
        return "magnitude as [low, high] with 0 < low < high"
    return "" if field.at_least > 0 else "at_least of 1 or more"


def _check_path(file: Path, dataset: str, key: str, feed: Feed, endpoint: Endpoint) -> None:
    day = None if feed.asks == "now" else OperatingDay(dt.date(2024, 3, 10), "UTC")
    try:
        path = endpoint.url_path(day, "01")
    except (KeyError, IndexError, ValueError):
        days = "{day}, {yyyymmdd} or {mm/dd/yyyy}"
        known = {"now": "no {day} or other placeholder", "day": days}
        expected = known.get(feed.asks, f"{days}, and {{{feed.asks}}}")
        raise _wrong(file, dataset, f"{key}.path", expected, repr(endpoint.path)) from None
    if not path.startswith("/"):
        raise _wrong(file, dataset, f"{key}.path", "a path that starts with /", repr(path))


@dataclass(frozen=True)
class Configuration:
    """What the config folder holds: sources by name, datasets by key."""

    operators: Mapping[str, OperatorConfig]
    datasets: Mapping[str, DatasetConfig]

    def opted(self, datasets: Collection[Dataset], known: Collection[str]) -> "Configuration":
        """Disable those ``datasets`` whose operator is opt-in and not ``known`` (by name)."""
        off = {d.key for d in datasets if d.operator.opt_in and d.operator.name not in known}
        return replace(
            self,
            datasets={
                key: replace(one, enabled=False) if key in off else one
                for key, one in self.datasets.items()
            },
        )
