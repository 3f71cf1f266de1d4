"""The demo shows yesterday and live ticks of now, all that the README names, and adds nothing twice."""

import datetime as dt
import json
import shlex
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from aurum_assets import demo
from aurum_assets.api import OpenLake
from aurum_assets.ingest import status, verify
from aurum_assets.ingest.gaps import find_gaps
from aurum_assets.ingest.reference import REFERENCES
from aurum_assets.markets import DATASETS
from aurum_assets.markets.isone.lmp import ISONE_RT_HOURLY_LMP, ISONE_RT_LMP
from aurum_assets.markets.miso.cts import MISO_CTS
from aurum_assets.model.clock import DAY, FIVE_MINUTES
from aurum_assets.model.quarantine import QUARANTINE
from aurum_assets.resources.settings import Home
from aurum_assets.simulator.server import Simulator
from aurum_assets.simulator.world import SetClock
from aurum_assets_tests.conftest import utc
