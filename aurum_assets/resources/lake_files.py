"""The files of a lake on S3, with the fewest requests.

pyiceberg asks twice for each file that it reads, reads the same metadata for each look at a table,
and takes four requests to write a small file. What Iceberg never changes once it is written
(metadata, manifest lists, manifests: each has a UUID in its name) is kept here in memory, after it
was read or written, up to ``_MOST_BYTES`` for all lakes of the process; and a small file is written
with one request. Data files are not kept.
"""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache, partial

from pyarrow.fs import FileSystem
from pyiceberg.io import InputFile, InputStream, OutputFile, OutputStream
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO
from pyiceberg.typedef import EMPTY_DICT, Properties

from aurum_assets.resources.catalog import twice

_MOST_BYTES = 64_000_000
_NEVER_CHANGED = (".metadata.json", ".avro")
_SCHEMES = ("s3://", "s3a://", "s3n://")


class Kept:
    """Contents by location; the least recently used go first. ``size``: bytes of all."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._contents: OrderedDict[str, bytes] = OrderedDict()
        self.size = 0

    def get(self, location: str) -> bytes | None:
        """The content, where it is kept."""
        with self._lock:
            if location in self._contents:
                self._contents.move_to_end(location)
            return self._contents.get(location)

    def put(self, location: str, content: bytes) -> None:
        """Keep the content; others go where it is too much."""
        with self._lock:
            self.size += len(content) - len(self._contents.pop(location, b""))
            self._contents[location] = content
            while self.size > _MOST_BYTES:
                _, gone = self._contents.popitem(last=False)
                self.size -= len(gone)

    def drop(self, location: str) -> None:
        """Forget it."""
        with self._lock:
            self.size -= len(self._contents.pop(location, b""))


_KEPT = Kept()


class _File(PyArrowFile):
    """A file that never changes: read whole, written whole."""

    def __len__(self) -> int:
        return len(self._content())

    def exists(self) -> bool:
        """Whether it is there, as far as this process knows."""
        return _KEPT.get(self.location) is not None or super().exists()

    def open(self, seekable: bool = True) -> InputStream:  # noqa: FBT001, FBT002  as pyiceberg has it
        """A stream of its content."""
        del seekable
        return io.BytesIO(self._content())

    def create(self, overwrite: bool = False) -> OutputStream:  # noqa: FBT001, FBT002
        """A stream whose content is written when it is closed: no other writer has this name."""
        del overwrite
        return _Writing(self.location, partial(super().create, overwrite=True))

    def _content(self) -> bytes:
        content = _KEPT.get(self.location)
        if content is None:
            with super().open(seekable=False) as stream:
                content = stream.read()
            _KEPT.put(self.location, content)
        return content


class _Writing(io.BytesIO):
    def __init__(self, location: str, create: Callable[[], OutputStream]) -> None:
        super().__init__()
        self._location, self._create = location, create

    def close(self) -> None:
        """Write everything to the store, with one request where it is little."""
        if self.closed:
            return
        content = self.getvalue()
        super().close()
        with self._create() as stream:
            stream.write(content)
        _KEPT.put(self._location, content)


class LakeFiles(PyArrowFileIO):
    """pyiceberg's ``FileIO`` of a lake on S3; of any other place it is ``PyArrowFileIO``."""

    def __init__(self, properties: Properties = EMPTY_DICT) -> None:
        super().__init__(properties)
        self.fs_by_scheme = partial(_filesystem, self.fs_by_scheme, self.properties)

    def new_input(self, location: str) -> PyArrowFile:
        """The file at ``location``, to read."""
        kept = self._kept(location)
        return super().new_input(location) if kept is None else kept

    def new_output(self, location: str) -> PyArrowFile:
        """The file at ``location``, to write."""
        kept = self._kept(location)
        return super().new_output(location) if kept is None else kept

    def delete(self, location: str | InputFile | OutputFile) -> None:
        """Delete the file at ``location``, and forget it."""
        _KEPT.drop(location if isinstance(location, str) else location.location)
        super().delete(location)

    def _kept(self, location: str) -> _File | None:
        if not location.startswith(_SCHEMES) or not location.endswith(_NEVER_CHANGED):
            return None
        scheme, netloc, path = self.parse_location(location, self.properties)
        return _File(location, path, self.fs_by_scheme(scheme, netloc))


def _filesystem(
    others: Callable[[str, str | None], FileSystem],
    properties: Properties,
    scheme: str,
    netloc: str | None = None,
) -> FileSystem:
    if f"{scheme}://" not in _SCHEMES:
        return others(scheme, netloc)
    ours = {n: v for n, v in properties.items() if n.startswith(("s3.", "client."))}
    return _s3(tuple(sorted(ours.items())), scheme, netloc)


@lru_cache(maxsize=8)
def _s3(properties: tuple[tuple[str, str], ...], scheme: str, netloc: str | None) -> FileSystem:
    """The client of a place, one for all tables: pyiceberg makes one each time it loads a table.

    It writes a small file with one request, not as parts of an upload.
    """
    files = PyArrowFileIO(dict(properties)).fs_by_scheme(scheme, netloc)
    make, (settings,) = files.__reduce__()  # as pickle does: pyiceberg has no setting for it
    return make({**settings, "allow_delayed_open": True, "retry_strategy": twice()})
