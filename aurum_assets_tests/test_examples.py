"""The scripts in ``examples/`` run on a home and show what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

from aurum_assets.operators import DATASETS
from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.conftest import NOON, Desk
from aurum_assets_tests.recordings import recording


def test_the_seam_is_drawn_with_a_line_for_each_publication_and_one_for_the_price(
    desk: Desk, tmp_path: Path
) -> None:
    for key in ("miso_cts", "miso_expost_lmp"):
        dataset = next(d for d in DATASETS if d.key == key)
        desk.bring(dataset, recording(key, "live", "ordinary").body)
    forecasts = desk.rows(next(d for d in DATASETS if d.key == "miso_cts"))
    day = str(forecasts["operating_day"].dt.max())
    done = subprocess.run(  # noqa: S603  ours
        [sys.executable, PROJECT / "examples" / "seam.py"],
        cwd=tmp_path,
        env=os.environ | {"AURUM_HOME": str(desk.resources.root), "AURUM_NOW": NOON.isoformat()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(rf"\d+ prices of {day} in seam.svg\n", done.stdout)
    drawn = (tmp_path / "seam.svg").read_text()
    lines = re.findall(r'aria-roledescription="line mark"', drawn)
    assert len(lines) == forecasts["published_at"].n_unique() + 1
    assert "CTS forecast" in drawn
