"""``deploy/`` for processes of this machine: what Compose gives each part of ours.

The variables are those of ``deploy/aurum.env`` and ``deploy/compose.yaml``, the commands those of
``deploy/compose.yaml`` and the Dockerfile. Addresses of containers become addresses here: one that
is left is an error, so that neither can change without the other.
"""

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from aurum_assets.resources.environment import PROJECT
from aurum_assets_tests.servers.postgres import Postgres
from aurum_assets_tests.servers.redis import RedisProcess
from aurum_assets_tests.servers.s3 import S3Server

DEPLOY = PROJECT / "deploy"
SERVICES = {  # by the name that the stack has for the part
    "code": "code-server",
    "web": "webserver",
    "viewer": "viewer",
    "daemon": "daemon",
    "metrics": "metrics",
    "worker": "worker",
}
PORTS = {"code": 4000, "web": 3000, "viewer": 3000, "metrics": 9464}  # those of the containers
_EVERYWHERE, _HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104  replaced
_WORKSPACE = "/app/deploy/workspace.yaml"
_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")
Json = dict[str, Any]


@functools.cache
def compose() -> Json:
    """The Compose file."""
    found: Json = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def env_file(name: str) -> dict[str, str]:
    """The variables of a file in ``deploy/``."""
    lines = (DEPLOY / name).read_text().splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    return {key: value for key, _, value in pairs}


def variables(given: Mapping[str, str], addresses: Mapping[str, str]) -> dict[str, str]:
    """The environment of a part of ours.

    ``given``: what ``deploy/.env`` holds; ``addresses``: by that of a container, the one here.
    """
    part = compose()["services"][SERVICES["worker"]]
    files = {name: value for file in part["env_file"] for name, value in env_file(file).items()}
    found = {name: _filled(value, given) for name, value in part["environment"].items()}
    for there, here in addresses.items():
        found = {name: value.replace(there, here) for name, value in found.items()}
    containers = "|".join(compose()["services"])
    left = [name for name, value in found.items() if re.search(rf"[/@]({containers})\b", value)]
    if left:
        msg = f"deploy/compose.yaml: {', '.join(left)} has an address that is not replaced"
        raise ValueError(msg)
    return files | found


def servers(
    postgres: Postgres, redis: RedisProcess, s3: S3Server, account: Mapping[str, str]
) -> dict[str, str]:
    """The same on these servers, which are filled as Compose does; ``account``: the operators'."""
    _make_databases(postgres)
    _make_buckets(s3)
    known = env_file(".env.example")
    given = {name: value for name, value in account.items() if name in known} | {
        "POSTGRES_PASSWORD": quote(postgres.password, safe=""),
        "REDIS_PASSWORD": redis.password,
        "S3_ACCESS_KEY": s3.environment["AWS_ACCESS_KEY_ID"],
        "S3_SECRET_KEY": s3.environment["AWS_SECRET_ACCESS_KEY"],
    }
    return variables(
        given,
        {
            "postgres:5432": f"{_HERE}:{postgres.port}",
            "redis:6379": f"{_HERE}:{redis.port}",
            "http://s3:9000": s3.url,
        },
    )


def _filled(text: str, given: Mapping[str, str]) -> str:
    """``text`` with its variables, as Compose fills them in."""

    def value(found: re.Match[str]) -> str:
        name, kind, default = found.groups()
        if kind != "-" and name not in given:
            msg = f"deploy/compose.yaml needs {name}, of which the stack knows nothing"
            raise ValueError(msg)
        return given.get(name) or default or ""

    return _VARIABLE.sub(value, text)


def command(part: str, workspace: Path, port: int) -> list[str]:
    """The words of the command of a part, listening at ``port`` of this machine."""
    words = compose()["services"][SERVICES[part]].get("command") or _of_the_image()
    replaced = {_EVERYWHERE: _HERE, _WORKSPACE: str(workspace)}
    replaced |= {str(PORTS[part]): str(port)} if part in PORTS else {}
    return [replaced.get(word, word) for word in words]


def _of_the_image() -> list[str]:
    """What a container of the image starts by itself."""
    docker = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    (words,) = re.findall(r"^CMD (\[.*\])$", docker, re.MULTILINE)
    found: list[str] = json.loads(words)
    return found


def workspace(port: int) -> str:
    """``deploy/workspace.yaml``, with the code server at ``port`` of this machine."""
    found = yaml.safe_load((DEPLOY / "workspace.yaml").read_text())
    (server,) = found["load_from"]
    server["grpc_server"] |= {"host": _HERE, "port": port}
    return str(yaml.safe_dump(found))


def _make_buckets(s3: S3Server) -> None:
    """As the service ``buckets`` does: those that are made, and those of them with versions."""
    (script,) = compose()["services"]["buckets"]["command"]
    (made,) = re.findall(r"mc mb --ignore-existing ((?:s3/\w+ ?)+)", script)
    for name in made.split():
        s3.make_bucket(name.removeprefix("s3/"), versioned=f"mc version enable {name}" in script)


def _make_databases(postgres: Postgres) -> None:
    """As the service ``postgres`` does at its first start."""
    service = compose()["services"]["postgres"]
    postgres.database(service["environment"]["POSTGRES_DB"])
    for line in (DEPLOY / "postgres" / "lake.sql").read_text().splitlines():
        if not line.startswith("--"):
            postgres.execute(line)
