"""Who we are to an operator, and where it is asked."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from pydantic import SecretStr

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Auth, Operator
from aurum_assets.resources import redaction
from aurum_assets.resources.environment import is_address

NOTHING = SecretStr("")


@dataclass(frozen=True)
class Credentials:
    """Who we are to ``operator``: what its environment variables hold, as far as they are set.

    Raises ``ConfigError`` for what no header can hold.
    """

    operator: Operator = field(repr=False)
    values: Mapping[str, SecretStr] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Register the secrets, then make the headers once to see whether they can be made."""
        plain = self._plain()
        redaction.know(plain[n] for way in self.operator.auth for n in way.secrets if n in plain)
        redaction.know(value.rpartition(" ")[2] for value in self.headers().values())

    @classmethod
    def of(cls, operator: Operator, *values: str | SecretStr) -> Self:
        """Make credentials of ``values``, one a variable in order; empty ones are left out."""
        held = [v if isinstance(v, SecretStr) else SecretStr(v) for v in values]
        named = zip(operator.variables, held, strict=False)
        return cls(operator, {name: value for name, value in named if value.get_secret_value()})

    @property
    def given(self) -> bool:
        """Whether there is enough to sign a request."""
        return any(self._ways())

    def headers(self) -> dict[str, str]:
        """The headers that say who asks, by every way whose variables are set."""
        found: dict[str, str] = {}
        for way in self._ways():
            found = {**way.headers(self._plain()), **found}
        return found

    def _plain(self) -> dict[str, str]:
        return {name: value.get_secret_value() for name, value in self.values.items()}

    def _ways(self) -> Iterator[Auth]:
        held = {name for name, value in self.values.items() if value.get_secret_value()}
        return (way for way in self.operator.auth if held.issuperset(way.variables))


@dataclass(frozen=True)
class Access:
    """How an operator is reached: ``base_url`` is empty where config's is used."""

    base_url: str
    credentials: Credentials


def access(operator: Operator, environment: Mapping[str, str]) -> Access:
    """What ``environment`` (variables by name) says of ``operator``.

    Raises ``ConfigError`` naming the variable that is wrong.
    """
    base_url = environment.get(operator.base_url_variable, "")
    if base_url and not is_address(base_url, ("http", "https"), plain=True):
        msg = (
            f"environment variable {operator.base_url_variable}: expected https://host/path, "
            "without user name, password or query; found something else"
        )
        raise ConfigError(msg)
    given = [environment.get(name, "") for name in operator.variables]
    return Access(base_url, Credentials.of(operator, *given))
