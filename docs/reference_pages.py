"""The reference pages, written from what the code declares each time the site is built.

``python docs/reference_pages.py FOLDER`` writes them as Markdown; ``conf.py`` calls ``write``. They
are read from the datasets, from every settings class, from the config's dataclasses, from click's
commands and from Dagster's definitions, so that nothing here is typed twice. Needs no Sphinx.
"""

import dataclasses
import importlib
import inspect
import os
import pkgutil
import re
import sys
import tempfile
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import click
from pydantic import AliasChoices, SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

ROOT = Path(__file__).parents[1]
os.environ.setdefault("AURUM_HOME", str(Path(tempfile.gettempdir()) / "aurum-no-home"))

import aurum_assets  # noqa: E402  with a home that is not there: nothing of this machine is shown
from aurum_assets import ingest  # noqa: E402
from aurum_assets.cli import main  # noqa: E402
from aurum_assets.definitions import defs  # noqa: E402
from aurum_assets.marts import project  # noqa: E402
from aurum_assets.marts.tables import MARTS  # noqa: E402
from aurum_assets.model import errors  # noqa: E402
from aurum_assets.model.dataset import Dataset, DatasetConfig, FormatName  # noqa: E402
from aurum_assets.model.table import Table  # noqa: E402
from aurum_assets.operators import DATASETS, OPERATORS  # noqa: E402
from aurum_assets.resources import config_schema  # noqa: E402
from aurum_assets.resources.configuration import IngestConfig, load_config  # noqa: E402

_MADE = "<!-- Written by docs/reference_pages.py; changes here are lost. -->\n\n"
_HEADINGS = re.compile(r"^([A-Z][a-z]+): ")


def pages() -> Mapping[str, str]:
    """Path below ``reference/`` to Markdown."""
    configs = load_config(ROOT / "config", DATASETS).datasets
    found = {
        "datasets.md": _datasets_index(),
        "marts.md": _marts_index(),
        "tables.md": _other_tables(configs),
        "checks.md": _checks(),
        "configuration.md": _configuration(),
        "environment.md": _environment(),
        "cli.md": _command_line(),
        "python.md": _python(),
    }
    found |= {f"datasets/{d.key}.md": _dataset(d, configs[d.key]) for d in DATASETS}
    found |= {f"marts/{table.name}.md": _mart(table, configs) for table in MARTS}
    names = [name.removesuffix(".md") for name in found if "/" not in name]
    found["index.md"] = (
        "# Reference\n\nEverything here is generated from the code when the site is built.\n\n"
        + _toctree(names)
    )
    return {name: _MADE + text.rstrip() + "\n" for name, text in found.items()}


def write(folder: Path) -> None:
    """Write ``pages()`` below ``folder``; files that did not change keep their time."""
    for name, text in pages().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)


def settings_classes() -> list[type[BaseSettings]]:
    """Every settings class of the package."""
    for module in pkgutil.walk_packages(aurum_assets.__path__, "aurum_assets."):
        if module.name.startswith("aurum_assets.resources"):
            importlib.import_module(module.name)
    classes = [c for c in _subclasses(BaseSettings) if c.__module__.startswith("aurum_assets.")]
    return sorted(classes, key=lambda c: (c.__module__, c.__qualname__))


def variables() -> Mapping[str, tuple[Sequence[str], object, bool]]:
    """Environment variable to its other names, its default, and whether it is a secret."""
    found: dict[str, tuple[Sequence[str], object, bool]] = {}
    for settings in settings_classes():
        prefix = str(settings.model_config.get("env_prefix", ""))
        for name, field in settings.model_fields.items():
            alias = field.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias or prefix + name]
            first, *others = (str(choice) for choice in choices)
            default = None if field.default is PydanticUndefined else field.default
            secret = SecretStr in (field.annotation, *typing.get_args(field.annotation))
            found.setdefault(first.upper(), ([o.upper() for o in others], default, secret))
    for operator in OPERATORS:
        found.setdefault(operator.base_url_variable, ([], operator.base_url, False))
        found |= {name: ([], None, True) for name in operator.variables}
    return found


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every command and group, by what is typed."""
    yield from _commands("aurum", main, click.Context(main, info_name="aurum"))


def config_classes() -> list[type]:
    """The dataclasses that a config file is made of, outermost first."""
    found: list[type] = []
    _collect_dataclasses(IngestConfig, found)
    return found


# --- tables ------------------------------------------------------------------------------


def _datasets_index() -> str:
    rows = [
        (f"[{d.key}](datasets/{d.key}.md)", d.table.doc, f"`{d.table.identifier}`")
        for d in DATASETS
    ]
    text = (
        "# Datasets\n\nEach has a raw asset, a table asset, an Iceberg table, and a table "
        "`…_history` of the values that others replaced.\n\n"
    )
    text += _rows(("dataset", "what it holds", "table"), rows) + "\n\n## Operators\n\n"
    operators = [
        (
            o.title,
            f"`{o.zone}`",
            f"`{o.base_url}`",
            ", or ".join(o.credentials) or "none needed",
            ", ".join(f"{limit.requests} in {limit.seconds:g} s" for limit in o.limits),
        )
        for o in OPERATORS
    ]
    columns = ("operator", "zone of its days", "address", "credentials", "limits")
    text += _rows(columns, operators) + "\n\n"
    return text + _toctree([f"datasets/{d.key}" for d in DATASETS], hidden=True)


def _dataset(dataset: Dataset, config: DatasetConfig) -> str:
    parts = [f"# {dataset.key}", _table(dataset.table, {dataset.key: config})]
    feeds = [
        (
            f"`{feed.name}`",
            feed.asks,
            feed.cadence.replace("_", " "),
            feed.finality or "",
            "<br>".join(f"`{e.path}` ({e.dialect}, {e.format})" for e in feed.endpoints),
        )
        for feed in config.feeds
    ]
    columns = ("feed", "asks for", "cadence", "finality", "endpoints, in order")
    parts += ["## Feeds", _rows(columns, feeds)]
    kinds = (int, float, str, bool, tuple)
    tuned = [
        (f"`{f.name}`", f"`{getattr(config, f.name)}`")
        for f in dataclasses.fields(config)
        if isinstance(getattr(config, f.name), kinds) and f.name not in {"key", "feeds"}
    ]
    parts += ["## Configuration", "As shipped; the keys are explained in {doc}`../configuration`."]
    parts += [_rows(("key", "value"), tuned)]
    return "\n\n".join(parts)


def _marts_index() -> str:
    text = (
        "# Marts\n\nTables of the namespace `marts`, computed by dbt from the tables of the "
        "datasets, one operating day at a time: `computed_at` says when, `made_from` from which "
        "snapshots. What each of them says is defined in words on its page; "
        "{doc}`/guide/marts` says what all of them have in common, and how they are chosen and "
        "built.\n\n"
    )
    rows = [(f"[{t.name}](marts/{t.name}.md)", t.doc, _names(t.key)) for t in MARTS]
    text += _rows(("mart", "what it holds", "key"), rows) + "\n\n"
    return text + _toctree([f"marts/{t.name}" for t in MARTS], hidden=True)


def _mart(table: Table, configs: Mapping[str, DatasetConfig]) -> str:
    found = project.marts()[table.name]
    reads = [name for name in found.reads if not name.endswith("_history")]
    parts = [
        f"# {table.name}",
        _table(table, configs),
        "dbt tests the checks after each build.",
        "## Read from",
        _names(reads) + ".",
    ]
    if found.after:
        parts += [f"Built after {_names(found.after)}."]
    return "\n\n".join(parts)


def _other_tables(configs: Mapping[str, DatasetConfig]) -> str:
    elsewhere = {d.table.name for d in DATASETS} | {table.name for table in MARTS}
    others = [t for t in ingest.known_tables() if t.name.removesuffix("_history") not in elsewhere]
    parts = ["# Other tables", "Tables that no single dataset fills."]
    for table in others:
        parts += [f"## {table.identifier}", _table(table, configs, "###")]
    return "\n\n".join(parts)


def _table(table: Table, configs: Mapping[str, DatasetConfig], level: str = "##") -> str:
    """The table's entry of the dictionary, as ``aurum tables`` prints it."""
    entry = ingest.entry_of(table, configs)
    columns = [
        (
            f"`{c.name}`",
            c.type,
            c.unit,
            "key" if c.key else "may be null" if c.nullable else "",
            c.meaning,
        )
        for c in entry.columns
    ]
    said = [
        ("Names", _names((entry.table, *entry.names))),
        ("Grain", entry.grain),
        ("Key", f"{_names(entry.key)}, within {_names(entry.partition)}."),
        ("Sorted by", f"{_names(entry.sorted_by)}."),
        ("Units", entry.units),
        ("Source", entry.source),
        ("Cadence", entry.cadence),
        ("Latency", entry.latency),
        ("First day", entry.first_day),
        ("Caveats", entry.caveats),
    ]
    parts = [*entry.about, "\n".join(f"- **{name}**: {_line(text)}" for name, text in said)]
    parts += [f"{level} Columns", _rows(("column", "type", "unit", "", "meaning"), columns)]
    if entry.checks:
        checks = [(f"`{c.name}`", c.meaning) for c in entry.checks]
        parts += [f"{level} Checks", _rows(("check", "what holds where it passes"), checks)]
    if entry.rules and not table.is_derived:
        rules = [(f"`{r.name}`", f"`{r.check}`", _names(r.columns)) for r in entry.rules]
        parts += [f"{level} Rules", "A row that breaks one of these is quarantined."]
        parts += [_rows(("rule", "check", "columns that it looks at"), rules)]
    lines = "\n".join(textwrap.wrap(entry.example, 88, break_on_hyphens=False))
    parts += [f"{level} To begin with", f"```sql\n{lines}\n```"]
    return "\n\n".join(parts)


def _checks() -> str:
    described: dict[str, str] = {}
    assets: dict[str, list[str]] = {}
    for definition in defs.asset_checks or ():
        for spec in getattr(definition, "check_specs", ()):
            described.setdefault(spec.name, spec.description or "")
            assets.setdefault(spec.name, []).append(spec.asset_key.to_user_string())
    rows = [(f"`{name}`", _line(text), str(len(assets[name]))) for name, text in described.items()]
    return (
        "# Checks\n\nEach materialization of a table asset is checked, per partition.\n\n"
        + _rows(("check", "what it says", "assets"), rows)
    )


# --- configuration and environment -----------------------------------------------------


def _configuration() -> str:
    intro = (
        "`config/{operator}_ingest_datasets.json` holds what is tuned; what a parser depends on is "
        "declared in the code. A wrong file is one error that names file, dataset, key and what "
        "was expected. `AURUM_CONFIG` names another folder; a dataset without an entry there is as "
        "in the project's, and one warning names all of them."
    )
    parts = ["# Configuration files", intro]
    schema = config_schema.schema()
    for made in config_classes():
        hints = typing.get_type_hints(made) | {"formats": tuple[FormatName, ...]}
        fields = {f.name: f for f in dataclasses.fields(made)}
        keys = schema["$defs"].get(made.__name__, schema)["properties"]
        rows = [
            (
                f"`{key}`",
                f"`{_type(hints[key])}`",
                _default(fields[key]) if key in fields else "",
                _prose(value.get("description", "")).replace("|", "\\|"),
            )
            for key, value in keys.items()
            if key in hints
        ]
        parts += [f"## {made.__name__}", _prose(inspect.getdoc(made) or "")]
        parts += [_rows(("key", "type", "default", "meaning"), rows)]
    return "\n\n".join(parts)


def _environment() -> str:
    described = env_example()
    rows = []
    for name, (others, default, secret) in sorted(variables().items()):
        beside = next((n for n, t in described.items() if re.search(rf"\b{name}\b", t)), None)
        text = described.get(name) or (f"See `{beside}`." if beside else "")
        if others:
            text += " Also read: " + ", ".join(f"`{o}`" for o in others) + "."
        shown = "secret" if secret else f"`{_shown(default)}`" if default not in ("", None) else ""
        rows.append((f"`{name}`", shown, text))
    return (
        "# Environment variables\n\nAll are optional. They are read from the environment, then "
        "from `.env` in the project and in the current folder (`AURUM_ENV_FILE` names another "
        "file). Secrets appear in no log, message or table.\n\n"
        + _rows(("variable", "default", "meaning"), rows)
    )


def env_example() -> Mapping[str, str]:
    """Variable to the comment above it in ``.env.example``; a block shares its comment."""
    found: dict[str, str] = {}
    comment: list[str] = []
    was_name = False
    for line in (ROOT / ".env.example").read_text().splitlines():
        name = re.match(r"#?([A-Z][A-Z0-9_]+)=", line)
        if name:
            found[name[1]] = " ".join(comment)
        elif was_name or not line.startswith("# "):
            comment = []
        if line.startswith("# "):
            comment.append(line[2:].strip().replace("<", "\\<").replace("|", "\\|"))
        was_name = bool(name)
    return found


# --- commands and Python ---------------------------------------------------------------


def _command_line() -> str:
    parts = ["# Command line", "`aurum COMMAND --help` prints the same."]
    for typed, command in commands():
        depth = "##" if typed.count(" ") <= 1 else "###"
        context = click.Context(command, info_name=typed, max_content_width=96, terminal_width=96)
        usage = " ".join(command.collect_usage_pieces(context))
        parts += [f"{depth} {typed}", f"```text\n{typed} {usage}\n```", _help(command)]
        if options := [_option(p, context) for p in command.params]:
            parts += [_rows(("argument or option", "meaning"), options)]
    return "\n\n".join(parts)


def _help(command: click.Command) -> str:
    text = inspect.cleandoc(command.help or "")
    blocks = []
    for block in text.split("\n\n"):
        kept = block.startswith("\b")
        body = block.removeprefix("\b").strip("\n")
        blocks.append(f"```text\n{body}\n```" if kept else body.replace("<", "\\<"))
    return "\n\n".join(blocks)


def _option(param: click.Parameter, context: click.Context) -> tuple[str, str]:
    record = param.get_help_record(context)
    if record is None:
        return f"`{param.make_metavar(context)}`", "required" if param.required else ""
    return f"`{record[0]}`", record[1]


def _python() -> str:
    drawn = inspect.cleandoc(errors.__doc__ or "")
    parts = ["# Python API", "```{eval-rst}\n.. automodule:: aurum_assets\n```"]
    shown: set[object] = set()
    for module, names in _public().items():
        parts.append(f"## {module}")
        if module == errors.__name__:
            parts.append(f"```text\n{drawn}\n```")
        for name in names:
            found = getattr(importlib.import_module(module), name)
            if found not in shown:
                shown.add(found)
                kind = "autoclass" if inspect.isclass(found) else "autofunction"
                parts.append(_rst(kind, f"{found.__module__}.{name}"))
    return "\n\n".join(parts)


def _rst(directive: str, name: str) -> str:
    """A directive of autodoc, which writes reStructuredText."""
    members = "" if directive == "autofunction" else "\n   :members:"
    return f"```{{eval-rst}}\n.. {directive}:: {name}{members}\n```"


def _public() -> Mapping[str, Sequence[str]]:
    """Module to the public names that it has."""
    found: dict[str, Sequence[str]] = {"aurum_assets.api": ("collect", "open_lake", "OpenLake")}
    for module in ("aurum_assets.isone", "aurum_assets.miso", errors.__name__):
        held = importlib.import_module(module)
        own = [n for n, v in vars(held).items() if inspect.isclass(v) and v.__module__ == module]
        found[module] = getattr(held, "__all__", None) or [n for n in own if n[0] != "_"]
    return found


# --- Markdown --------------------------------------------------------------------------


def _prose(doc: str) -> str:
    """A docstring as Markdown: ``Source:`` and the like become a list; nothing indented is code."""
    blocks = []
    for block in inspect.cleandoc(doc).split("\n\n"):
        lines = block.splitlines()
        listed = lines and _HEADINGS.match(lines[0])
        text = "\n".join(_HEADINGS.sub(r"- **\1**: ", line) for line in lines) if listed else block
        blocks.append(text)
    return "\n\n".join(blocks)


def _rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(_line(c) for c in row) + " |" for row in rows]
    return "\n".join(lines)


def _line(text: str) -> str:
    return " ".join(text.split()).replace("\\|", "|").replace("|", "\\|")


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)


def _toctree(names: Iterable[str], *, hidden: bool = False) -> str:
    how = ":hidden:\n" if hidden else ":maxdepth: 1\n"
    return "```{toctree}\n" + how + "\n" + "\n".join(names) + "\n```\n"


def _type(hint: object) -> str:
    text = hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint)
    return re.sub(r"\b(?:typing|datetime|collections\.abc|[a-z_]+(?:\.[a-z_]+)+)\.", "", text)


def _default(field: "dataclasses.Field[object]") -> str:
    if field.default is not dataclasses.MISSING:
        return f"`{field.default}`"
    return "" if field.default_factory is dataclasses.MISSING else "empty"


def _shown(value: object) -> str:
    return str(value).replace(str(ROOT) + "/", "")


# --- walking ----------------------------------------------------------------------------


def _subclasses(of: type[BaseSettings]) -> Iterator[type[BaseSettings]]:
    for found in of.__subclasses__():
        yield found
        yield from _subclasses(found)


def _commands(
    typed: str, command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command]]:
    yield typed, command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None and not below.hidden:
                inner = click.Context(below, parent=context, info_name=name)
                yield from _commands(f"{typed} {name}", below, inner)


def _collect_dataclasses(hint: object, found: list[type]) -> None:
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        if hint in found:
            return
        found.append(hint)
        for inner in typing.get_type_hints(hint).values():
            _collect_dataclasses(inner, found)
    elif isinstance(hint, types.GenericAlias | types.UnionType) or typing.get_args(hint):
        for inner in typing.get_args(hint):
            _collect_dataclasses(inner, found)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
