"""The report in a real browser without a network: six homes' pages, on a phone and on a desk.

Each page is opened at 390 and at 1,600 px, in light and in dark. No request may leave, nothing may
be logged, each chart must have marks that are to be seen, nothing may reach beyond the page, and
texts must stand out from what is behind them. Then faults are planted in the ordinary page: the
same look must name each. With ``--keep`` the pictures stay, to be looked at.
"""

import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
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
  const behind = (e) => {
    for (let at = e; at; at = at.parentElement) {
      const paint = getComputedStyle(at).backgroundColor;
      if (!clear(paint)) return paint;
    }
    return "rgb(255, 255, 255)";
  };
  const clear = (paint) => paint === "none" || /^rgba.* 0\\)$/.test(paint);
  const meet = (a, b) =>
    a.right > b.left && a.left < b.right && a.bottom > b.top && a.top < b.bottom;
  const charts = [...document.querySelectorAll("figure svg")].map(svg => {
    const back = behind(svg), frame = svg.getBoundingClientRect();
    const marks = [...svg.querySelectorAll("path")].filter(p => {
      const box = p.getBoundingClientRect(), style = getComputedStyle(p);
      const drawn = [style.stroke, style.fill].some(paint => !clear(paint) && paint !== back);
      const shown = p.checkVisibility({opacityProperty: true, visibilityProperty: true});
      return drawn && shown && box.width * box.height > 4 && meet(box, frame);
    });
    const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
    return {
      name: svg.closest("figure").id, marks: marks.length, texts: texts.length,
      width: frame.width,
      outside: texts.filter(t => {
        const a = t.getBoundingClientRect();
        return a.left < frame.left - 2 || a.right > frame.right + 2
          || a.top < frame.top - 2 || a.bottom > frame.bottom + 2;
      }).map(t => t.textContent),
      contrast: Math.min(...texts.filter(t => !/^[^ -~]$/.test(t.textContent))
        .map(t => contrast(getComputedStyle(t).fill, back))),
    };
  });
  const worded = [...document.body.querySelectorAll("*")].filter(e =>
    !e.closest("svg") && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()));
  return {
    charts, scroll: document.documentElement.scrollWidth,
    paper: getComputedStyle(document.body).backgroundColor,
    ink: contrast(getComputedStyle(document.body).color,
                  getComputedStyle(document.body).backgroundColor),
    faint: worded.filter(e => contrast(getComputedStyle(e).color, behind(e)) < CONTRAST)
      .map(e => e.textContent.trim()),
    scripts: document.scripts.length,
    elsewhere: [...document.querySelectorAll("[src], [srcset], link[href]")]
      .map(e => e.getAttribute("src") || e.getAttribute("srcset") || e.getAttribute("href"))
      .filter(address => !address.startsWith("data:")),
  };
})()"""


Fault = Callable[[str], str]
_END = "</body>"


def _with(more: str) -> Fault:
    return lambda page: page.replace(_END, f"{more}{_END}")


def _without(pattern: str, most: int = 0) -> Fault:
    return lambda page: re.sub(pattern, "", page, count=most, flags=re.DOTALL)


_FAULTS: Mapping[str, tuple[str, Fault]] = {
    "a picture of another server": ("asked for", _with('<img src="http://example.org/a.png">')),
    "a picture that waits for the reader": (
        "names",
        _with('<p style="height:9000px"></p><img loading="lazy" src="http://example.org/a.png">'),
    ),
    "a file beside it": ("read", _with('<img src="beside.png">')),
    "a style of another server": (
        "asked for",
        _with("<style>footer { background: url(https://example.org/a.png) }</style>"),
    ),
    "a script": ("has 1 scripts", _with("<script>document.title = 'x'</script>")),
    "an error of a script": ("logged", _with("<script>console.error('x')</script>")),
    "an exception of a script": ("logged", _with("<script>nothing()</script>")),
    "too wide for a phone": ("reaches over", _with('<div style="width:900px">x</div>')),
    "a chart without marks": ("no marks", _without(r"<path.*?/?>", 10_000)),
    "marks in the colour of the paper": (
        "no marks",
        _with("<style>figure svg path { stroke: transparent; fill: transparent }</style>"),
    ),
    "marks that are hidden": ("no marks", _with("<style>svg path { opacity: 0 }</style>")),
    "marks beyond the chart": (
        "no marks",
        _with("<style>figure svg path { transform: translate(0, 5000px) }</style>"),
    ),
    "a chart that is not there": ("charts are missing", _without(r"<svg.*?</svg>", 1)),
    "a narrow chart": ("no marks", _with("<style>figure svg { width: 20px }</style>")),
    "a label beyond the side": (
        "is cut off",
        _with("<style>figure svg text { transform: translate(-300px, 0) }</style>"),
    ),
    "a label beyond the top": (
        "is cut off",
        _with("<style>figure svg text { transform: translate(0, -600px) }</style>"),
    ),
    "faint labels": (
        "has a contrast of",
        _with("<style>figure svg text { fill: #eee !important }</style>"),
    ),
    "a faint page": ("its text is faint", _with("<style>body { color: #bbb }</style>")),
    "a faint cell": ("faint are", _with('<p style="color:#ddd">hardly to be read</p>')),
}
"""What could be wrong with a page: how the proof names it, and what plants it."""


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
            if name == "ordinary":
                _plant(proof, tab, written)
    return proof


def _plant(proof: Proof, tab: Tab, written: Written) -> None:
    """Each fault in a copy of the page is named on a phone in light."""
    page = written.path.read_text()
    for name, (named, fault) in _FAULTS.items():
        wrong = replace(written, path=written.path.with_name("wrong.html"))
        wrong.path.write_text(fault(page))
        seen = Proof("")
        _look(seen, tab, name, wrong, _WIDTHS[0], "light")
        told = any(named in what for what in seen.broken)
        proof.holds(f"{name} is not seen, only {seen.broken[:2]}", where=told)
        proof.add("faults planted, and seen", int(told))


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
    found: dict[str, Any] = tab.tell(_LOOK.replace("CONTRAST", f"{_CONTRAST}"))
    proof.add("looks")
    outward = [url for url in seen.requests if not url.startswith(("file:", "data:"))]
    files = [url for url in seen.requests if url.startswith("file:")]
    proof.holds(f"{where}: asked for {outward}", where=not outward)
    proof.holds(f"{where}: read {files}", where=files == [written.path.resolve().as_uri()])
    proof.holds(f"{where}: names {found['elsewhere']}", where=not found["elsewhere"])
    proof.holds(f"{where}: has {found['scripts']} scripts", where=not found["scripts"])
    proof.holds(f"{where}: logged {seen.logged}", where=not seen.logged)
    reach = f"{found['scroll']} px of {width}"  # innerWidth grows with it on a phone
    proof.holds(f"{where}: reaches over {reach}", where=found["scroll"] <= width)
    proof.holds(f"{where}: its text is faint", where=found["ink"] > 2 * _CONTRAST)
    proof.holds(f"{where}: faint are {found['faint'][:3]}", where=not found["faint"])
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
