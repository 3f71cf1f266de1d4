"""MISO's clearing prices of ancillary services in eight zones, real-time and day-ahead."""

from aurum_assets.model.clock import OperatingDay
from aurum_assets.simulator.miso.displays import local, newest, ref_id
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.shapes import draws
from aurum_assets.simulator.world import Answer, Ask, Route, World

_ZONES = 8
_CAPS = {"Reg": 1500, "Spin": 300, "Supp": 100}  # cents


def zones(seed: int, day: OperatingDay, mark: int, market: str) -> list[Tree]:
    """The zones' prices: mostly one price in all of them, as where no zone is short."""
    generator = draws(seed, "miso-mcp", market, day.key, mark)
    prices = {name: f"{generator.integers(0, cap) / 100:.2f}" for name, cap in _CAPS.items()}
    return [
        {
            "number": str(number),
            **{f"Gen{name}MCP": price for name, price in prices.items()},
            "StrMcp": "0.10",
            **{f"Demand{name}Mcp": price for name, price in prices.items()},
            "RcpUpMcp": "0.00",
            "RcpDownMcp": "0.00",
        }
        for number in range(1, _ZONES + 1)
    ]


def _answer(world: World, ask: Ask) -> Answer:
    day, mark = newest(ask)
    hour, seed = mark // 12, world.seed

    def tree() -> Tree:
        at = local(day, mark)
        five = {"HourAndMin": f"{at:%H:%M}", "Zone": zones(seed, day, mark, "real-time")}
        ahead = {"HourEnding": str(hour + 1), "Zone": zones(seed, day, hour, "day-ahead")}
        data = {"RefId": ref_id(at), "MktDay": f"{at:%m-%d-%Y}"}
        return {"MCPData": {**data, "RealTimeMCP": five, "DayAheadMCP": ahead}}

    return Answer(tree, "GenRegMCP", ("miso-mcp", seed, day, mark))


ROUTES = (Route(r"/MarketPricing/GetAncillaryServicesMcp", _answer),)
