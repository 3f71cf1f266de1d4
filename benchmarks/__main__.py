"""Speed, beside a floor and a peer, in one run on one machine.

    python -m benchmarks             a warm-up, then the median of 5 rounds, alternating
    python -m benchmarks --quick     one round
    python -m benchmarks --only D L  some of it; L takes five minutes, M ten
    python -m benchmarks --profile   where the time of A, B and C goes, instead of figures

Every run is a process of its own with a new lake; what is imported is imported before a clock
starts, on all sides. The exit code is 0 whether targets are met or not: the table says it.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from benchmarks import figures, peer, scheduled
from benchmarks.derived import BEFORE, YEAR
from benchmarks.figures import Figure
from benchmarks.measure import BenchmarkFailed, Spent, alternate, process

_ROUNDS = 5
_REPLAYS = 3  # rounds of R, each of a minute
_ONE_THREAD = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS")
_TICKS_A_ROUND, _IDLE_A_ROUND = 4, 12.0
_PARTS = ("A", "B", "C", "D", "F", "L", "M", "P", "Q", "R", "S")
_NUMBERS = count()


def tell(text: str) -> None:
    """Progress, on standard error."""
    print(f"… {text}", file=sys.stderr, flush=True)


def product(prepared: Path, what: str, *more: str) -> Spent:
    """One of the product's runs (see ``benchmarks.day``) with a new home."""
    home = prepared / f"home-{next(_NUMBERS)}"
    return process(["-m", "benchmarks.day", what, prepared, home, *more])


def floor(prepared: Path) -> Spent:
    """The floor, on one thread."""
    env = dict.fromkeys(_ONE_THREAD, "1")
    return process(["-m", "benchmarks.floor", prepared, prepared / "floor.parquet"], env=env)


def day(prepared: Path, rounds: int) -> list[Figure]:
    """A and E: product, floor and peer in turn."""
    runs = {"product": partial(product, prepared, "product"), "floor": partial(floor, prepared)}
    missing = ""
    try:
        runs["peer"] = partial(peer.parse, peer.python(tell), prepared)
    except (BenchmarkFailed, OSError) as error:
        missing = str(error).splitlines()[0]
    return figures.day_figures(alternate(runs, rounds, tell), missing)


def snapshot(prepared: Path, rounds: int) -> list[Figure]:
    """B."""
    runs = {"snapshot": partial(product, prepared, "snapshot")}
    return figures.snapshot_figures(alternate(runs, rounds, tell)["snapshot"])


def merges(prepared: Path, rounds: int) -> list[Figure]:
    """C."""
    runs = {"merges": partial(product, prepared, "merges")}
    return figures.merge_figures(alternate(runs, rounds, tell)["merges"])


def scheduled_run(prepared: Path, rounds: int) -> list[Figure]:
    """D: both kinds of runs in turn."""
    with scheduled.schedule_groups(prepared / "dagster") as schedule_groups:
        runs = {"run": schedule_groups.run, "empty": schedule_groups.empty}
        return figures.run_figures(alternate(runs, rounds, tell))


def latency(prepared: Path, rounds: int) -> list[Figure]:
    """L: one profile after the other, each a stack of real processes."""
    from benchmarks import latency as part

    ticks, idle = rounds * _TICKS_A_ROUND, rounds * _IDLE_A_ROUND
    found = {
        profile: part.measure(prepared / profile, profile, tell, ticks=ticks, idle=idle)
        for profile in part.PROFILES
    }
    return figures.latency_figures(found, part.runs_a_day())


def marts(prepared: Path, rounds: int) -> list[Figure]:
    """M: each round in a process of its own; then a year, once."""
    runs = {"marts": lambda: derived(prepared)}
    of_a_day = figures.mart_figures(alternate(runs, min(rounds, _REPLAYS), tell)["marts"])
    tell("the source rows of a year")
    home, run = prepared / f"home-{next(_NUMBERS)}", ["-m", "benchmarks.derived"]
    rows = process([*run, "fill", home]).report["rows"]
    tell("marts of a month, then of a year")
    month, year = (
        process([*run, "build", *days], env={"AURUM_HOME": str(home)}) for days in (BEFORE, YEAR)
    )
    return [*of_a_day, *figures.year_figures(month, year, rows)]


def pages(prepared: Path, rounds: int) -> list[Figure]:
    """P: each round in a process of its own, on one home."""
    tell("a month of days to show")
    home = prepared / f"home-{next(_NUMBERS)}"
    process(["-m", "benchmarks.page", "fill", prepared, home])
    runs = {"page": lambda: process(["-m", "benchmarks.page", "write", home])}
    return figures.page_figures(alternate(runs, rounds, tell)["page"])


def derived(prepared: Path) -> Spent:
    """A day's marts in a new home."""
    home = prepared / f"home-{next(_NUMBERS)}"
    return process(["-m", "benchmarks.derived", "day", prepared, home])


def parsers(prepared: Path, rounds: int) -> list[Figure]:
    """F: one process, which repeats and alternates by itself."""
    del prepared, rounds
    tell("parsers, each beside msgspec alone")
    return figures.parser_figures(process(["-m", "benchmarks.parsers"]).report["parsers"])


def queries(prepared: Path, rounds: int) -> list[Figure]:
    """Q: one process, which repeats by itself, and starts commands."""
    del rounds
    tell("400 days of prices, and what is asked of them")
    home = prepared / f"home-{next(_NUMBERS)}"
    found = process(["-m", "benchmarks.queries", prepared, home]).report
    return [*figures.query_figures(found["queries"]), *figures.command_figures(found["commands"])]


def replays(prepared: Path, rounds: int) -> list[Figure]:
    """R: two processes and one in turn; then commits."""
    tell("ten days of answers")
    run = ["-m", "benchmarks.replayed"]
    process([*run, "archive", prepared])

    def replay(workers: int) -> Spent:
        home = prepared / f"home-{next(_NUMBERS)}"
        return process([*run, "replay", prepared, home, str(workers)])

    runs = {f"{workers} workers": partial(replay, workers) for workers in (1, 2)}
    found = alternate(runs, min(rounds, _REPLAYS), tell)
    tell("commits of a month")
    commits = process([*run, "commits", prepared / f"home-{next(_NUMBERS)}"]).report
    return figures.replay_figures(found, commits)


def a_day(prepared: Path, rounds: int) -> list[Figure]:
    """S: a run of each schedule."""
    del rounds
    found = []
    with scheduled.schedule_groups(prepared / f"schedules-{next(_NUMBERS)}") as ticks:
        for group, spent in scheduled.of_each_schedule(ticks):
            tell(f"a run of {group.name}")
            found.append((group.name, len(group.pairs), scheduled.runs_a_day(group), spent))
    return figures.day_of_schedules(found)


Part = Callable[[Path, int], list[Figure]]
MEASURED: dict[str, Part] = {
    "A": day,
    "B": snapshot,
    "C": merges,
    "D": scheduled_run,
    "F": parsers,
    "L": latency,
    "M": marts,
    "P": pages,
    "Q": queries,
    "R": replays,
    "S": a_day,
}


def measured(part: str, prepared: Path, rounds: int) -> list[Figure]:
    """The figures of a part; where a process of it fails, the part is not measured and says why."""
    try:
        return MEASURED[part](prepared, rounds)
    except BenchmarkFailed as error:
        tell(str(error))
        return [Figure(f"{part} could not be measured", None, "", note=str(error).splitlines()[-1])]


def machine() -> str:
    """Where the figures come from, and how busy it is."""
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{os.cpu_count()} cores, Python {python}, load average {load}"


def profile(prepared: Path, parts: Sequence[str]) -> None:
    """Where the time goes, one run each."""
    names = {"A": "product", "B": "snapshot", "C": "merges"}
    for name in (names[p] for p in parts if p in names):
        home = prepared / f"home-{next(_NUMBERS)}"
        spent = process(["-m", "benchmarks.day", name, prepared, home, "profile"], show_errors=True)
        print(f"{name}: {spent.seconds:.3f} s, looked at\n", file=sys.stderr)


def measure(prepared: Path, parts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Everything asked for, as ``--json`` prints it."""
    before, started = machine(), time.perf_counter()
    tell("making a day of answers")
    made = process(["-m", "benchmarks.prepare", prepared]).report
    found = [figure for part in parts for figure in measured(part, prepared, rounds)]
    return {
        "rounds": rounds,
        "machine": {"before": before, "after": machine()},
        "peer": peer.version(),
        "made": made,
        "seconds": round(time.perf_counter() - started, 1),
        "figures": found,
    }


def report(found: dict[str, Any]) -> None:
    """The table and its summary."""
    made = found["made"]["day"]
    print(f"{found['machine']['before']}; afterwards {found['machine']['after']}")
    print(
        f"{made['rows']:,} records, {made['json_bytes'] / 1e6:.1f} MB of JSON in "
        f"{made['objects']} objects of {made['gzip_bytes'] / 1e6:.1f} MB; {found['peer']}; "
        f"median of {found['rounds']} after a warm-up, {found['seconds']:.0f} s in all"
    )
    print("\n".join(figures.table(found["figures"])))
    verdicts = [f.verdict for f in found["figures"]]
    print(
        f"{verdicts.count('ok')} targets met, {verdicts.count('missed')} missed, "
        f"{verdicts.count('not measured')} not measured"
    )


def run(asked: argparse.Namespace) -> int:
    """Do what the command line asks for."""
    with tempfile.TemporaryDirectory(prefix="aurum-bench-") as folder:
        prepared = Path(folder)
        if asked.profile:
            process(["-m", "benchmarks.prepare", prepared])
            profile(prepared, asked.only)
            return 0
        found = measure(prepared, asked.only, 1 if asked.quick else _ROUNDS)
    if asked.json:
        print(json.dumps({**found, "figures": [f.as_dict() for f in found["figures"]]}, indent=2))
    else:
        report(found)
    return 0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    parser.add_argument(
        "--only", nargs="+", choices=_PARTS, default=_PARTS, metavar="|".join(_PARTS)
    )
    asked = parser.parse_args()
    try:
        return run(asked)
    except BenchmarkFailed as error:
        print(f"nothing could be measured: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
