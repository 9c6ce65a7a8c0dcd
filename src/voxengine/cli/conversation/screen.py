"""The live conversation on the screen: what is being said grows in place, what has been said scrolls up.

Rows are printed in the order in which they began, each once, when it is final and all before it are. On a terminal the
open ones are shown below, and change; elsewhere they are not shown until they are final.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console, Group
from rich.live import Live

from voxengine import events as ev
from voxengine.cli.conversation.figures import STAGES
from voxengine.cli.conversation.rows import AssistantRow, NoteRow, Row, ToolRow, UserRow
from voxengine.cli.conversation.watch import lost
from voxengine.cli.exits import redacted
from voxengine.events import EventType

if TYPE_CHECKING:
    from typing import Self

    from voxengine.engine import VoiceEngine

__all__ = ["Screen"]

#: Seconds between two pictures.
_REFRESH = 0.1


class Screen:
    """Shows the conversation of an engine. `heard_ms(item_id)` says how much of an item has been played."""

    def __init__(
        self, engine: VoiceEngine, console: Console, heard_ms: Callable[[str], float | None]
    ) -> None:
        self._engine = engine
        self._console = console
        self._heard_ms = heard_ms
        self._now = asyncio.get_running_loop().time
        self._began = self._now()
        self._open: list[Row] = []
        self._by_id: dict[str, Row] = {}
        self._live: Live | None = None
        self._task: asyncio.Task[None] | None = None
        for types, handler in self._handlers().items():
            engine.on(types, handler)

    def _handlers(self) -> dict[tuple[str, ...], Callable[[Any], None]]:
        return {
            (EventType.TEXT_INPUT,): self._typed,
            (EventType.TRANSCRIPT_PARTIAL,): self._partial,
            (EventType.TRANSCRIPT_COMPLETED,): self._transcript,
            (EventType.RESPONSE_STARTED,): lambda _: self._close_rows(UserRow),
            (EventType.TEXT_OUTPUT,): self._words,
            (EventType.AUDIO_OUTPUT_STOPPED,): self._stopped,
            (EventType.CONVERSATION_INTERRUPTED,): self._interrupted,
            (EventType.RESPONSE_COMPLETED, EventType.RESPONSE_CANCELLED): self._ended,
            (EventType.FUNCTION_INVOKED,): self._invoked,
            (EventType.FUNCTION_COMPLETED, EventType.FUNCTION_FAILED): self._returned,
            (EventType.FUNCTION_CANCELLED,): self._called_off,
            (EventType.METRICS_UPDATED,): self._latencies,
            (EventType.SYSTEM_WARNING,): lambda e: self.note(f"warning: {e.message}", "yellow"),
            (EventType.AUDIO_DROPPED,): self._dropped,
            (EventType.CONNECTION_LOST,): lambda e: self.note(str(lost(e)), "red"),
            (EventType.CONNECTION_RECONNECTING,): lambda e: self.note(
                f"reconnecting (attempt {e.attempt})", "yellow"
            ),
            (EventType.CONNECTION_RESTORED,): lambda e: self.note(
                f"connection restored ({e.reason}): {e.outage_ms:.0f} ms without", "yellow"
            ),
            (EventType.RESPONSE_ERROR,): lambda e: self.note(
                f"no answer: {e.error or e.code}", "red"
            ),
            (EventType.ERROR_GENERAL,): lambda e: self.note(f"error: {e.error or e.code}", "red"),
        }

    def note(self, text: str, style: str = "dim") -> None:
        """Show a remark at this place of the conversation."""
        self._add(NoteRow(self._at(), text=redacted(text), style=style))

    # -- the caller

    def _typed(self, event: ev.TextInput) -> None:
        if event.role == "user":
            self._add(UserRow(self._at(), True, event.text, partial=False, typed=True))

    def _user_row(self, item_id: str | None) -> UserRow:
        row = self._by_id.get(item_id or "")
        if not isinstance(row, UserRow) or row.final:
            row = UserRow(self._at())
            self._add(row, item_id)
        return row

    def _partial(self, event: ev.TranscriptPartial) -> None:
        row = self._user_row(event.item_id)
        row.text, row.partial = event.text, True

    def _transcript(self, event: ev.TranscriptCompleted) -> None:
        known = self._by_id.get(event.item_id or "")
        if isinstance(known, UserRow) and known.final and known.text == event.text:
            return
        row = self._user_row(event.item_id)
        row.text, row.partial = event.text, False

    # -- the assistant

    def _words(self, event: ev.TextOutput) -> None:
        item_id = event.item_id or ""
        if not event.text or item_id in self._by_id:
            return
        self._add(AssistantRow(self._at(), heard=lambda: self._heard(item_id)), item_id)

    def _heard(self, item_id: str) -> str:
        item = self._engine.conversation.get(item_id)
        if item is None:
            return ""
        heard = self._heard_ms(item_id)
        if heard is None:
            # It has no audio (yet): in an answer that is only written, the words are there at once.
            return item.text if self._engine.config.modalities == ["text"] else ""
        return item.text if item.interrupted else item.text_at(heard)

    def _stopped(self, event: ev.AudioOutputStopped) -> None:
        if not event.interrupted:
            self._finish(event.item_id)

    def _interrupted(self, event: ev.ConversationInterrupted) -> None:
        row = self._by_id.get(event.item_id or "")
        if not isinstance(row, AssistantRow) or row.final:
            return
        if event.reason == "continued" or not event.heard_ms:
            self._drop(row)
            return
        item = self._engine.conversation.get(event.item_id)
        row.cut, row.heard_ms, row.text = True, event.heard_ms, event.heard_text
        row.unheard = item.unheard_text if item is not None else ""
        row.final = True
        self._flush()

    def _ended(self, event: ev.ResponseCompleted | ev.ResponseCancelled) -> None:
        for item_id, row in list(self._by_id.items()):
            item = self._engine.conversation.get(item_id)
            if isinstance(row, AssistantRow) and not row.final and not (item and item.audio_ms):
                # What has no audio does not stop playing.
                self._finish(item_id)

    def _finish(self, item_id: str | None) -> None:
        row = self._by_id.get(item_id or "")
        item = self._engine.conversation.get(item_id)
        if isinstance(row, AssistantRow) and not row.final:
            row.text = item.text if item is not None else row.text
            row.final = True
            self._flush()

    # -- tools and remarks

    def _invoked(self, event: ev.FunctionInvoked) -> None:
        self._close_rows(UserRow)
        self._add(
            ToolRow(self._at(), name=event.name, arguments=_arguments(event.arguments)),
            event.call_id,
        )

    def _returned(self, event: ev.FunctionCompleted | ev.FunctionFailed) -> None:
        row = self._by_id.get(event.call_id)
        if isinstance(row, ToolRow):
            if isinstance(event, ev.FunctionFailed):
                row.result, row.style = redacted(event.error or event.code), "red"
            else:
                row.result = _short(event.output)
            row.final = True
            self._flush()

    def _called_off(self, event: ev.FunctionCancelled) -> None:
        row = self._by_id.get(event.call_id)
        if isinstance(row, ToolRow):
            row.result, row.style, row.final = "called off", "yellow", True
            self._flush()

    def _latencies(self, event: ev.MetricsUpdated) -> None:
        parts = [
            # Short, to fit a line; the table at the end has the full names.
            f"{label.removeprefix('first ').removesuffix(' decided')} {value:.0f}"
            for name, label in STAGES.items()
            if (value := getattr(event, name)) is not None
        ]
        self.note("latency    " + " · ".join(parts) + " ms")

    def _dropped(self, event: ev.AudioDropped) -> None:
        self.note(
            f"{event.audio_ms:.0f} ms of {event.direction} audio were lost: {event.reason}",
            "yellow",
        )

    # -- rows

    def _at(self) -> float:
        return self._now() - self._began

    def _add(self, row: Row, id: str | None = None) -> None:
        self._open.append(row)
        if id:
            self._by_id[id] = row
        self._flush()

    def _drop(self, row: Row) -> None:
        if row in self._open:
            self._open.remove(row)
        self._by_id = {id: other for id, other in self._by_id.items() if other is not row}

    def _close_rows(self, kind: type[Row]) -> None:
        for row in self._open:
            if isinstance(row, kind):
                row.final = True
        self._flush()

    def _flush(self) -> None:
        """Print what is final and has nothing open before it. Empty rows that are open hold nobody up."""
        while self._open and self._open[0].final:
            row = self._open.pop(0)
            if not row.empty:
                self._console.print(row.render(), soft_wrap=not self._console.is_terminal)

    # -- life

    async def __aenter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
            self._task = asyncio.create_task(self._refresh(self._live), name="voxengine-screen")
        return self

    async def _refresh(self, live: Live) -> None:
        while True:
            shown = [row.render() for row in list(self._open) if not row.empty]
            live.update(Group(*shown), refresh=True)
            await asyncio.sleep(_REFRESH)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        for row in self._open:
            if isinstance(row, AssistantRow) and not row.final:
                row.text = row.heard()
            row.final = True
        self._flush()
        if self._live is not None:
            self._live.stop()


def _arguments(text: str) -> str:
    try:
        values = msgspec.json.decode(text or "{}")
    except msgspec.DecodeError:
        return _short(text)
    if not isinstance(values, dict):
        return _short(text)
    return _short(", ".join(f"{name}={value!r}" for name, value in values.items()))


def _short(text: str, most: int = 160) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
