"""What a session sends: each event numbered, judged, and struck by the faults that are about messages."""

from __future__ import annotations

import asyncio
import json
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import pybase64

from voxengine.testing.emulators.faults import Duplicate, FaultPlan, Late, OutOfOrder
from voxengine.testing.emulators.server import Socket

if TYPE_CHECKING:
    from voxengine.testing.oracles.judge import Judge

__all__ = ["Outbox", "Watcher"]

#: Messages that a stall keeps back, the oldest of which are lost then; and that a lag does, which sends no more then.
MAX_HELD = 10_000
#: Seconds by which a timer may be early.
_ROUNDING = 0.001
#: The one event of the vendor's that has no id.
_WITHOUT_ID = frozenset({"input_audio_buffer.dtmf_event_received"})


#: Is told of every event that is sent.
Watcher: TypeAlias = "Callable[[dict[str, Any]], None]"


class Outbox:
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
        self._socket = socket
        self._judge = judge
        self._faults = faults
        self._on_violation = on_violation
        self._prefix = prefix
        self._loop = asyncio.get_running_loop()
        self._count = 0
        self._timers: set[asyncio.TimerHandle] = set()
        #: Events that come after so many others.
        self._behind: list[tuple[int, str]] = []
        self._held: deque[str | bytes] = deque(maxlen=MAX_HELD)
        #: The loop's time until which nothing is sent, and the seconds by which everything is late.
        self._stalled_until = 0.0
        self._lag = 0.0
        self._watch = watch

    # -- sending

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
        self._struck(str(event.get("type")), text)

    def _struck(self, kind: str, text: str) -> None:
        match self._faults.on_event(kind):
            case Late(by=by):
                self._later(by, text)
                return
            case OutOfOrder(behind=behind):
                self._behind.append((behind, text))
                return
            case Duplicate():
                self._pass(text)
        self._pass(text)
        due = [text for left, text in self._behind if left <= 1]
        self._behind = [(left - 1, text) for left, text in self._behind if left > 1]
        for late in due:
            self._pass(late)

    def send_audio(self, audio: bytes) -> None:
        """Send audio in a binary frame."""
        self._pass(audio)

    def send_raw(self, text: str) -> None:
        """Send a text as it is, unjudged: for what is wrong on purpose."""
        self._pass(text)

    # -- faults

    def stall(self, seconds: float) -> None:
        """Send nothing for so long; then all that was due comes at once. `inf`: never again."""
        self._stalled_until = self._loop.time() + seconds
        if seconds < math.inf:
            self._timer(seconds, self._flush)

    def lag(self, seconds: float) -> None:
        """Send everything so much later, in its order."""
        self._lag = seconds

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

    def close(self) -> None:
        """Send nothing more."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._held.clear()
        self._behind.clear()

    # -- inside

    def _pass(self, message: str | bytes) -> None:
        if self._loop.time() < self._stalled_until:
            if self._stalled_until < math.inf:
                self._held.append(message)
        elif self._lag:
            self._later(self._lag, message)
        else:
            self._socket.send(message)

    def _later(self, seconds: float, message: str | bytes) -> None:
        if len(self._timers) < MAX_HELD:
            self._timer(seconds, lambda: self._socket.send(message))

    def _timer(self, seconds: float, call: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            call()

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)

    def _flush(self) -> None:
        if self._stalled_until - self._loop.time() > _ROUNDING:
            return  # it was stalled anew meanwhile, and is let go of then
        self._stalled_until = 0.0  # or what comes at this very moment would be held, and stay so
        while self._held:
            self._socket.send(self._held.popleft())
