"""What a session sends: each event numbered, judged, and struck by the faults that are about messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pybase64

from voxengine.testing.emulators.faults import FaultPlan
from voxengine.testing.emulators.server import Socket
from voxengine.testing.emulators.wire_out import WireOut

if TYPE_CHECKING:
    from voxengine.testing.oracles.judge import Judge

__all__ = ["Outbox", "Watcher"]

#: The one event of the vendor's that has no id.
_WITHOUT_ID = frozenset({"input_audio_buffer.dtmf_event_received"})


#: Is told of every event that is sent.
Watcher: TypeAlias = "Callable[[dict[str, Any]], None]"


class Outbox(WireOut):
    """One session's way out.

    Args:
        socket: where it goes.
        judge: judges each event before it is sent; None judges nothing.
        faults: the plan.
        on_violation: told of what was wrong with an event of ours.
        prefix: of the ids of events.
        watch: told of every event that is sent.
    """

    def __init__(
        self,
        socket: Socket,
        judge: Judge | None,
        faults: FaultPlan,
        on_violation: Callable[[str], None],
        prefix: str,
        watch: Watcher | None = None,
    ) -> None:
        super().__init__(socket, faults)
        self._judge = judge
        self._on_violation = on_violation
        self._prefix = prefix
        self._count = 0
        self._watch = watch

    def send(self, event: dict[str, Any]) -> None:
        """Send an event. It gets an id if it has none, and is judged."""
        self._count += 1
        if event.get("type") not in _WITHOUT_ID:
            event = {"event_id": f"event_{self._prefix}_{self._count}", **event}
        text = json.dumps(event, ensure_ascii=False)
        if self._judge is not None:
            for problem in self._judge.server(text):
                self._on_violation(f"{event.get('type')}: {problem}")
        if self._watch is not None:
            self._watch(event)
        self.pass_on(text, str(event.get("type")))

    def send_audio(self, audio: bytes) -> None:
        """Send audio in a binary frame."""
        self.send_raw(audio)

    def oversized(self, n_bytes: int) -> None:
        """Send a valid event of about so many bytes: an item that nobody asked for."""
        audio = pybase64.b64encode(bytes(n_bytes * 3 // 4)).decode()
        item = {
            "id": "item_large",
            "object": "realtime.item",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "audio": audio, "transcript": None}],
        }
        self.send({"type": "conversation.item.retrieved", "item": item})
