"""Page and index: put together, written to the folder of the report.

    AURUM_HOME/report/2026-07-20.html   a page for each operating day that was asked for
    AURUM_HOME/report/index.html        the pages that are there, and the state of now

A file is whole or not there: it is written beside its place and renamed. The newest ``PAGES`` pages
stay. A page needs nothing else: no script, no font, no picture of its own.
"""

import datetime as dt
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aurum_assets.model.dataset import Dataset
from aurum_assets.report import vega
from aurum_assets.report.figures import Section
from aurum_assets.report.headline import headline
from aurum_assets.report.load import loads
from aurum_assets.report.prices import prices
from aurum_assets.report.quality import alerts_figure, board_figure, calendar, quality
from aurum_assets.report.reading import Reading, reading_of
from aurum_assets.report.seam import seam
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.scratch import draft

if TYPE_CHECKING:
    import jinja2

PAGES = 400
_TEMPLATES = Path(__file__).parent / "templates"
_PAGE = re.compile(r"\d{4}-\d\d-\d\d\.html")
_FOOT = "Made by aurum report from the tables of this home. Nothing on this page is loaded."


@dataclass(frozen=True)
class Written:
    """A page that was written: where, its size, what it shows, and the ``seconds`` that it took.

    ``charts`` of ``figures`` have data. ``said``: the title of each figure, and what it says.
    """

    path: Path
    index: Path
    bytes: int
    seconds: float
    figures: int
    charts: int
    said: Sequence[tuple[str, str]] = ()


def report_folder(resources: Resources) -> Path:
    """The folder of the pages of a home."""
    return resources.root / "report"


def write_report(
    resources: Resources, datasets: Sequence[Dataset], date: str, folder: Path, keep: int = PAGES
) -> Written:
    """Write the page of operating day ``date`` and the index to ``folder``, which is made.

    The newest ``keep`` pages stay. Raises ``AurumError`` where the tables cannot be read,
    ``OSError`` where nothing can be written.
    """
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    with vega.beside(), reading_of(resources, datasets) as reading:
        return _written(reading, date, folder, keep, began)


def _written(reading: Reading, date: str, folder: Path, keep: int, began: float) -> Written:
    sections = _sections(reading, date)
    earlier = [day for day in pages_in(folder) if day < date]
    day = dt.date.fromisoformat(date)
    board = board_figure(reading)
    text = _rendered(
        "page.html.j2",
        title=f"Desk report, {day:%A} {date}",
        before=earlier[0] if earlier else "",
        headline=headline(reading, date),
        sections=sections,
        calendar=calendar(reading, date),
        quality=[board, *quality(reading, date)],
        **_common(reading),
    )
    path, index = folder / f"{date}.html", folder / "index.html"
    size = _write(path, text)
    for old in pages_in(folder)[keep:]:
        (folder / f"{old}.html").unlink(missing_ok=True)
    _write(
        index,
        _rendered(
            "index.html.j2",
            title="Desk report",
            days=pages_in(folder),
            board=[board, alerts_figure(reading)],
            **_common(reading),
        ),
    )
    figures = [figure for section in sections for figure in section.figures]
    return Written(
        path,
        index,
        size,
        time.monotonic() - began,
        len(figures),
        sum(bool(f.svg) for f in figures),
        tuple((f.title, f.says) for f in figures),
    )


def pages_in(folder: Path) -> list[str]:
    """The operating days whose pages are in ``folder``, newest first."""
    found = (p.stem for p in folder.glob("*.html") if _PAGE.fullmatch(p.name))
    return sorted(found, reverse=True)


def _sections(reading: Reading, date: str) -> list[Section]:
    return [
        Section("prices", "Prices", tuple(prices(reading, date))),
        Section("seam", "The seam of MISO and PJM", tuple(seam(reading, date))),
        Section("load", "Load and generation", tuple(loads(reading, date))),
    ]


def _common(reading: Reading) -> dict[str, Any]:
    return {
        "now": f"{reading.now:%Y-%m-%d %H:%M}Z",
        "data": reading.resources.origin,
        "foot": _FOOT,
        "style": (_TEMPLATES / "style.css").read_text(),
    }


@cache
def _environment() -> "jinja2.Environment":
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )


def _rendered(template: str, **values: object) -> str:
    return _environment().get_template(template).render(**values)


def _write(path: Path, text: str) -> int:
    """Write ``text`` in the place of ``path``; returns its size in bytes."""
    body = text.encode()
    with draft(path.with_name(f".{path.name}.{uuid.uuid4().hex}")) as file:
        file.write_bytes(body)
        file.rename(path)
    return len(body)
