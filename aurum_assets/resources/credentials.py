"""Who we are to an operator, and how a request says so. Nothing else holds or shows a secret."""

import base64
from collections.abc import Generator
from dataclasses import dataclass

import httpx
from pydantic import SecretStr

from aurum_assets.model.errors import ConfigError

NOTHING = SecretStr("")


@dataclass(frozen=True)
class Credentials:
    """Who we are: user name and password for Basic, or a key for ``X-API-Key``, or both."""

    username: str = ""
    password: SecretStr = NOTHING
    api_key: SecretStr = NOTHING

    def __post_init__(self) -> None:
        key = self.api_key.get_secret_value()
        if not (key.isascii() and key.isprintable()) or key != key.strip():
            msg = (
                "the API key holds white space at an end, a control character or a letter beyond "
                "ASCII, where a header can hold none: copy it again, without the line's end"
            )
            raise ConfigError(msg)

    @property
    def given(self) -> bool:
        """Whether there is enough to sign a request."""
        return bool(self.username and self.password.get_secret_value()) or bool(
            self.api_key.get_secret_value()
        )


class Signature(httpx.Auth):
    """Puts credentials on a request at the last moment; shows them to nobody else."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Basic, ``X-API-Key``, or both: what there is."""
        password = self._credentials.password.get_secret_value()
        if self._credentials.username and password:
            pair = f"{self._credentials.username}:{password}".encode()
            request.headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        key = self._credentials.api_key.get_secret_value()
        if key:
            request.headers["X-API-Key"] = key
        yield request
