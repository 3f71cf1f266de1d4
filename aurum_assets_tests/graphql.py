"""The GraphQL of Dagster's webserver, as its pages ask it."""

from dataclasses import dataclass
from typing import Any

import httpx

Json = dict[str, Any]


@dataclass
class Graphql:
    """A webserver at ``url``."""

    url: str

    def ask(self, query: str, **variables: object) -> Json:
        """The data that the webserver answers to ``query``."""
        found = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.url}/graphql", json=found, timeout=60).json()
        if "errors" in answer:
            msg = f"the UI's GraphQL refused a query: {answer['errors']}"
            raise RuntimeError(msg)
        data: Json = answer["data"]
        return data

    def is_loaded(self) -> bool:
        """Whether it answers, and the definitions are there."""
        try:
            data = self.ask(
                """{ workspaceOrError { ... on Workspace { locationEntries {
                     locationOrLoadError { __typename } } } } }"""
            )
        except (httpx.TransportError, ValueError):
            return False
        entries = data["workspaceOrError"]["locationEntries"]
        kinds = [(e["locationOrLoadError"] or {}).get("__typename") for e in entries]
        return kinds == ["RepositoryLocation"]
