"""Turns and responses, for a model that has neither.

The Live API sends pieces of what the user says and pieces of what the model says, each with its place on the session's
time line, and the model's audio without one. Nothing says where a turn or an answer ends. Here is how they are told
apart:

- A response begins with the first word or the first audible audio of the model. That also ends the user's turn.
- It ends when nothing of it has been audible for `RESPONSE_PAUSE_S` after its audio has been played; or at once, when
  the user speaks while the model has fallen silent. Whether the model was interrupted is not known: it stops by itself.
- The user's words are complete when a response begins, or after `USER_PAUSE_S` without another piece. Pieces that come
  later, but belong before the answer on the time line, complete the turn anew.

Silence that the model sends between two responses is not handed on. All methods take `now`, the loop's time in seconds,
and return events in order; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import AUDIBLE, peak
from voxengine.events import ProviderEvent
from voxengine.providers.turns import BaseTurns, Response

__all__ = ["RESPONSE_PAUSE_S", "USER_PAUSE_S", "Turns"]

#: A pause of the user's that ends a turn: twice the silence that OpenAI's server VAD waits for by default, because the
#: pieces of a transcript come at the pace of the recognition, not of the speech.
USER_PAUSE_S = 1.0
#: A pause of the model's that ends a response: longer than between two sentences.
RESPONSE_PAUSE_S = 1.0
#: Silence of the model after which words of the user begin another exchange.
_YIELDED_S = 0.3


class _Said(msgspec.Struct):
    """What the user says in one turn."""

    id: str
    text: str = ""
    end_ms: float = 0.0
    at: float = 0.0
    answered: bool = False


class _Response(Response):
    """What the model says in one go."""

    #: When its audio has been played, and when what was audible of it has.
    played: float
    audible: float
    #: Where it begins on the session's time line, once that is known.
    origin_ms: float | None = None
    spoken_over: bool = False


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        format: the format of the model's audio.
        transcripts, partials: whether the user's words are wanted, finally and while they are said.
    """

    def __init__(
        self,
        meta: Callable[[], dict[str, Any]],
        format: AudioFormat,
        *,
        transcripts: bool = True,
        partials: bool = True,
    ) -> None:
        super().__init__(meta, "live")
        self.transcripts = transcripts
        self.partials = partials
        self._format = format
        #: What the user is saying, what was said before, and where on the time line the answer to that began.
        self._user: _Said | None = None
        self._before: _Said | None = None
        self._answer_ms: float | None = None

    @property
    def last_words(self) -> str:
        """What the user said last."""
        said = self._user or self._before
        return said.text.strip() if said is not None else ""

    @property
    def deadline(self) -> float | None:
        """When `tick` has something to do, if nothing comes before."""
        times = []
        if self._user is not None:
            times.append(self._user.at + USER_PAUSE_S)
        if self._response is not None:
            times.append(self._response.audible + RESPONSE_PAUSE_S)
        return min(times, default=None)

    # -- what comes

    def heard(self, text: str, start_ms: float, end_ms: float, now: float) -> list[ProviderEvent]:
        """A piece of what the user says."""
        if not text:
            return []
        events: list[ProviderEvent] = []
        if self._user is None and self._is_late(start_ms):
            assert self._before is not None
            self._before.text += text
            self._before.end_ms = max(end_ms, self._before.end_ms)
            return self._completed(self._before)
        response = self._response
        if response is not None:
            if now >= response.played + _YIELDED_S:
                events += self._end()
            else:
                response.spoken_over = True
        if self._user is None:
            self._user = _Said(self._new_id("user"))
            self._answer_ms = None
        self._user.text += text
        self._user.end_ms, self._user.at = end_ms, now
        if self.transcripts and self.partials and self._user.text.strip():
            words = self._user.text
            events.append(ev.TranscriptPartial(text=words, item_id=self._user.id, **self._meta()))
        return events

    def spoke(self, text: str, start_ms: float, end_ms: float, now: float) -> list[ProviderEvent]:
        """A piece of what the model says."""
        if not text:
            return []
        events, response = self._speaking(now)
        response.audible = max(response.audible, now)
        if response.origin_ms is None:
            response.origin_ms = start_ms
            self._answer_ms = start_ms
        begin = max(0.0, start_ms - response.origin_ms)
        end = max(begin, end_ms - response.origin_ms)
        events.append(self._piece(response, text, begin, end))
        return events

    def audio(self, audio: bytes, now: float) -> list[ProviderEvent]:
        """A piece of the model's audio, whole samples."""
        audible = peak(audio, self._format) > AUDIBLE
        events: list[ProviderEvent] = []
        response = self._response
        if audible:
            events, response = self._speaking(now)
        elif response is None:
            return events
        response.played = max(response.played, now) + self._format.duration_ms(len(audio)) / 1000
        if audible:
            response.audible = response.played
        format = self._format
        events.append(self._chunk(audio, response, format))
        return events

    def delegated(self, name: str, call_id: str, arguments: str, now: float) -> list[ProviderEvent]:
        """The model hands a task over."""
        events, response = self._speaking(now)
        response.audible = max(response.audible, now)
        events.append(self._called(call_id, name, arguments, response))
        return events

    def tick(self, now: float) -> list[ProviderEvent]:
        """What has ended by now."""
        events: list[ProviderEvent] = []
        if self._user is not None and now >= self._user.at + USER_PAUSE_S:
            events += self._close_user()
        if self._response is not None and now >= self._response.audible + RESPONSE_PAUSE_S:
            events += self._end()
        return events

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response, self._response, self._user = self._response, None, None
        return response.id if response is not None else None

    # -- inside

    def _is_late(self, start_ms: float) -> bool:
        """Whether words belong to the turn that is complete already."""
        before = self._before
        if before is None or start_ms - before.end_ms >= USER_PAUSE_S * 1000:
            return False
        return self._answer_ms is None or start_ms < self._answer_ms

    def _speaking(self, now: float) -> tuple[list[ProviderEvent], _Response]:
        """The response under way, begun if there is none."""
        events: list[ProviderEvent] = []
        response = self._response
        if response is not None and response.spoken_over and now >= response.played + _YIELDED_S:
            # It had fallen silent after the user spoke: this is the answer to that.
            events += self._end()
            response = None
        if response is None:
            events += self._close_user(answered=True)
            response = _Response(self._new_id("response"), self._new_id("item"), now, now)
            self._response = response
            events.append(ev.ResponseStarted(response_id=response.id, **self._meta()))
        return events, response

    def _close_user(self, *, answered: bool = False) -> list[ProviderEvent]:
        """The user's words are complete; if the model has taken its turn, so is the user's."""
        said, self._user = self._user or self._before, None
        if said is None:
            return []
        events: list[ProviderEvent] = []
        if answered and not said.answered:
            said.answered = True
            events.append(ev.TurnDetected(item_id=said.id, **self._meta()))
        if said is not self._before:
            self._before = said
            events += self._completed(said)
        return events

    def _completed(self, said: _Said) -> list[ProviderEvent]:
        if not self.transcripts:
            return []
        words = said.text.strip()
        return [ev.TranscriptCompleted(text=words, item_id=said.id, **self._meta())]

    def _end(self) -> list[ProviderEvent]:
        response_id = self._forget_response()
        return [ev.ResponseCompleted(response_id=response_id, **self._meta())]

    def _forget_response(self) -> str | None:
        """The response under way has ended; returns its id."""
        response, self._response = self._response, None
        return response.id if response is not None else None
