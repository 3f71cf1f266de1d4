"""Processes for tests and proofs, forked from one that has imported what most of them need.

Each would spend seconds on its imports otherwise. Their environment is that of the first of them:
what differs is an argument.
"""

import multiprocessing

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "aurum_assets_tests.conftest",
        "aurum_assets_tests.proofs.proof",
        "pandera.polars",
        "pyiceberg.catalog.sql",
        "pyiceberg.io.pyarrow",
    ]
)
