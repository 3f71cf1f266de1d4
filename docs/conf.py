"""How Sphinx builds the site: offline, from Markdown and from the code. See ``make docs``."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference_pages  # noqa: E402  beside this file

from aurum_assets.marts.schemas import sources_yml  # noqa: E402

reference_pages.write(HERE / "reference")
(HERE / "reference" / "sources.yml").write_text(sources_yml(published=True))

project = "Aurum assets"
author = "the Aurum assets authors"
release = version = version_of("aurum-assets")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown"}
smartquotes = False  # options begin with two dashes
nitpicky = True
# No intersphinx: the build takes nothing from the network, so that names of other projects and
# types that are no part of the reference stay without a link.
nitpick_ignore_regex = [("py:.*", ".*")]

myst_enable_extensions = ["colon_fence", "deflist", "fieldlist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"

html_theme = "furo"
html_title = f"Aurum assets {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"font-stack": "system-ui, sans-serif"},
    "dark_css_variables": {"font-stack": "system-ui, sans-serif"},
}


def _indented_is_code(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """What is indented in a docstring is code or a drawing: reStructuredText wants it marked."""
    code = False
    shown = []
    for line, before in zip(lines, ["", *lines], strict=False):
        starts = line.startswith("    ") and not code
        if starts and shown[-1:] != [""]:
            shown.append("")
        if starts:
            shown += ["::", ""]
        ends = code and line and not line.startswith("    ")
        if ends and before:
            shown.append("")
        code = line.startswith("    ") or (code and not line)
        shown.append(line)
    lines[:] = shown


def setup(app: Sphinx) -> None:
    """Connect the hook."""
    app.connect("autodoc-process-docstring", _indented_is_code)
