"""Who we are to an operator."""

from dataclasses import dataclass

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
