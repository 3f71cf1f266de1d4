"""``make pictures``: the pictures of the documentation, made from the page that the demo wrote.

    docs/images/report.webp        yesterday's page, as a desk sees it
    docs/images/report-phone.webp  its seam, on a phone in the dark

Needs a home with the demo's page (``make demo``) and a Chromium.
"""

import sys

from aurum_assets.operators import DATASETS
from aurum_assets.report.page import pages_in, report_folder
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.settings import open_resources
from aurum_assets_tests.browser import browser, chromium

IMAGES = PROJECT / "docs" / "images"
DESK, PHONE = IMAGES / "report.webp", IMAGES / "report-phone.webp"


def main() -> int:
    """Take the pictures; returns the exit code."""
    resources = open_resources(DATASETS, needs="home")
    folder = report_folder(resources)
    today = DATASETS[0].operator.day_of(resources.now()).key
    days = [day for day in pages_in(folder) if day < today]
    if not days or chromium() is None:
        print("needed are a Chromium, and the page that make demo writes", file=sys.stderr)
        return 1
    page = folder / f"{days[0]}.html"
    with browser() as tab:
        tab.open(page, 1_400)
        tab.picture(DESK, 1_250)
        tab.open(page, 390, "dark", scale=1.5)
        tab.picture(PHONE, 800, tab.tell("document.querySelector('#seam').offsetTop"))
    for path in (DESK, PHONE):
        print(f"{path.relative_to(PROJECT)}: {path.stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
