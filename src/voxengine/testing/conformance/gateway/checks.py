"""What a check of the gateway is, and the list of all of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from voxengine.testing.conformance.gateway.case import GatewayCase

__all__ = ["Declined", "GatewayCheck", "check", "gateway_checks"]

CheckFunction: TypeAlias = "Callable[[GatewayCase], Awaitable[None]]"


class Declined(Exception):
    """The gateway has answered an event with an error in OpenAI's form. Whether it may is for the check to say."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.error = error
        super().__init__(str(error["message"]))


class GatewayCheck(msgspec.Struct, frozen=True):
    """One check. It fails by raising.

    Where the provider's capabilities lack one of `may_lack`, the gateway may also refuse with an error: that is noted
    as refused, with the words of the error. Where they have all of them, an error is a failure.
    """

    name: str
    area: str
    #: What it checks, in a sentence.
    about: str
    function: CheckFunction
    may_lack: tuple[str, ...] = ()


_CHECKS: dict[str, GatewayCheck] = {}


def check(*may_lack: str) -> Callable[[CheckFunction], CheckFunction]:
    """Make an async function of a `GatewayCase` a check.

    `may_lack` are fields of `Capabilities`, or what may be in one of them, after a dot.
    """

    def register(function: CheckFunction) -> CheckFunction:
        name = function.__name__
        area = function.__module__.rpartition(".")[2]
        about = (function.__doc__ or "").strip().partition("\n")[0]
        _CHECKS[name] = GatewayCheck(name, area, about, function, may_lack)
        return function

    return register


def gateway_checks() -> dict[str, GatewayCheck]:
    """All checks by name, in the order in which they are run."""
    from voxengine.testing.conformance.gateway import (  # noqa: F401 - importing a module registers its checks
        input,
        items,
        responses,
        session,
        wire,
    )

    return dict(_CHECKS)
