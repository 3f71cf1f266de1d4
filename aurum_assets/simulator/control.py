"""Controlling the simulator from another process: its clock, its faults, what it has seen.

    GET    /_simulator/requests    [{"time", "operator", "path", "status"}, …]
    GET    /_simulator/stats       requests, refusals, the most in a minute and in an hour
    GET    /_simulator/clock       {"now"}
    POST   /_simulator/clock       {"now": "2026-07-27T12:00:00-04:00"} or {"advance_seconds": 300}
    POST   /_simulator/faults      {"next": "500", "times": 3, "match": "/fiveminutelmp"}
    DELETE /_simulator/faults

None of it counts against a limit.
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from aurum_assets.simulator.wire import Reply, Request
from aurum_assets.simulator.world import SetClock

if TYPE_CHECKING:
    from aurum_assets.simulator.server import Simulator

BASE = "/_simulator"


def reply(simulator: "Simulator", request: Request, path: str) -> Reply:
    """Answer a request below ``BASE``: 400 with the reason where it makes no sense."""
    action = _ACTIONS.get((request.method, path.removeprefix(BASE)))
    if action is None:
        return _json(404, {"error": f"there is no {request.method} {path}"})
    try:
        given = msgspec.json.decode(request.body) if request.body else {}
        return _json(200, action(simulator, given))
    except (ValueError, TypeError, KeyError) as error:
        return _json(400, {"error": str(error)})


def _json(status: int, given: object) -> Reply:
    return Reply(status, msgspec.json.encode(given), {"Content-Type": "application/json"})


def _requests(simulator: "Simulator", given: dict[str, Any]) -> object:
    del given
    return [seen._asdict() for seen in list(simulator.requests)]


def _stats(simulator: "Simulator", given: dict[str, Any]) -> object:
    del given
    return simulator.ledger.stats()


def _clock(simulator: "Simulator", given: dict[str, Any]) -> object:
    del given
    return {"now": simulator.now().isoformat()}


def _set_clock(simulator: "Simulator", given: dict[str, Any]) -> object:
    if not isinstance(simulator.now, SetClock):
        msg = "this simulator's clock runs by itself: it was not made with a SetClock"
        raise TypeError(msg)
    if "advance_seconds" in given:
        now = simulator.now() + dt.timedelta(seconds=given["advance_seconds"])
    else:
        now = dt.datetime.fromisoformat(given["now"])
    simulator.now.set(now)
    return _clock(simulator, {})


def _add_fault(simulator: "Simulator", given: dict[str, Any]) -> object:
    simulator.fail(**given)
    return {"queued": given}


def _clear_faults(simulator: "Simulator", given: dict[str, Any]) -> object:
    del given
    simulator.faults.clear()
    return {"queued": None}


_ACTIONS = {
    ("GET", "/requests"): _requests,
    ("GET", "/stats"): _stats,
    ("GET", "/clock"): _clock,
    ("POST", "/clock"): _set_clock,
    ("POST", "/faults"): _add_fault,
    ("DELETE", "/faults"): _clear_faults,
}
