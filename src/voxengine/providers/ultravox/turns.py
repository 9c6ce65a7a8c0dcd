"""Ultravox's messages as turns and responses.

The server tells of its state (listening, thinking, speaking), of transcripts piece by piece under an ordinal, of tools,
and that what is buffered is to be thrown away: that is how it tells of an interruption. What it lacks is made up for
here:

- A response begins with the first word or the first audible audio of the agent. It ends when the server listens again,
  when it begins to think about something else, with the call of a tool, or with an interruption.
- A turn of the user is over when the server begins to think after it has heard the user; at the latest with the
  transcript, which may come after the answer has begun.
- Speech is told when the server's voice detection tells of it. While the agent is answering, that may be a mere nod:
  then it is told when the server has stopped.
- What still comes of a response that was interrupted is let go.

Nothing here does I/O; the methods return events in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import AUDIBLE, peak
from voxengine.events import ProviderEvent
from voxengine.providers.turns import BaseTurns, SpacedResponse

__all__ = ["Turns"]

#: Turns whose transcript is awaited. The oldest is forgotten: there will be none.
_MAX_UNWRITTEN = 8


class _Said(msgspec.Struct):
    """What the user says. `told`: that the user speaks; `spoke`: that there was speech at all."""

    id: str
    told: bool = False
    spoke: bool = False
    text: str = ""


class _Response(SpacedResponse):
    """What the agent says."""

    #: What was told of each utterance, by its ordinal.
    texts: dict[int, str] = msgspec.field(default_factory=dict)
    output: bool = False


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        format: the format of the agent's audio.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]], format: AudioFormat) -> None:
        super().__init__(meta, "ultravox")
        self._format = format
        #: The turn that is under way, and those whose words are to come.
        self._user: _Said | None = None
        self._unwritten: list[_Said] = []
        #: The agent was interrupted and has not begun anew: what comes is of what was called off. The last ordinal of
        #: that, and whether it was we who interrupted.
        self._called_off = False
        self._dead_ordinal = -1
        self._ours = False

    # -- the user

    def speech_started(self, sent_ms: float) -> list[ProviderEvent]:
        """The server hears somebody."""
        said = self._hear()
        said.spoke = True
        return [] if self._response is not None else self._speech(said, sent_ms)

    def speech_stopped(self, sent_ms: float) -> list[ProviderEvent]:
        """The server hears nobody any more."""
        return self._silence(sent_ms)

    def user_words(
        self, text: str | None, delta: str | None, final: bool, sent_ms: float
    ) -> list[ProviderEvent]:
        """Words that the user has spoken."""
        late = bool(self._unwritten)
        said = self._unwritten[0] if late else self._hear()
        before = said.text
        said.text = text if text is not None else said.text + (delta or "")
        if not final:
            grows = self.partials and self.transcripts and said.text.startswith(before)
            if not grows or not said.text.strip():
                return []
            words = said.text.strip()
            return [ev.TranscriptPartial(text=words, item_id=said.id, **self._meta())]
        events = [] if late else self._turn_over(sent_ms)
        if said in self._unwritten:
            self._unwritten.remove(said)
        if self.transcripts:
            words = said.text.strip()
            events.append(ev.TranscriptCompleted(text=words, item_id=said.id, **self._meta()))
        return events

    def cleared(self, sent_ms: float) -> list[ProviderEvent]:
        """What is buffered is not to be heard: the server was interrupted."""
        ours, self._ours = self._ours, False
        events = self._cancel("turn_detected")
        if ours:
            return events
        # First that the user speaks: it is the reason of the rest.
        return [*self._speech(self._hear(), sent_ms), *events]

    def _hear(self) -> _Said:
        """What the user is saying, begun if nothing is."""
        if self._user is None:
            self._user = _Said(self._new_id("user"))
        return self._user

    def _speech(self, said: _Said, sent_ms: float) -> list[ProviderEvent]:
        said.spoke = True
        if said.told:
            return []
        said.told = True
        if not self.vad_events:
            return []
        return [ev.VadSpeechStarted(item_id=said.id, audio_ms=sent_ms, **self._meta())]

    def _silence(self, sent_ms: float) -> list[ProviderEvent]:
        said = self._user
        if said is None or not said.told:
            return []
        said.told = False
        if not self.vad_events:
            return []
        return [ev.VadSpeechEnded(item_id=said.id, audio_ms=sent_ms, **self._meta())]

    def _turn_over(self, sent_ms: float) -> list[ProviderEvent]:
        """The turn under way is over."""
        said = self._user
        assert said is not None
        events = [
            *self._silence(sent_ms),
            ev.TurnDetected(item_id=said.id, audio_ms=sent_ms, **self._meta()),
        ]
        self._user = None
        self._unwritten = [*self._unwritten, said][-_MAX_UNWRITTEN:]
        return events

    # -- the agent

    def state(self, state: str, sent_ms: float) -> list[ProviderEvent]:
        """The server is in another state."""
        if state in ("thinking", "speaking"):
            self._called_off = self._ours = False
        if state == "thinking":
            over = self._end() if self._response is not None and self._response.output else []
            heard = self._user is not None and self._user.spoke
            return [*over, *(self._turn_over(sent_ms) if heard else [])]
        return self._end() if state in ("listening", "idle") else []

    def agent_words(self, text: str | None, delta: str | None, ordinal: int) -> list[ProviderEvent]:
        """Words of the agent; `text` is all of an utterance so far, `delta` what is new of it."""
        if ordinal <= self._dead_ordinal:
            return []
        self._called_off = False
        known = self._response.texts.get(ordinal, "") if self._response is not None else ""
        if delta is None and text is not None:
            # Where what was told is not what is told now, nothing can be taken back.
            delta = text[len(known) :] if text.startswith(known) else ""
        if not delta:
            return []
        events, response = self._speaking()
        first = ordinal not in response.texts
        response.texts[ordinal] = known + delta
        if not first:
            response.ends_blank = True  # an utterance has its own blanks
        response.output = True
        events.append(self._piece(response, response.spaced(delta)))
        return events

    def audio(self, audio: bytes) -> list[ProviderEvent]:
        """Audio of the agent, whole samples."""
        if self._called_off:
            return []
        if self._response is None and peak(audio, self._format) <= AUDIBLE:
            return []  # silence that fills the line
        events, response = self._speaking()
        response.output = True
        return events + self._chunks(audio, response, self._format)

    def tool_call(self, call_id: str, name: str, arguments: str) -> list[ProviderEvent]:
        """The agent wants the result of a tool, and says no more until it has that."""
        events, response = self._speaking()
        events.append(self._called(call_id, name, arguments, response))
        return events + self._end()

    def texted(self) -> None:
        """We put in words of the user, which interrupt what is being said."""
        self._ours = True

    def interrupt(self) -> list[ProviderEvent]:
        """We have told the server to stop."""
        self._ours = True
        return self._cancel("client_cancelled")

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        self._user = None
        return super().forget()

    def _speaking(self) -> tuple[list[ProviderEvent], _Response]:
        """The response under way, begun if there is none."""
        if self._response is not None:
            return [], self._response
        response = self._response = _Response(self._new_id("response"), self._new_id("item"))
        return [ev.ResponseStarted(response_id=response.id, **self._meta())], response

    def _end(self) -> list[ProviderEvent]:
        response, self._response = self._response, None
        if response is None:
            return []
        return [ev.ResponseCompleted(response_id=response.id, **self._meta())]

    def _cancel(self, reason: str) -> list[ProviderEvent]:
        response, self._response = self._response, None
        self._called_off = True
        if response is None:
            return []
        self._dead_ordinal = max([self._dead_ordinal, *response.texts])
        return [
            ev.ResponseCancelled(response_id=response.id, reason=reason, **self._meta()),
        ]
