"""Temporary files that a process removes when it ends: drafts of outputs, folders to spill to.

Each is removed at the end of its block, as are the files that a check writes. A command that is
ended at once (``cli.interrupt``) does not reach that end, and calls ``clear`` instead. Not here:
drafts within the home, which a killed process leaves and maintenance deletes.
"""

import shutil
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir

_HELD: set[Path] = set()
_MAKING = threading.Lock()
_LONGEST = 0.2  # seconds that a folder takes to be made, unless its disk hangs


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """``path``, which is removed after the block unless it was renamed."""
    _HELD.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _HELD.discard(path)


def check_file(folder: Path) -> Path:
    """The path of a file that a check writes to try ``folder``.

    Where the folder does not exist, in the nearest one above (a check makes no folder); in
    ``folder`` itself where it cannot exist.
    """
    folder = folder.resolve()
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    return (nearest if nearest.is_dir() else folder) / check_name()


def check_name() -> str:
    """An unused name for a file or an object that a check writes and removes."""
    return f".aurum-doctor-{uuid.uuid4().hex}"


@contextmanager
def scratch_folder(path: Path | None = None) -> Iterator[Path]:
    """A new temporary folder for this block, at ``path`` in the place of one that was left there.

    With ``path`` by one process at a time, so that a killed one leaves no more than one folder.
    """
    # Known before it is made, so that an interrupt in between leaves nothing.
    with draft(path or Path(gettempdir()) / f"aurum-{uuid.uuid4().hex}") as folder:
        _remove(folder)
        make_folder(folder, mode=0o700)
        yield folder


def make_folder(path: Path, mode: int = 0o777) -> None:
    """Make a folder and those above it where they are missing; none once ``clear`` was called."""
    with _MAKING:
        path.mkdir(mode, parents=True, exist_ok=True)


def clear() -> None:
    """Remove the files of blocks that will not be left: the process ends at once.

    A thread that goes on meanwhile makes no folder any more: the lock is kept.
    """
    _MAKING.acquire(timeout=_LONGEST)
    for path in list(_HELD):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        # Renamed first, so that a thread that goes on has no folder to write to.
        gone = path.with_name(f"{path.name}-gone")
        with suppress(OSError):
            path = path.rename(gone)
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(NotADirectoryError):
            path.unlink(missing_ok=True)
