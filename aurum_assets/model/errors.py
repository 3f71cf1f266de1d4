"""The errors, sorted by the one question that matters at 3 a.m.: would asking again help?

Two base classes answer it, beside the class that says where the error comes from: ``Transient``
(marked +: ask again later) and ``Refused`` (marked -: do not, until somebody changes something).

AurumError
|- SourceError            the operator's side of the wire
|  |+ SourceUnavailable   5xx, 408, 429, timeouts, truncation
|  |  '- NotYetPublished  nothing is there yet, for a day that is not due
|  '- SourceRefused       any other 4xx
|     '- NotOffered       404 of what is only documented: the operator does not have it
|- DataError              the bytes arrived and they are wrong
|  |- MalformedPayload    no dialect's shape
|  '- ContractBroken      the table refuses it
|- StoreError             the archive's store
|  |+ StoreUnavailable    out of reach
|  '- StoreRefused        S3 refuses the credentials or the request
|- NothingArchived        no answer of the day is archived: collect it first
|- DaysFailed             some days of several: each has its own error
|+ LakeBusy               other writers had the table all the time
|- Overtaken              the table holds later values already: fold the day again
|+ LakeUnreachable        nobody answers where the lake's catalog is
|- Unexpected             a day failed by a bug or a library's error: the log has the traceback
|- QueryRefused           what was asked of the tables is no question to them
'- ConfigError            ours: names the file or variable, what it holds, what it should
   |+ HostUnknown         no DNS server knows the name of a host that we are to ask
   |- HomeMoved           a copied or moved home, whose tables name the old files: aurum relocate
   '- LakeDamaged         a file of the lake cannot be read: make it anew from the archive
"""

from collections.abc import Mapping


class AurumError(Exception):
    """Anything that this project raises on purpose.

    ``cause``: the message without its last part ``remedy``, which says what to do.
    """

    remedy = ""

    def __init__(self, message: str = "", *, remedy: str = "") -> None:
        super().__init__(f"{message}: {remedy}" if remedy else message)
        if remedy:
            self.remedy = remedy

    @property
    def cause(self) -> str:
        """The message without its remedy."""
        return str(self).removesuffix(f": {self.remedy}") if self.remedy else str(self)


class Transient(AurumError):
    """Asking again later may help: a run is tried again."""


class Refused(AurumError):
    """Asking again cannot help until somebody changes something."""


class SourceError(AurumError):
    """The operator did not give an answer that can be used."""


class SourceUnavailable(SourceError, Transient):
    """The operator may answer later: 5xx, 408, 429, a timeout, a truncated body, an open breaker.

    ``body`` holds what had arrived of an answer cut short, so that it can be kept.
    """

    def __init__(self, message: str, *, body: bytes = b"") -> None:
        super().__init__(message)
        self.body = body


class NotYetPublished(SourceUnavailable):
    """The operator answered that there is nothing yet, for a day that is not due."""


class SourceRefused(SourceError, Refused):
    """The operator refused (any 4xx but 408 and 429): asking again cannot help."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class NotOffered(SourceRefused):
    """The operator's server does not have what is only documented: no failure of anybody."""


class DataError(AurumError):
    """The bytes arrived and they are wrong."""


class MalformedPayload(DataError):
    """The bytes have no shape that the dataset knows.

    ``rule``: the dialect's rule on the snapshot as a whole that they break, if it is that.
    """

    def __init__(self, message: str, *, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class ContractBroken(DataError):
    """A frame does not fit the table that it is meant for."""


class NothingArchived(AurumError):
    """The archive holds no answer of the day, from which its rows would be made."""


class DaysFailed(AurumError):
    """Some of several days failed; what the others gave is stored.

    ``errors``: by operating day (YYYY-MM-DD), in order, what went wrong.
    """

    def __init__(self, message: str, *, errors: Mapping[str, AurumError] | None = None) -> None:
        super().__init__(message)
        self.errors = errors or {}


class LakeBusy(Transient):
    """Other writers had the table all the time: ask again later."""


class Overtaken(AurumError):
    """Another machine merged a later snapshot first: the day is to be folded again."""


class LakeUnreachable(Transient):
    """The lake's catalog does not answer, or a commit's outcome is unknown: ask again later."""


class StoreError(AurumError):
    """The archive's store cannot be read or written."""


class StoreUnavailable(StoreError, Transient):
    """The store of the archive is out of reach: ask again later. It says nothing of what it holds.

    What was fetched meanwhile is kept in the spool, and goes up with the next run.
    """


class StoreRefused(StoreError, Refused):
    """The store refuses the request: credentials, permissions, no such bucket.

    What was fetched meanwhile is kept in the spool, and goes up with the next run.
    """


class Unexpected(AurumError):
    """A bug of ours or an error of a library stopped one day; other days go on.

    The message names its type, the log has the traceback.
    """


class QueryRefused(Refused):
    """What was asked of the tables cannot be answered: a wrong name, wrong SQL, a write."""


class ConfigError(AurumError):
    """A file or variable of ours is wrong; the message names it, what it holds, what it should."""


class HostUnknown(ConfigError, Transient):
    """The name of a host is not known to DNS; the message names the variable that holds it."""


class HomeMoved(ConfigError):
    """The home or the warehouse was copied or moved: its tables still name the files there.

    The message names both places, and ``aurum relocate``.
    """


class LakeDamaged(ConfigError):
    """A file of the lake is damaged or gone; the message names it and what makes it anew."""
