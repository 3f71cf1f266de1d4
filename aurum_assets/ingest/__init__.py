"""The way through, without Dagster: the verbs that assets, command line and Python API all call."""

from aurum_assets.ingest.collect import Archived, Collected, accept, collect
from aurum_assets.ingest.load import Loaded, load
from aurum_assets.ingest.normalize import Normalized, check, look_again, normalize, rebuild
from aurum_assets.ingest.replay import Verified, held_days, replay, verify
from aurum_assets.ingest.status import Status, status

__all__ = [
    "Archived",
    "Collected",
    "Loaded",
    "Normalized",
    "Status",
    "Verified",
    "accept",
    "check",
    "collect",
    "held_days",
    "load",
    "look_again",
    "normalize",
    "rebuild",
    "replay",
    "status",
    "verify",
]
