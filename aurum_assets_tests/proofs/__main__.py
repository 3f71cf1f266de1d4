"""``make prove``: every promise attacked at full count; exit code 1 where one is not kept.

``python -m aurum_assets_tests.proofs kill mutations`` runs only these; ``kill kills=5 mutations``
gives the first other counts.
"""

import json
import logging
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from aurum_assets_tests.proofs.proof import Proof
from aurum_assets_tests.proofs.prove_damage import prove_damage
from aurum_assets_tests.proofs.prove_demo import prove_demo
from aurum_assets_tests.proofs.prove_dev import prove_dev
from aurum_assets_tests.proofs.prove_faults import prove_faults
from aurum_assets_tests.proofs.prove_idempotence import prove_idempotence
from aurum_assets_tests.proofs.prove_kill import prove_kill
from aurum_assets_tests.proofs.prove_landed import prove_landed
from aurum_assets_tests.proofs.prove_limits import prove_limits
from aurum_assets_tests.proofs.prove_live import prove_live
from aurum_assets_tests.proofs.prove_maintain import prove_maintain
from aurum_assets_tests.proofs.prove_marts import prove_marts
from aurum_assets_tests.proofs.prove_month import prove_month
from aurum_assets_tests.proofs.prove_mutations import prove_mutations
from aurum_assets_tests.proofs.prove_purge import prove_purge
from aurum_assets_tests.proofs.prove_races import prove_races
from aurum_assets_tests.proofs.prove_replay import prove_replay
from aurum_assets_tests.proofs.prove_report import prove_report
from aurum_assets_tests.proofs.prove_secrets import prove_secrets
from aurum_assets_tests.proofs.prove_stack import prove_stack
from aurum_assets_tests.proofs.prove_tour import prove_tour
from aurum_assets_tests.proofs.prove_workers import prove_workers
from aurum_assets_tests.proofs.prove_year import prove_year

PROOFS: Mapping[str, Callable[..., Proof]] = {
    "races": prove_races,
    "landed": prove_landed,
    "limits": prove_limits,
    "kill": prove_kill,
    "replay": prove_replay,
    "maintain": prove_maintain,
    "idempotence": prove_idempotence,
    "mutations": prove_mutations,
    "month": prove_month,
    "marts": prove_marts,
    "live": prove_live,
    "faults": prove_faults,
    "secrets": prove_secrets,
    "year": prove_year,
    "purge": prove_purge,
    "damage": prove_damage,
    "demo": prove_demo,
    "dev": prove_dev,
    "workers": prove_workers,
    "report": prove_report,
    "stack": prove_stack,
    "tour": prove_tour,
}


def main() -> int:
    """Run the proofs that are named on the command line (all by default); 1 where one is broken."""
    logging.getLogger("pyiceberg").setLevel(
        logging.ERROR
    )  # it warns of files that are gone already
    names, counts = list[str](), defaultdict[str, dict[str, Any]](dict)
    for word in sys.argv[1:]:
        count, is_count, value = word.partition("=")
        if is_count and names:
            counts[names[-1]][count] = json.loads(value)
        else:
            names.append(word)
    names = names or list(PROOFS)
    unknown = [name for name in names if name not in PROOFS]
    if unknown:
        print(f"no proof is called {unknown[0]!r}; there are {', '.join(PROOFS)}")
        return 2
    broken = 0
    for name in names:
        began = time.perf_counter()
        print(f"… {name}", file=sys.stderr, flush=True)
        proof = PROOFS[name](**counts[name])
        broken += len(proof.broken)
        print(f"{name} ({time.perf_counter() - began:.0f} s): {proof}", flush=True)
    print(f"{broken} not as promised" if broken else "Everything is as promised.")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
