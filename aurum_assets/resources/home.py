"""The home: the folder ``AURUM_HOME``, and what lies in it for the processes of one machine.

Here belongs what is one file or folder of it: whose data it holds, its identity, its locks, its
SQLite state. What does not belong here: archive, lake and whatever else may lie elsewhere.
"""

import contextlib
import fcntl
import hashlib
import os
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from aurum_assets.model.errors import ConfigError
from aurum_assets.resources.state import SqliteState, transaction

_MARKS = ("origin", "identity", "archive", "lake", "spool", "dagster", "state.sqlite")


@dataclass(frozen=True)
class Home:
    """The folder ``root`` with all state; nothing is written before the first use of a part."""

    root: Path

    @property
    def exists(self) -> bool:
        """Whether ``root`` is a home: a folder that a run, a load or ``make setup`` wrote to."""
        return any((self.root / name).exists() for name in _MARKS)

    @property
    def origin(self) -> str:
        """``real`` or ``simulated``: whose data this home holds; empty before any was asked for."""
        marker = self.root / "origin"
        return marker.read_text().strip() if marker.exists() else ""

    @cached_property
    def state(self) -> SqliteState:
        """What processes of this machine share."""
        return SqliteState(self.root / "state.sqlite")

    @cached_property
    def identity(self) -> str:
        """The name of this home, made with the first use. Raises ``ConfigError`` like ``lock``."""
        file = self.root / "identity"
        with self.lock("identity"), self._written():
            if not file.exists() or not file.read_text().strip():
                file.write_text(uuid.uuid4().hex[:16])
            return file.read_text().strip()

    def renew_identity(self) -> None:
        """Take another identity with the next use: a copy is not the home that it was made of."""
        with self._written():
            (self.root / "identity").unlink(missing_ok=True)
        vars(self).pop("identity", None)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Let one process of this machine in at a time; a killed one releases the lock at once.

        Raises ``ConfigError`` where the home cannot be written.
        """
        folder = self.root / "locks"
        with self._written():
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / f"{name}.lock").open("a")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def mark(self, name: str, content: bytes) -> None:
        """Write the file ``name`` where there is none; whole, then linked: nobody reads half of it.

        Raises ``ConfigError`` where the home cannot be written.
        """
        marker = self.root / name
        if marker.exists():
            return
        draft = self.root / f".{name}.{uuid.uuid4().hex}"
        with self._written():
            self.root.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(content)
            with contextlib.suppress(FileExistsError):
                os.link(draft, marker)
            draft.unlink()

    def stand_in(self) -> "Home":
        """This home in a temporary folder of this user, for who looks while there is none.

        Requests that leave meanwhile are counted there, and count in the home once it is made.
        Raises ``ConfigError`` where another user has that folder.
        """
        folder = self._stand_in
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(folder):
            msg = f"{folder} belongs to another user: set TMPDIR to a folder of your own"
            raise ConfigError(msg)
        return Home(folder)

    def limits(self) -> Path:
        """The file that counts requests, with those that were made before the home was."""
        file = self.root / "limits.sqlite"
        counted = self._stand_in / file.name
        if not file.exists() and counted.exists() and _is_ours(counted.parent):
            with transaction(counted, "", write=False) as db:
                slots = db.serialize()  # those that are in its log too
            self.mark(file.name, slots)
        return file

    @property
    def _stand_in(self) -> Path:
        name = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"aurum-{os.getuid()}-{name}"

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        """Say in a sentence that the home cannot be written."""
        try:
            yield
        except OSError as error:
            why = error.strerror or type(error).__name__
            msg = (
                f"{error.filename or self.root} cannot be written ({why}): make the home writable "
                "by this user, or set AURUM_HOME to a folder that is"
            )
            raise ConfigError(msg) from error


def _is_ours(folder: Path) -> bool:
    return not folder.is_symlink() and folder.stat().st_uid == os.getuid()
