"""What happens in the demo: a command, a long story, and an interruption."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxengine.audio.level import first_audible_ms
from voxengine.clock import Clock
from voxengine.errors import ProviderError
from voxengine.events import ConversationInterrupted, EventType, VadSpeechStarted

if TYPE_CHECKING:
    from voxengine.cli.conversation.caller import Caller, Spoken
    from voxengine.cli.conversation.loudspeaker import Loudspeaker
    from voxengine.cli.conversation.watch import TurnWatch
    from voxengine.engine import VoiceEngine

__all__ = ["BargeIn", "Lines", "Scenario"]

#: Milliseconds of the story that are heard before the caller interrupts it.
STORY_MS = 2500.0
#: Seconds within which the story has to begin.
_PATIENCE = 15.0


@dataclass(frozen=True)
class Lines:
    """What the caller says, as audio for the engine."""

    command: bytes
    request: bytes
    interruption: bytes


@dataclass
class BargeIn:
    """One interruption. Times are seconds of the loop's clock, measured at the loudspeaker where they can be."""

    item_id: str
    #: When the caller's voice became audible, and when the engine noticed it.
    spoke_at: float = 0.0
    detected_at: float = 0.0
    #: When the last block of the interrupted item had been played, and how much of the item that was in all.
    silent_at: float = 0.0
    played_ms: float = 0.0

    @property
    def silent_ms(self) -> float:
        """Milliseconds from the detection to silence."""
        return max(0.0, (self.silent_at - self.detected_at) * 1000)

    @property
    def detected_ms(self) -> float:
        """Milliseconds from the first sound of the caller to the detection."""
        return (self.detected_at - self.spoke_at) * 1000


@dataclass
class Scenario:
    """Plays the demo on an engine that is connected."""

    engine: VoiceEngine
    caller: Caller
    speaker: Loudspeaker
    watch: TurnWatch
    lines: Lines
    spoken: list[Spoken] = field(default_factory=list)
    barge_in: BargeIn | None = None
    _detected_at: float = 0.0

    async def play(self) -> None:
        """Play it all.

        Raises:
            ProviderError: there was no answer to be interrupted.
        """
        epoch = Clock().epoch

        def detected(event: VadSpeechStarted) -> None:
            self._detected_at = event.timestamp - epoch

        def interrupted(event: ConversationInterrupted) -> None:
            if event.reason == "speech" and event.item_id:
                self.barge_in = BargeIn(event.item_id, detected_at=self._detected_at)

        with (
            self.engine.on(EventType.VAD_SPEECH_STARTED, detected),
            self.engine.on(EventType.CONVERSATION_INTERRUPTED, interrupted),
        ):
            await self._say(self.lines.command)
            await self.watch.answered(at_least=1.0)
            await self._say(self.lines.request)
            await self._until_heard(STORY_MS)
            await self._say(self.lines.interruption)
            await self.watch.answered(at_least=1.0)
        self._measure()

    async def _say(self, audio: bytes) -> None:
        self.spoken.append(await self.caller.speak(audio))

    async def _until_heard(self, ms: float) -> None:
        """Wait until so much of the answer to the last turn has been played."""
        async with asyncio.timeout(_PATIENCE) as limit:
            try:
                while self._heard_of_last_answer() < ms:  # noqa: ASYNC110 - another thread plays it
                    await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                if limit.expired():
                    raise ProviderError(
                        f"{ms / 1000:g} s of a story were not heard within {_PATIENCE:g} s",
                        provider="local",
                    ) from None
                raise

    def _heard_of_last_answer(self) -> float:
        users = [item.id for item in self.engine.conversation if item.role == "user"]
        if len(users) < len(self.spoken):
            return 0.0  # what was just said is not in the log yet
        answers = [
            i.id
            for i in self.engine.conversation
            if i.role == "assistant" and i.turn_id == users[-1]
        ]
        return max((self.speaker.heard_ms(item_id) or 0.0 for item_id in answers), default=0.0)

    def _measure(self) -> None:
        cut = self.barge_in
        if cut is None:
            return
        played = self.speaker.played(cut.item_id)
        if played is not None:
            cut.silent_at, cut.played_ms = played.ended_at, played.ms
        format = self.engine.config.input_format
        onset = first_audible_ms(self.lines.interruption, format) or 0.0
        cut.spoke_at = self.spoken[-1].began_at + onset / 1000

    def recorded_ms(self, answers: list[str | None]) -> list[float | None]:
        """Of each turn, ms from the caller's last audible sample to the engine's first, both as they were recorded.

        `answers` are the items that answered what was said, in order.
        """
        result: list[float | None] = []
        for spoken, item_id in zip(self.spoken, answers, strict=False):
            played = self.speaker.played(item_id)
            heard_at = played.audible_at if played is not None else None
            result.append(None if heard_at is None else (heard_at - spoken.speech_ended_at) * 1000)
        return result


def as_figures(cut: BargeIn) -> dict[str, Any]:
    """The figures of an interruption, as they go into the report."""
    return {
        "item_id": cut.item_id,
        "detected_ms": round(cut.detected_ms, 1),
        "silent_after_detection_ms": round(cut.silent_ms, 1),
        "played_ms": round(cut.played_ms, 1),
    }
