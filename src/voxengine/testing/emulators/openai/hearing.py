"""The input: from the audio that comes to turns, items and transcripts, told in the vendor's order."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Any

from voxengine.errors import VoiceEngineError
from voxengine.realtime.errors import Complaint
from voxengine.testing.emulators.openai.items import Conversation, Item
from voxengine.testing.emulators.openai.outbox import Outbox
from voxengine.testing.emulators.openai.replies import Mind
from voxengine.testing.emulators.openai.settings import Settings
from voxengine.testing.emulators.openai.usage import transcription_usage
from voxengine.testing.emulators.openai.vad import (
    Noticed,
    Paused,
    Resumed,
    Started,
    Stopped,
    VoiceActivity,
    threshold_db,
)
from voxengine.testing.emulators.voice import Voice

__all__ = ["Hearing"]

#: The least audio that can be committed, and the most that is kept uncommitted.
MIN_COMMIT_MS = 100.0
MAX_HELD_MS = 15 * 60 * 1000.0
#: Semantic turn detection: the silence at which it asks what was said; how long it waits if that sounds complete, and
#: if not, by eagerness.
ASK_MS = 200.0
WAITS_MS = {
    "low": (1000.0, 8000.0),
    "medium": (500.0, 4000.0),
    "auto": (500.0, 4000.0),
    "high": (300.0, 2000.0),
}
_COMPLETE = re.compile(r"[.!?…。？！][\"')\]]*$")


class Hearing:
    """One session's ears.

    `spawn` starts a task of the session. `answer` is asked for a response to a turn (True: to the user's silence),
    `interrupt` to stop the one that is under way. `transcript_delay_ms`: how long after the turn its transcript comes.
    """

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        conversation: Conversation,
        mind: Mind,
        voice: Voice,
        new_id: Callable[[str], str],
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        transcript_delay_ms: float,
    ) -> None:
        self._settings = settings
        self._outbox = outbox
        self._conversation = conversation
        self._mind = mind
        self._voice = voice
        self._new_id = new_id
        self._spawn = spawn
        self._delay_ms = transcript_delay_ms
        self._item_id: str | None = None
        self._asking: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._idle_from_ms = 0.0
        self._activity = self._listener(0.0)
        self.answer: Callable[[bool], None] = lambda _: None
        self.interrupt: Callable[[], None] = lambda: None

    # -- settings

    def configure(self) -> None:
        """The settings have changed. What was heard and is not a turn yet is kept, if its format is still right."""
        self._stop_asking()
        old = self._activity
        held = old.take() if old.format == self._settings.input_format else b""
        self._activity = self._listener(old.position_ms - old.format.duration_ms(len(held)))
        if not self._activity.detect:
            self._item_id = None
        self._notice(self._activity.feed(held))

    def _listener(self, position_ms: float) -> VoiceActivity:
        vad = self._settings.turn_detection
        format = self._settings.input_format
        if vad is None:
            return VoiceActivity(format, detect=False, position_ms=position_ms)
        if vad["type"] == "semantic_vad":
            patient = WAITS_MS[vad["eagerness"]][1]
            return VoiceActivity(
                format, silence_ms=patient, pause_ms=ASK_MS, position_ms=position_ms
            )
        return VoiceActivity(
            format,
            level_db=threshold_db(vad["threshold"]),
            prefix_ms=vad["prefix_padding_ms"],
            silence_ms=vad["silence_duration_ms"],
            position_ms=position_ms,
        )

    # -- what the client does

    def append(self, audio: bytes) -> None:
        """Hear some more.

        Raises:
            Complaint: too much is waiting to be committed.
        """
        if self._activity.held_ms > MAX_HELD_MS:
            raise Complaint(
                "The input audio buffer is full; commit or clear it.",
                "input_audio_buffer_overflow",
            )
        self._notice(self._activity.feed(audio))

    def commit(self) -> None:
        """Make a turn of what was heard.

        Raises:
            Complaint: it is too little.
        """
        held = self._activity.held_ms
        if held < MIN_COMMIT_MS:
            raise Complaint(
                "Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but "
                f"buffer only has {held:.2f}ms of audio.",
                "input_audio_buffer_commit_empty",
            )
        self._commit(self._activity.take())

    def clear(self) -> None:
        """Forget what is not a turn yet."""
        self._activity.take()
        self._item_id = None
        self._outbox.send({"type": "input_audio_buffer.cleared"})

    # -- silence

    def wait_for_user(self, playing_s: float) -> None:
        """A response has ended, which will be heard for so long: from then on the user's silence counts."""
        vad = self._settings.turn_detection or {}
        idle_ms = vad.get("idle_timeout_ms")
        self.stop_waiting()
        if idle_ms and not self._activity.speaking:
            loop = asyncio.get_running_loop()
            self._idle_from_ms = self._activity.position_ms + playing_s * 1000
            self._idle = loop.call_later(playing_s + idle_ms / 1000, self._idled)

    def stop_waiting(self) -> None:
        """The user's silence does not count any more."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _idled(self) -> None:
        self._idle = None
        self._item_id = self._new_id("item")
        end = self._activity.position_ms
        self._outbox.send(
            {
                "type": "input_audio_buffer.timeout_triggered",
                "audio_start_ms": round(min(self._idle_from_ms, end)),
                "audio_end_ms": round(end),
                "item_id": self._item_id,
            }
        )
        self._commit(self._activity.take())
        self.answer(True)

    # -- turns

    def _notice(self, noticed: list[Noticed]) -> None:
        for each in noticed:
            match each:
                case Started(at_ms=at_ms):
                    self._started(at_ms)
                case Paused(audio=audio):
                    self._asking = self._spawn(self._ask(audio))
                case Resumed():
                    self._stop_asking()
                case Stopped(at_ms=at_ms, audio=audio):
                    self._stopped(at_ms, audio)

    def _started(self, at_ms: float) -> None:
        self.stop_waiting()
        if self._item_id is None:
            self._item_id = self._new_id("item")
            self._outbox.send(
                {
                    "type": "input_audio_buffer.speech_started",
                    "audio_start_ms": round(at_ms),
                    "item_id": self._item_id,
                }
            )
        vad = self._settings.turn_detection or {}
        if vad.get("interrupt_response"):
            self.interrupt()

    def _stopped(self, at_ms: float, audio: bytes) -> None:
        self._stop_asking()
        self._item_id = self._item_id or self._new_id("item")
        self._outbox.send(
            {
                "type": "input_audio_buffer.speech_stopped",
                "audio_end_ms": round(at_ms),
                "item_id": self._item_id,
            }
        )
        self._commit(audio)
        vad = self._settings.turn_detection or {}
        if vad.get("create_response") and self._settings.kind == "realtime":
            self.answer(False)

    async def _ask(self, audio: bytes) -> None:
        """How long to wait depends on whether what was said sounds complete."""
        words = await self._voice.hear(audio, self._activity.format)
        vad = self._settings.turn_detection or {}
        quick, patient = WAITS_MS[vad.get("eagerness", "auto")]
        self._asking = None
        complete = _COMPLETE.search(words.strip()) is not None
        self._notice(self._activity.wait(quick if complete else patient))

    def _stop_asking(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None
        vad = self._settings.turn_detection or {}
        if vad.get("type") == "semantic_vad":
            self._activity.silence_ms = WAITS_MS[vad["eagerness"]][1]

    def _commit(self, audio: bytes) -> None:
        item_id = self._item_id or self._new_id("item")
        self._item_id = None
        content = [{"type": "input_audio", "transcript": None}]
        value = {"type": "message", "role": "user", "status": "completed", "content": content}
        item = Item(item_id, value)
        item.audio, item.format = audio, self._activity.format
        before = self._conversation.last_id
        self._outbox.send(
            {
                "type": "input_audio_buffer.committed",
                "previous_item_id": before,
                "item_id": item_id,
            }
        )
        self._conversation.add(item)
        for kind in ("conversation.item.added", "conversation.item.done"):
            self._outbox.send({"type": kind, "previous_item_id": before, "item": item.wire()})
        self.listen_to(item)
        if self._settings.transcription is not None:
            _ = self._spawn(self._transcribe(item, dict(self._settings.transcription)))

    def listen_to(self, item: Item) -> None:
        """Begin to understand the audio of an item."""
        item.heard = asyncio.get_running_loop().create_future()
        _ = self._spawn(self._understand(item))

    async def _understand(self, item: Item) -> None:
        assert item.heard is not None
        try:
            words: str | None = await self._voice.hear(item.audio, item.format)
        except VoiceEngineError:
            words = None
        words = None if words is None else self._mind.understand(words)
        item.heard.set_result(words)

    # -- transcripts

    async def _transcribe(self, item: Item, how: dict[str, Any]) -> None:
        assert item.heard is not None
        text = await asyncio.shield(item.heard)  # others wait for it, too
        await asyncio.sleep(self._delay_ms / 1000)
        head = {"item_id": item.id, "content_index": 0}
        name = "conversation.item.input_audio_transcription"
        if text is None:
            error = {
                "type": "transcription_error",
                "code": "audio_unintelligible",
                "message": "The audio could not be transcribed.",
                "param": None,
            }
            self._outbox.send({"type": f"{name}.failed", **head, "error": error})
            return
        model = how.get("model")
        pieces = [text] if model == "whisper-1" else re.findall(r"\s*\S+", text)
        cumulative = self._settings.dialect.cumulative_transcripts
        so_far = ""
        for piece in pieces:
            so_far += piece
            if cumulative:
                self._outbox.send({"type": f"{name}.updated", **head, "transcript": so_far})
            elif piece:
                self._outbox.send({"type": f"{name}.delta", **head, "delta": piece})
        item.content[0]["transcript"] = text
        done = {"type": f"{name}.completed", **head, "transcript": text}
        if not self._settings.dialect.partial_usage:
            done["usage"] = transcription_usage(model, item, text)
        self._outbox.send(done)
