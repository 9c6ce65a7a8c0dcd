"""The conversation for a program: one event a line, as JSON. Audio is told by its size."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.cli.exits import redacted
from voxengine.conversation import Item
from voxengine.events import ProviderEvent

if TYPE_CHECKING:
    from voxengine.engine import VoiceEngine

__all__ = ["JsonLines", "as_json", "line_of"]


def line_of(event: ProviderEvent) -> dict[str, Any]:
    """An event as plain data: its type, when and where, and its own fields."""
    line: dict[str, Any] = {"type": str(event.type), "timestamp": round(event.timestamp, 6)}
    for name in ("provider", "session_id", "error"):
        if value := getattr(event, name):
            line[name] = value
    for name, value in event.data.items():
        if isinstance(value, bytes):
            line[name.removesuffix("_data") + "_bytes"] = len(value)
        elif isinstance(value, Item):
            line[name] = value.as_dict()
        else:
            line.setdefault(name, value)
    return line


def as_json(value: Any) -> str:
    """One line of JSON; what JSON does not know becomes its text."""
    return redacted(msgspec.json.encode(value, enc_hook=str).decode())


class JsonLines:
    """Writes every event of an engine to standard output.

    When nobody reads any more (`voxengine talk --json | head`), the task that made it is cancelled: there is nothing
    left to do it for.
    """

    def __init__(self, engine: VoiceEngine) -> None:
        #: Whether the reader has gone away.
        self.broken = False
        self._task = asyncio.current_task()
        engine.on("*", lambda event: self.write(line_of(event)))

    def write(self, line: dict[str, Any]) -> None:
        """Write one line, at once."""
        if self.broken:
            return
        try:
            sys.stdout.write(as_json(line) + "\n")
            sys.stdout.flush()
        except BrokenPipeError:
            self.broken = True
            if self._task is not None:
                self._task.cancel()
