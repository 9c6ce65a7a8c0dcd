"""The rules of the session core: functions of the core and an event, a module for each concern."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

__all__ = ["with_fields"]

_E = TypeVar("_E", bound=msgspec.Struct)


def with_fields(event: _E, **fields: Any) -> _E:
    """The event with these fields; itself if it has them already."""
    changed = {k: v for k, v in fields.items() if getattr(event, k) != v}
    return msgspec.structs.replace(event, **changed) if changed else event
