"""What a check of one resource found: its state, where it is, what is wrong and what to do."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from aurum_assets.model.errors import AurumError, LakeBusy, LakeUnreachable, StoreUnavailable

Condition = Literal["ok", "embedded default", "off", "unsure", "broken"]

_TRANSIENT = (LakeBusy, LakeUnreachable, StoreUnavailable)


@dataclass(frozen=True)
class Finding:
    """The state of one resource.

    ``broken``: a run that uses it fails or degrades; ``unsure``: it may.
    ``where`` holds no secret; ``skew``: by how many seconds its clock is ahead of this machine's.
    """

    part: str
    state: Condition
    where: str = ""
    result: str = ""
    remedy: str = ""
    milliseconds: int | None = None
    skew: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields that ``aurum doctor --json`` prints."""
        return {k: v for k, v in asdict(self).items() if k != "skew"}


def broken(part: str, where: str, error: AurumError, look: str = "") -> Finding:
    """The finding for the error that a run gets.

    ``look``: the remedy where that of the error is none, or is to ask again.
    """
    own = "" if look and isinstance(error, _TRANSIENT) else error.remedy
    return Finding(part, "broken", where, error.cause, own or look)
