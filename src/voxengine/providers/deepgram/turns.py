"""The Voice Agent's messages as turns and responses.

The agent tells that the user began to speak, what was said when the turn is over, what it says itself sentence by
sentence, and that all audio of an answer was sent. What it lacks is made up for here:

- A response begins with the first words or the first audio of the agent. It ends when its audio is done, with the
  call of a tool before anything was said, or when the user speaks or writes.
- The end of the user's speech is told together with the end of the turn: nothing tells of it earlier.
- The server repeats what the application put in as words of the user; that is no turn.
- Audio that still comes of a response that was cut short is let go.

Nothing here does I/O; the methods return events in order.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.deepgram.codec import Function
from voxengine.providers.turns import BaseTurns, SpacedResponse

__all__ = ["Turns"]

#: Texts that were put in and not repeated yet. The oldest is forgotten.
_MAX_TEXTS = 64


class _Response(SpacedResponse):
    """What the agent is saying."""

    has_words: bool = False
    #: Tools were called: what comes after their results is another response.
    called: bool = False


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        format: the format of the agent's audio.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]], format: AudioFormat) -> None:
        super().__init__(meta, "deepgram")
        self._format = format
        #: The user's item while the user speaks.
        self._speaking: str | None = None
        self._texts: deque[str] = deque(maxlen=_MAX_TEXTS)
        #: A response was cut short, and nothing of another has come: audio is of the one that was cut.
        self._muted = False
        self._rest = b""

    @property
    def user_speaks(self) -> bool:
        """Whether the user is speaking."""
        return self._speaking is not None

    # -- the user

    def speech_started(self, sent_ms: float) -> list[ProviderEvent]:
        """The user speaks: the agent has stopped. `sent_ms`: how much audio the vendor has by now."""
        events: list[ProviderEvent] = []
        if self._speaking is None:
            self._speaking = self._new_id("user")
            if self.vad_events:
                events.append(
                    ev.VadSpeechStarted(item_id=self._speaking, audio_ms=sent_ms, **self._meta())
                )
        return [*events, *self._cut()]

    def user_words(
        self, text: str, sent_ms: float, language: str | None = None
    ) -> list[ProviderEvent]:
        """Words of the user: a turn, or what the application has put in."""
        text = text.strip()
        if self._speaking is None and text in self._texts:
            self._texts.remove(text)
            return self._cut()
        events = self._cut()
        self._muted = bool(events)
        item_id = self._speaking or self._new_id("user")
        events += self._silence(sent_ms)
        events.append(ev.TurnDetected(item_id=item_id, audio_ms=sent_ms, **self._meta()))
        if self.transcripts:
            events.append(
                ev.TranscriptCompleted(
                    text=text, item_id=item_id, language=language, **self._meta()
                )
            )
        return events

    def texted(self, text: str) -> None:
        """The application puts words of the user into the conversation, which are answered."""
        self._texts.append(text.strip())

    def _silence(self, sent_ms: float) -> list[ProviderEvent]:
        """The user speaks no more."""
        item_id, self._speaking = self._speaking, None
        if item_id is None or not self.vad_events:
            return []
        return [ev.VadSpeechEnded(item_id=item_id, audio_ms=sent_ms, **self._meta())]

    # -- the agent

    def begins(self) -> None:
        """The agent says that it begins to speak."""
        self._muted = False

    def agent_words(self, text: str, sent_ms: float) -> list[ProviderEvent]:
        """A sentence of the agent."""
        if not text.strip():
            return []
        self._muted = False
        events, response = self._begun(sent_ms)
        response.has_words = True
        # Between two sentences there is a blank, which neither has.
        events.append(self._piece(response, response.spaced(text)))
        return events

    def audio(self, payload: bytes, sent_ms: float) -> list[ProviderEvent]:
        """Audio of the agent: any number of bytes. A sample that is cut in two waits for the next piece."""
        if self._muted:
            return []
        audio = self._rest + payload
        cut = len(audio) - len(audio) % self._format.bytes_per_frame
        self._rest, audio = audio[cut:], audio[:cut]
        if not audio:
            return []
        events, response = self._begun(sent_ms)
        return events + self._chunks(audio, response, self._format)

    def tools(self, functions: Sequence[Function], sent_ms: float) -> list[ProviderEvent]:
        """The agent wants the results of tools. What it has begun to say goes on meanwhile."""
        self._muted = False
        events, response = self._begun(sent_ms)
        for function in functions:
            called = function.id, function.name, function.arguments
            events.append(self._called(*called, response))
        response.called = True
        return events if response.has_words else events + self.audio_done()

    def returned(self) -> list[ProviderEvent]:
        """The result of a tool is sent: what is said from here on is another response."""
        called = self._response is not None and self._response.called
        return self.audio_done() if called else []

    def audio_done(self) -> list[ProviderEvent]:
        """All audio of the response was sent."""
        response, self._response, self._rest = self._response, None, b""
        if response is None:
            return []  # of one that was cut short
        return [ev.ResponseCompleted(response_id=response.id, **self._meta())]

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        self._speaking = None
        return super().forget()

    def _begun(self, sent_ms: float) -> tuple[list[ProviderEvent], _Response]:
        """The response under way, begun if there is none. Nobody speaks into it, or it would have been cut."""
        if self._response is not None:
            return [], self._response
        response = self._response = _Response(self._new_id("response"), self._new_id("item"))
        return [
            *self._silence(sent_ms),
            ev.ResponseStarted(response_id=response.id, **self._meta()),
        ], response

    def _cut(self) -> list[ProviderEvent]:
        response, self._response, self._rest = self._response, None, b""
        if response is None:
            return []
        self._muted = True
        why = "turn_detected"
        return [ev.ResponseCancelled(response_id=response.id, reason=why, **self._meta())]
