"""What is promised, and what was found: the figures, their targets, and how they are shown.

A missed target is reported, never hidden; a figure without a target is for information.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Spent, median

if TYPE_CHECKING:
    from benchmarks.latency import Latency

_HOUR = 12  # ticks
_CALLED = {"product": "product", "floor": "floor", "peer": "gridstatus"}


@dataclass(frozen=True)
class Figure:
    """One line of the table. ``target`` is the most that ``measured`` may be."""

    name: str
    measured: float | None
    unit: str
    target: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """``ok``, ``missed``, ``not measured``, or nothing where nothing was promised."""
        if self.measured is None:
            return "not measured"
        if self.target is None:
            return ""
        return "ok" if self.measured <= self.target else "missed"

    def as_dict(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return {**asdict(self), "verdict": self.verdict}


def day_figures(found: Mapping[str, Sequence[Spent]], missing: str = "") -> list[Figure]:
    """A and E, from runs of ``product``, ``floor`` and, unless ``missing`` says why, ``peer``.

    ``missed`` and ``ok`` are decided by the ratios of medians, each from the same rounds.
    """
    product, floor = _seconds(found["product"]), _seconds(found["floor"])
    spread = {name: _spread(spent) for name, spent in found.items() if spent}
    cpu = {name: median([float(s.report["cpu"]) for s in spent]) for name, spent in found.items()}
    figures = [
        Figure("A day of RT LMP, archived to checked", product, "s", note=spread["product"]),
        Figure("A   its CPU, all threads", cpu["product"], "s"),
        Figure("A floor: unpack, decode, one Parquet", floor, "s", note=spread["floor"]),
        Figure("A   its CPU", cpu["floor"], "s"),
        Figure("A product / floor", product / floor, "x", 2.0),
    ]
    if found.get("peer"):
        peer = _seconds(found["peer"])
        name = "A gridstatus parses the same bytes"
        figures.append(Figure(name, peer, "s", note=spread["peer"]))
        figures.append(Figure("A product / gridstatus", product / peer, "x", 0.5))
    else:
        figures.append(Figure("A product / gridstatus", None, "x", 0.5, missing))
    for name in (n for n, spent in found.items() if spent):
        wall, whole = _whole(found[name])
        title = f"A {_CALLED[name]}, whole process"
        figures.append(Figure(f"{title}: wall", wall, "s", note="with imports"))
        figures.append(Figure(f"{title}: CPU", whole, "s", note="with imports"))
    peaks = {
        n: median([float(s.report["peak_mb"]) for s in found[n]]) for n in ("product", "floor")
    }
    figures.append(Figure("E peak memory of the day", peaks["product"], "MB", 450, "with imports"))
    figures.append(Figure("E   of the floor", peaks["floor"], "MB", note="with imports"))
    return figures


def snapshot_figures(spent: Sequence[Spent]) -> list[Figure]:
    """B."""
    name = "B documented CTS snapshot, archived to checked"
    return [Figure(name, _seconds(spent), "s", 0.25, _spread(spent))]


def merge_figures(spent: Sequence[Spent]) -> list[Figure]:
    """C: of several rounds, the median of each round's number."""
    rounds = [list(map(float, s.report["each"])) for s in spent]
    first = median([median(each[:_HOUR]) for each in rounds])
    last = median([median(each[-_HOUR:]) for each in rounds])
    mean = median([sum(each) / len(each) for each in rounds])
    ratio = median([median(each[-_HOUR:]) / median(each[:_HOUR]) for each in rounds])
    quarantined = max(int(s.report["quarantined"]) for s in spent)
    return [
        Figure("C merge of a tick, mean with compaction", mean, "s", 0.06),
        Figure("C   median of the first hour", first, "s"),
        Figure("C   median of the last hour", last, "s"),
        Figure("C   last hour / first hour", ratio, "x", 1.5),
        Figure("C   the longest", median([max(each) for each in rounds]), "s", note="compaction"),
        Figure("C   rows quarantined", quarantined, "", 0),
    ]


def run_figures(found: Mapping[str, Sequence[Spent]]) -> list[Figure]:
    """D: CPU of whole processes."""
    run = median([s.cpu for s in found["run"]])
    empty = median([s.cpu for s in found["empty"]])
    loaded = median([float(s.report["cpu_when_loaded"]) for s in found["run"]])
    rows = min(int(s.report["new_rows"]) for s in found["run"])
    text = found["run"][-1].report
    note = f"{rows} new rows, {text['checks']} checks, {text['events']} events"
    return [
        Figure("D scheduled run, CPU of the process", run, "s", note=note),
        Figure("D   of it until the definitions are loaded", loaded, "s"),
        Figure("D empty run, same libraries", empty, "s"),
        Figure("D difference", run - empty, "s", 0.8),
        Figure("D scheduled run, wall", median([s.wall for s in found["run"]]), "s"),
    ]


def day_of_schedules(found: Sequence[tuple[str, int, int, Spent]]) -> list[Figure]:
    """S: name, datasets and runs a day of each schedule, and a run of it."""
    each = [
        Figure(
            f"S CPU of a run of {name}", spent.cpu, "s", note=f"{datasets} datasets, {runs} a day"
        )
        for name, datasets, runs, spent in found
    ]
    day = sum(runs * spent.cpu for _, _, runs, spent in found)
    share = f"{day / 86_400:.0%} of a core"
    return [*each, Figure("S CPU of a day of all schedules", day, "s", note=share)]


_PROMISED: Mapping[str, Mapping[str, float]] = {
    "embedded": {"first": 5.0},
    "celery": {"first": 1.0, "last": 2.0, "cpu": 0.8},
}


def latency_figures(found: Mapping[str, "Latency"], runs: int) -> list[Figure]:
    """L: by profile; ``runs`` is how many the schedules of a day request."""
    return [f for profile, of in found.items() for f in _latency(profile, of, runs)]


def _latency(profile: str, of: "Latency", runs: int) -> Iterator[Figure]:
    most = _PROMISED[profile]
    steps = ("queued", "started", "ended")
    middle = {step: median([getattr(t, step) for t in of.ticks]) for step in steps}
    way = ", ".join(f"{step} {seconds:.2f}" for step, seconds in middle.items())
    for table, share, note in (
        ("first", 0.5, way),
        ("first", 0.95, ""),
        ("last", 0.5, ""),
        ("last", 0.95, ""),
    ):
        seconds = [getattr(t, table) for t in of.ticks]
        target = most.get(table) if (table, share) in {("first", 0.5), ("last", 0.95)} else None
        name = f"L {profile}: due until the {table} table, p{share * 100:.0f}"
        yield Figure(name, _percentile(seconds, share), "s", target, note)
    a_tick = of.cpu_a_tick()
    yield Figure(
        f"L {profile}: CPU a tick", sum(a_tick.values()), "s", most.get("cpu"), _parts(a_tick)
    )
    idle = sum(of.idle.values())
    yield Figure(f"L {profile}: CPU a minute without ticks", idle, "s", note=_parts(of.idle))
    note = f"{runs} runs"
    yield Figure(f"L {profile}: CPU of a day of all schedules", of.cpu_a_day(runs), "s", note=note)


def _percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` of all do not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def _parts(seconds: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {of:.2f}" for name, of in sorted(seconds.items()))


def parser_figures(found: Sequence[Mapping[str, Any]]) -> list[Figure]:
    """F: no parser may be below half of the rate of real-time prices.

    Answers whose records do not lie in one list are small, and read record by record.
    """
    rates = {p["parser"]: p["rows"] / p["read"] for p in found}
    return [
        Figure(
            f"F rate of isone_rt_lmp / {p['parser']}",
            rates["isone_rt_lmp live"] / rates[p["parser"]],
            "x",
            2.0 if p["plain"] else None,
            f"{rates[p['parser']] / 1000:,.0f} thousand rows/s; the floor takes "
            f"{p['floor'] / p['read']:.0%} of the time" + ("" if p["plain"] else "; one by one"),
        )
        for p in found
    ]


_MOST = {"year": 0.5, "month": 0.1, "day": 0.1}


_MOST_OF_COMMANDS: Mapping[str, Mapping[str, float]] = {
    "aurum --help": {"cpu": 0.3},
    "aurum sql select 1": {"seconds": 0.6},
    "aurum status": {"seconds": 1.0},
}


def command_figures(found: Mapping[str, Mapping[str, float]]) -> list[Figure]:
    """Q: what commands take, as whole processes."""
    called = {"seconds": "", "cpu": ", CPU"}
    return [
        Figure(f"Q {name}{called[what]}", of[what], "s", _MOST_OF_COMMANDS[name].get(what))
        for name, of in found.items()
        for what in called
    ]


def query_figures(found: Mapping[str, Mapping[str, Any]]) -> list[Figure]:
    """Q, and what ``best`` costs beside the plain scan of the same rows."""
    figures = [
        Figure(
            f"Q {name}",
            of["seconds"],
            "s",
            next(most for span, most in _MOST.items() if span in name),
            f"{of['rows']:,} rows",
        )
        for name, of in found.items()
    ]
    best, plain = (found[f"a hub's year, {how}"]["seconds"] for how in ("best", "polars"))
    return [*figures, Figure("Q best / plain scan, a hub's year", best / plain, "x", 1.5)]


def page_figures(spent: Sequence[Spent]) -> list[Figure]:
    """P: the page of a day."""
    megabytes = int(spent[-1].report["bytes"]) / 1e6
    peak = median([float(s.report["peak_mb"]) for s in spent])
    note = f"{spent[-1].report['charts']} charts; {_spread(spent)}"
    return [
        Figure("P page of a day, and the index", _seconds(spent), "s", 3.0, note),
        Figure("P   its CPU, all threads", _cpu(spent), "s"),
        Figure("P   its size", megabytes, "MB", 2.0),
        Figure("P   peak memory", peak, "MB"),
    ]


def mart_figures(spent: Sequence[Spent]) -> list[Figure]:
    """M: all marts of a day."""
    text = spent[-1].report
    failed, changed = (
        max(len(s.report["failed"]) for s in spent),
        max(int(s.report["changed"]) for s in spent),
    )
    again = median([float(s.report["again"]) for s in spent])
    again_cpu = median([float(s.report["again_cpu"]) for s in spent])
    peak = median([float(s.report["peak_mb"]) for s in spent])
    note = f"{text['rows']:,} rows, {text['tests']} tests; with imports"
    return [
        Figure("M marts of a day, first build of a process", _seconds(spent), "s", note=note),
        Figure("M   its CPU, all threads", _cpu(spent), "s"),
        Figure("M   again in the process", again, "s", note=f"CPU {again_cpu:.2f} s"),
        Figure("M   peak memory", peak, "MB"),
        Figure("M   tests or models that failed", failed, "", 0),
        Figure("M   rows that another build changes", changed, "", 0),
    ]


def year_figures(month: Spent, year: Spent, source_rows: int) -> list[Figure]:
    """M: a year of marts in one command; what grows with the months that are done."""
    text = year.report
    early, late = text["cpu_of_a_day"][1:4], text["cpu_of_a_day"][-3:]  # the first has the imports
    peak = float(text["peak_mb"])
    failed = sum(s.report["code"] != 0 for s in (month, year))
    note = f"{text['rows']:,} rows, of {source_rows:,} in 13 months"
    return [
        Figure("M a year of marts, one command", year.wall, "s", note=note),
        Figure("M   its CPU, all threads", year.cpu, "s"),
        Figure("M   of a month alone", month.wall, "s"),
        Figure(
            "M   CPU of a day, the last three months / three early ones",
            sum(late) / sum(early),
            "x",
            1.2,
        ),
        Figure("M   peak memory", peak, "MB"),
        Figure(
            "M   peak memory / of a month alone", peak / float(month.report["peak_mb"]), "x", 1.2
        ),
        Figure("M   commands that failed", failed, "", 0),
    ]


def replay_figures(
    found: Mapping[str, Sequence[Spent]], commits: Mapping[str, float]
) -> list[Figure]:
    """R: both ways of replaying, and what the size of a table costs a commit."""
    one, two = found["1 workers"], found["2 workers"]
    millions = int(two[0].report["rows"]) / 1e6
    commit = median([float(s.report["commit"]) for s in two])
    peaks = [median([float(s.report["peak_mb"]) for s in spent]) for spent in (one, two)]
    rate = f"{1000 * millions / _seconds(two):,.0f} thousand rows/s"
    alone = f"{1000 * millions / _seconds(one):,.0f} thousand rows/s"
    return [
        Figure("R a million rows, two processes", _seconds(two) / millions, "s", 2.5, rate),
        Figure("R   one process", _seconds(one) / millions, "s", note=alone),
        Figure("R CPU of a million rows, two processes", _cpu(two) / millions, "s"),
        Figure("R   one process", _cpu(one) / millions, "s"),
        Figure("R two processes / one", _seconds(two) / _seconds(one), "x", 0.556, "1.8 times"),
        Figure("R peak memory, all of two processes", peaks[1], "MB", 1500),
        Figure("R   one process", peaks[0], "MB"),
        Figure("R commit of the ten days", commit, "s"),
        Figure("R commit of a month into an empty table", commits["empty"], "s"),
        Figure(
            "R   beside 400 days / empty",
            commits["beside"] / commits["empty"],
            "x",
            1.2,
            f"{commits['beside']:.3f} s",
        ),
        Figure("R commit in the place of a month", commits["alone"], "s"),
        Figure(
            "R   among 400 days / alone",
            commits["among"] / commits["alone"],
            "x",
            1.2,
            f"{commits['among']:.3f} s",
        ),
    ]


def _seconds(spent: Sequence[Spent]) -> float:
    return median([s.seconds for s in spent])


def _cpu(spent: Sequence[Spent]) -> float:
    return median([float(s.report["cpu"]) for s in spent])


def _spread(spent: Sequence[Spent]) -> str:
    seconds = [s.seconds for s in spent]
    return f"{min(seconds):.2f} to {max(seconds):.2f} in {len(seconds)}"


def _whole(spent: Sequence[Spent]) -> tuple[float, float]:
    return median([s.wall for s in spent]), median([s.cpu for s in spent])


def table(figures: Sequence[Figure]) -> list[str]:
    """The figures as lines of text: name, measured, target, verdict, note."""
    lines = [f"{'figure':<46} {'measured':>11} {'target':>9}  {'verdict':<12} note"]
    for f in figures:
        measured = "-" if f.measured is None else f"{_number(f.measured, f.unit)} {f.unit}"
        target = "" if f.target is None else f"<= {f.target:g}"
        line = f"{f.name:<46} {measured.strip():>11} {target:>9}  {f.verdict:<12} {f.note}"
        lines.append(line.rstrip())
    return lines


def _number(value: float, unit: str) -> str:
    if unit in {"MB", ""}:
        return f"{value:.0f}"
    return f"{value:.3f}" if unit == "s" and value < 1 else f"{value:.2f}"
