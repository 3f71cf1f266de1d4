"""The locations of New England: 1,302 in all, of which 1,190 are network nodes, 393 of them units.

They are the same whatever the seed, the day and the number of locations that are priced here.
"""

from aurum_assets.simulator.isone.payloads import wrapped
from aurum_assets.simulator.isone.places import listed
from aurum_assets.simulator.payloads import Tree
from aurum_assets.simulator.world import Answer, Ask, Route, World

_NODE = "NETWORK NODE"
_UNLISTED = (_NODE, "HUB NODE", "DISPATCH ZONE")  # without /all


def location_records(*, everything: bool = True) -> list[Tree]:
    """The records by id; a network node says of which type it is."""
    return [
        {
            "LocationID": int(number),
            "LocationType": kind,
            "LocationName": name,
            "AreaType": "EXTERNAL" if kind.startswith("EXT.") else "INTERNAL",
            **({"NetworkNodeType": _node_type(name)} if kind == _NODE else {}),
        }
        for number, kind, name in listed()
        if everything or kind not in _UNLISTED
    ]


def _node_type(name: str) -> str:
    return "UNIT" if name.startswith("UN.") else "LOAD"


def _locations(world: World, ask: Ask, everything: str | None = None) -> Answer:
    del world, ask

    def tree() -> Tree:
        return wrapped("Locations", "Location", location_records(everything=bool(everything)))

    return Answer(tree, "LocationName", ("locations", bool(everything)))


ROUTES = (Route(r"/locations(?P<everything>/all)?", _locations),)
