"""What an application came to know of a call, in its order; and as lines to read, in which ids are numbers."""

from __future__ import annotations

import asyncio
import re
from typing import Any, TypeVar

import msgspec

from voxengine import events as ev

__all__ = ["Record", "Said"]

_E = TypeVar("_E", bound=ev.ProviderEvent)

#: Fields of events that tell nothing of the call.
_SILENT = frozenset(
    {
        "type",
        "timestamp",
        "session_id",
        "event_id",
        "exception",
        "payload",
        "data",
        "conversation_id",
    }
)
_ID = re.compile(r"\b[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*_[A-Za-z0-9]*\d[A-Za-z0-9_]*\b")
_PORT = re.compile(r"127\.0\.0\.1:\d+|\('127\.0\.0\.1', \d+\)")


class Said(msgspec.Struct):
    """A turn of the user, as it went. Times are seconds of the loop's clock."""

    number: int
    kind: str
    words: str
    own: tuple[str, ...]
    began: float
    #: When the user had said it, and when all was quiet afterwards (None: something else was said before).
    ended: float = 0.0
    quiet: float | None = None
    #: The user, or the application, called off whatever was going on meanwhile.
    called_off: bool = False


class Record:
    """Events and deeds, with their times. `now` is the loop's time."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.entries: list[tuple[float, Any]] = []
        self.said: list[Said] = []
        #: Why something can never have come to its end, or should never have happened.
        self.hung: list[str] = []
        self.crashed: list[str] = []
        #: When the application was told that the user was not heard, or that the call was lost, and how.
        self.told: list[tuple[float, str]] = []
        #: Runs of the tool by what was looked up: begun, done, and called off.
        self.tool_runs: dict[str, list[str]] = {}

    def now(self) -> float:
        """Seconds of the loop's clock."""
        return self._loop.time()

    def note(self, what: str) -> None:
        """Something that was done."""
        self.entries.append((self.now(), what))

    def event(self, event: ev.ProviderEvent) -> None:
        """Something that the application was told."""
        self.entries.append((self.now(), event))
        match event:
            case ev.ErrorGeneral(recoverable=False):
                self.told.append((self.now(), "lost"))
            case ev.ConnectionRestored() if event.audio_lost_ms > 0:
                self.told.append((self.now(), "audio_lost"))
            case ev.AudioDropped(direction="input"):
                self.told.append((self.now(), "audio_lost"))
            case ev.ErrorGeneral():
                self.told.append((self.now(), "error"))
            case ev.ResponseError() if event.code not in ("connection", "closed"):
                self.told.append((self.now(), "answer_failed"))
            case ev.TranscriptFailed():
                self.told.append((self.now(), "transcript_failed"))
            case ev.SystemWarning(code="speech_not_heard"):
                self.told.append((self.now(), "speech_not_heard"))

    def of(self, kind: type[_E]) -> list[_E]:
        """All events of a class."""
        return [event for _, event in self.entries if type(event) is kind]

    def was_told(self, since: float, until: float, *kinds: str) -> bool:
        """Whether the application was told one of these within a time."""
        return any(since <= at <= until and kind in kinds for at, kind in self.told)

    # -- to read

    def lines(self) -> list[str]:
        """The whole call, a line each; chunks of audio in a row are one line."""
        lines: list[str] = []
        audio: dict[str, float] = {}
        for at, entry in self.entries:
            if getattr(entry, "type", None) == "cost_updated":
                continue  # prices are looked up in a thread: when that is done is no matter of the call
            if type(entry) is ev.AudioOutputChunk:
                name = entry.item_id or ""
                audio[name] = audio.get(name, 0.0) + len(entry.audio_data)
                continue
            for item_id, n_bytes in audio.items():
                lines.append(f"{'':9}  event    audio_chunk {n_bytes:g} bytes of {item_id}")
            audio.clear()
            if isinstance(entry, str):
                lines.append(f"{at:9.3f}  {entry}")
            else:
                lines.append(f"{at:9.3f}  event    {entry.type} {_fields(entry)}")
        return _numbered(lines)


def _fields(event: ev.ProviderEvent) -> str:
    shown = []
    for name in event.__struct_fields__:
        value = getattr(event, name, None) if name not in _SILENT else None
        if name == "item" and value is not None:
            value = f"{value.role}/{value.kind}/{value.status} {value.id} {value.text!r}"
        if isinstance(value, float):
            value = round(value, 1)
        if value not in (None, "", (), {}):
            shown.append(f"{name}={value}")
    return " ".join(shown)


def _numbered(lines: list[str]) -> list[str]:
    """Ids are drawn anew in each run: they become numbers, in the order of their first appearance."""
    known: dict[str, str] = {}

    def number(match: re.Match[str]) -> str:
        return known.setdefault(match[0], f"#{len(known) + 1}")

    return [_PORT.sub("127.0.0.1", _ID.sub(number, line)) for line in lines]
