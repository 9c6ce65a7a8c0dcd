"""Drives a session core by hand: events go in at stated times, effects come out to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from voxengine import events as ev
from voxengine.conversation import Conversation, Item
from voxengine.events import ProviderEvent
from voxengine.providers.capabilities import Capabilities
from voxengine.session import effects as fx
from voxengine.session.core import CoreOptions, SessionCore
from voxengine.session.effects import PASS, Command, Effect

T = TypeVar("T")

#: A provider with everything, whose server finds the turns and stops itself when the user speaks.
SERVER_VAD = Capabilities(
    vad_events=True,
    auto_response=True,
    self_interrupting=True,
    input_transcription=True,
    cancel=True,
    truncate=True,
    tools=True,
    parallel_tools=True,
)
#: The same, but the session has to stop it.
OBEDIENT = Capabilities(vad_events=True, auto_response=True, cancel=True, truncate=True, tools=True)


class Driver:
    """A core with a clock that the test moves. Timers that the core sets fire as the clock passes them."""

    def __init__(
        self,
        capabilities: Capabilities = SERVER_VAD,
        *,
        conversation: Conversation | None = None,
        **options: Any,
    ) -> None:
        log = Conversation("c") if conversation is None else conversation
        self.core = SessionCore(log, CoreOptions(**options))
        self.now = 100.0
        self.effects: list[Effect] = []
        self.timers: dict[str, float] = {}
        self.give(fx.Attached("vendor", capabilities))
        self.effects.clear()

    # -- in

    def give(self, event: ProviderEvent | Command, after: float = 0.0) -> list[Effect]:
        """Let `after` seconds pass, then apply; returns what came of it."""
        self.wait(after)
        return self._apply(event)

    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((at, name) for name, at in self.timers.items() if at <= end):
            at, name = due[0]
            del self.timers[name]
            self.now = max(self.now, at)
            self._apply(fx.TimerFired(name))
        self.now = end

    def _apply(self, event: ProviderEvent | Command) -> list[Effect]:
        out: Sequence[Effect] = self.core.apply(event, self.now)
        done: list[Effect] = list(out)
        if out is PASS and isinstance(event, ProviderEvent):
            done = [event]
        for effect in done:
            if isinstance(effect, fx.SetTimer):
                self.timers[effect.name] = effect.at
            elif isinstance(effect, fx.ClearTimer):
                self.timers.pop(effect.name, None)
        self.effects.extend(done)
        return done

    # -- a conversation in short

    def user_speaks(self, item: str = "u1") -> list[Effect]:
        return self.give(ev.VadSpeechStarted(item_id=item))

    def user_stops(self, item: str = "u1", text: str | None = None) -> None:
        self.give(ev.VadSpeechEnded(item_id=item), 0.5)
        self.give(ev.TurnDetected(item_id=item), 0.2)
        if text is not None:
            self.give(ev.TranscriptCompleted(item_id=item, text=text))

    def user_says(self, text: str | None = "hello", item: str = "u1") -> None:
        self.user_speaks(item)
        self.user_stops(item, text)

    def answer(
        self, text: str = "one two three four", ms: int = 1000, n: int = 1, done: bool = True
    ) -> None:
        """The assistant answers at once with this text and so many milliseconds of audio."""
        self.give(ev.ResponseStarted(response_id=f"r{n}"))
        self.give(ev.TextOutput(text=text, item_id=f"a{n}", response_id=f"r{n}"))
        for _ in range(ms // 100):
            self.give(self.chunk(n))
        if done:
            self.give(ev.ResponseCompleted(response_id=f"r{n}"))

    @staticmethod
    def chunk(n: int = 1, ms: int = 100, **fields: Any) -> ev.AudioOutputChunk:
        audio = b"\x00\x20" * (24 * ms)
        return ev.AudioOutputChunk(audio_data=audio, item_id=f"a{n}", response_id=f"r{n}", **fields)

    # -- out

    def of(self, kind: type[T]) -> list[T]:
        """All effects of a kind so far."""
        return [e for e in self.effects if isinstance(e, kind)]

    def one(self, kind: type[T]) -> T:
        found = self.of(kind)
        assert len(found) == 1, f"{len(found)} x {kind.__name__}: {found}"
        return found[0]

    def item(self, item_id: str) -> Item:
        item = self.core.conversation.get(item_id)
        assert item is not None, f"no item {item_id} in\n{self.core.conversation.transcript()}"
        return item

    @property
    def log(self) -> list[tuple[str, str]]:
        """Role and text of what was said, in order."""
        return [(i.role, i.text) for i in self.core.conversation.messages]
