"""Faults as data: what goes wrong, and at which point.

Nothing here knows a wire: the mock provider and the vendor emulators ask the same `FaultPlan`. A fault can be written
as an object, as a dict, or as text, so that it fits in a configuration:

    Drop(after_chunks=3)
    {"fault": "drop", "after_chunks": 3}
    "drop:after_chunks=3"            "stall:2.5,response=2"          "refuse:rate_limit"

The point. With `after_s` a fault strikes so many seconds after the connection was opened. With `connect` alone it
strikes as soon as the n-th connection is open. Otherwise it strikes in a response: when `after_chunks` chunks of it
were sent (0: before the first), in the n-th response if `response` says which. Counting begins at 1 and goes on over
all connections that share the plan. A fault strikes `times` times, 0 being always.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec

from voxengine.errors import ConfigurationError

__all__ = [
    "Drop",
    "Duplicate",
    "ErrorOnce",
    "Fault",
    "FaultLike",
    "FaultPlan",
    "Flap",
    "Late",
    "OutOfOrder",
    "Refuse",
    "Slow",
    "Stall",
    "parse_fault",
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all faults: the point at which it strikes."""

    #: Only on the n-th attempt to connect.
    connect: int | None = None
    #: Only in the n-th response.
    response: int | None = None
    #: When so many chunks of the response have been sent.
    after_chunks: int | None = None
    #: So many seconds after the connection was opened.
    after_s: float | None = None
    #: How often it strikes; 0 is always.
    times: int = 1


class Drop(Fault, frozen=True):
    """The connection is lost."""

    code: str = "closed"
    close_code: int | None = 1006
    reason: str = ""
    retryable: bool = True


class Stall(Fault, frozen=True):
    """The connection stays open, but nothing comes for so many seconds (without a number: ever again).

    What was due in the meantime comes at once afterwards.
    """

    seconds: float = math.inf


class Slow(Fault, frozen=True):
    """From here on everything takes `factor` times as long."""

    factor: float = 4.0


class ErrorOnce(Fault, frozen=True):
    """The vendor reports an error: in a response it fails the response, elsewhere it stands alone."""

    code: str = "server_error"
    message: str = "the server had an error"
    retryable: bool = True


class Flap(msgspec.Struct, frozen=True):
    """The connection is accepted, and dropped at once."""

    times: int = 1
    connect: int | None = None


class Refuse(msgspec.Struct, frozen=True):
    """The connection is refused. `code`: refused, timeout, auth, rate_limit or quota."""

    code: str = "refused"
    connect: int | None = None
    times: int = 1
    #: Seconds that the vendor asks us to wait.
    retry_after: float | None = None


class Late(msgspec.Struct, frozen=True):
    """Events of a type come `by` seconds late, after others that they should precede."""

    event_type: str
    by: float = 1.0
    response: int | None = None
    times: int = 1


class Duplicate(msgspec.Struct, frozen=True):
    """Events of a type come twice, with the same `event_id`."""

    event_type: str
    response: int | None = None
    times: int = 1


class OutOfOrder(msgspec.Struct, frozen=True):
    """Events of a type come after the `behind` events that should follow them."""

    event_type: str
    behind: int = 1
    response: int | None = None
    times: int = 1


AnyFault: TypeAlias = Fault | Flap | Refuse | Late | Duplicate | OutOfOrder
FaultLike: TypeAlias = "AnyFault | str | Mapping[str, Any]"

_KINDS: dict[str, type[Any]] = {
    "drop": Drop,
    "stall": Stall,
    "slow": Slow,
    "error_once": ErrorOnce,
    "error": ErrorOnce,
    "flap": Flap,
    "refuse": Refuse,
    "late": Late,
    "duplicate": Duplicate,
    "out_of_order": OutOfOrder,
}


def parse_fault(fault: FaultLike, more: Mapping[str, type[Any]] | None = None) -> AnyFault:
    """A fault from any of the three ways of writing it. `more` are kinds beside those of this module, by name.

    Raises:
        ConfigurationError: the kind or a setting of it is unknown, or a value does not do.
    """
    if isinstance(fault, AnyFault):
        return fault
    if isinstance(fault, str):
        kind, _, rest = fault.partition(":")
        given = [part.strip() for part in rest.split(",") if part.strip()]
        values = dict(part.split("=", 1) for part in given if "=" in part)
        bare: list[Any] = [part for part in given if "=" not in part]
    elif isinstance(fault, Mapping):
        values = {k: v for k, v in fault.items() if k != "fault"}
        kind, bare = str(fault.get("fault", "")), []
    else:
        raise ConfigurationError(
            f"a fault is an object, a dict or text, not {type(fault).__name__}"
        )
    kinds = {**_KINDS, **(more or {})}
    cls = kinds.get(kind.strip().lower())
    if cls is None:
        raise ConfigurationError(f"there is no fault {kind!r}; there are {', '.join(kinds)}")
    names = [f.name for f in msgspec.structs.fields(cls)]
    unknown = set(values) - set(names)
    if unknown or len(bare) > len(names):
        raise ConfigurationError(
            f"{kind} has {', '.join(names)}; not {', '.join(sorted(unknown)) or bare[-1]}"
        )
    values.update(zip(names, bare, strict=False))
    try:
        made: AnyFault = msgspec.convert({k: _value(v) for k, v in values.items()}, cls)
    except msgspec.ValidationError as failure:
        raise ConfigurationError(f"fault {fault!r}: {failure}") from None
    return made


def _value(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() in ("forever", "inf"):
        return math.inf
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return {"true": True, "false": False, "none": None}.get(value.lower(), value)


class FaultPlan:
    """Counts what happens, and says which faults strike. Shared by several connections, it counts over all of them."""

    def __init__(self, faults: Iterable[FaultLike] = ()) -> None:
        self.faults: tuple[AnyFault, ...] = tuple(parse_fault(f) for f in faults)
        #: Attempts to connect, and responses begun, so far.
        self.connects = 0
        self.responses = 0
        self._struck = [0] * len(self.faults)

    @classmethod
    def of(cls, faults: FaultPlan | Iterable[FaultLike] | FaultLike | None) -> FaultPlan:
        """A plan from whatever a configuration holds; one that is a plan already is used as it is."""
        if isinstance(faults, FaultPlan):
            return faults
        if faults is None:
            return cls()
        if isinstance(faults, (str, Mapping, AnyFault)):
            return cls([faults])
        return cls(faults)

    def add(self, fault: FaultLike) -> None:
        """One more, from now on."""
        self.faults += (parse_fault(fault),)
        self._struck.append(0)

    def clear(self) -> None:
        """No more faults; what happens is counted on."""
        self.faults = ()
        self._struck.clear()

    # -- asked by the one who fakes a vendor

    def connecting(self) -> list[AnyFault]:
        """An attempt to connect was made: the `Refuse` and `Flap` that strike it."""
        self.connects += 1
        return self._strike(
            lambda f: isinstance(f, (Refuse, Flap)) and f.connect in (None, self.connects)
        )

    def connected(self) -> list[tuple[float, Fault]]:
        """The connection is open: the faults to come, by seconds from now."""
        due = []
        for fault in self._strike(self._at_a_time):
            assert isinstance(fault, Fault)
            due.append((fault.after_s or 0.0, fault))
        return due

    def responding(self) -> int:
        """A response begins; returns which one it is."""
        self.responses += 1
        return self.responses

    def at_chunk(self, response: int, sent: int) -> list[AnyFault]:
        """So many chunks of that response were sent: the faults that strike before the next one, or its end."""
        if not self.faults:
            return []
        return self._strike(lambda f: self._in_a_response(f, response, sent))

    def on_event(self, event_type: str) -> Late | Duplicate | OutOfOrder | None:
        """An event of this type is about to be sent: the fault that strikes it."""
        if not self.faults:
            return None
        for i, fault in enumerate(self.faults):
            if (
                not isinstance(fault, (Late, Duplicate, OutOfOrder))
                or fault.event_type != event_type
            ):
                continue
            if fault.response in (None, self.responses) and self._counted(i, fault.times):
                return fault
        return None

    def touches(self, event_type: str) -> bool:
        """Whether any fault is about events of this type."""
        return any(getattr(f, "event_type", None) == event_type for f in self.faults)

    # -- inside

    def _at_a_time(self, fault: AnyFault) -> bool:
        if not isinstance(fault, Fault) or fault.connect not in (None, self.connects):
            return False
        alone = fault.connect is not None and fault.response is None and fault.after_chunks is None
        return fault.after_s is not None or alone

    def _in_a_response(self, fault: AnyFault, response: int, sent: int) -> bool:
        return (
            isinstance(fault, Fault)
            and not self._at_a_time(fault)
            and fault.after_s is None
            and fault.connect in (None, self.connects)
            and fault.response in (None, response)
            and (fault.after_chunks or 0) == sent
        )

    def _strike(self, test: Any) -> list[AnyFault]:
        return [f for i, f in enumerate(self.faults) if test(f) and self._counted(i, f.times)]

    def _counted(self, index: int, times: int) -> bool:
        if times and self._struck[index] >= times:
            return False
        self._struck[index] += 1
        return True
