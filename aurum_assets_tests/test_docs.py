"""The site: its reference leaves nothing out, its glossary and its trees are in order."""

import dataclasses
import re
import tomllib
from functools import cache
from pathlib import Path

import click
import reference_pages

import aurum_assets
from aurum_assets import ingest
from aurum_assets.cli import COMMANDS
from aurum_assets.definitions import defs
from aurum_assets.ingest.dictionary import parts_of
from aurum_assets.marts.tables import DEFINITIONS, MARTS
from aurum_assets.operators import DATASETS, OPERATORS

PROJECT = Path(aurum_assets.__file__).parents[1]
DOCS = PROJECT / "docs"
OPTION = re.compile(r"--[a-z][a-z-]*")


@cache
def pages() -> dict[str, str]:
    return dict(reference_pages.pages())


def test_the_reference_shows_each_dataset_with_every_column_unit_and_rule() -> None:
    for dataset in DATASETS:
        page = pages()[f"datasets/{dataset.key}.md"]
        listed = page.partition("## Columns\n")[2].partition("\n## ")[0]
        for column in dataset.table.columns:
            (row,) = re.findall(rf"^\| `{column.name}` \|.*$", listed, re.MULTILINE)
            assert f"| {column.unit} |" in row, (dataset.key, column.name)
        for rule in dataset.table.rules:
            assert f"`{rule.name}`" in page, (dataset.key, rule.name)


def test_the_reference_shows_each_mart_with_its_definition_columns_and_tests() -> None:
    for table in MARTS:
        page = pages()[f"marts/{table.name}.md"]
        assert f"({'marts/' + table.name}.md)" in pages()["marts.md"]
        for text in parts_of(DEFINITIONS[table.name])[0]:
            assert text in page
        for column in table.columns:
            (row,) = re.findall(rf"^\| `{column.name}` \|.*$", page, re.MULTILINE)
            assert f"| {column.unit} |" in row, (table.name, column.name)
        for rule in table.rules:
            assert f"| `{rule.name}` | {rule.sql}. |" in page


def test_the_reference_shows_every_table_that_no_dataset_or_mart_fills() -> None:
    elsewhere = {d.table.name for d in DATASETS} | {table.name for table in MARTS}
    for table in ingest.known_tables():
        if table.name.removesuffix("_history") not in elsewhere:
            assert f"## {table.identifier}\n" in pages()["tables.md"]


def test_the_reference_shows_every_variable_of_the_settings_with_a_meaning() -> None:
    known = reference_pages.variables()
    assert {"AURUM_HOME", "AURUM_REDIS_URL"} <= set(known)
    for operator in OPERATORS:
        assert {operator.base_url_variable, *operator.variables} <= set(known)
    for name, (others, _, _) in known.items():
        row = next(r for r in pages()["environment.md"].splitlines() if r.startswith(f"| `{name}`"))
        meaning = row.split("|")[3].strip()
        assert len(meaning) > 10 or others, f"{name} is not described in .env.example"
        assert all(other in row for other in others)


def test_no_default_of_a_secret_and_no_path_of_this_machine_is_shown() -> None:
    for text in pages().values():
        assert str(PROJECT) not in text
        assert str(Path.home()) not in text
    for name, (_, _, secret) in reference_pages.variables().items():
        if secret:
            assert f"| `{name}` | secret |" in pages()["environment.md"]


def test_the_reference_shows_every_command_with_every_option() -> None:
    shown = {typed.split(" ")[1] for typed, _ in reference_pages.commands() if " " in typed}
    assert shown == set(COMMANDS)
    page = pages()["cli.md"]
    for typed, command in reference_pages.commands():
        section = page.partition(f"# {typed}\n")[2].partition("\n## aurum")[0]
        for param in command.params:
            if isinstance(param, click.Option) and not param.hidden:
                assert param.opts[0] in section, (typed, param.opts)


def test_the_reference_shows_every_key_of_the_config_files() -> None:
    page = pages()["configuration.md"]
    for made in reference_pages.config_classes():
        section = page.partition(f"## {made.__name__}\n")[2].partition("\n## ")[0]
        for field in dataclasses.fields(made):
            if field.name not in ("expected_fields", "format"):  # filled in while a file is read
                assert f"| `{field.name}` |" in section, (made.__name__, field.name)


def test_the_reference_shows_every_check() -> None:
    for definition in defs.asset_checks or ():
        for spec in getattr(definition, "check_specs", ()):
            assert f"| `{spec.name}` |" in pages()["checks.md"]


def test_terms_of_the_glossary_are_unique_and_sorted() -> None:
    terms = re.findall(r"^(\S.*)\n  \S", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    lower = [term.lower() for term in terms]
    assert len(lower) > 50
    assert lower == sorted(set(lower))


def test_every_page_is_in_one_toctree_and_every_entry_is_a_page() -> None:
    written = {
        file.relative_to(DOCS).with_suffix("").as_posix(): file.read_text()
        for file in DOCS.rglob("*.md")
        if file.relative_to(DOCS).parts[0] not in {"_build", "reference"}
    }
    made = {f"reference/{n.removesuffix('.md')}": text for n, text in pages().items()}
    known = {**written, **made}
    entries = [
        (Path(name).parent / line).as_posix()
        for name, text in known.items()
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.DOTALL)
        for line in tree.splitlines()
        if line and not line.startswith(":")
    ]
    assert sorted(entries) == sorted(set(known) - {"index"})


def test_every_decision_has_its_number_a_context_and_a_consequence() -> None:
    files = sorted((DOCS / "adr").glob("[0-9]*.md"))
    for number, file in enumerate(files, 1):
        text = file.read_text()
        assert file.name.startswith(f"{number:04d}-")
        assert text.startswith(f"# {number}. ")
        found = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert found == ["Context", "Decision", "Consequence"], file.name


def test_the_changelog_has_the_version_of_the_project_and_dates() -> None:
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    text = (PROJECT / "CHANGELOG.md").read_text()
    first, *released = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert first == "Unreleased"
    assert all(re.fullmatch(r"\d+\.\d+\.\d+ - \d{4}-\d\d-\d\d", line) for line in released)
    assert released[0].startswith(f"{version} - ")


def test_the_commit_that_contributing_shows_has_the_lines_that_the_files_have() -> None:
    shown = (PROJECT / "CONTRIBUTING.md").read_text().partition("```diff\n")[2].partition("```")[0]
    seen = set()
    for part in shown.split("+++ b/")[1:]:
        name, *lines = part.splitlines()
        held = (PROJECT / name).read_text().splitlines()
        added = [line[1:] for line in lines if line.startswith("+")]
        assert added, name
        assert [line for line in added if line not in held] == [], name
        seen.add(name.rpartition("/")[2])
    assert seen >= {"__init__.py", "hourly_load.py", "isone_ingest_datasets.json"}


DOCUMENTS = [
    *(PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *(f for f in DOCS.rglob("*.md") if f.relative_to(DOCS).parts[0] not in {"_build", "reference"}),
]


def test_commands_options_targets_paths_and_variables_in_the_documents_exist() -> None:
    """``…``, ``<name>`` and ``X.Y`` stand for something else."""
    options = {
        typed: {o for p in command.params for o in (*p.opts, *p.secondary_opts)} | {"--help"}
        for typed, command in reference_pages.commands()
    }
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    variables = {v for n, (other, *_) in reference_pages.variables().items() for v in (n, *other)}
    described = (PROJECT / ".env.example").read_text()
    wrong = []
    for file in DOCUMENTS:
        text = file.read_text()
        indented = re.findall(r"^    (\S.*?)(?:  .*)?$", text, re.MULTILINE)
        for span in (" ".join(s.split()) for s in (*re.findall(r"`([^`]+)`", text), *indented)):
            if span.startswith("aurum ") and span.split()[1] != "COMMAND":
                typed = max((t for t in options if f"{span} ".startswith(f"{t} ")), key=len)
                known = set().union(*(o for t, o in options.items() if t.startswith(typed)))
                wrong += [span] if typed == "aurum" else sorted({*OPTION.findall(span)} - known)
            if span.startswith("make "):
                wrong += {w for w in span.split("#")[0].split()[1:] if "=" not in w} - targets
            if re.fullmatch(r"(aurum_assets\w*|docs|config|benchmarks)/[\w./-]+", span):
                there = (PROJECT / span).exists() or "_build" in span or "X.Y" in span
                wrong += [] if there else [span]
        named = set(re.findall(r"\b(?:AURUM|REDIS|KAFKA|S3)_[A-Z_]*[A-Z]\b", text))
        wrong += sorted(name for name in named - variables if name not in described)
    assert wrong == []
