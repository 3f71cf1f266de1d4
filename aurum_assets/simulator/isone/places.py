"""Who is priced: the hub, zones and interfaces of New England, and its nodes.

The first sixteen are named as the operator names them. The network nodes are made up, one family of
names per town, and so are their ids. The roster is fixed: no seed changes it. Two ids share the
name "Maine", as they do at the operator's.
"""

from dataclasses import dataclass
from functools import cache
from itertools import islice

_CORE = (
    ("4000", "HUB", ".H.INTERNAL_HUB"),
    ("4001", "LOAD ZONE", ".Z.MAINE"),
    ("4002", "LOAD ZONE", ".Z.NEWHAMPSHIRE"),
    ("4003", "LOAD ZONE", ".Z.VERMONT"),
    ("4004", "LOAD ZONE", ".Z.CONNECTICUT"),
    ("4005", "LOAD ZONE", ".Z.RHODEISLAND"),
    ("4006", "LOAD ZONE", ".Z.SEMASS"),
    ("4007", "LOAD ZONE", ".Z.WCMASS"),
    ("4008", "LOAD ZONE", ".Z.NEMASSBOST"),
    ("4010", "EXT. NODE", ".I.SALBRYNB345 1"),
    ("4011", "EXT. NODE", ".I.ROSETON 345 1"),
    ("4012", "EXT. NODE", ".I.HQ_P1_P2345 5"),
    ("4013", "EXT. NODE", ".I.HQHIGATE120 2"),
    ("4014", "EXT. NODE", ".I.SHOREHAM138 99"),
    ("4017", "EXT. NODE", ".I.NRTHPORT138 5"),
    ("4018", "EXT. NODE", ".I.HQMRL_RD345 1"),
)
CORE = len(_CORE)
PRICED = 1213
AREAS = 8  # as many as there are load zones
HUB_AREA = -1
_CORE_AREAS = (HUB_AREA, *range(AREAS), 0, 6, 6, 2, 3, 3, 0)
_DRR = "DRRAZ"
_ZONES = (  # demand response: two of them share a name
    ("7500", "Bangor Hydro"),
    ("7501", "Portland Maine"),
    ("7502", "New Hampshire"),
    ("7503", "Seacoast"),
    ("7504", "Northwest Vermont"),
    ("7505", "Maine"),
    ("8503", "Maine"),
)
_RESERVE_ZONES = (("7000", "ROS"), ("7001", "SWCT"), ("7002", "CT"), ("7003", "NEMABSTN"))
LISTED = 1302
# What is listed beside the priced ones and the reserve zones. The types are the operator's, 93 rows
# with the zones of demand response; how many are of which type, their numbers and names are ours.
_OTHERS = (
    ("SYSTEM", 7000, ("ROS",)),
    ("INT. AREA", 32, ("NEPOOL AREA",)),
    ("EXT. AREA", 9_001, ("NEW BRUNSWICK", "NEW YORK", "QUEBEC")),
    ("CAPACITY ZONE", 8_500, ("REST OF POOL", "NORTHERN NEW ENGLAND")),
    ("RELIABILITY REGION", 8_600, tuple(f"REGION {n}" for n in range(1, 9))),
    ("DISPATCH ZONE", 8_700, tuple(f"DISPATCH {n:02d}" for n in range(1, 20))),
    ("HUB NODE", 8_800, tuple(f"HUB NODE {n:02d}" for n in range(1, 33))),
    (_DRR, 7_510, tuple(f"DRRAZ {n:02d}" for n in range(1, 21))),
)

# Towns by load zone, in the order of the zones' ids.
_TOWNS = (
    (
        "ASHLAND BANGOR BELFAST BUCKSPRT CARIBOU DETROIT FARMNGTN GORHAM HOULTON KIBBY LEWISTON "
        "MADISON ORRINGTN RUMFORD WYMAN"
    ),
    (
        "AMHERST BERLIN CHESTER CLAREMNT CONCORD DEERFLD DOVER KEENE LACONIA LITTLETN MERRMACK "
        "NASHUA SEABROOK SCHILLER TILTON"
    ),
    (
        "ASCUTNEY BARRE BENNINGT BRATLBRO ESSEX FLORENCE GEORGIA HIGHGATE IRASBURG MIDLBURY "
        "NEWFANE NEWPORT QUECHEE RUTLAND SANDBAR"
    ),
    (
        "BRANFORD BRIDGPRT BRISTOL DANBURY DEVON GLENBROK HADDAM KILLNGLY MIDLETWN MILLSTN "
        "MONTVILE NORWALK SOUTHNGT STAMFORD WATERBRY"
    ),
    (
        "ADMIRALS BURRILVL CHARLSTN COVENTRY DAVISVIL DRUMROCK FRANKLSQ HOPE JOHNSTON KENYON "
        "OCEANST PAWTUCKT TIVERTON WARREN WOLFHILL"
    ),
    (
        "ACUSHNET BELLROCK BOURNE BRAYTON BROCKTON CANALST CARVER DARTMTH EDGARTN FALMOUTH "
        "HARWICH KINGSTON NBEDFORD PLYMOUTH TAUNTON"
    ),
    (
        "AGAWAM BEARSWMP BLANDFRD CHICOPEE DEERFLD2 FITCHBRG GREENFLD HOLYOKE LUDLOW MILLBURY "
        "NORTHFLD PITTSFLD SHIRLEY STONYBRK WESTFLD"
    ),
    (
        "BEVERLY BRIGHTON CHELSEA DANVERS EVERETT FRAMNGHM GLOUCSTR KSTREET LEXINGTN LYNN "
        "MEDFORD MYSTIC REVERE SALEMHBR WOBURN"
    ),
)
_LOAD_KV = ("13.8", "23", "27", "34.5", "46", "69", "115")
_UNITS = (("13.8", "1"), ("13.8", "2"), ("115", "G1"))
_EXTRA_UNIT = ("115", "G2")
_EXTRA_UNITS = 36  # of the first towns: 393 units among the 1,190 nodes
_NODES = 1190


@dataclass(frozen=True)
class Place:
    """A priced location: its place in the roster, and the area whose constraints it feels."""

    number: int
    id: str
    type: str
    name: str
    area: int


def _node_names() -> list[tuple[str, int]]:
    """Ten nodes a town, three or four of them units, town after town across the areas."""
    names: list[tuple[str, int]] = []
    for towns in zip(*(t.split() for t in _TOWNS), strict=True):
        for area, town in enumerate(towns):
            extra = len(names) < 10 * _EXTRA_UNITS
            loads = _LOAD_KV[:-1] if extra else _LOAD_KV
            units = (_EXTRA_UNIT, *_UNITS) if extra else _UNITS
            names += [(f"LD.{town:<8}{kv}", area) for kv in loads]
            names += [(f"UN.{town:<8}{kv:<4}{town[:3]}{unit}", area) for kv, unit in units]
    return names


def _node_ids(count: int) -> list[str]:
    """Numbers from 321 on, with gaps, that are nobody else's."""
    taken = {int(p[0]) for p in (*_CORE, *_ZONES)}
    numbers = (n for n in range(321, 10_000) if n not in taken and n * 7919 % 11 < 3)  # noqa: PLR2004  gaps
    return [str(n) for n in islice(numbers, count)]


@cache
def places(count: int | None = None) -> tuple[Place, ...]:
    """The first ``count`` priced locations (None: all): the operator's own sixteen, nodes by id.

    Raises ``ValueError`` where there are not that many.
    """
    count = PRICED if count is None else count
    if not 1 <= count <= PRICED:
        msg = f"{count} locations: there are between 1 and {PRICED}"
        raise ValueError(msg)
    core = [(*place, area) for place, area in zip(_CORE, _CORE_AREAS, strict=True)]
    nodes = [
        (number, "NETWORK NODE", name, area)
        for number, (name, area) in zip(_node_ids(_NODES), _node_names(), strict=False)
    ]
    zones = [(number, _DRR, name, 0) for number, name in _ZONES]
    rest = sorted([*nodes, *zones], key=lambda place: int(place[0]))
    return tuple(Place(n, *place) for n, place in enumerate([*core, *rest][:count]))


def is_unit(place: Place) -> bool:
    """Whether a node is a generator's."""
    return place.name.startswith("UN.")


@cache
def units() -> tuple[Place, ...]:
    """The nodes of generators: 393."""
    return tuple(place for place in places() if is_unit(place))


@cache
def listed() -> tuple[tuple[str, str, str], ...]:
    """Id, type and name of every location: the priced ones, and those that have no price."""
    others = [
        (str(first + n), kind, name)
        for kind, first, names in _OTHERS
        for n, name in enumerate(names)
    ]
    others += [(number, "RESERVE ZONE", name) for number, name in _RESERVE_ZONES[1:]]
    priced = [(place.id, place.type, place.name) for place in places()]
    return tuple(sorted([*priced, *others], key=lambda row: int(row[0])))


def reserve_zones() -> tuple[tuple[str, str], ...]:
    """Id and name of the system (first) and of the three reserve zones."""
    return _RESERVE_ZONES
