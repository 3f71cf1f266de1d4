"""The report in a real browser without a network: six homes' pages, on a phone and on a desk.

Each page is opened at 390 and at 1,600 px, in light and in dark. No request may leave, nothing may
be logged, each chart must have marks that are to be seen, nothing may reach beyond the page, and
texts must stand out from what is behind them. With ``--keep`` the pictures stay, to be looked at.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aurum_assets.operators import DATASETS
from aurum_assets.report.page import Written, write_report
from aurum_assets_tests.browser import Scheme, Tab, browser
from aurum_assets_tests.proofs.proof import Proof, home_at
from aurum_assets_tests.report_homes import DAYS, NOW, ORDINARY, fill

_WIDTHS = (390, 1_600)
_SCHEMES: tuple[Scheme, ...] = ("light", "dark")
_CONTRAST = 3.0  # of texts, to what is behind them; WCAG asks for 4.5 of small ones
_LARGEST = 2_000_000
_LOOK = """(() => {
  const light = (c) => c.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const contrast = (a, b) => {
    const [low, high] = [light(a), light(b)].sort((x, y) => x - y);
    return (high + .05) / (low + .05);
  };
  const charts = [...document.querySelectorAll("figure svg")].map(svg => {
    const behind = getComputedStyle(svg.closest("figure")).backgroundColor;
    const marks = [...svg.querySelectorAll("path")].filter(p => {
      const box = p.getBoundingClientRect(), style = getComputedStyle(p);
      const drawn = style.stroke !== "none" || style.fill !== "none";
      return drawn && box.width * box.height > 4;
    });
    const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
    return {
      name: svg.closest("figure").id, marks: marks.length, texts: texts.length,
      width: svg.getBoundingClientRect().width,
      outside: texts.filter(t => {
        const a = t.getBoundingClientRect(), b = svg.getBoundingClientRect();
        return a.left < b.left - 2 || a.right > b.right + 2;
      }).map(t => t.textContent),
      contrast: Math.min(...texts.filter(t => !/^[^ -~]$/.test(t.textContent))
        .map(t => contrast(getComputedStyle(t).fill, behind))),
    };
  });
  return {
    charts, width: innerWidth, scroll: document.documentElement.scrollWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    ink: contrast(getComputedStyle(document.body).color,
                  getComputedStyle(document.body).backgroundColor),
  };
})()"""


def prove_report(keep: Path | None = None) -> Proof:
    """Write a page of each home and look at it; ``keep``: the folder of pictures that stay."""
    proof = Proof("A page needs no network and no script, and can be read on phone and desk.")
    with tempfile.TemporaryDirectory(prefix="aurum-report-") as folder, browser() as tab:
        for name, written in _pages(Path(folder)):
            proof.add("pages")
            proof.holds(f"{name}: {written.bytes} bytes", where=written.bytes < _LARGEST)
            for width in _WIDTHS:
                papers = set()
                for scheme in _SCHEMES:
                    where = f"{name}, {width} px, {scheme}"
                    papers.add(_look(proof, tab, where, written, width, scheme))
                    if keep is not None:
                        tab.picture(keep / f"{name}-{width}-{scheme}.png")
                proof.holds(f"{name}: dark is not dark", where=len(papers) == len(_SCHEMES))
    return proof


def _pages(folder: Path) -> Iterator[tuple[str, Written]]:
    """The page of an empty home, and of each day of a home."""
    empty = home_at(folder / "nothing", NOW)
    yield "empty", write_report(empty, DATASETS, ORDINARY, folder / "empty")
    home = home_at(folder / "home", NOW)
    fill(home)
    for name, date in DAYS.items():
        yield name, write_report(home, DATASETS, date, folder / name)


def _look(proof: Proof, tab: Tab, where: str, written: Written, width: int, scheme: Scheme) -> str:
    """Open a page and judge what it did and shows; returns the colour of its paper."""
    seen = tab.open(written.path, width, scheme)
    found: dict[str, Any] = tab.tell(_LOOK)
    proof.add("looks")
    outward = [url for url in seen.requests if not url.startswith(("file:", "data:"))]
    files = [url for url in seen.requests if url.startswith("file:")]
    proof.holds(f"{where}: asked for {outward}", where=not outward)
    proof.holds(f"{where}: read {files}", where=files == [written.path.resolve().as_uri()])
    proof.holds(f"{where}: logged {seen.logged}", where=not seen.logged)
    reach = f"{found['scroll']} px of {found['width']}"
    proof.holds(f"{where}: reaches over {reach}", where=found["scroll"] <= found["width"])
    proof.holds(f"{where}: its text is faint", where=found["ink"] > 2 * _CONTRAST)
    proof.holds(f"{where}: charts are missing", where=len(found["charts"]) == written.charts)
    for chart in found["charts"]:
        proof.add("charts looked at")
        proof.add("marks", chart["marks"])
        what = f"{where}, {chart['name']}"
        proof.holds(f"{what}: no marks", where=chart["marks"] > 0 and chart["width"] > width / 6)
        proof.holds(f"{what}: {chart['outside']} is cut off", where=not chart["outside"])
        faint = f"{what}: a text has a contrast of {chart['contrast']:.1f}"
        proof.holds(faint, where=chart["contrast"] >= _CONTRAST)
    return str(found["paper"])


if __name__ == "__main__":
    pictures = Path(sys.argv[2]) if sys.argv[1:2] == ["--keep"] else None
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
    result = prove_report(pictures)
    print(result)
    sys.exit(bool(result.broken))
