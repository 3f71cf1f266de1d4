"""Hide secrets in texts: those that this process was given, and what looks like one.

Every text for a log, an error, an alert or an event of Dagster goes through ``redacted``. Secrets
are registered where settings are read.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, SecretStr

HIDDEN = "***"
_SCHEMES = {"file", "http", "https", "postgresql", "redis", "rediss", "s3", "sqlite"}
_FEWEST = 4  # characters: a shorter one would occur in ordinary text
_A_TOKEN = 12  # characters: what is shorter in a URL is a name
# Beside those of the settings.
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AURUM_DAGSTER_POSTGRES_URL",
)
_SECRET_KEY = re.compile(r"secret|password|token|credential|key", re.IGNORECASE)
_LOOKS = (
    # user:password@ within a URL
    (re.compile(r"([a-z][a-z0-9+.-]*://[^\s:/?#@\"']*):[^\s/@\"']+@", re.IGNORECASE), r"\1:***@"),
    # Authorization: …, "X-API-Key": "…", (b'authorization', b'…'), a key of Azure's gateway
    (
        re.compile(
            r"((?:authorization|x-api-key|subscription-key|x-amz-security-token)[\"']?\s*[:=,]\s*(?:b?[\"'])?)[^\"'\r\n]+",
            re.IGNORECASE,
        ),
        r"\1***",
    ),
    # password=… of connection strings and queries
    (
        re.compile(
            r"((?:password|passwd|secret|token|api_key)[\"']?=[\"']?)[^\s&;,\"')]+", re.IGNORECASE
        ),
        r"\1***",
    ),
)

_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def learn(settings: BaseModel, environment: Mapping[str, str] | None = None) -> None:
    """Register the secrets of ``settings`` and ``environment`` (by default the process's)."""
    environment = os.environ if environment is None else environment
    fields = {name: getattr(settings, name) for name in type(settings).model_fields}
    found = {n: v.get_secret_value() for n, v in fields.items() if isinstance(v, SecretStr)}
    for value in found.values():
        know(_within(value))
    for name in _VARIABLES:
        know(_within(environment.get(name, "")))


def know(secrets: Iterable[str]) -> None:
    """Register ``secrets``, also in their quoted and encoded forms."""
    global _pattern  # noqa: PLW0603  a process has one set of secrets
    before = len(_known)
    for secret in secrets:
        if len(secret) >= _FEWEST:
            _known.update({secret, quote(secret, safe=""), quote(secret)})
            _known.update({json.dumps(secret)[1:-1], repr(secret)[1:-1]})
    if len(_known) != before:
        longest_first = sorted(_known, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, longest_first)))


def known() -> frozenset[str]:
    """What is registered, for a process that this one starts."""
    return frozenset(_known)


def forget() -> None:
    """Forget all secrets; for tests, each of which represents a process of its own."""
    global _pattern  # noqa: PLW0603  as above
    _known.clear()
    _pattern = None


def redacted(text: str) -> str:
    """``text`` with ``***`` instead of every secret, and of what looks like one."""
    text = without_secrets(text)
    for pattern, by in _LOOKS:
        text = pattern.sub(by, text)
    return text


def without_secrets(text: str) -> str:
    """``text`` with ``***`` instead of every secret that this process was given."""
    return text if _pattern is None else _pattern.sub(HIDDEN, text)


def _within(secret: str) -> Iterator[str]:
    """The secret, and its parts that are secrets themselves: a password, a path, a key."""
    yield secret
    if secret.startswith("{"):  # properties of a catalog
        with contextlib.suppress(json.JSONDecodeError):
            held = json.loads(secret)
            yield from (str(v) for k, v in held.items() if _SECRET_KEY.search(k))
        return
    with contextlib.suppress(ValueError):
        url = urlsplit(secret)
        if url.password:
            yield from (url.password, unquote(url.password))
        elif url.scheme in {"http", "https"} and len(url.path) > _FEWEST:
            yield url.path
            yield from (part for part in url.path.split("/") if len(part) >= _A_TOKEN)
    if "://" not in secret and "@" in secret and ":" in secret:  # user:password@broker:9092
        yield secret.rpartition("@")[0].partition(":")[2]


def masked(url: str) -> str:
    """Host, port and path of ``url``, without scheme, user, password and query.

    Nothing of a text that is no URL.
    """
    unreadable = "an address that cannot be read" if url else ""
    try:
        split = urlsplit(url)
        host, port = split.hostname or "", split.port
    except ValueError:
        return unreadable
    if split.scheme.partition("+")[0] not in _SCHEMES:
        return unreadable
    return f"{host}{f':{port}' if port else ''}{split.path}"
