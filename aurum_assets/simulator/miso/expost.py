"""MISO's ex-post prices (newest interval, today so far, yesterday whole), ex-ante ones of hubs.

Ex-post prices are those of the five-minute display, at more nodes. In each interval the energy is
one number for all nodes. Yesterday is there from midnight on. All of that is an assumption.
"""

from collections.abc import Iterator

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.miso.displays import local, newest, ref_id
from aurum_assets.simulator.miso.lmp import five_minute_prices
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.world import Answer, Ask, Route, World

_NODES, _HUBS = 300, 8  # MISO has some 2,600 nodes
_HEADERS = ("INTERVAL", "CPNODE", "LMP", "MLC", "MCC")


def ex_post_rows(seed: int, day: OperatingDay, marks: range, nodes: int) -> Iterator[list[str]]:
    """A row for each node at each of the five-minute ``marks`` of a day."""
    for mark in marks:
        at = f"{local(day, mark):%Y-%m-%dT%H:%M:%S}"
        for node in five_minute_prices(seed, day, mark, nodes, "real-time"):
            yield [at, node["name"], node["LMP"], node["MLC"], node["MCC"]]


def _ex_post(world: World, ask: Ask, which: str) -> Answer:
    day, mark = newest(ask)
    marks = {"Current": range(mark, mark + 1), "Rolling": range(mark + 1)}.get(which, range(288))
    shown = day.plus(-1) if which == "Previous" else day
    nodes = world.locations or _NODES

    def tree() -> Tree:
        rows = ex_post_rows(world.seed, shown, marks, nodes)
        return {"headers": list(_HEADERS), "data": list(rows)}

    return Answer(tree, "data", ("miso-expost", world.seed, shown, marks, nodes))


def _ex_ante(world: World, ask: Ask) -> Answer:
    day, mark = newest(ask)
    count = min(world.locations or _HUBS, _HUBS)

    def tree() -> Tree:
        at = local(day, mark)
        hubs = [
            {"name": n["name"], "LMP": n["LMP"], "loss": n["MLC"], "congestion": n["MCC"]}
            for n in five_minute_prices(world.seed, day, mark, count, "ex-ante")
        ]
        block = {"HourAndMin": f"{at:%H:%M}", "Hub": hubs}
        return {"LMPData": {"RefId": ref_id(at), "ExAnteLMP": block}}

    return Answer(tree, "LMP", ("miso-ex-ante", world.seed, day, mark, count))


ROUTES = (
    Route(r"/MarketPricing/GetRealTimeFiveMinExPost/(?P<which>Current|Rolling|Previous)", _ex_post),
    Route(r"/MarketPricing/GetExAnteLmp", _ex_ante),
)
