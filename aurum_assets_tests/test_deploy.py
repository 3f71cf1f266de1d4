"""What is in ``deploy/``: linters accept it, and it names nothing that the code does not have."""

import configparser
import contextlib
import functools
import importlib.metadata
import importlib.util
import io
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

import httpx
import promql_parser
import pytest
import reference_pages
import yaml
from prometheus_client.parser import text_string_to_metric_families
from pytest_httpserver import HTTPServer

from aurum_assets.operators.isone.load import ISONE_SYSTEM_LOAD
from aurum_assets.resources import workers
from aurum_assets.resources.alerts import RUNBOOKS, Kind, runbook_of
from aurum_assets.resources.environment import PROJECT
from aurum_assets.resources.metrics import METRICS, Metrics
from aurum_assets.resources.settings import Settings
from aurum_assets_tests.conftest import NOON
from aurum_assets_tests.deployed import DEPLOY, compose, env_file
from aurum_assets_tests.servers.postgres import free_port

BIN = Path(sys.executable).parent
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
VALUES = DEPLOY / "kubernetes" / "k8s-run-launcher-values.yaml"
OURS = "aurum-assets"
NOT_OURS = {  # read by Dagster, AWS's library, Python and the shell
    "DAGSTER_HOME",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
}
Command = tuple[str, ...]
Json = dict[str, Any]


def run(
    *words: str | Path, cwd: Path = PROJECT, variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A program of this environment."""
    command = [str(BIN / words[0]), *map(str, words[1:])]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"} | (variables or {})
    return subprocess.run(  # noqa: S603  ours and the linters
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def assert_clean(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def manifests() -> list[Json]:
    files = [file for file in MANIFESTS if file != VALUES]
    return [one for file in files for one in yaml.safe_load_all(file.read_text())]


def parts() -> dict[str, Json]:
    """The services that are ours."""
    return {n: s for n, s in compose()["services"].items() if s["image"].split(":")[0] == OURS}


def containers() -> Iterator[tuple[str, Json]]:
    """Those of Kubernetes, by ``deployment/name``."""
    for one in manifests():
        if one["kind"] == "Deployment":
            spec = one["spec"]["template"]["spec"]
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                yield f"{one['metadata']['name']}/{container['name']}", container


def unit(file: Path) -> list[tuple[str, str]]:
    """The settings of a unit, in order; a key may be there several times."""
    text = file.read_text()
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # the documented way
    parser.read_string(text)  # refuses what is no unit
    return re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE)


# --- linters -------------------------------------------------------------------------------------


def test_the_dockerfile_is_clean() -> None:
    assert_clean(run("hadolint", DEPLOY / "Dockerfile"))


def test_every_yaml_file_is_clean() -> None:
    assert_clean(run("yamllint", "--strict", ".", cwd=DEPLOY))


def test_the_compose_file_has_the_form_of_its_specification(tmp_path: Path) -> None:
    check = ("check-jsonschema", "--builtin-schema", "vendor.compose-spec")
    assert run(*check, DEPLOY / "compose.yaml").returncode == 0
    wrong = tmp_path / "compose.yaml"
    wrong.write_text(
        (DEPLOY / "compose.yaml").read_text().replace("stop_grace_period", "stop_grace")
    )
    assert "stop_grace" in run(*check, wrong).stdout


@pytest.mark.parametrize("version", ["1.31.0", "1.37.0"])
def test_every_manifest_has_the_form_of_its_kind(version: str) -> None:
    import kubernetes_validate

    without = set()
    for one in manifests():
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.SchemaNotFoundError:
            without.add(one["apiVersion"])
    assert without == {"keda.sh/v1alpha1"}, "of KEDA there is no schema: see the test of its queues"


def test_the_kustomization_takes_every_manifest_in() -> None:
    found = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    files = {file.relative_to(DEPLOY).as_posix() for file in MANIFESTS if file != VALUES}
    assert set(found["resources"]) == files
    for one in found["configMapGenerator"]:
        assert all((DEPLOY / name).exists() for name in one.get("envs", one.get("files")))


def test_units_are_understood_by_systemd(tmp_path: Path) -> None:
    """By itself where it is there; what matters is read here in any case."""
    for file in UNITS:
        found = unit(file)
        assert {("User", "aurum"), ("NoNewPrivileges", "yes"), ("ProtectSystem", "strict")} <= {
            *found
        }
        for key, value in found:
            for name in re.findall(r"aurum[\w-]*\.(?:service|target)", value):
                assert (DEPLOY / "systemd" / name).exists(), (file.name, key)
        assert sum(key == "ExecStart" for key, _ in found) == 1
    for file in (DEPLOY / "systemd").iterdir():
        text = file.read_text().replace("/opt/aurum/.venv/bin/", f"{BIN}/")
        (tmp_path / file.name).write_text(text.replace("/opt/aurum", str(PROJECT)))
    if shutil.which("systemd-analyze"):
        units = sorted(str(f) for f in tmp_path.iterdir() if f.suffix in {".service", ".target"})
        verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units]
        done = subprocess.run(verify, capture_output=True, text=True, check=False)  # noqa: S603  its own
        assert_clean(done)


# --- names ---------------------------------------------------------------------------------------


def named_variables() -> Iterator[tuple[str, str]]:
    """Where a variable is named, and which."""
    for file in ("aurum.env", "plain.env", "secrets.env.example"):
        yield from ((file, name) for name in env_file(file))
    for name, part in parts().items():
        yield from ((name, variable) for variable in part["environment"])
    for name, container in containers():
        yield from ((name, one["name"]) for one in container.get("env", []))
    for deployment in yaml.safe_load(VALUES.read_text())["dagster-user-deployments"]["deployments"]:
        yield from ((VALUES.name, one["name"]) for one in deployment["env"])
    for file_ in UNITS:
        for key, value in unit(file_):
            if key == "Environment":
                yield from ((file_.name, word.partition("=")[0]) for word in shlex.split(value))
    for name in re.findall(
        r"^(?:ENV| {3}) ([A-Z_]+)=", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE
    ):
        yield "Dockerfile", name


def test_every_variable_is_one_that_the_code_reads() -> None:
    known = reference_pages.variables()
    read = {*known, *(other for others, _, _ in known.values() for other in others), *NOT_OURS}
    named = list(named_variables())
    assert len({place for place, _ in named}) > 15
    assert [pair for pair in named if pair[1] not in read] == []


def test_the_environment_of_compose_is_one_that_the_code_accepts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    filled = {name: value or "filled" for name, value in env_file(".env.example").items()}
    for name, value in {**env_file("aurum.env"), **parts()["worker"]["environment"]}.items():
        shown = re.sub(r"\$\{(\w+):[?-][^}]*\}", lambda found: filled[found[1]], value)
        monkeypatch.setenv(name, shown)
    settings = Settings.read()
    assert (settings.workers, settings.schedules) == ("celery", "running")
    assert workers.dagster_config(settings)["run_launcher"]["class"] == "WorkerLauncher"
    assert workers.broker_url(settings) == "redis://:filled@redis:6379/0"


def test_compose_refuses_to_start_while_a_secret_is_unset() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    example = env_file(".env.example")
    pairs = set(re.findall(r"(?<!\$)\$\{(\w+)(:[?-][^}]*)\}", text))
    assert {name for name, _ in pairs} == set(example)
    optional = {
        "ISONE_USERNAME",
        "ISONE_PASSWORD",
        "ISONE_API_KEY",
        "PJM_API_KEY",
        "AURUM_WEBHOOK_URL",
    }
    refused = ":?set it in deploy/.env"
    assert pairs == {(name, ":-" if name in optional else refused) for name in example}
    assert {name for name, value in example.items() if value} == {"SITE_ADDRESS", "SITE_TLS"}
    assert set(env_file("secrets.env.example").values()) == {""}
    done = subprocess.run(
        ["git", "check-ignore", "deploy/.env"],  # noqa: S607  git
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0


def test_only_the_proxy_can_be_reached_from_outside() -> None:
    assert [n for n, s in compose()["services"].items() if "ports" in s] == ["proxy"]
    assert not any(service.get("network_mode") for service in compose()["services"].values())
    outside = [m for m in manifests() if m["kind"] == "Service" and "type" in m["spec"]]
    assert [one["metadata"]["name"] for one in outside] == ["proxy"]
    everywhere = [file.name for file in UNITS if "0.0.0.0" in file.read_text()]  # noqa: S104  looked for
    assert everywhere == []


def test_every_image_has_a_tag_that_stays() -> None:
    images = [service["image"] for service in compose()["services"].values()]
    images += re.findall(r"^FROM (\S+)", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    images += [c["image"] for _, c in containers() if c["image"] != OURS]
    assert [i for i in images if not re.fullmatch(r"[\w./-]+:[\w.-]*\d[\w.-]*", i)] == []


def test_the_image_has_the_version_of_the_project_everywhere() -> None:
    version = importlib.metadata.version(OURS)
    values = yaml.safe_load(VALUES.read_text())["dagster-user-deployments"]["deployments"]
    found = {service["image"] for service in parts().values()}
    found |= {f"{d['image']['repository']}:{d['image']['tag']}" for d in values}
    for image in yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["images"]:
        found.add(f"{image['name']}:{image['newTag']}")
    guide = (PROJECT / "docs" / "guide" / "deployment.md").read_text()
    found.update(re.findall(rf"-t ({OURS}:\S+)", guide + (DEPLOY / "Dockerfile").read_text()))
    assert found == {f"{OURS}:{version}"}


def test_what_a_manifest_refers_to_is_there_or_is_a_secret_of_the_guide() -> None:
    named = {(m["kind"], m["metadata"]["name"]) for m in manifests()}
    made = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["configMapGenerator"]
    guide = (PROJECT / "docs" / "guide" / "deployment.md").read_text()
    named |= {("ConfigMap", one["name"]) for one in made}
    named |= {("Secret", s) for s in re.findall(r"create secret generic (\S+)", guide)}
    text = "".join(file.read_text() for file in MANIFESTS)
    for kind, key in (
        ("PersistentVolumeClaim", r"claimName: ([\w-]+)"),
        ("Secret", r"secretRef: \{name: ([\w-]+)"),
        ("Secret", r"envSecrets: \[\{name: ([\w-]+)"),
        ("Secret", r"parameter: \w+, name: ([\w-]+)"),
        ("ConfigMap", r"(?:configMapRef|configMap): \{name: ([\w-]+)"),
        ("ConfigMap", r"envConfigMaps: \[\{name: ([\w-]+)"),
        ("TriggerAuthentication", r"authenticationRef: \{name: ([\w-]+)"),
    ):
        found = re.findall(key, text)
        assert found, key
        assert {(kind, name) for name in found} <= named, key


def test_nothing_of_ours_runs_as_root_or_writes_beside_its_home() -> None:
    for name, part in parts().items():
        assert part["read_only"], name
        assert part["cap_drop"] == ["ALL"], name
    for name, container in containers():
        assert container["securityContext"]["readOnlyRootFilesystem"], name
    assert re.findall(r"^USER (.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE) == [
        "10001:10001"
    ]


# --- commands ------------------------------------------------------------------------------------


def commands() -> set[Command]:
    """Every command of ours, as the words of it."""
    docker = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    found = {
        tuple(json.loads(words)) for words in re.findall(r"CMD (\[.*\])$", docker, re.MULTILINE)
    }
    for part in parts().values():
        found.add(tuple(part.get("command", ())))
        test = part.get("healthcheck", {}).get("test", ["CMD"])
        found.add(tuple(test[1:]))
    for _, container in containers():
        if container["image"] == OURS:
            found.add(tuple(container.get("command", ())))
            probe = container.get("livenessProbe", {}).get("exec", {})
            found.add(tuple(probe.get("command", ())))
    for file in UNITS:
        (start,) = (value for key, value in unit(file) if key == "ExecStart")
        found.add(tuple(shlex.split(start.removeprefix("/opt/aurum/.venv/bin/"))))
    return found - {()}


def offered(command: Command, monkeypatch: pytest.MonkeyPatch) -> str:
    """What ``command --help`` prints: a program of Dagster's, run in this process."""
    (program,) = importlib.metadata.entry_points(group="console_scripts", name=command[0])
    words = itertools.takewhile(lambda word: not word.startswith("-"), command)
    monkeypatch.setattr(sys, "argv", [*words, "--help"])
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.raises(SystemExit) as ended:
        program.load()()
    assert ended.value.code == 0, command
    return printed.getvalue()


def test_every_command_is_there_with_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {command[0] for command in commands()} == {
        "aurum",
        "dagster",
        "dagster-daemon",
        "dagster-webserver",
        "python",
    }
    for command in commands():
        program, first, what, *_ = *command, "", ""
        options = {word for word in command if word.startswith("--")}
        if program == "python":
            found = importlib.util.find_spec if first == "-m" else compile
            assert found(*((what,) if first == "-m" else (what, "check", "exec"))), command
        elif program == "aurum":
            assert options <= our_commands()[f"aurum {first}"], command
        else:
            text = offered(command, monkeypatch)
            assert all(re.search(rf"{option}\b", text) for option in options), command


@functools.cache
def our_commands() -> dict[str, set[str]]:
    """Each command with its options; a group has those of its commands too."""
    known: dict[str, set[str]] = {}
    for typed, command in reference_pages.commands():
        options = {o for p in command.params for o in p.opts}
        for n in range(1, typed.count(" ") + 2):
            known.setdefault(" ".join(typed.split()[:n]), {"--help"}).update(options)
    return known


@pytest.mark.parametrize(
    "page", sorted((PROJECT / "docs" / "guide").rglob("*.md")), ids=lambda p: p.stem
)
def test_every_command_of_ours_in_the_guide_is_there_with_its_options(page: Path) -> None:
    known, text = our_commands(), page.read_text()
    for line in re.findall(r"`(aurum [^`]+)`|^    (aurum .+)$", text, re.MULTILINE):
        words = re.split(r"[|>\"]", "".join(line))[0].split()
        typed = next(t for n in range(3, 0, -1) if (t := " ".join(words[:n])) in known)
        assert typed != "aurum", line
        options = {w.partition("=")[0] for w in words if re.match(r"--[a-z]", w)}
        assert options <= known[typed], line


def test_the_image_has_every_file_that_it_is_made_of() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("${LOCK}", "requirements.lock")
    ignored = (PROJECT / ".dockerignore").read_text().splitlines()
    taken = [line[1:] for line in ignored if line.startswith("!")]
    for words in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
        for source in words.split()[:-1]:
            assert (PROJECT / source).exists()
            assert any(fnmatch(source, pattern) for pattern in taken), source
    for command in commands():
        for word in command:
            if word.startswith("/app/"):
                assert re.search(rf"^COPY .*\b{word.removeprefix('/app/')}$", text, re.MULTILINE)


def test_webservers_and_daemon_look_for_the_code_server_where_it_is() -> None:
    (server,) = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())["load_from"]
    host, port = server["grpc_server"]["host"], server["grpc_server"]["port"]
    assert host in compose()["services"]
    starts = [c for c in commands() if "code-server" in c]
    assert {c[c.index("--port") + 1] for c in starts} == {str(port)}
    (pod,) = (
        m for m in manifests() if m["metadata"]["name"] == "dagster" and m["kind"] == "Deployment"
    )
    assert pod["spec"]["template"]["spec"]["hostAliases"] == [
        {"ip": "127.0.0.1", "hostnames": [host]}
    ]


def test_dagster_hands_out_as_many_backfills_as_all_workers_can_take() -> None:
    worker = dict(reference_pages.commands())["aurum worker"]
    (processes,) = (p.default for p in worker.params if p.name == "processes")
    (scaled,) = (m for m in manifests() if m["kind"] == "ScaledObject")
    setup = dict(containers())["dagster/setup"]
    given = {one["name"]: one["value"] for one in setup["env"]}
    for runs, machines in (
        (env_file("aurum.env")["AURUM_BACKFILL_RUNS"], parts()["worker"]["deploy"]["replicas"]),
        (given["AURUM_BACKFILL_RUNS"], scaled["spec"]["maxReplicaCount"]),
    ):
        assert int(runs) == machines * int(str(processes))


def test_workers_are_counted_by_the_queues_that_they_take_from() -> None:
    settings = Settings(AURUM_ENVIRONMENT=env_file("aurum.env")["AURUM_ENVIRONMENT"])  # type: ignore[call-arg]
    prefix = workers.celery_config(settings)["broker_transport_options"]["global_keyprefix"]
    (scaled,) = (m for m in manifests() if m["kind"] == "ScaledObject")
    (secret,) = (m for m in manifests() if m["kind"] == "TriggerAuthentication")
    triggers = scaled["spec"]["triggers"]
    assert [t["metadata"]["listName"] for t in triggers] == [f"{prefix}{q}" for q in workers.QUEUES]
    assert {t["type"] for t in triggers} == {"redis"}
    assert {t["authenticationRef"]["name"] for t in triggers} == {secret["metadata"]["name"]}
    names = {m["metadata"]["name"] for m in manifests() if m["kind"] == "Deployment"}
    assert scaled["spec"]["scaleTargetRef"]["name"] in names


# --- the login -----------------------------------------------------------------------------------


def hashed(password: str) -> str:
    cheap = ("--bcrypt-cost", "4")
    return run("caddy", "hash-password", "--plaintext", password, *cheap).stdout.strip()


@pytest.fixture
def proxy(httpserver: HTTPServer) -> Iterator[str]:
    """The proxy of ``deploy/Caddyfile``, before one server that answers as both webservers."""
    httpserver.expect_request(re.compile("/.*")).respond_with_handler(
        lambda request: _answer(request.path, request.headers.get("Authorization", ""))
    )
    there = f"{httpserver.host}:{httpserver.port}"
    address = f"http://127.0.0.1:{free_port()}"
    text = (DEPLOY / "Caddyfile").read_text().replace("\ttls {$SITE_TLS}\n", "")
    environment = os.environ | {
        "SITE_ADDRESS": address,
        "OPERATOR_PASSWORD_HASH": hashed("operates"),
        "VIEWER_PASSWORD_HASH": hashed("views"),
        **dict.fromkeys(("WEBSERVER", "VIEWER", "GRAFANA"), there),
    }
    process = subprocess.Popen(  # noqa: S603  the proxy of the project
        [BIN / "caddy", "run", "--adapter", "caddyfile", "--config", "-"],
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        _wait_for(address, process)
        yield address
    finally:
        process.kill()
        process.wait()


def _answer(path: str, authorization: str) -> Any:  # noqa: ANN401  a Response
    from werkzeug import Response

    return Response(f"{path} {authorization}")


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while True:
        try:
            httpx.get(address)
        except httpx.TransportError:
            assert process.poll() is None, "Caddy ended by itself"
            assert time.monotonic() < until, "Caddy does not answer"
            time.sleep(0.05)
        else:
            return


def test_nobody_reaches_a_webserver_without_a_login_and_viewers_reach_theirs_alone(
    proxy: str,
) -> None:
    operator, viewer = ("operator", "operates"), ("viewer", "views")

    client = httpx.Client(base_url=proxy)

    def answered(path: str, who: tuple[str, str] | None = None) -> tuple[int, str]:
        found = client.get(path, auth=who)
        return found.status_code, found.text

    for path in ("/", "/graphql", "/view/", "/view/graphql"):
        assert answered(path)[0] == 401
        assert answered(path, operator) == (200, f"{path} "), "and the password stays here"
    assert answered("/view/", ("viewer", "operates"))[0] == 401
    assert answered("/view/graphql", viewer) == (200, "/view/graphql ")
    assert [answered(path, viewer)[0] for path in ("/graphql", "/views")] == [401, 401]
    assert answered("/grafana/login")[0] == 200
    client.close()


def test_the_proxy_does_not_start_without_passwords(tmp_path: Path) -> None:
    given = {"SITE_ADDRESS": "https://localhost", "SITE_TLS": "internal", "HOME": str(tmp_path)}
    check = ("caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile")
    hashes = {f"{who}_PASSWORD_HASH": hashed("secret") for who in ("OPERATOR", "VIEWER")}
    assert run(*check, variables=given | hashes).returncode == 0
    for name in hashes:
        assert run(*check, variables=given | hashes | {name: ""}).returncode != 0


# --- what Prometheus watches ---------------------------------------------------------------------


@functools.cache
def exported(folder: Path) -> dict[str, set[str]]:
    """The names of all samples that ``aurum metrics`` shows, each with its labels."""
    metrics = Metrics(folder / "metrics.sqlite", "prod", lambda: NOON)
    for name, metric in METRICS.items():
        if metric.kind == "counter":
            metrics.count(name, ISONE_SYSTEM_LOAD, *metric.labels)
        elif metric.kind == "gauge":
            metrics.hold(name, ISONE_SYSTEM_LOAD, 1, *metric.labels)
        else:
            metrics.observe(name, ISONE_SYSTEM_LOAD, 1)
    metrics.flush()
    families = text_string_to_metric_families(metrics.exposition().decode())
    found = {sample.name: set(sample.labels) for f in families for sample in f.samples}
    return found | {"up": {"job", "instance"}}  # Prometheus's own


def used(expression: str) -> tuple[dict[str, set[str]], set[str]]:
    """Metrics of an expression with the labels that choose them; labels that it is grouped by."""
    chosen: dict[str, set[str]] = {}
    by: set[str] = set()

    def visit(node: Any) -> None:  # noqa: ANN401  of the parser
        if isinstance(node, promql_parser.VectorSelector):
            labels = {matcher.name for matcher in node.matchers.matchers}
            chosen.setdefault(str(node.name), set()).update(labels)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier:
            by.update(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return chosen, by


def rules() -> list[Json]:
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "rules.yaml").read_text())["groups"]
    found: list[Json] = group["rules"]
    return found


def queries(panels: Sequence[Json]) -> list[str]:
    return [target["expr"] for panel in panels for target in panel["targets"]]


def test_rules_and_dashboard_ask_for_metrics_and_labels_that_are_exported(tmp_path: Path) -> None:
    board = json.loads((DEPLOY / "grafana" / "dashboards" / "aurum.json").read_text())
    known = exported(tmp_path)
    for expression in [*(rule["expr"] for rule in rules()), *queries(board["panels"])]:
        chosen, by = used(expression)
        assert chosen, expression
        for name, labels in chosen.items():
            assert name in known, expression
            assert labels | by <= known[name], expression
    for rule in rules():
        shown = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
        assert shown <= used(rule["expr"])[1], rule["alert"]


def test_prometheus_scrapes_the_metrics_where_they_are_served() -> None:
    found = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yaml").read_text())
    (job,) = found["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.partition(":")
    assert port == parts()[host]["command"][-1]
    assert found["rule_files"] == ["rules.yaml"]
    assert (
        "--config.file=/etc/prometheus/prometheus.yaml"
        in compose()["services"]["prometheus"]["command"]
    )
    assert (job["job_name"], {"job"}) == ("aurum", used('up{job="aurum"}')[0]["up"])


# --- runbooks ------------------------------------------------------------------------------------


def test_every_kind_of_alert_has_its_runbook_and_every_runbook_its_alert() -> None:
    pages = {page.stem for page in (PROJECT / RUNBOOKS).glob("*.md")} - {"index"}
    named = {rule["annotations"]["runbook"] for rule in rules()}
    kinds = set(get_args(Kind))
    assert pages == kinds | named
    assert named - kinds == {"silent"}
    for kind in kinds:
        page = (PROJECT / runbook_of(kind)).read_text()
        assert page.startswith(f"# `{kind}`: ")
        parts_of = re.findall(r"^## (.*)$", page, re.MULTILINE)
        assert parts_of == ["What it means", "Look first", "What to do", "When it is over"]
