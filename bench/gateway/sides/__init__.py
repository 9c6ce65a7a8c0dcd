"""The sides, by name; each is imported alone, so that a process has loaded no other side's libraries."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

__all__ = ["SIDES", "Relay", "relay_of"]

#: Takes the server's port; a context in which calls are relayed, with the port on which that is done.
Relay: TypeAlias = "Callable[[int], AbstractAsyncContextManager[int]]"

SIDES = {"raw": "raw", "voxengine": "ours", "websockets": "plain"}


def relay_of(name: str) -> Relay:
    """The relay of a side."""
    relay: Relay = importlib.import_module(f"{__name__}.{SIDES[name]}").relay
    return relay
