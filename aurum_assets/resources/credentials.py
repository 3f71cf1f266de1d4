"""Who we are to an operator, and the address that it is asked at: it holds no password."""

from dataclasses import dataclass
from urllib.parse import urlsplit

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


def checked_base(source: str, base_url: str) -> str:
    """The base address without its last slash; one that carries a password is refused."""
    try:
        url = urlsplit(base_url)
        good = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        good = False
    if not good or "@" in url.netloc or url.query or not base_url.isprintable() or " " in base_url:
        msg = (
            f"source {source}: base_url must be http(s)://host[:port][/path], without user "
            "name, password or query; credentials have variables of their own"
        )
        raise ConfigError(msg)
    return base_url.rstrip("/")
