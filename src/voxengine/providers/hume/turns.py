"""EVI's messages as turns and responses.

EVI tells what the user says while it is said (interim messages) and when the turn is over (a final one); what it says
itself comes in segments, each a text and then the audio of it under the same id, and `assistant_end` is the end of all.
What it lacks is made up for here:

- A response begins with the first thing that comes of it, and ends with `assistant_end`, with `user_interruption`, or
  with the call of a tool, after which EVI waits for the result.
- Speech of the user is told when EVI first understands a word of it. While EVI is answering, a word may be a mere nod:
  then speech is told when EVI says that it was interrupted.
- A segment's text is placed where the audio of that segment begins. So what was heard is known to the segment.
- What still comes of a response that has ended is let go.

Nothing here does I/O; the methods return events in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.events import ProviderEvent
from voxengine.providers.cascade.partials import StablePrefix
from voxengine.providers.hume.audio import OUTPUT, WavPieces
from voxengine.providers.turns import BaseTurns, SpacedResponse

__all__ = ["Turns"]


class _Said(msgspec.Struct):
    """What the user is saying. `told`: that somebody speaks."""

    id: str
    words: StablePrefix
    told: bool = False


class _Response(SpacedResponse):
    """What EVI is saying."""

    pieces: WavPieces = msgspec.field(default_factory=WavPieces)
    #: Ids of its segments, and the texts of those whose audio has not begun, in order.
    ids: set[str] = msgspec.field(default_factory=set)
    waiting: dict[str, str] = msgspec.field(default_factory=dict)
    audio_ms: float = 0.0
    #: The application has put words of the user since it began.
    texted: bool = False


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]]) -> None:
        super().__init__(meta, "evi")
        self._user: _Said | None = None
        #: Ids of the segments of the response before.
        self._dead: set[str] = set()
        #: EVI was interrupted, and the user's turn is not over: all that still comes is of what was called off.
        self._called_off = False

    # -- the user

    def interim(self, text: str, begin_ms: float) -> list[ProviderEvent]:
        """What the user has said so far in this turn."""
        if not text.strip():
            return []
        said = self._hear()
        events = self._speech(said, begin_ms) if self._response is None else []
        shown = said.words.update(text)
        if shown is not None and self.transcripts and self.partials:
            events.append(ev.TranscriptPartial(text=shown, item_id=said.id, **self._meta()))
        return events

    def final(
        self,
        text: str,
        begin_ms: float,
        end_ms: float,
        sent_ms: float,
        *,
        language: str | None = None,
        scores: dict[str, float] | None = None,
    ) -> list[ProviderEvent]:
        """The user's turn is over. `sent_ms`: how much audio the vendor has by now."""
        said = self._hear()
        events = self._speech(said, begin_ms) if self._response is None else []
        item_id, self._user, self._called_off = said.id, None, False
        if said.told and self.vad_events:
            lag = max(0.0, sent_ms - end_ms)
            events.append(
                ev.VadSpeechEnded(item_id=item_id, audio_ms=end_ms, lag_ms=lag, **self._meta())
            )
        events.append(ev.TurnDetected(item_id=item_id, audio_ms=end_ms, **self._meta()))
        if scores:
            events.append(ev.EmotionDetected(scores=scores, item_id=item_id, **self._meta()))
        if self.transcripts:
            events += self._rest_of(said, text.strip())
            events.append(
                ev.TranscriptCompleted(
                    text=text.strip(), item_id=item_id, language=language, **self._meta()
                )
            )
        return events

    def _rest_of(self, said: _Said, text: str) -> list[ProviderEvent]:
        """The words that were not shown while they were said: they were not certain enough."""
        shown = said.words.shown
        if not (self.partials and shown and text.startswith(shown) and len(text) > len(shown)):
            return []
        return [ev.TranscriptPartial(text=text, item_id=said.id, **self._meta())]

    def texted(self) -> None:
        """The application puts words into the conversation, which are answered."""
        self._called_off = False
        if self._response is not None:
            self._response.texted = True

    def returned(self) -> None:
        """A tool has returned: EVI goes on with that."""
        self._called_off = False

    def interrupted(self) -> list[ProviderEvent]:
        """EVI has stopped, because the user speaks, or because of what the application has put in."""
        response = self._response
        by_text = response is not None and response.texted and self._user is None
        events: list[ProviderEvent] = []
        if response is not None:
            self._end()
            events.append(
                ev.ResponseCancelled(
                    response_id=response.id, reason="turn_detected", **self._meta()
                )
            )
        if by_text:
            return events
        self._called_off = response is not None
        # First that the user speaks: it is the reason of the rest.
        return [*self._speech(self._hear(), None), *events]

    def _hear(self) -> _Said:
        """What the user is saying, begun if nothing is."""
        if self._user is None:
            self._user = _Said(self._new_id("user"), StablePrefix())
        return self._user

    def _speech(self, said: _Said, begin_ms: float | None) -> list[ProviderEvent]:
        """The user speaks; told once."""
        if said.told:
            return []
        said.told = True
        if not self.vad_events:
            return []
        return [ev.VadSpeechStarted(item_id=said.id, audio_ms=begin_ms, **self._meta())]

    # -- EVI

    def said(self, segment: str | None, text: str) -> list[ProviderEvent]:
        """The text of a segment."""
        if not text or self._is_late(segment):
            return []
        events, response = self._speaking()
        if segment is None or not response.ids:
            events.append(self._text(response, text))
        else:
            response.waiting[segment] = text
        if segment is not None:
            response.ids.add(segment)
        return events

    def audio(self, segment: str, piece: bytes) -> list[ProviderEvent]:
        """Audio of a segment: WAV.

        Raises:
            AudioError: it holds something else than 16-bit PCM.
        """
        if self._is_late(segment):
            return []
        events, response = self._speaking()
        response.ids.add(segment)
        samples = response.pieces.feed(piece)
        if segment in response.waiting:
            # Texts before this one whose audio never came, too.
            for name in [*response.waiting]:
                events.append(self._text(response, response.waiting.pop(name)))
                if name == segment:
                    break
        response.audio_ms += OUTPUT.duration_ms(len(samples))
        return events + self._chunks(samples, response, OUTPUT)

    def tool_call(self, call_id: str, name: str, arguments: str) -> list[ProviderEvent]:
        """EVI wants the result of a tool, and says no more until it has that."""
        if self._called_off:
            return []
        events, response = self._speaking()
        events.append(self._called(call_id, name, arguments, response))
        return events + self.ended(for_now=True)

    def ended(self, *, for_now: bool = False) -> list[ProviderEvent]:
        """EVI has said all that it had to say; `for_now`: audio of a segment that has begun may still come."""
        response = self._response
        self._called_off = False
        if response is None:
            return []  # of a response that was interrupted
        events = [self._text(response, text) for text in response.waiting.values()]
        self._end()
        if for_now:
            self._dead = set()
        return [*events, ev.ResponseCompleted(response_id=response.id, **self._meta())]

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response_id = self.response_id
        self._end()
        self._user = None
        return response_id

    def _is_late(self, segment: str | None) -> bool:
        return self._called_off or segment in self._dead

    def _speaking(self) -> tuple[list[ProviderEvent], _Response]:
        """The response under way, begun if there is none."""
        if self._response is not None:
            return [], self._response
        response = _Response(self._new_id("response"), self._new_id("item"))
        self._response = response
        return [ev.ResponseStarted(response_id=response.id, **self._meta())], response

    def _text(self, response: _Response, text: str) -> ProviderEvent:
        # Segments are sentences: between two of them there is a blank, which neither has.
        return self._piece(response, response.spaced(text), response.audio_ms)

    def _end(self) -> None:
        if self._response is not None:
            self._dead = self._response.ids
            self._response = None
