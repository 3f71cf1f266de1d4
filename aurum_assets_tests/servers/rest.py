"""A small, honest Iceberg REST catalog: pyiceberg's own SQLite catalog behind HTTP.

It serves what the lake asks for (configuration, namespaces, tables, commits) and can lose its
answers: ``lies`` holds what the next commits are answered with once they are made, an HTTP
status, or 0 for a connection that breaks.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pyiceberg import exceptions as e
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import CreateTableRequest, TableResponse
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.table import CommitTableRequest, Table
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER

_STATUS = {
    e.NoSuchTableError: 404,
    e.NoSuchNamespaceError: 404,
    e.TableAlreadyExistsError: 409,
    e.NamespaceAlreadyExistsError: 409,
    e.CommitFailedException: 409,
}


@dataclass
class Rest:
    """A running server: its address, the authorizations it saw, its lies to come."""

    url: str
    authorizations: set[str] = field(default_factory=set)
    lies: list[int] = field(default_factory=list)


@contextmanager
def rest_catalog(root: Path) -> Iterator[Rest]:
    """Serve a catalog whose state and tables are in ``root``."""
    uri = f"sqlite:///{root}/rest.sqlite?timeout=30"
    catalog = SqlCatalog("rest", uri=uri, warehouse=f"file://{root}/warehouse")
    rest = Rest("")

    class Answering(_Answering):
        pass

    Answering.catalog, Answering.rest = catalog, rest
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    rest.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield rest
    finally:
        server.shutdown()
        server.server_close()
        catalog.close()


def _shown(table: Table) -> str:
    found = {"metadata": table.metadata, "metadata-location": table.metadata_location}
    return TableResponse.model_validate(found).model_dump_json(by_alias=True)


class _Answering(BaseHTTPRequestHandler):
    catalog: Catalog
    rest: Rest

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, ask: Any) -> None:  # noqa: ANN401  one of the two below
        self.rest.authorizations.add(self.headers.get("Authorization", ""))
        try:
            status, body = ask(urlsplit(self.path).path.strip("/").split("/")[1:])
        except tuple(_STATUS) as error:
            status = _STATUS[type(error)]
            body = _error(status, error)
        if not status:
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def _get(self, path: list[str]) -> tuple[int, str]:
        match path:
            case ["config"]:
                return 200, json.dumps({"defaults": {}, "overrides": {}})
            case ["namespaces", namespace]:
                properties = self.catalog.load_namespace_properties(namespace)
                return 200, json.dumps({"namespace": [namespace], "properties": properties})
            case ["namespaces", namespace, "tables", name]:
                return 200, _shown(self.catalog.load_table((namespace, name)))
        return 404, _error(404, "no such place")

    def _post(self, path: list[str]) -> tuple[int, str]:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        match path:
            case ["namespaces"]:
                found = json.loads(body)
                self.catalog.create_namespace(tuple(found["namespace"]), found["properties"])
                return 200, body.decode()
            case ["namespaces", namespace, "tables"]:
                found = {"location": None, "partition-spec": None, "write-order": None}
                asked = CreateTableRequest.model_validate(found | json.loads(body))
                table = self.catalog.create_table(
                    (namespace, asked.name),
                    asked.table_schema,
                    asked.location,
                    asked.partition_spec or UNPARTITIONED_PARTITION_SPEC,
                    asked.write_order or UNSORTED_SORT_ORDER,
                    asked.properties,
                )
                return 200, _shown(table)
            case ["namespaces", namespace, "tables", name]:
                change = CommitTableRequest.model_validate_json(body)
                table = self.catalog.load_table((namespace, name))
                done = self.catalog.commit_table(table, change.requirements, change.updates)
                if self.rest.lies:
                    status = self.rest.lies.pop(0)
                    return status, _error(status, "reported as failed, although it was made")
                return 200, done.model_dump_json(by_alias=True)
        return 404, _error(404, "no such place")


def _error(code: int, error: object) -> str:
    found = {"message": str(error), "type": type(error).__name__, "code": code}
    return json.dumps({"error": found})
