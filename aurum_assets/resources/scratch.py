"""Files that a process takes away when it ends: drafts of outputs, folders to spill to.

Each is removed by its own block, as are the files by which a check tries to write. A command that
is ended at once (``cli.interrupt``) runs no such block, and calls ``clear`` instead. Drafts within
the home are no business of this room: a killed process leaves those too, and maintenance deletes
them.
"""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

_HELD: set[Path] = set()


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """``path``, which is gone after the block unless it was given another name."""
    _HELD.add(path)
    try:
        yield path
    finally:
        _remove(path)
        _HELD.discard(path)


def check_file(folder: Path) -> Path:
    """The path of a file by which a check tries to write to ``folder``.

    It is in the nearest folder above where there is none yet, for a check makes no folder; in
    ``folder`` where there can be none.
    """
    folder = folder.resolve()
    nearest = next(p for p in (folder, *folder.parents) if p.exists())
    return (nearest if nearest.is_dir() else folder) / check_name()


def check_name() -> str:
    """A name that nobody holds, of a file or an object that a check writes and removes."""
    return f".aurum-doctor-{uuid.uuid4().hex}"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder among the system's temporary files, for this block."""
    with draft(Path(mkdtemp(prefix="aurum-"))) as folder:
        yield folder


def clear() -> None:
    """Remove what blocks of this process, which will not end, still hold."""
    for path in list(_HELD):
        _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        # Under another name first: a thread that goes on finds no folder to put a file into.
        gone = path.with_name(f"{path.name}-gone")
        with suppress(OSError):
            path = path.rename(gone)
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
