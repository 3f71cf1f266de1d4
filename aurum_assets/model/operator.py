"""Operators: everything that is peculiar to one, in one declaration.

Settings, credentials, requests, the doctor, the OpenAPI description and the demo follow from it.
"""

import base64
import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import msgspec

from aurum_assets.model.clock import OperatingDay
from aurum_assets.model.errors import ConfigError

Notes = Mapping[str, Mapping[str, Any]]  # by name, what JSON Schema says beyond the type


@dataclass(frozen=True)
class Limit:
    """At most ``requests`` in any ``seconds``."""

    requests: int
    """How many requests."""
    seconds: float
    """In how many seconds."""
    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid"}


class Auth(Protocol):
    """A way to say who asks: the environment variables that hold it, and the headers it makes.

    ``variables`` are all needed; ``secrets`` are those of them that may not be shown. ``headers``
    raises ``ConfigError`` for what no header can hold. ``scheme``: as OpenAPI describes it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  described above

    @property
    def variables(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def secrets(self) -> tuple[str, ...]: ...  # noqa: D102

    @property
    def scheme(self) -> Mapping[str, str]: ...  # noqa: D102

    def headers(self, values: Mapping[str, str]) -> Mapping[str, str]: ...  # noqa: D102


@dataclass(frozen=True)
class Basic:
    """User name and password, as HTTP Basic."""

    username: str
    password: str
    name: ClassVar[str] = "basic"
    scheme: ClassVar[Mapping[str, str]] = {"type": "http", "scheme": "basic"}

    @property
    def variables(self) -> tuple[str, ...]:
        """See ``Auth``."""
        return (self.username, self.password)

    @property
    def secrets(self) -> tuple[str, ...]:
        """See ``Auth``."""
        return (self.password,)

    def headers(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """See ``Auth``."""
        pair = f"{values[self.username]}:{values[self.password]}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}


@dataclass(frozen=True)
class HeaderKey:
    """A key in a header of its own."""

    header: str
    key: str
    name: ClassVar[str] = "key"

    @property
    def variables(self) -> tuple[str, ...]:
        """See ``Auth``."""
        return (self.key,)

    @property
    def secrets(self) -> tuple[str, ...]:
        """See ``Auth``."""
        return (self.key,)

    @property
    def scheme(self) -> Mapping[str, str]:
        """See ``Auth``."""
        return {"type": "apiKey", "in": "header", "name": self.header}

    def headers(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """See ``Auth``."""
        return {self.header: _header_value(self.key, values[self.key])}


@dataclass(frozen=True)
class Bearer:
    """A token, as HTTP Bearer."""

    token: str
    name: ClassVar[str] = "bearer"
    scheme: ClassVar[Mapping[str, str]] = {"type": "http", "scheme": "bearer"}

    @property
    def variables(self) -> tuple[str, ...]:
        """See ``Auth``."""
        return (self.token,)

    @property
    def secrets(self) -> tuple[str, ...]:
        """See ``Auth``."""
        return (self.token,)

    def headers(self, values: Mapping[str, str]) -> Mapping[str, str]:
        """See ``Auth``."""
        return {"Authorization": f"Bearer {_header_value(self.token, values[self.token])}"}


def _header_value(variable: str, value: str) -> str:
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        msg = (
            f"{variable} holds white space at an end, a control character or a letter beyond "
            "ASCII, where a header can hold none: copy it again, without the line's end"
        )
        raise ConfigError(msg)
    return value


@dataclass(frozen=True, eq=False)
class Operator:
    """A market operator. ``zone`` (IANA) is where its operating days live.

    ``base_url``, ``limits`` and ``endpoint_limits`` hold where config does not say otherwise;
    ``base_url_variable`` of the environment counts more than both. ``auth``: the ways to say who
    asks, any one of which is enough; all whose variables are set are used, the first one counts
    where two fill the same header. None: nobody needs an account. ``registration``: where to get
    one. ``opt_in``: its datasets are collected only where we have credentials; without them nothing
    of it is scheduled, watched or missed. ``headers`` are sent with each request.

    ``next_page`` finds in the body and the headers (lower-case names) of an answer the address of
    the next page, absolute or relative to the answer's; None on the last page. Each page is a
    snapshot of its own. ``is_not_out`` tells from an answer that it holds nothing, of an operator
    who does not refuse a day that is not published yet; ``problem_in`` reads what a refusal (a
    status of 400 to 499) says.

    ``newest_in`` reads the answer to a ``Probe``, whose record is ``info``: the start (UTC) of
    the newest interval that is published; ``MalformedPayload`` where it does not say. None where
    nobody can be probed.

    ``about``, ``fields`` and ``parameters`` are for the OpenAPI description: a paragraph on the
    operator, and what is known of fields (by dotted name) and query parameters beyond their type.
    """

    name: str
    title: str
    zone: str
    base_url: str
    limits: tuple[Limit, ...] = (Limit(60, 60),)
    endpoint_limits: Mapping[str, tuple[Limit, ...]] = field(default_factory=dict)
    auth: tuple[Auth, ...] = ()
    registration: str = ""
    opt_in: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    next_page: Callable[[bytes, Mapping[str, str]], str | None] | None = None
    is_not_out: Callable[[bytes], bool] | None = None
    problem_in: Callable[[bytes], str] | None = None
    newest_in: Callable[[bytes], dt.datetime] | None = None
    info: type[msgspec.Struct] | None = None
    about: str = ""
    fields: Notes = field(default_factory=dict)
    parameters: Notes = field(default_factory=dict)

    def day_of(self, instant: dt.datetime) -> OperatingDay:
        """The operating day of this operator that holds ``instant``."""
        return OperatingDay.of(instant, self.zone)

    @property
    def base_url_variable(self) -> str:
        """The environment variable that overrides ``base_url``."""
        return f"{self.name.upper()}_BASE_URL"

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that hold credentials."""
        return tuple(dict.fromkeys(name for way in self.auth for name in way.variables))

    @property
    def credentials(self) -> tuple[str, ...]:
        """The variables of each kind of auth, as text."""
        return tuple(" and ".join(way.variables) for way in self.auth)

    @property
    def how_to_register(self) -> str:
        """Which variables to set, and where to get what they hold."""
        variables = ", or ".join(self.credentials)
        remedy = f"set {variables}" if variables else "it used to need no credentials, which"
        return f"{remedy} (register at {self.registration})"
