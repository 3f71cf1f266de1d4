"""``make prove``: every promise attacked at full count; exit code 1 where one is not kept.

``python -m benchmarks.prove kill mutations`` runs only these.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping

from benchmarks.proof import Proof
from benchmarks.prove_damage import prove_damage
from benchmarks.prove_dev import prove_dev
from benchmarks.prove_faults import prove_faults
from benchmarks.prove_idempotence import prove_idempotence
from benchmarks.prove_kill import prove_kill
from benchmarks.prove_landed import prove_landed
from benchmarks.prove_limits import prove_limits
from benchmarks.prove_live import prove_live
from benchmarks.prove_maintain import prove_maintain
from benchmarks.prove_month import prove_month
from benchmarks.prove_mutations import prove_mutations
from benchmarks.prove_purge import prove_purge
from benchmarks.prove_races import prove_races
from benchmarks.prove_secrets import prove_secrets
from benchmarks.prove_tour import prove_tour
from benchmarks.year import prove_year

PROOFS: Mapping[str, Callable[[], Proof]] = {
    "races": prove_races,
    "landed": prove_landed,
    "limits": prove_limits,
    "kill": prove_kill,
    "maintain": prove_maintain,
    "idempotence": prove_idempotence,
    "mutations": prove_mutations,
    "month": prove_month,
    "live": prove_live,
    "faults": prove_faults,
    "secrets": prove_secrets,
    "year": prove_year,
    "purge": prove_purge,
    "damage": prove_damage,
    "dev": prove_dev,
    "tour": prove_tour,
}


def main() -> int:
    """Run the proofs that are named on the command line (all by default); 1 where one is broken."""
    logging.getLogger("pyiceberg").setLevel(
        logging.ERROR
    )  # it warns of files that are gone already
    names = sys.argv[1:] or list(PROOFS)
    unknown = [name for name in names if name not in PROOFS]
    if unknown:
        print(f"no proof is called {unknown[0]!r}; there are {', '.join(PROOFS)}")
        return 2
    broken = 0
    for name in names:
        began = time.perf_counter()
        print(f"… {name}", file=sys.stderr, flush=True)
        proof = PROOFS[name]()
        broken += len(proof.broken)
        print(f"{name} ({time.perf_counter() - began:.0f} s): {proof}", flush=True)
    print(f"{broken} not as promised" if broken else "Everything is as promised.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
