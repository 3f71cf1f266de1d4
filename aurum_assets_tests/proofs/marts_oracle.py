"""The marts once more, computed by other means: plain Python over rows, numbers as decimals.

Nothing here is shared with the models but the definitions in words: no SQL, no macro, no calendar.
Each function takes the market tables by name and gives the rows of a mart by their key.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from aurum_assets.resources.environment import PROJECT

Row = dict[str, Any]
Rows = dict[tuple[Any, ...], Row]
Number = Decimal | None

_EASTERN, _EST = ZoneInfo("America/New_York"), dt.timezone(dt.timedelta(hours=-5))
_CLOCKS: Mapping[str, dt.tzinfo] = {"isone": _EASTERN, "miso": _EST, "pjm": _EASTERN}
_HOLIDAYS = {dt.date(2026, 7, 4), dt.date(2026, 9, 7), dt.date(2026, 11, 26), dt.date(2026, 12, 25)}
_MAIN = {"isone": "4000", "miso": "INDIANA.HUB", "pjm": "33092313"}
_TWELVE, _THREE = 12, 3
_HALF_A_CENT = Decimal("0.005")
_PLACES = Decimal("0.000001")
_TYPES = {
    "HUB": "hub",
    "LOAD ZONE": "zone",
    "ZONE": "zone",
    "EXT. NODE": "interface",
    "INTERFACE": "interface",
}
_SHOWN = ("hub", "zone", "interface")


def exact(value: float | None) -> Number:
    """The shortest decimal of a double."""
    return None if value is None else Decimal(repr(value))


def rounded(value: Decimal) -> Decimal:
    """To six places, halves away from zero."""
    return value.quantize(_PLACES, ROUND_HALF_UP)


def mean(values: Iterable[Number]) -> Number:
    """The mean of what is there."""
    known = [v for v in values if v is not None]
    return rounded(sum(known, Decimal()) / len(known)) if known else None


def less(of: Number, other: Number) -> Number:
    """The difference where both are there."""
    return None if of is None or other is None else of - other


def lmp_of(price: "Price | None") -> Number:
    """The price where there is one."""
    return price.lmp if price else None


def hour_of(instant: dt.datetime) -> dt.datetime:
    """The beginning of the hour."""
    return instant.replace(minute=0, second=0, microsecond=0)


def quarter_of(instant: dt.datetime) -> dt.datetime:
    """The beginning of the quarter of an hour."""
    return instant.replace(minute=instant.minute // 15 * 15, second=0, microsecond=0)


def day_of(operator: str, instant: dt.datetime) -> dt.date:
    """The operator's day that holds ``instant``."""
    return instant.astimezone(_CLOCKS[operator]).date()


@dataclass(frozen=True)
class Price:
    """A price with its parts, and how settled it is."""

    name: str
    kind: str
    lmp: Number
    parts: tuple[Number, Number, Number]
    finality: str


Priced = dict[tuple[str, str, dt.datetime], Price]


class Oracle:
    """The marts of the operating days ``first`` to ``last`` of the tables in ``market``."""

    def __init__(self, market: Mapping[str, pl.DataFrame], first: dt.date, last: dt.date) -> None:
        self.market, self.first, self.last = market, first, last
        self.hourly_da = self._hourly("isone_da_lmp", "miso_da_lmp", "pjm_da_lmp")
        self.hourly_rt = self._hourly("isone_rt_hourly_lmp", "miso_rt_hourly_lmp")
        self.five = self._five()
        self.by_hour: dict[tuple[str, str, dt.datetime], list[Price]] = defaultdict(list)
        for (operator, place, start), price in self.five["best"].items():
            self.by_hour[operator, place, hour_of(start)].append(price)

    def _rows(self, table: str) -> Iterator[Row]:
        found = self.market.get(table)
        return iter(()) if found is None else found.iter_rows(named=True)

    def _within(self, day: dt.date) -> bool:
        return self.first <= day <= self.last

    def _prices(self, table: str) -> Iterator[tuple[tuple[str, str, dt.datetime], Price]]:
        operator = table.split("_", maxsplit=1)[0]
        for row in self._rows(table):
            if not self._within(row["operating_day"]) or row.get("market_run") == "ex_ante":
                continue
            if operator == "miso":
                place = name = row["location"]
                kind = "interface" if name == "PJMC" else "hub" if name[-4:] == ".HUB" else "node"
            else:
                place, name = row["location_id"], row["location_name"]
                kind = _TYPES.get(row["location_type"], "node")
            parts = tuple(exact(row[n]) for n in ("energy", "congestion", "loss"))
            finality = row.get("finality") or ("final" if "da" in table else "prelim")
            price = Price(name, kind, exact(row["lmp"]), parts, finality)  # type: ignore[arg-type]
            yield (operator, place, row["interval_start"]), price

    def _hourly(self, *tables: str) -> dict[str, Priced]:
        found: dict[str, Priced] = {"prelim": {}, "final": {}}
        for table in tables:
            for key, price in self._prices(table):
                found[price.finality][key] = price
        return {**found, "best": {**found["prelim"], **found["final"]}}

    def _five(self) -> dict[str, Priced]:
        found = self._hourly("isone_rt_lmp", "miso_rt_lmp", "pjm_rt_lmp")
        for key, price in self._prices("miso_expost_lmp"):
            found["prelim"].setdefault(key, price)
            found["best"].setdefault(key, price)
        return found

    def real_time(self) -> dict[tuple[str, str, dt.datetime], tuple[Price, str]]:
        """The hourly price, else the mean of twelve."""
        found = {key: (price, "hourly") for key, price in self.hourly_rt["best"].items()}
        for key, prices in self.by_hour.items():
            if key not in found and len(prices) == _TWELVE:
                parts = tuple(mean(p.parts[i] for p in prices) for i in range(3))
                of_all = "final" if all(p.finality == "final" for p in prices) else "prelim"
                one = prices[0]
                price = Price(one.name, one.kind, mean(p.lmp for p in prices), parts, of_all)  # type: ignore[arg-type]
                found[key] = (price, "five-minute mean")
        return found

    def hub_prices(self) -> Rows:
        """See the mart."""
        keys = {*self.hourly_da["best"], *self.hourly_rt["best"], *self.by_hour}
        found: Rows = {}
        for key in keys:
            operator, _, start = key
            da, rt = self.hourly_da["best"].get(key), self.hourly_rt["best"].get(key)
            five = self.by_hour.get(key, [])
            one = da or rt or five[0]
            if one.kind not in _SHOWN:
                continue
            of_mean = "final" if all(p.finality == "final" for p in five) else "prelim"
            found[key] = {
                "operating_day": day_of(operator, start),
                "interval_end": start + dt.timedelta(hours=1),
                "hour_ending": hour_ending(operator, start),
                "on_peak": on_peak(start),
                "location_type": one.kind,
                "da_lmp": da and da.lmp,
                "rt_lmp": rt and rt.lmp,
                "rt_finality": rt.finality if rt else of_mean if five else None,
                "rt_mean_lmp": mean(p.lmp for p in five),
                "rt_intervals": len(five),
            }
        return found

    def dart_spread(self) -> Rows:
        """See the mart."""
        found: Rows = {}
        real_time = self.real_time()
        for key, da in self.hourly_da["best"].items():
            if key not in real_time:
                continue
            rt, source = real_time[key]
            of_parts = [less(a, b) for a, b in zip(da.parts, rt.parts, strict=True)]
            found[key] = {
                "operating_day": day_of(key[0], key[2]),
                "location_type": da.kind,
                "da_lmp": da.lmp,
                "rt_lmp": rt.lmp,
                "rt_finality": rt.finality,
                "rt_from": source,
                "dart_lmp": less(da.lmp, rt.lmp),
                **dict(zip(("dart_energy", "dart_congestion", "dart_loss"), of_parts, strict=True)),
            }
        return found

    def rt_reconciliation(self) -> Rows:
        """See the mart."""
        prelim, final = (self._lmps_by_hour(f) for f in ("prelim", "final"))
        found: Rows = {}
        for key in {*self.hourly_rt["best"], *self.by_hour}:
            hourly = [self.hourly_rt[f].get(key) for f in ("prelim", "final", "best")]
            before, after, best = map(lmp_of, hourly)
            firsts, lasts = prelim.get(key, []), final.get(key, [])
            if best is None and not (firsts and lasts):
                continue
            change = less(after, before)
            if best is None and len(firsts) == len(lasts):
                change = less(mean(lasts), mean(firsts))
            found[key] = {
                "operating_day": day_of(key[0], key[2]),
                "hourly_lmp_prelim": before,
                "hourly_lmp_final": after,
                "mean_lmp_prelim": mean(firsts),
                "mean_lmp_final": mean(lasts),
                "intervals_prelim": len(firsts),
                "intervals_final": len(lasts),
                "hourly_minus_mean": less(best, mean(p.lmp for p in self.by_hour.get(key, []))),
                "final_minus_prelim": change,
            }
        return found

    def _lmps_by_hour(self, finality: str) -> dict[tuple[str, str, dt.datetime], list[Number]]:
        found: dict[tuple[str, str, dt.datetime], list[Number]] = defaultdict(list)
        for (operator, place, start), price in self.five[finality].items():
            found[operator, place, hour_of(start)].append(price.lmp)
        return found

    def _seam(self, operator: str, start: dt.datetime, end: dt.datetime) -> Price | None:
        """The mean over an interval of the price at the seam, where every part of it is there."""
        place = {"miso": "PJMC", "pjm": "40523629"}[operator]
        count = (end - start) // dt.timedelta(minutes=5)
        starts = [start + i * dt.timedelta(minutes=5) for i in range(count)]
        prices = [self.five["best"].get((operator, place, s)) for s in starts]
        known = [p for p in prices if p is not None]
        if len(known) < count:
            return None
        parts = (None, mean(p.parts[1] for p in known), None)
        finality = "final" if all(p.finality == "final" for p in known) else "prelim"
        return Price("", "", mean(p.lmp for p in known), parts, finality)

    def _forecasts(self) -> Iterator[tuple[str, Row]]:
        for name, operator, column, place in (
            ("miso_cts", "miso", "location", "PJM"),
            ("pjm_itsced_lmp", "pjm", "location_id", "40523629"),
        ):
            for row in self._rows(name):
                inside = self._within(day_of(operator, row["interval_start"]))
                if inside and row[column] == place and row["published_at"] < row["interval_end"]:
                    yield name, row

    def cts_forecast_accuracy(self) -> Rows:
        """See the mart."""
        found: Rows = {}
        for name, row in self._forecasts():
            start, end = row["interval_start"], row["interval_end"]
            pjm, miso = (self._seam(operator, start, end) for operator in ("pjm", "miso"))
            realized = pjm or miso
            if realized is None:
                continue
            verified = "pjm verified" if realized.finality == "final" else "pjm unverified"
            error = Decimal(repr(row["lmp"])) - (realized.lmp or Decimal())
            ours = lmp_of(miso)
            sides = [less(ours, exact(row["lmp"])), less(ours, realized.lmp)]
            known = pjm is not None and ours is not None
            found[name, start, row["published_at"]] = {
                "operating_day": day_of(name.split("_")[0], start),
                "interval_end": end,
                "lead_minutes": minutes(row["published_at"], start),
                "forecast_lmp": exact(row["lmp"]),
                "realized_lmp": realized.lmp,
                "realized_from": verified if pjm else "miso interface",
                "error": error,
                "absolute_error": abs(error),
                "miso_lmp": ours,
                "sign_hit": sign(sides[0]) == sign(sides[1]) if known else None,
            }
        return found

    def cts_forecast_revision(self) -> Rows:
        """See the mart."""
        paths: dict[tuple[str, dt.datetime], list[tuple[dt.datetime, Decimal]]] = defaultdict(list)
        for name, row in self._forecasts():
            if row["published_at"] <= row["interval_start"]:
                value = (row["published_at"], Decimal(repr(row["lmp"])))
                paths[name, row["interval_start"]].append(value)
        found: Rows = {}
        for (name, start), path in paths.items():
            path.sort()
            values = [value for _, value in path]
            found[name, start] = {
                "operating_day": day_of(name.split("_")[0], start),
                "first_lmp": values[0],
                "first_published_at": path[0][0],
                "last_lmp": values[-1],
                "last_published_at": path[-1][0],
                "lowest_lmp": min(values),
                "highest_lmp": max(values),
                "range_lmp": max(values) - min(values),
                "revisions": sum(a != b for a, b in pairwise(values)),
                "vintages": len(path),
            }
        return found

    def seam_spread(self) -> Rows:
        """See the mart."""
        last = {key[1]: row["last_lmp"] for key, row in self.cts_forecast_revision().items()
                if key[0] == "miso_cts"}  # fmt: skip
        scheduled: dict[dt.datetime, list[Number]] = defaultdict(list)
        for row in self._rows("miso_interchange"):
            if row["neighbour"] == "PJM":
                scheduled[quarter_of(row["interval_start"])].append(exact(row["interchange"]))
        bound: dict[dt.datetime, list[Row]] = defaultdict(list)
        for row in self._rows("miso_constraints"):
            bound[quarter_of(row["interval_start"])].append(row)
        found: Rows = {}
        start = dt.datetime.combine(self.first, dt.time(), _EST).astimezone(dt.UTC)
        quarter = dt.timedelta(minutes=15)
        while day_of("miso", start) <= self.last:
            miso, pjm = (
                self._seam(operator, start, start + quarter) for operator in ("miso", "pjm")
            )
            flows = scheduled.get(start, [])
            flow = mean(flows) if len(flows) == _THREE else None
            spread = less(lmp_of(miso), lmp_of(pjm))
            goes, pays = direction(flow), direction(None if spread is None else -spread)
            real = [r for r in bound.get(start, []) if r["constraint_name"] != "None"]
            top = max(
                real, key=lambda r: (abs(r["shadow_price"]), r["constraint_name"]), default={}
            )
            values = {
                "miso_lmp": miso and miso.lmp,
                "pjm_forecast_lmp": last.get(start),
                "pjm_lmp": pjm and pjm.lmp,
                "scheduled_interchange": flow,
                "binding_constraints": len({r["constraint_name"] for r in real})
                if start in bound
                else None,
            }
            if any(v is not None for v in values.values()):
                found[(start,)] = {
                    **values,
                    "operating_day": day_of("miso", start),
                    "pjm_finality": pjm and pjm.finality,
                    "spread_forecast": less(lmp_of(miso), last.get(start)),
                    "spread_realized": spread,
                    "scheduled_direction": goes,
                    "paying_direction": pays,
                    "with_the_price": goes == pays if goes and pays else None,
                    "miso_congestion": miso and miso.parts[1],
                    "pjm_congestion": pjm and pjm.parts[1],
                    "top_constraint": top.get("constraint_name"),
                    "top_shadow_price": exact(top.get("shadow_price")),
                }
            start += quarter
        return found

    def loads(self) -> dict[tuple[str, str, dt.datetime], tuple[Decimal, str]]:
        """What the load of an operator's region was in an hour."""
        parts: dict[tuple[str, str, dt.datetime], list[Number]] = defaultdict(list)
        for table, region in (
            ("isone_system_load", "system"),
            ("isone_zonal_load", None),
            ("miso_load", "system"),
        ):
            for row in self._rows(table):
                if self._within(row["operating_day"]):
                    of = region or row["load_zone_name"]
                    operator = table.split("_", maxsplit=1)[0]
                    parts[operator, of, hour_of(row["interval_start"])].append(exact(row["load"]))
        found = {
            key: (mean(values) or Decimal(), "five-minute mean")
            for key, values in parts.items()
            if len(values) == _TWELVE
        }
        for row in self._rows("isone_hourly_system_load"):
            if self._within(row["operating_day"]) and row["location_id"] == "32":
                found["isone", "system", row["interval_start"]] = (
                    Decimal(repr(row["load"])),
                    "hourly",
                )
        return found

    def load_forecast_error(self) -> Rows:
        """See the mart."""
        loads = self.loads()
        found: Rows = {}
        for table, column in (
            ("isone_hourly_load_forecast", "load"),
            ("isone_region_load_forecast", "load"),
            ("miso_load_forecast", "load_forecast"),
        ):
            operator = table.split("_", maxsplit=1)[0]
            for row in self._rows(table):
                start, published = row["interval_start"], row["published_at"]
                region = row.get("region", "system")
                inside = self._within(day_of(operator, start))
                if not inside or published > start or (operator, region, start) not in loads:
                    continue
                actual, source = loads[operator, region, start]
                error = Decimal(repr(row[column])) - actual
                found[operator, region, start, published] = {
                    "operating_day": day_of(operator, start),
                    "lead_hours": minutes(published, start) / 60,
                    "forecast_load": exact(row[column]),
                    "actual_load": actual,
                    "actual_from": source,
                    "error": error,
                    "absolute_percentage_error": 100 * abs(error) / actual if actual > 0 else None,
                }
        return found

    def generation_shares(self) -> Rows:
        """See the mart."""
        listed = pl.read_csv(PROJECT / "config" / "fuels.csv").filter(level="category")
        fuels = {(r["source"], r["category"]): r["fuel"] for r in listed.iter_rows(named=True)}
        values: dict[tuple[str, dt.datetime, str], list[Row]] = defaultdict(list)
        for table in ("isone_generation_mix", "miso_fuel_mix"):
            for row in self._rows(table):
                if self._within(row["operating_day"]):
                    operator = table.split("_", maxsplit=1)[0]
                    values[operator, hour_of(row["interval_start"]), row["fuel"]].append(row)
        of_fuel: dict[tuple[str, dt.datetime, str], list[list[Row]]] = defaultdict(list)
        for (operator, start, category), rows in values.items():
            of_fuel[operator, start, fuels.get((operator, category), category)].append(rows)
        made = {
            key: sum((mean(exact(r["generation"]) for r in rows) or Decimal() for rows in all_rows),
                     Decimal())
            for key, all_rows in of_fuel.items()
        }  # fmt: skip
        totals: Counter[tuple[str, dt.datetime]] = Counter()
        for (operator, start, fuel), power in made.items():
            if fuel != "imports":
                totals[operator, start] += max(power, Decimal())  # type: ignore[assignment]
        found: Rows = {}
        for (operator, start, fuel), power in made.items():
            groups = of_fuel[operator, start, fuel]
            flags = {r.get("marginal") for rows in groups for r in rows} & {"Y", "N"}
            total = totals[operator, start]
            found[operator, start, fuel] = {
                "operating_day": day_of(operator, start),
                "generation": power,
                "share": None if fuel == "imports" or not total else max(power, Decimal()) / total,
                "marginal": "Y" in flags if flags else None,
                "intervals": min(len(rows) for rows in groups),
            }
        return found

    def daily_summary(self) -> Rows:
        """See the mart; corrections are counted by hand elsewhere."""
        prices = self.hub_prices()
        loads = {k: v[0] for k, v in self.loads().items() if k[1] == "system"}
        real_time = self.real_time()
        days = {(row["operating_day"], key[0]) for key, row in prices.items()}
        days |= {(day_of(key[0], key[2]), key[0]) for key in loads}
        found: Rows = {}
        for day, operator in days:
            own = {
                k: r for k, r in prices.items() if k[0] == operator and r["operating_day"] == day
            }
            of_day = [(k[2], v) for k, v in loads.items()
                      if k[0] == operator and day_of(operator, k[2]) == day]  # fmt: skip
            rt = {k: best_of(r) for k, r in own.items()}
            ranked = [(v, -k[2].timestamp(), k) for k, v in rt.items() if v is not None]
            main = [(r, rt[k]) for k, r in own.items() if k[1] == _MAIN[operator]]
            hours = hours_in(operator, day)
            felt: dict[str, list[Number]] = defaultdict(list)
            for key, (price, _) in real_time.items():
                if key[0] == operator and day_of(operator, key[2]) == day:
                    felt[key[1]].append(price.parts[1])
            parts = [
                Decimal(sum(r["da_lmp"] is not None for r, _ in main)) / hours,
                Decimal(sum(r["rt_intervals"] for r, _ in main)) / (12 * hours),
                *([] if operator == "pjm" else [Decimal(len(of_day)) / hours]),
            ]
            peak = max(of_day, key=lambda one: (one[1], -one[0].timestamp()), default=(None, None))
            highest = max(ranked, default=(None, None, None))
            lowest = min(((v, -t, k) for v, t, k in ranked), default=(None, None, None))

            def block(name: str, *, peak: bool, main: Sequence[Any] = main) -> Number:
                chosen = [(r, v) for r, v in main if r["on_peak"] is peak]
                return mean(r["da_lmp"] if name == "da" else v for r, v in chosen)

            found[(day, operator)] = {
                "on_peak_da_lmp": block("da", peak=True),
                "off_peak_da_lmp": block("da", peak=False),
                "on_peak_rt_lmp": block("rt", peak=True),
                "off_peak_rt_lmp": block("rt", peak=False),
                "highest_rt_lmp": highest[0],
                "highest_rt_at": highest[2] and highest[2][2],
                "lowest_rt_lmp": lowest[0],
                "lowest_rt_at": lowest[2] and lowest[2][2],
                "negative_hours": sum(v is not None and v < 0 for _, v in main),
                "scarcity_hours": sum(v is not None and v >= 1000 for _, v in main),  # noqa: PLR2004
                "peak_load": peak[1],
                "peak_load_at": peak[0],
                "completeness": sum(parts, Decimal()) / len(parts),
                "congested": sorted(
                    (abs(m) for m in map(mean, felt.values()) if m and abs(m) >= _HALF_A_CENT),
                    reverse=True,
                )[:5],
            }
        return found


def best_of(row: Row) -> Number:
    """The hourly price, else the mean of all twelve five-minute ones."""
    if row["rt_lmp"] is not None:
        return row["rt_lmp"]  # type: ignore[no-any-return]
    return row["rt_mean_lmp"] if row["rt_intervals"] == _TWELVE else None


def hours_in(operator: str, day: dt.date) -> int:
    """How many hours the operator's day has."""
    clock = _CLOCKS[operator]
    ends = [dt.datetime.combine(d, dt.time(), clock) for d in (day, day + dt.timedelta(days=1))]
    first, last = (end.astimezone(dt.UTC) for end in ends)
    return (last - first) // dt.timedelta(hours=1)


def hour_ending(operator: str, start: dt.datetime) -> str:
    """The hour by its end: the second of two that the clock shows alike has an X."""
    clock = _CLOCKS[operator]
    local = start.astimezone(clock)
    before = (start - dt.timedelta(hours=1)).astimezone(clock)
    return f"{local.hour + 1:02d}" + ("X" if before.hour == local.hour else "")


def on_peak(start: dt.datetime) -> bool:
    """Hours ending 8 to 23 in New York, Monday to Friday, no holiday."""
    local = start.astimezone(_EASTERN)
    works = local.isoweekday() <= 5 and local.date() not in _HOLIDAYS  # noqa: PLR2004  Friday
    return works and local.hour in range(7, 23)


def minutes(earlier: dt.datetime, later: dt.datetime) -> Decimal:
    """The minutes between two instants."""
    return Decimal((later - earlier) // dt.timedelta(microseconds=1)) / 60_000_000


def sign(value: Number) -> int:
    """-1, 0 or 1."""
    return 0 if not value else 1 if value > 0 else -1


def direction(value: Number) -> str | None:
    """Out of MISO where positive, into it where negative."""
    return None if not value else "MISO_TO_PJM" if value > 0 else "PJM_TO_MISO"


MARTS: Mapping[str, Callable[[Oracle], Rows]] = {
    "hub_prices": Oracle.hub_prices,
    "dart_spread": Oracle.dart_spread,
    "rt_reconciliation": Oracle.rt_reconciliation,
    "cts_forecast_accuracy": Oracle.cts_forecast_accuracy,
    "cts_forecast_revision": Oracle.cts_forecast_revision,
    "seam_spread": Oracle.seam_spread,
    "load_forecast_error": Oracle.load_forecast_error,
    "generation_shares": Oracle.generation_shares,
    "daily_summary": Oracle.daily_summary,
}
# What is a ratio there is rounded to six places; all else is exact.
RATIOS = {"lead_minutes", "lead_hours", "absolute_percentage_error", "share", "completeness"}
_LAST_PLACE = Decimal("0.000001")


def differences(name: str, key: Sequence[str], made: pl.DataFrame, expected: Rows) -> list[str]:
    """How the mart ``made`` differs from the ``expected`` rows: nothing where it does not."""
    key = ("operating_day", *key) if name == "daily_summary" else key
    found = {tuple(row[n] for n in key): row for row in made.iter_rows(named=True)}
    wrong = [f"{name} lacks {k}" for k in expected.keys() - found.keys()]
    wrong += [f"{name} has {k}" for k in found.keys() - expected.keys()]
    for k in found.keys() & expected.keys():
        for column, value in expected[k].items():
            got = congested(found[k]) if column == "congested" else found[k][column]
            if not _same(column, got, value):
                wrong.append(f"{name} {k}: {column} is {got}, expected {value}")
    return wrong


def congested(row: Row) -> list[Decimal]:
    """The numbers of ``top_congested``, by size."""
    listed = (row["top_congested"] or "").split("; ")
    return [abs(Decimal(one.rsplit(" ", maxsplit=1)[1])) for one in listed if one]


def _same(column: str, got: object, value: object) -> bool:
    if isinstance(got, list) and isinstance(value, list):
        pairs = zip(got, value, strict=False)
        return len(got) == len(value) and all(abs(a - b) <= _HALF_A_CENT for a, b in pairs)
    if isinstance(got, float) and isinstance(value, Decimal):
        shown = Decimal(repr(got))
        return abs(shown - value) <= _LAST_PLACE if column in RATIOS else shown == value
    return got == value
