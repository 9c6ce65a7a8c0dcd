"""What the client is told of its own speech: where it began and ended, the turn, the item, the words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.session.replies import Recent

if TYPE_CHECKING:
    from voxengine.gateway.wire.session import RealtimeSession

__all__ = ["Told"]

#: Seconds after the end of speech within which the turn ends, or speech goes on; else the client is told of its end.
TURN_FOLLOWS = 2.0
#: Items of which it is remembered what was told.
MOST = 256
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


class _Words(msgspec.Struct):
    """What was told of the words of an item."""

    shown: str = ""
    #: What waits for the item to be told: the text so far, and the event that ends it.
    partial: str = ""
    last: ev.TranscriptCompleted | ev.TranscriptFailed | None = None


class Told:
    """Turns the engine's events about the user into the server's, in OpenAI's order, each once.

    `position_ms()` is how much audio the client has sent.
    """

    def __init__(self, session: RealtimeSession, position_ms: Callable[[], float]) -> None:
        self._session = session
        self._position_ms = position_ms
        #: Added to the provider's positions: its connection may have begun later, or have heard something again.
        self.offset_ms = 0.0
        #: Where the gateway's own ear has heard what the engine is about to tell.
        self.own_ms: float | None = None
        self._speaking: str | None = None
        self._started_ms = 0.0
        self._ended_ms: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._known = Recent(MOST)
        self._committed = Recent(MOST)
        #: Those that the client gave as items: no buffer was committed.
        self._given = Recent(MOST)
        self._words: dict[str, _Words] = {}
        self._rules: dict[type, Callable[[Any], None]] = {
            ev.VadSpeechStarted: self._speech_started,
            ev.VadSpeechEnded: self._speech_ended,
            ev.TurnDetected: self._turn,
            ev.TranscriptPartial: self._partial,
            ev.TranscriptCompleted: self._transcript,
            ev.TranscriptFailed: self._transcript,
            ev.RawEvent: self._raw,
            ev.ProviderSwitched: self._other_connection,
            ev.ConnectionRestored: self._other_connection,
        }

    def on_event(self, event: ev.ProviderEvent) -> None:
        """An event of the engine, of any type."""
        rule = self._rules.get(type(event))
        if rule is not None:
            rule(event)

    def given(self, item_id: str) -> None:
        """The client gives the turn that follows as an item of this id."""
        self._given.add(item_id)

    def close(self) -> None:
        """The client is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- speech

    def _at(self, audio_ms: float | None, at_least: float = 0.0) -> int:
        """Where in the client's audio that is."""
        now = self._position_ms()
        at = self.own_ms
        if at is None:
            at = now if audio_ms is None else audio_ms + self.offset_ms
        return round(max(at_least, min(at, now), 0.0))

    def _speech_started(self, event: ev.VadSpeechStarted) -> None:
        item_id = self._user_id(event.item_id)
        self.close()
        self._ended_ms = None
        if item_id is None or item_id == self._speaking:
            return  # the turn goes on after a pause
        if self._session.input.plan.held and item_id in self._committed:
            return  # the provider hears now what the client has committed
        self._stopped()
        self._speaking = item_id
        self._known.add(item_id)
        self._started_ms = self._at(event.audio_ms)
        self._session.send(
            {
                "type": "input_audio_buffer.speech_started",
                "audio_start_ms": self._started_ms,
                "item_id": item_id,
            }
        )
        self._flush_words(item_id)

    def _speech_ended(self, event: ev.VadSpeechEnded) -> None:
        if self._speaking is None:
            return
        self._ended_ms = self._at(event.audio_ms, self._started_ms)
        if self._speaking in self._committed:
            self._stopped()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TURN_FOLLOWS, self._stopped)

    def _stopped(self) -> None:
        """Tell that speech has ended, if it was told that it began."""
        self.close()
        item_id, self._speaking = self._speaking, None
        if item_id is None:
            return
        ended = self._at(None, self._started_ms) if self._ended_ms is None else self._ended_ms
        self._ended_ms = None
        self._session.send(
            {
                "type": "input_audio_buffer.speech_stopped",
                "audio_end_ms": ended,
                "item_id": item_id,
            }
        )

    def _turn(self, event: ev.TurnDetected) -> None:
        item_id = self._user_id(event.item_id)
        if item_id is None or item_id in self._committed:
            return
        self._stopped()
        self._known.add(item_id)
        self._committed.add(item_id)
        self._session.input.turn_made()
        if item_id not in self._given:
            self._session.send(
                {
                    "type": "input_audio_buffer.committed",
                    "previous_item_id": self._session.output.items.before(item_id),
                    "item_id": item_id,
                },
                stored=True,
            )
        self._session.output.items.tell_user(item_id)
        self._flush_words(item_id)

    def _raw(self, event: ev.RawEvent) -> None:
        """The provider itself has noticed that nobody speaks."""
        if event.name != "input_audio_buffer.timeout_triggered":
            return
        payload: dict[str, Any] = event.payload
        start = self._at(payload.get("audio_start_ms"))
        self._session.send(
            {
                "type": event.name,
                "audio_start_ms": start,
                "audio_end_ms": self._at(payload.get("audio_end_ms"), start),
                "item_id": str(payload.get("item_id")),
            }
        )

    def _other_connection(self, event: Any) -> None:
        """It counts from its own beginning: that of the audio which is sent to it again, or of now."""
        self.offset_ms = max(0.0, self._position_ms() - event.audio_ms)

    # -- words

    def _partial(self, event: ev.TranscriptPartial) -> None:
        item_id = self._user_id(event.item_id)
        if item_id is not None:
            self._words_of(item_id).partial = event.text
            self._flush_words(item_id)

    def _transcript(self, event: ev.TranscriptCompleted | ev.TranscriptFailed) -> None:
        item_id = self._user_id(event.item_id)
        if item_id is not None:
            self._words_of(item_id).last = event
            self._flush_words(item_id)

    def _words_of(self, item_id: str) -> _Words:
        words = self._words.get(item_id)
        if words is None:
            words = self._words[item_id] = _Words()
            if len(self._words) > MOST:
                del self._words[next(iter(self._words))]
        return words

    def _flush_words(self, item_id: str) -> None:
        """Tell what there is to tell, if the client wants transcripts and knows of the item."""
        words = self._words.get(item_id)
        if words is None or item_id not in self._known:
            return
        wanted = self._session.settings.transcription is not None
        head = {"item_id": item_id, "content_index": 0}
        # Deltas can only be appended: of words that were taken back, nothing more is told until the whole.
        if words.partial.startswith(words.shown) and words.partial != words.shown and wanted:
            delta = words.partial[len(words.shown) :]
            self._session.send({"type": f"{_TRANSCRIPTION}.delta", **head, "delta": delta})
            words.shown = words.partial
        last = words.last
        if last is None or item_id not in self._committed:
            return
        del self._words[item_id]
        if not wanted:
            return
        if isinstance(last, ev.TranscriptFailed):
            error = {
                "type": "transcription_error",
                "code": "audio_unintelligible",
                "message": last.error or "The audio could not be transcribed.",
                "param": None,
            }
            self._session.send({"type": f"{_TRANSCRIPTION}.failed", **head, "error": error})
            return
        usage = {"type": "duration", "seconds": round(self._seconds(item_id), 3)}
        self._session.send(
            {
                "type": f"{_TRANSCRIPTION}.completed",
                **head,
                "transcript": last.text,
                "usage": usage,
            }
        )

    # -- the log

    @property
    def _log(self) -> list[Item]:
        return list(self._session.call.engine.conversation.items)

    def _user_id(self, item_id: str | None) -> str | None:
        """The item that an event is about; of one that names none, the user's last."""
        if item_id is not None:
            return item_id
        return next((i.id for i in reversed(self._log) if i.role == "user"), None)

    def _seconds(self, item_id: str) -> float:
        item = self._session.call.engine.conversation.get(item_id)
        return item.audio_ms / 1000 if item is not None else 0.0
