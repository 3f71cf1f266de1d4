"""Operators that fail: 429, 5xx, hang, drip, reset, truncated, and away for long.

In each round a dataset meets the fault a few times (fewer than it is asked for), then at every
request, then not at all. The waits of the policy go by a hundred times as fast, and the seconds
that an answer may take are shortened; the last round of each fault has all of them as configured.
"""

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import NamedTuple

from aurum_assets.model.dataset import Dataset, OperatorConfig
from aurum_assets.model.errors import AurumError, SourceUnavailable
from aurum_assets.model.operator import Operator
from aurum_assets.operators.isone.lmp import ISONE_RT_LMP
from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources.api import (
    FIRST_BACKOFF,
    FIRST_PAUSE,
    LONGEST_BACKOFF,
    TOO_MANY,
    ApiClient,
    full_jitter,
)
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.configuration import Configuration
from aurum_assets.resources.limits import LONGEST_PAUSE, SqliteLimiter
from aurum_assets.resources.state import SqliteState, State
from aurum_assets.simulator.faults import Details
from aurum_assets_tests.made import Made, remade
from aurum_assets_tests.proofs.faults.ground import (
    DATASETS,
    WORK,
    FaultTable,
    Line,
    MakeHome,
    Round,
    a_round,
)
from aurum_assets_tests.proofs.proof import Instant, close, home_at


class Waits(NamedTuple):
    """How long an answer may take, in seconds, and how much faster all other waits go by."""

    read: float = 30.0
    total: float = 120.0
    pace: float = 200.0


AS_CONFIGURED = Waits(pace=1.0)
SHORTENED = {"hang": Waits(read=0.3), "drip": Waits(total=0.5)}
PATHS = {
    "isone_system_load": "/fiveminutesystemload/current",
    "isone_rt_lmp": "/fiveminutelmp/",
    "miso_cts": "/CoordinatedTransactionScheduling",
}
_FOR_EVER = 10_000
_OTHERS = 3  # endpoints that a feed has beside its first, at most
_SLACK = 0.01  # seconds by which two clocks of one machine may differ


@dataclass
class Hurried(Made):
    """A home whose waits go by ``pace`` times as fast; state, limiter and backoff alike."""

    pace: float = 1.0

    def __post_init__(self) -> None:
        self.sleep = self.nap

    @cached_property
    def state(self) -> SqliteState:
        """As ever, on the faster clock."""
        return SqliteState(self.root / "state.sqlite", self.time)

    def time(self) -> float:
        """Seconds, ``pace`` times as fast."""
        return time.time() * self.pace

    def nap(self, seconds: float) -> None:
        """Sleep as long as ``time`` needs to go by."""
        time.sleep(seconds / self.pace)

    def api(
        self,
        operator: Operator,
        *,
        single_attempt: bool = False,
        memory: State | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> ApiClient:
        """As ever, on the faster clock."""
        del single_attempt, memory
        config = self.configuration.operators[operator.name]
        config = replace(config, base_url=self.base_urls[operator.name], endpoint_limits={})
        limiter = SqliteLimiter(
            self.root / "limits.sqlite", config, self.state, clock=self.time, sleep=self.sleep
        )
        return ApiClient(
            config,
            operator,
            self.state,
            limiter,
            credentials=self.credentials.get(operator.name),
            clock=self.clock,
            sleep=self.sleep,
            jitter=full_jitter,
            report=report,
        )


@dataclass(frozen=True)
class Fault:
    """A way of an operator to fail. ``falls_over``: whether another endpoint is asked then.

    ``pauses``: how long nobody may ask after each refusal, in seconds of the policy.
    ``keeps``: whether the bytes that came are kept under ``rejected/``.
    """

    name: str
    kind: str
    details: Details
    as_configured: Details
    falls_over: bool = True
    pauses: Callable[[int], float] = lambda _: 0.0
    keeps: bool = False

    def each(self, waits: Waits) -> float:
        """How many seconds one attempt may take at most, its pause left aside."""
        if self.kind == "hang":
            return waits.read
        return waits.total if self.kind == "drip" else 0.5


def _growing(attempt: int) -> float:
    return min(FIRST_PAUSE * 2.0 ** (attempt - 1), LONGEST_PAUSE)


FAULTS = (
    Fault(
        "operator 429 with Retry-After",
        "429",
        {"retry_after": "20"},
        {"retry_after": "2"},
        falls_over=False,
        pauses=lambda _: 20.0,
    ),
    Fault("operator 429 without", "429", {}, {}, falls_over=False, pauses=_growing),
    Fault("operator 503", "503", {}, {}),
    Fault("operator hangs", "hang", {"seconds": 30.0}, {"seconds": 90.0}),
    Fault("operator drips", "drip", {"seconds": 1.2}, {"seconds": 300.0}, keeps=True),
    Fault("operator resets", "reset", {}, {}),
    Fault("operator truncates", "truncated", {}, {}, keeps=True),
)


def tuned(waits: Waits) -> MakeHome:
    """Makes homes with these waits, and with limits that are out of the way."""

    def make(root: Path, now: Instant, urls: Mapping[str, str]) -> Resources:
        plain = home_at(root, now, urls)
        operators = {
            name: replace(
                config,
                limits=tuple(replace(x, requests=x.requests * 1000) for x in config.limits),
                read_seconds=waits.read,
                total_seconds=waits.total,
            )
            for name, config in plain.configuration.operators.items()
        }
        found = remade(
            plain,
            configuration=Configuration(operators, plain.configuration.datasets),
            limit_scale=1.0,
        )
        return Hurried(**vars(found), pace=waits.pace)

    return make


def shortened(fault: Fault, number: int, proof: FaultTable, line: Line) -> None:
    """A round in which the fault comes a few times, then for ever, then no more."""
    with a_round(number, proof, line, tuned(SHORTENED.get(fault.kind, Waits()))) as one:
        victim = _victim(fault, number)
        times = 1 + number % (_config(one, victim).attempts - 1)
        one.goes_well("before the fault", one.tick())
        one.at(1)
        _passing(one, fault, victim, times)
        one.at(2)
        _lasting(one, fault, victim)
        one.judge()


def _victim(fault: Fault, number: int) -> Dataset:
    """With 429, a second dataset of the same operator has to wait as well."""
    return (
        (ISONE_SYSTEM_LOAD, ISONE_RT_LMP)[number % 2]
        if not fault.falls_over
        else DATASETS[number % 3]
    )


def _config(one: Round, dataset: Dataset) -> OperatorConfig:
    return one.home.configuration.operators[dataset.operator.name]


def _passing(one: Round, fault: Fault, victim: Dataset, times: int) -> None:
    """The fault comes ``times``: one run, which asks once more than that, and succeeds."""
    others = [d for d in DATASETS if d is not victim]
    one.simulator.fail(fault.kind, times=times, match=PATHS[victim.key], **fault.details)
    before = len(one.simulator.requests)
    waiting = threading.Thread(target=_beside, args=(one, others)) if not fault.falls_over else None
    if waiting:
        waiting.start()
    one.goes_well(f"with {times} faults on the way", one.tick([victim], timed=True))
    if waiting:
        waiting.join()
    else:
        one.goes_well("other datasets", one.tick(others))
    found = one.requests(PATHS[victim.key], before)
    one.counted(f"{victim.key}, {times} faults", found, times + 1)
    _keeps_pauses(one, fault, victim, before)


def _beside(one: Round, others: list[Dataset]) -> None:
    """Another process of the machine, which comes once a pause has been asked for."""
    home = one.another()
    ends = time.monotonic() + WORK
    while not home.state.keys("pause:isone:") and time.monotonic() < ends:
        time.sleep(0.001)
    one.goes_well("another process", one.tick(others, resources=home))
    close(home.lake)


def _keeps_pauses(one: Round, fault: Fault, victim: Dataset, since: int) -> None:
    """Nobody asks before the pause is over: not who was refused, nor who came after that.

    A request that was under way when another one was refused is no offence, so that of the other
    datasets only the time after the first refusal counts.
    """
    seen = [s for s in one.simulator.requests[since:] if s.operator == victim.operator.name]
    ours = [s for s in seen if PATHS[victim.key] in s.path]
    others = [s for s in seen if s not in ours]
    pairs = [*itertools.pairwise(ours), *((ours[0], other) for other in others)]
    for earlier, later in pairs:
        if earlier.status == TOO_MANY:
            gap = later.time - earlier.time
            pause = fault.pauses(ours.index(earlier) + 1) / _pace(one)
            sentence = (
                f"asked again after {gap:.3f} s, not {pause:.3f} s, by one process or another"
            )
            one.holds(sentence, where=gap >= pause - _SLACK)


def _pace(one: Round) -> float:
    return one.home.pace if isinstance(one.home, Hurried) else 1.0


def _lasting(one: Round, fault: Fault, victim: Dataset) -> None:
    """Every request meets the fault: the run fails with a sentence, the next one heals."""
    config = _config(one, victim)
    others = [d for d in DATASETS if d is not victim]
    feed = next(f for f in one.home.config(victim).feeds if f.asks == "now")
    policy = config.attempts + (len(feed.endpoints) - 1 if fault.falls_over else 0)
    one.simulator.fail(fault.kind, times=_FOR_EVER, match=PATHS[victim.key], **fault.details)
    before = len(one.simulator.requests)
    _is_unavailable(one, victim, one.tick([victim], timed=True))
    one.counted(f"{victim.key}, for ever", one.requests(PATHS[victim.key], before), policy)
    _kept(one, fault, victim)
    one.goes_well("other datasets", one.tick(others))
    one.simulator.faults.clear()
    before = len(one.simulator.requests)
    one.goes_well("the next run", one.tick())
    one.counted(f"{victim.key}, again", one.requests(PATHS[victim.key], before), 1)


def _is_unavailable(one: Round, victim: Dataset, errors: Mapping[str, AurumError]) -> None:
    error = errors.get(victim.key)
    outcome = f"{type(error).__name__}: {error}" if error else "nothing at all"
    one.holds(f"the run ended with {outcome}", where=isinstance(error, SourceUnavailable))


def _kept(one: Round, fault: Fault, victim: Dataset) -> None:
    """What came of an answer is kept under ``rejected/``, and is how the right answer begins."""
    rejections = list(one.home.archive.rejections(victim.key))
    if not fault.keeps:
        one.holds(f"{len(rejections)} answers were rejected", where=not rejections)
        return
    one.holds("the bytes that came are not kept", where=len(rejections) == 1)
    for rejection in rejections:
        one.holds("nothing is kept", where=bool(one.home.archive.rejected_body(rejection)))
        one.line.kept += 1


def as_configured(fault: Fault, number: int, proof: FaultTable, line: Line) -> None:
    """A round with every second as it is configured: the fault comes once."""
    with a_round(number, proof, line, tuned(AS_CONFIGURED)) as one:
        one.goes_well("before the fault", one.tick())
        one.at(1)
        _passing_once(one, fault)
        one.at(2)
        one.goes_well("after the fault", one.tick())
        one.judge()


def _passing_once(one: Round, fault: Fault) -> None:
    victim = ISONE_SYSTEM_LOAD
    one.simulator.fail(fault.kind, match=PATHS[victim.key], **fault.as_configured)
    before = len(one.simulator.requests)
    one.goes_well("with one fault on the way", one.tick([victim], timed=True))
    one.counted("as configured", one.requests(PATHS[victim.key], before), 2)
    one.goes_well("other datasets", one.tick([d for d in DATASETS if d is not victim]))


def first_endpoint(number: int, proof: FaultTable, line: Line) -> None:
    """The first endpoint of a feed is away, the next one answers, and is asked first from then."""
    with a_round(number, proof, line, tuned(Waits())) as one:
        victim = (ISONE_SYSTEM_LOAD, ISONE_RT_LMP)[number % 2]
        path, config = PATHS[victim.key], _config(one, victim)
        one.goes_well("before the fault", one.tick())
        one.at(1)
        one.simulator.fail("503", times=config.attempts, match=path)
        before = len(one.simulator.requests)
        one.goes_well("the first endpoint is away", one.tick(timed=True))
        one.counted("falling over", one.requests(path, before), config.attempts + 1)
        one.at(2)
        before = len(one.simulator.requests)
        one.goes_well("the next run", one.tick())
        one.counted("remembering", one.requests(path, before), 1)
        one.judge()


def away(number: int, proof: FaultTable, line: Line) -> None:
    """An operator is away: after five failed fetches nobody asks, then one process asks once."""
    with a_round(number, proof, line, tuned(Waits())) as one:
        victim = DATASETS[number % len(DATASETS)]
        config, path = _config(one, victim), PATHS[victim.key]
        feed = next(f for f in one.home.config(victim).feeds if f.asks == "now")
        one.goes_well("before the fault", one.tick())
        one.at(1)
        one.simulator.fail("reset", times=_FOR_EVER, match=path)
        each = config.attempts + len(feed.endpoints) - 1
        for fetch in range(config.breaker_failures + 1):
            before = len(one.simulator.requests)
            _is_unavailable(one, victim, one.tick([victim], timed=True))
            policy = each if fetch < config.breaker_failures else 0
            one.counted(f"fetch {fetch + 1}", one.requests(path, before), policy)
            one.reopen()
        time.sleep(config.breaker_seconds / Waits().pace)
        before = len(one.simulator.requests)
        _is_unavailable(one, victim, one.tick([victim], timed=True))
        one.counted("the probe", one.requests(path, before), 1)
        one.simulator.faults.clear()
        time.sleep(config.breaker_seconds / Waits().pace)
        before = len(one.simulator.requests)
        one.goes_well("the operator is back", one.tick())
        one.counted("the probe that closes", one.requests(path, before), 1)
        one.at(2)
        one.goes_well("the next run", one.tick())
        one.judge()


def bound(fault: Fault, waits: Waits) -> float:
    """Seconds of one run by the policy: its attempts, pauses and backoffs, and the work itself."""
    attempts = OperatorConfig("", "", ()).attempts
    backoffs = [min(FIRST_BACKOFF * 2.0**n, LONGEST_BACKOFF) for n in range(attempts - 1)]
    pauses = [fault.pauses(n + 1) for n in range(attempts - 1)]
    others = _OTHERS if fault.falls_over else 0
    each = fault.each(waits)
    return (attempts + others) * each + sum(backoffs + pauses) / waits.pace + WORK


def operator_faults(proof: FaultTable, rounds: int, *, configured: bool = True) -> None:
    """Every fault of an operator, ``rounds`` times, and once more with all that is configured."""
    with ThreadPoolExecutor(2) as beside:
        slow: list[Future[None]] = []
        for fault in sorted(FAULTS, key=lambda f: -f.each(AS_CONFIGURED)) if configured else ():
            line = proof.line(f"{fault.name}, all as configured", bound(fault, AS_CONFIGURED))
            slow.append(beside.submit(as_configured, fault, rounds, proof, line))
        for fault in FAULTS:
            line = proof.line(fault.name, bound(fault, SHORTENED.get(fault.kind, Waits())))
            proof.play(partial(shortened, fault), line, rounds)
        soon = WORK + 15 / Waits().pace  # the backoffs of five attempts
        proof.play(first_endpoint, proof.line("operator 503 at its first endpoint", soon), rounds)
        proof.play(away, proof.line("operator away, breaker", soon), rounds)
        for one in slow:
            one.result()
            proof.add("rounds")
