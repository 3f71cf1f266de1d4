"""What the simulator knows of an operator: its paths, its formats, whom it admits, how often.

An operator is a folder with one ``SimulatedOperator``, and one line in ``operators``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aurum_assets.model.operator import Limit, Operator
from aurum_assets.simulator.payloads import Format, Tree, to_json
from aurum_assets.simulator.world import Answer, Ask, Refusal, Route, World


def _anybody(headers: Mapping[str, str], credentials: Mapping[str, str]) -> bool:
    del headers, credentials
    return True


def _no_more(path: str, query: Mapping[str, str]) -> Sequence[str]:
    del path, query
    return ()


def _as_json(tree: Tree, fmt: Format) -> bytes:
    del fmt
    return to_json(tree)


@dataclass(frozen=True)
class SimulatedOperator:
    """The simulated side of ``operator``.

    ``base`` is the prefix of its paths. ``formats``: those that it answers in, asked for by suffix
    or ``Accept`` where there are several, and written by ``render``. ``credentials``: the
    environment variables of a client that is admitted; ``admits`` decides by the request's headers
    (names in lower case) and them, and ``challenge`` are the headers of the 401 for all others.
    ``problem`` writes why a question is refused, where that is JSON.
    ``limits`` are the operator's own; ``windows`` names further ones (of ``Simulator.limits``) that
    a request of that path and query counts against.
    """

    operator: Operator
    base: str
    routes: tuple[Route, ...]
    limits: tuple[Limit, ...]
    formats: tuple[Format, ...] = ("json",)
    render: Callable[[Tree, Format], bytes] = _as_json
    credentials: Mapping[str, str] = field(default_factory=dict)
    admits: Callable[[Mapping[str, str], Mapping[str, str]], bool] = _anybody
    challenge: Mapping[str, str] = field(default_factory=dict)
    problem: Callable[[str], Tree] | None = None
    windows: Callable[[str, Mapping[str, str]], Sequence[str]] = _no_more

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.operator.name

    def answer(self, world: World, ask: Ask) -> Answer:
        """What it answers. Raises ``Refusal`` where it does not (404: no such path)."""
        for route in self.routes:
            if route.documented and world.live_only:
                continue
            if found := re.fullmatch(route.pattern, ask.path):
                return route.answer(world, ask, **found.groupdict())
        raise Refusal(404, f"there is no {ask.path}")
