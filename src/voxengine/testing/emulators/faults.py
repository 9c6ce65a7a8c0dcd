"""What goes wrong at an emulated vendor, and when: the faults of `voxengine.testing.faults`, and those of a wire.

Each can be written as an object, a dict or text ("drop:close_code=1011,after_chunks=3"), and says when it strikes: on
the n-th connection (`connect`), in the n-th response (`response`), after so many audio deltas of it (`after_chunks`;
of a response without audio, text deltas), or so many seconds after the connection was opened (`after_s`).

    Refuse("auth" | "forbidden" | "not_found" | "rate_limit" | "quota" | "server_error" | "refused")
                                            401, 403, 404, 429, 429, 500 with the vendor's body; a reset connection
    Flap(times=2)                           accepted, and dropped at once
    Drop(close_code=1011, after_chunks=3)   a close frame with that code; 1006 is none at all
    Expire(after_s=3600)                    the vendor's `session_expired`, then a close
    Stall(), Lag(0.5)                       nothing more is sent; everything is sent half a second late
    ErrorOnce(code="server_error")          an error event; in a response that fails
    Late, Duplicate, OutOfOrder             of all events of a type
    Oversized(), UnknownEvent(), Malformed()   a valid event of 20 MiB; one of no known type; text that is not JSON
    LateAudio()                             an audio delta of a response that was cancelled already
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from voxengine.providers.mock.faults import (
    Drop,
    Duplicate,
    ErrorOnce,
    Fault,
    FaultLike,
    FaultPlan,
    Flap,
    Late,
    OutOfOrder,
    Refuse,
    Slow,
    Stall,
    parse_fault,
)

__all__ = [
    "KINDS",
    "REFUSALS",
    "Drop",
    "Duplicate",
    "ErrorOnce",
    "Expire",
    "Fault",
    "FaultLike",
    "FaultPlan",
    "Flap",
    "Lag",
    "Late",
    "LateAudio",
    "Malformed",
    "OutOfOrder",
    "Oversized",
    "Refuse",
    "Slow",
    "Stall",
    "UnknownEvent",
    "fault_plan",
]

#: What a `Refuse` can be, and the HTTP status of it; None is a connection that is reset.
REFUSALS: Mapping[str, int | None] = {
    "auth": 401,
    "forbidden": 403,
    "not_found": 404,
    "rate_limit": 429,
    "quota": 429,
    "server_error": 500,
    "refused": None,
}


class Expire(Fault, frozen=True):
    """The session has lasted too long: an error event says so, then the socket is closed."""

    close_code: int = 1001


class Lag(Fault, frozen=True):
    """From here on everything is sent so many seconds late, in its order."""

    seconds: float = 0.5


class Oversized(Fault, frozen=True):
    """A valid event that is very large."""

    n_bytes: int = 20 * 1024 * 1024


class UnknownEvent(Fault, frozen=True):
    """An event of a type that no client knows yet."""

    event_type: str = "response.mood.updated"


class Malformed(Fault, frozen=True):
    """A text message that is not what it should be."""

    text: str = '{"type": "response.done", '


class LateAudio(Fault, frozen=True):
    """When a response is cancelled, one more audio delta of it comes after its end."""


#: The faults of a wire by name, beside those that every mock knows.
KINDS: Mapping[str, type[Any]] = {
    "expire": Expire,
    "lag": Lag,
    "oversized": Oversized,
    "unknown_event": UnknownEvent,
    "malformed": Malformed,
    "late_audio": LateAudio,
}


def fault_plan(faults: FaultPlan | Iterable[FaultLike] | FaultLike | None) -> FaultPlan:
    """A plan of faults in any way of writing them; one that is a plan already is used as it is.

    Raises:
        ConfigurationError: a fault, or a setting of one, is unknown.
    """
    if isinstance(faults, FaultPlan):
        return faults
    if faults is None:
        return FaultPlan()
    if isinstance(faults, (str, Mapping)) or not isinstance(faults, Iterable):
        faults = [faults]
    return FaultPlan([parse_fault(fault, KINDS) for fault in faults])
