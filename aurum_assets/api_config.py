"""Where an operator answers and who asks, given from Python or taken from the environment."""

from pathlib import Path

from pydantic import SecretStr

from aurum_assets.model.errors import ConfigError
from aurum_assets.model.operator import Operator
from aurum_assets.model.shown import Plain, Shown
from aurum_assets.operators import DATASETS
from aurum_assets.resources.api import checked_base
from aurum_assets.resources.composition import Resources
from aurum_assets.resources.credentials import Credentials, access
from aurum_assets.resources.environment import environment
from aurum_assets.resources.settings import Settings, open_resources


class ApiConfig(Shown):
    """The address (``base_url``) and the credentials with which ``operator`` is asked.

    ``credentials`` go by the names of their variables in lower case, without the operator's:
    ``ISONE_API_KEY`` is ``api_key``. What is left out is that of the environment as it is now, the
    address failing that the one of the config file. Credentials are taken from one of the two
    places, never mixed, and shown by neither ``repr`` nor any error. Raises ``ConfigError`` for an
    address that is none or holds a password, for half of a pair of user name and password, and for
    a wrong environment; ``TypeError`` for credentials that the operator does not take.
    """

    def __init__(
        self, operator: Operator, base_url: str = "", **credentials: str | SecretStr
    ) -> None:
        variables = {_argument(operator, name): name for name in operator.variables}
        unknown = sorted(set(credentials) - set(variables))
        if unknown:
            known = ", ".join(variables) or "no credentials"
            msg = f"{operator.title} takes {known}, not {unknown[0]}"
            raise TypeError(msg)
        held = access(operator, environment())
        self.operator = operator
        self.base_url = base_url or held.base_url
        if self.base_url:
            checked_base(operator.name, self.base_url)
        given = Credentials.of(operator, *(credentials.get(name, "") for name in variables))
        for way in operator.auth:
            found = [name in given.values for name in way.variables]
            if any(found) and not all(found):
                names = " and ".join(_argument(operator, name) for name in way.variables)
                msg = f"{type(self).__name__}: {names} go together, one of them is empty"
                raise ConfigError(msg)
        self._by_environment = not given.given
        self.credentials = given if given.given else held.credentials

    def resources(self, folder: Path | str | None = None) -> Resources:
        """The home of the environment, or in ``folder``, that asks as this says."""
        values, names = self.credentials.values, self.operator.variables
        variables = {
            **environment(),
            self.operator.base_url_variable: self.base_url,
            **{n: values[n].get_secret_value() if n in values else "" for n in names},
        }
        settings = Settings.read(home=folder and Path(folder))
        return open_resources(DATASETS, settings, variables=variables)

    def facts(self) -> dict[str, object]:
        """The address, and which credentials are set and by what; never their values."""
        found: dict[str, object] = {}
        if self.operator.variables:
            found = {"credentials": Plain(f"none: set {', or '.join(self.operator.credentials)}")}
        if self.credentials.values:
            found = {
                _argument(self.operator, name): Plain(
                    f"set by {name}" if self._by_environment else "set"
                )
                for name in self.credentials.values
            }
        return {"base_url": self.base_url or Plain("of the config file"), **found}


def _argument(operator: Operator, variable: str) -> str:
    """What the value of ``variable`` is called in Python: ``api_key`` of ``ISONE_API_KEY``."""
    return variable.lower().removeprefix(f"{operator.name}_")
