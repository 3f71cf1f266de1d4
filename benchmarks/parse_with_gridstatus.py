"""What gridstatus takes to parse the same bytes into a frame. Runs in its own environment.

    {peer python} benchmarks/parse_with_gridstatus.py ARCHIVE

Called is ``ISONEAPI._handle_lmp_real_time(url, verbose, interval_minutes=5)``, which is all that
its public ``get_lmp_real_time_5_min_prelim`` does for an hour, and then ``pandas.concat`` of the 24
frames, as its ``support_date_range`` does. Only ``make_api_call`` is replaced: it does not ask, but
takes a ``requests.Response`` that holds the hour's bytes already, and ends as the original does, in
``response.json()``. So decoding JSON is timed; network, unpacking and importing are not. Nothing is
checked, hashed, deduplicated or stored on this side.
"""

import gzip
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd  # type: ignore[import-untyped]  # it brings no types
import requests
from gridstatus.isone_api.isone_api import ISONEAPI


def response_with(body: bytes) -> requests.Response:
    """An answer of the operator that has arrived."""
    response = requests.Response()
    response.status_code = 200
    response.headers["Content-Type"] = "application/json"
    response.encoding = requests.utils.get_encoding_from_headers(response.headers)
    response._content = body  # noqa: SLF001  where ``requests`` keeps what it has read
    return response


class ArrivedAlready(ISONEAPI):  # type: ignore[misc]  # it brings no types
    """gridstatus' client, with every answer here before it is asked for."""

    answers: dict[str, requests.Response]

    def make_api_call(
        self,
        url: str,
        api_params: dict[str, Any] | None = None,
        parse_json: bool = True,  # noqa: FBT001, FBT002  its signature
        verbose: bool = False,  # noqa: FBT001, FBT002  its signature
    ) -> Any:  # noqa: ANN401  whatever JSON holds
        """The end of the original: decode what came."""
        del api_params, parse_json, verbose
        return self.answers[url].json()


def main(archive: Path) -> dict[str, Any]:
    """Parse every hour, put the day together, and say how long it took."""
    os.environ.update(ISONE_API_USERNAME="none", ISONE_API_PASSWORD="none")  # noqa: S106  it insists
    paths = sorted(archive.rglob("*.json.gz"))
    client = ArrivedAlready()
    client.answers = {p.name: response_with(gzip.decompress(p.read_bytes())) for p in paths}
    cpu, start = time.process_time(), time.perf_counter()
    frame = pd.concat(
        [client._handle_lmp_real_time(p.name, False, interval_minutes=5) for p in paths]  # noqa: SLF001  its signature
    )
    return {
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
        "rows": len(frame),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
