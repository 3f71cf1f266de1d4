"""Who may import whom: the rooms of the project, read from the source by ``ast``."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import aurum_assets
from aurum_assets.resources.environment import PROJECT

ROOT = Path(aurum_assets.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
OURS = "aurum_assets"

# Room -> the rooms that it may import. What is not named here may import anything of ours.
MAY_IMPORT = {
    "model": set(),
    "operators": {"model"},
    "reference": {"model"},
    "resources": {"model"},
    "marts": {"model", "operators", "reference", "resources"},
    "ingest": {"model", "operators", "reference", "resources", "marts"},
    "simulator": {"model", "operators"},
    "report": {"model", "operators", "marts", "resources", "ingest"},
    "definitions": {"graph", "resources", "operators"},
    "openapi": {"operators", "model", "resources"},
    "dev": {"operators", "model", "resources", "simulator"},
}
NOT_IN_MARKETS = {"dagster", "httpx", "pyiceberg", "boto3", "os"}
HEAVY = {
    "boto3",
    "confluent_kafka",
    "dagster_aws",
    "dbt",
    "duckdb",
    "jinja2",
    "matplotlib",
    "pandera",
    "pyiceberg",
    "vl_convert",
    "redis",
}
DEFERRED = {
    "aurum_assets.resources.bounded_s3",
    "aurum_assets.graph.s3",
    "aurum_assets.graph.launcher",  # named in dagster.yaml
    "aurum_assets.graph.worker",  # a program
    "aurum_assets.marts.plugin",  # dbt imports it, by name
    "aurum_assets.resources.lake_files",  # pyiceberg imports it, by name
}
FREE = {"", "api", "api_config", "cli", "collector", "demo", "graph", "isone", "miso"}
DAGSTER_ROOMS = {"graph", "definitions", "demo", "dev"}


def module(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(name: str) -> str:
    """``aurum_assets.model.clock`` -> ``model``."""
    return name.split(".")[1] if "." in name else ""


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """Every module that is imported, and whether the whole module does so (not a function)."""
    top = set(ast.iter_child_nodes(tree))
    for node in ast.walk(tree):
        at_once = node in top
        if isinstance(node, ast.Import):
            yield from ((alias.name, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from ((f"{node.module}.{alias.name}", at_once) for alias in node.names)


def imported(path: Path) -> set[str]:
    return {name for name, _ in imports(ast.parse(path.read_text()))}


def test_a_room_imports_only_the_rooms_that_it_may() -> None:
    offences = []
    for path in FILES:
        own = room(module(path))
        assert own in MAY_IMPORT or own in FREE, f"what may {own} import?"
        rooms = {room(name) for name in imported(path) if name.split(".")[0] == OURS}
        allowed = MAY_IMPORT.get(own, rooms)
        offences += [f"{module(path)} imports {found}" for found in rooms - {own} - allowed]
    assert not offences


GENERIC = ("model", "resources", "ingest", "graph", "cli", "simulator")
# Where an operator may be named: its own folders, where they are listed, and the one command that
# was ordered by the name of a dataset.
LISTED = {"aurum_assets.simulator.operators"}
ORDERED = re.compile("miso[-_]cts|(miso_c|C)oordinated.[Tt]ransaction.[Ss]cheduling( of MISO)?")


def test_no_generic_room_names_an_operator() -> None:
    names = "|".join(file.parent.name for file in ROOT.glob("operators/*/operator.py"))
    named = re.compile(rf"(?<!fro)(?:{names})", re.IGNORECASE)  # not date.fromisoformat
    assert named.search("collect MISO")
    offences = []
    for path in FILES:
        name = module(path)
        own_folder = named.search("/".join(path.relative_to(ROOT).parts[:-1]))
        if room(name) not in GENERIC or own_folder or name in LISTED:
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if named.search(ORDERED.sub("", line) if room(name) == "cli" else line):
                offences.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()}")
    assert not offences


def test_dagster_is_known_to_the_wiring_only() -> None:
    knowing = {
        room(module(path))
        for path in FILES
        if any(name.split(".")[0] == "dagster" for name in imported(path))  # not dagster_aws
    }
    assert knowing == DAGSTER_ROOMS


def test_operators_and_reference_know_no_outside_world() -> None:
    for path in FILES:
        if room(module(path)) in {"operators", "reference"}:
            outside = {name.split(".")[0] for name in imported(path)}
            assert not outside & NOT_IN_MARKETS, path


def test_heavy_libraries_are_imported_where_they_are_first_used() -> None:
    for path in FILES:
        if module(path) in DEFERRED:
            continue
        at_once = {n.split(".")[0] for n, top in imports(ast.parse(path.read_text())) if top}
        assert not at_once & HEAVY, path


def test_what_imports_heavy_libraries_is_itself_imported_where_it_is_first_used() -> None:
    for path in FILES:
        at_once = {n.rpartition(".")[0] for n, top in imports(ast.parse(path.read_text())) if top}
        assert not at_once & DEFERRED or module(path) in DEFERRED, path


def test_every_module_says_what_belongs_in_it() -> None:
    for path in FILES:
        text = path.read_text()
        doc = ast.get_docstring(ast.parse(text)) or ""
        assert doc.split("\n\n")[0].endswith((".", "?", ":")) or (
            path.name == "__init__.py" and not text
        ), path


def test_no_module_imports_itself_by_a_detour() -> None:
    known = {module(p): p for p in FILES}
    edges = {
        name: {owner(t, known) for t in run_time_imports(path)} - {None, name}
        for name, path in known.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name in done:
            return
        for target in edges[name]:
            if target is not None:
                visit(target, (*trail, name))
        done.add(name)

    for name in sorted(known):
        visit(name, ())
    assert done == set(known)


def run_time_imports(path: Path) -> set[str]:
    """Without those under ``if TYPE_CHECKING``, which nothing runs."""
    tree = ast.parse(path.read_text())
    for branch in ast.walk(tree):
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test):
            branch.body = []
    return {name for name, _ in imports(tree)}


def owner(target: str, known: dict[str, Path]) -> str | None:
    """The module of ours that holds the imported name."""
    while target:
        if target in known:
            return target
        target = target.rpartition(".")[0]
    return None


def test_the_engine_of_the_simulator_names_no_operator() -> None:
    names = {path.parent.name for path in (ROOT / "operators").glob("*/operator.py")}
    engine = [p for p in (ROOT / "simulator").glob("*.py") if p.name != "operators.py"]
    assert {"isone", "miso"} <= names
    assert [
        p.name for p in engine if set(re.findall(r"[a-z]+", p.read_text().lower())) & names
    ] == []


def test_every_dataset_is_one_line_of_the_list() -> None:
    text = (ROOT / "operators" / "__init__.py").read_text()
    listed = text.partition("DATASETS: tuple[Dataset, ...] = (\n")[2].partition(")")[0]
    assert all(line.strip().endswith(",") for line in listed.splitlines())
    assert (PROJECT / "config").is_dir()


def test_nothing_private_of_dagster_is_imported() -> None:
    for path in FILES:
        private = {n for n in imported(path) if n.startswith("dagster") and "._" in n}
        assert not private, path
