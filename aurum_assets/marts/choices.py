"""What a desk may choose about its marts: on-peak blocks, main locations, gate closure and fee.

Each comes from ``config/marts.json``, where the public source of each default stands beside it.
What no public source gives has no default: neither a gate closure nor a fee of Coordinated
Transaction Scheduling is known here, so forecasts count until their interval begins, and any
difference of prices pays. Not here: what is on-peak in an hour (``model.peak``).
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Operator
from aurum_assets.model.peak import Peak

FILE = "marts.json"
_HOURS = 24


class _Block(msgspec.Struct, forbid_unknown_fields=True):
    """``peak.<operator>``."""

    source: str
    zone: str
    hours_ending: tuple[int, int] = (8, 23)
    days_off: tuple[dt.date, ...] = ()


class _Main(msgspec.Struct, forbid_unknown_fields=True):
    """``main_locations.<operator>``."""

    location: str
    source: str


class _Cts(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """``cts``: null where no public source is known; ``source`` where one is given."""

    gate_closure_minutes: float | None = None
    fee: float | None = None
    source: str = ""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    """``marts.json``; what it leaves out is as it was."""

    peak: dict[str, _Block] = {}
    main_locations: dict[str, _Main] = {}
    scarcity_price: float | None = None
    cts: _Cts | None = None


@dataclass(frozen=True)
class Choices:
    """What was chosen.

    ``peak``: the on-peak block of an operator; one without an entry has hours ending 8 to 23 of its
    own zone. ``main_locations``: operator to the location whose price stands for its market.
    ``scarcity_price``: USD/MWh from which an hour counts as one of scarcity.
    ``cts_gate_closure_minutes``: how long before an interval the last forecast counts; None: until
    it begins. ``cts_fee``: USD/MWh that a difference of prices must exceed to pay; None: none.
    """

    peak: Mapping[str, Peak] = field(default_factory=dict)
    main_locations: Mapping[str, str] = field(default_factory=dict)
    scarcity_price: float = 1000.0
    cts_gate_closure_minutes: float | None = None
    cts_fee: float | None = None

    def peak_of(self, operator: Operator) -> Peak:
        """The on-peak block of ``operator``."""
        return self.peak.get(operator.name) or Peak(operator.zone)

    @property
    def variables(self) -> Mapping[str, float]:
        """What the models read as ``var``."""
        return {
            "scarcity_price": self.scarcity_price,
            "cts_gate_closure_minutes": self.cts_gate_closure_minutes or 0.0,
            "cts_fee": self.cts_fee or 0.0,
        }


def load(folder: Path, usual: Path) -> Choices:
    """The choices in ``folder``'s ``marts.json``; what it leaves out is as in that of ``usual``.

    Raises ``ConfigError`` naming file and key.
    """
    found = Choices()
    for file in dict.fromkeys((usual / FILE, folder / FILE)):
        if file.exists():
            found = read(file.read_bytes(), str(file), found)
    return found


def read(body: bytes, where: str, before: Choices | None = None) -> Choices:
    """The choices that the file ``where`` holds, over those ``before``.

    Raises ``ConfigError`` naming file and key.
    """
    try:
        found = msgspec.json.decode(body, type=_File)
    except msgspec.DecodeError as error:
        msg = f"{where}: {error}"
        raise ConfigError(msg) from error
    for name, block in found.peak.items():
        _require_a_block(f"{where}: peak.{name}", block)
    before = before or Choices()
    peak = {
        name: Peak(block.zone, *block.hours_ending, block.days_off, block.source)
        for name, block in found.peak.items()
    }
    main = {name: main.location for name, main in found.main_locations.items()}
    price, cts = found.scarcity_price, found.cts
    chosen = replace(
        before,
        peak={**before.peak, **peak},
        main_locations={**before.main_locations, **main},
        scarcity_price=before.scarcity_price if price is None else price,
    )
    if cts is None:
        return chosen
    _require_a_source(f"{where}: cts", cts)
    return replace(chosen, cts_gate_closure_minutes=cts.gate_closure_minutes, cts_fee=cts.fee)


def _require_a_source(where: str, cts: _Cts) -> None:
    for key, value in (("gate_closure_minutes", cts.gate_closure_minutes), ("fee", cts.fee)):
        if value is not None and (value < 0 or not cts.source):
            msg = f"{where}.{key} is {value}: it is none below zero, and needs its source"
            raise ConfigError(msg)


def _require_a_block(where: str, block: _Block) -> None:
    first, last = block.hours_ending
    if not 1 <= first <= last <= _HOURS:
        msg = f"{where}.hours_ending is [{first}, {last}]: expected two of 1 to 24, in order"
        raise ConfigError(msg)
    try:
        ZoneInfo(block.zone)
    except (ZoneInfoNotFoundError, ValueError) as error:
        msg = (
            f"{where}.zone is {block.zone!r}, which is no IANA zone, for instance America/New_York"
        )
        raise ConfigError(msg) from error
