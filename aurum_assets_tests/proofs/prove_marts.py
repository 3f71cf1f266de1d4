"""A simulated month of the marts, computed by the models and once more in plain Python.

November has a day of 25 hours and a holiday. Every row of every mart must be there once, and each
of its numbers the same: to the last of six places, and exactly, but for ratios.
"""

import datetime as dt
import sys
import time

from aurum_assets_tests.marts import BY_NAME, Desk
from aurum_assets_tests.proofs.marts_oracle import MARTS, Oracle, differences
from aurum_assets_tests.proofs.proof import Proof
from aurum_assets_tests.proofs.simulated_market import market

_FIRST = dt.date(2026, 11, 1)


def prove_marts(days: int = 30) -> Proof:
    """Compute ``days`` days twice; broken where a row or a number differs."""
    proof = Proof(f"{days} days of marts equal an independent computation")
    last = _FIRST + dt.timedelta(days=days - 1)
    tables = market(_FIRST, last, tell=lambda _: proof.add("days simulated"))
    proof.add("rows of market tables", sum(map(len, tables.values())))
    desk, oracle = Desk(_FIRST, last, tables), Oracle(tables, _FIRST, last)
    spent = 0.0
    for name, expected in MARTS.items():
        began = time.monotonic()
        made = desk.mart(name)
        spent += time.monotonic() - began
        proof.add(f"rows of {name}", len(made))
        proof.holds(f"{name} has no rows", where=len(made) > 0)
        proof.broken += differences(name, BY_NAME[name].key, made, expected(oracle))
    proof.counts["ms of models a day"] = round(1000 * spent / days)
    return proof


if __name__ == "__main__":
    found = prove_marts(*(int(argument) for argument in sys.argv[1:]))
    print(found)
    sys.exit(int(bool(found.broken)))
