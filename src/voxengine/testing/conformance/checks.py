"""What a check is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn, TypeAlias

import msgspec

if TYPE_CHECKING:
    from voxengine.testing.conformance.case import Case

__all__ = ["Check", "ConformanceFailure", "NotOffered", "all_checks", "check", "expect"]

CheckFunction: TypeAlias = "Callable[[Case], Awaitable[None]]"


class ConformanceFailure(AssertionError):
    """The provider does not keep the contract; the message says in what."""


class NotOffered(Exception):
    """The provider says that it cannot do what the check is about."""


class Check(msgspec.Struct, frozen=True):
    """One check. It fails by raising, and does not apply if the provider lacks one of `needs`."""

    name: str
    area: str
    #: What it checks, in a sentence.
    about: str
    function: CheckFunction
    needs: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


_CHECKS: dict[str, Check] = {}


def check(*needs: str, lacks: tuple[str, ...] = ()) -> Callable[[CheckFunction], CheckFunction]:
    """Make an async function of a `Case` a check. `needs` and `lacks` are fields of `Capabilities`."""

    def register(function: CheckFunction) -> CheckFunction:
        name = function.__name__
        area = function.__module__.rpartition(".")[2]
        about = (function.__doc__ or "").strip().partition("\n")[0]
        _CHECKS[name] = Check(name, area, about, function, needs, lacks)
        return function

    return register


def expect(condition: object, message: str) -> None:
    """Fail the check unless the condition holds."""
    if not condition:
        raise ConformanceFailure(message)


def fail(message: str) -> NoReturn:
    """Fail the check."""
    raise ConformanceFailure(message)


def all_checks() -> dict[str, Check]:
    """All checks by name, in the order in which they are run."""
    from voxengine.testing.conformance import (  # noqa: F401 - importing a module registers its checks
        connection,
        data,
        input,
        interruption,
        refusal,
        response,
        session,
        speech,
        tools,
        wire,
    )

    return dict(_CHECKS)
