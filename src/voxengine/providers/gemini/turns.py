"""Turns and responses, of which the Live API tells only the ends.

The server sends pieces of what the user says, audio of the model and pieces of its words, in no stated order between
the three, and `turnComplete` when an answer is over (after `interrupted`, if it was cut short). Nothing says where a
turn of the user ends or an answer begins. Here is how they are told apart:

- A response begins with the first audio or the first words of the model, or a call of a tool. Unless it was asked for
  in writing, that also ends the user's turn.
- It ends with `generationComplete`, `turnComplete` or `interrupted`, and with calls of tools: what is said after those
  is another response, so that whoever waits for the end of a response before he gives results can do so. From
  `generationComplete` to `turnComplete` the vendor waits until the answer has been played, and may still interrupt it.
- The user's words are complete when the vendor says so, or when a response begins. Words that come within
  `LATE_S` after that belong to the turn that is being answered, and complete it anew.
- The vendor tells of voice activity on Vertex AI only. Elsewhere the user is taken to speak from the first words of a
  turn, or from `interrupted`, until an answer begins; the last of the words came at its end.
- Of an answer that we have called off nothing more is told, until its `turnComplete`. One that had not begun may end
  without: it is over, too, when nothing of it has come for `MUTE_S`, or when something else is asked for.

The model's thoughts are not told at all. Neither is text beside the audio: what is said is what the transcript says.
All methods take `now`, the loop's time in seconds, and return events in order; nothing here does I/O.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.events import ProviderEvent
from voxengine.providers.gemini import codec

__all__ = ["LATE_S", "MUTE_S", "Turns"]

#: How long after an answer has begun the rest of the transcript of what it answers may come.
LATE_S = 1.5
#: How long the next sign of an answer that was called off may take.
MUTE_S = 2.0
#: Calls, and items of the model, that are remembered; the oldest is forgotten.
_MAX_CALLS = 256
_MAX_ITEMS = 256

#: Reasons of `turnCompleteReason` for which an answer ends as it should, and what is wrong with the others.
_FINE = frozenset({"TURN_COMPLETE_REASON_UNSPECIFIED", "NEED_MORE_INPUT"})


class _Said(msgspec.Struct):
    """What the user says in one turn."""

    id: str
    text: str = ""
    #: The longest that was shown of it, whether it was told as complete, and whether the vendor called it so.
    shown: str = ""
    finished: bool = False
    closed: bool = False
    #: Whether it was told as a turn, and when the answer to it began.
    told: bool = False
    answered_at: float | None = None
    #: Whether he is taken to speak, and when the last words came.
    speaking: bool = False
    heard_at: float | None = None


class _Response(msgspec.Struct):
    """What the model says in one go."""

    id: str
    item_id: str


class Turns:
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        prefix: begins all ids.
        sample_rate: of the model's audio.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]], prefix: str, sample_rate: int) -> None:
        #: Whether the user's words are wanted, finally and while they are said, and the voice activity.
        self.transcripts = True
        self.partials = True
        self.activity = True
        #: Calls that wait for a result, with the names of their tools.
        self.calls: dict[str, str] = {}
        self._meta = meta
        self._prefix = prefix
        self._rate = sample_rate
        self._count = 0
        self._said: _Said | None = None
        self._response: _Response | None = None
        #: The vendor's own turn is under way: something came of it, and its end did not.
        self._under_way = False
        #: All of it was sent: it is being played.
        self._playing = False
        #: Answers that were asked for in writing, and have not begun.
        self._asked = 0
        #: Since when an answer is called off, and whether anything of it has come.
        self._muted: float | None = None
        self._muted_begun = False
        #: `interrupted` has come, and its `turnComplete` has not.
        self._cut = False
        #: The vendor tells of voice activity.
        self._signals = False
        self._items: deque[str] = deque(maxlen=_MAX_ITEMS)

    # -- what is known

    @property
    def response_id(self) -> str | None:
        """The response that is under way."""
        return self._response.id if self._response is not None else None

    @property
    def busy(self) -> bool:
        """Whether the model is giving an answer, or waits for the result of a tool to go on with it."""
        return self._under_way and not self._playing

    @property
    def under_way(self) -> bool:
        """Whether the vendor's own turn is: something came of it, and its `turnComplete` did not."""
        return self._under_way

    @property
    def playing(self) -> bool:
        """Whether the vendor takes it that its answer is being played."""
        return self._under_way and self._playing

    @property
    def due(self) -> bool:
        """Whether an answer is under way or will come."""
        return self.busy or self._asked > 0

    def knows_item(self, item_id: str) -> bool:
        """Whether the model has said this."""
        return item_id in self._items

    # -- what we do

    def asked(self) -> None:
        """An answer is asked for, other than by speech that the vendor finds by itself."""
        if self._muted is not None and not self._muted_begun:
            self._muted = None  # it had not begun, and may never do so: what comes now is wanted
        self._asked += 1

    def committed(self, now: float) -> list[ProviderEvent]:
        """We have declared the end of the user's turn."""
        said = self._said
        if said is None or said.told:
            said = self._said = _Said(self._new_id("user"))
        said.told = True
        self.asked()
        return [
            *self._falls_silent(said, now),
            ev.TurnDetected(item_id=said.id, **self._meta()),
        ]

    def interrupt(self, now: float) -> list[ProviderEvent]:
        """We call off what is under way or was asked for; of that nothing more is told."""
        self._muted, self._muted_begun = now, self._response is not None
        # What we send next need not wait for the vendor to say that it has stopped: it comes there after this.
        self._asked, self._under_way, self._playing = 0, False, False
        return self._cancel("client_cancelled")

    def returned(self, call_id: str) -> str | None:
        """The result of a call is given; the name of its tool, None if there is no such call."""
        name = self.calls.pop(call_id, None)
        if name is not None and not self._under_way:
            self.asked()
        return name

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response_id = self.response_id
        self._response, self._said = None, None
        self._under_way, self._playing, self._cut = False, False, False
        self._asked, self._muted = 0, None
        self.calls.clear()
        return response_id

    # -- what comes

    def audio(self, audio: bytes, now: float) -> list[ProviderEvent]:
        """A piece of the model's voice, whole samples."""
        events: list[ProviderEvent] = []
        response = self._response or self._begin(events, now)
        if response is not None:
            events.append(
                ev.AudioOutputChunk(
                    audio_data=audio,
                    sample_rate=self._rate,
                    item_id=response.item_id,
                    response_id=response.id,
                    **self._meta(),
                )
            )
        return events

    def content(self, content: codec.ServerContent, now: float) -> list[ProviderEvent]:
        """All that is not audio."""
        events: list[ProviderEvent] = []
        for heard, interim in (
            (content.interim_input_transcription, True),
            (content.input_transcription, False),
        ):
            if heard is not None:
                events += self._heard(heard, interim, now)
        spoken = content.output_transcription
        if spoken is not None and spoken.text:
            events += self._spoke(spoken.text, now)
        if content.generation_complete and self._under_way:
            self._playing = True
            events += self._finish(None)
        if content.interrupted:
            events += self._interrupted()
        if content.turn_complete:
            events += self._completed(content.turn_complete_reason, now)
        return events

    def called(self, calls: Sequence[codec.FunctionCall], now: float) -> list[ProviderEvent]:
        """The model calls tools; that is the end of what it says for now."""
        events: list[ProviderEvent] = []
        response = self._response or self._begin(events, now)
        if response is None:
            return events
        for call in calls:
            call_id = call.id or self._new_id("call")
            self.calls[call_id] = call.name
            if len(self.calls) > _MAX_CALLS:
                del self.calls[next(iter(self.calls))]
            events.append(
                ev.FunctionInvoked(
                    call_id=call_id,
                    name=call.name,
                    arguments=bytes(call.args).decode() or "{}",
                    response_id=response.id,
                    **self._meta(),
                )
            )
        self._response = None
        events.append(ev.ResponseCompleted(response_id=response.id, **self._meta()))
        return events

    def uncalled(self, ids: Sequence[str]) -> list[ProviderEvent]:
        """Results of these calls are not wanted any more."""
        return [
            ev.FunctionCancelled(call_id=call_id, name=name, reason="interrupted", **self._meta())
            for call_id in ids
            if (name := self.calls.pop(call_id, None)) is not None
        ]

    def active(self, activity: codec.Activity, sent_ms: float) -> list[ProviderEvent]:
        """The user begins or ends to speak. `sent_ms`: of the user's audio, so much was sent."""
        self._signals = True
        seconds = codec.seconds_of(activity.audio_offset)
        at_ms = None if seconds is None else seconds * 1000
        starts = activity.voice_activity_type == "ACTIVITY_START"
        if starts and (self._said is None or self._said.told):
            self._said = _Said(self._new_id("user"))
        said = self._said
        if said is None or not self.activity:
            return []
        if starts:
            return [ev.VadSpeechStarted(item_id=said.id, audio_ms=at_ms, **self._meta())]
        lag_ms = 0.0 if at_ms is None else max(0.0, sent_ms - at_ms)
        return [ev.VadSpeechEnded(item_id=said.id, audio_ms=at_ms, lag_ms=lag_ms, **self._meta())]

    # -- the user

    def _heard(self, heard: codec.Transcription, interim: bool, now: float) -> list[ProviderEvent]:
        """A piece of what the user says; an interim one is all that may yet change."""
        text = heard.text or ""
        if not text and not heard.finished:
            return []
        said = self._said
        if said is None or self._is_new(said, now):
            if not text.strip():
                return []
            said = self._said = _Said(self._new_id("user"))
        events = self._speaks(said) if text.strip() and said.answered_at is None else []
        said.heard_at = now if text.strip() else said.heard_at
        if interim:
            return events + self._show(said, said.text + text)
        said.text += text
        said.closed = said.closed or bool(heard.finished)
        if said.closed or said.finished or said.answered_at is not None:
            return events + self._complete(said, heard.language_code)
        return events + self._show(said, said.text)

    def _speaks(self, said: _Said) -> list[ProviderEvent]:
        """The user is taken to speak, where the vendor does not tell."""
        if said.speaking or said.told or self._signals:
            return []
        said.speaking = True
        if not self.activity:
            return []
        return [ev.VadSpeechStarted(item_id=said.id, **self._meta())]

    def _falls_silent(self, said: _Said, now: float) -> list[ProviderEvent]:
        """And no longer."""
        if not said.speaking:
            return []
        said.speaking = False
        if not self.activity:
            return []
        lag_ms = 0.0 if said.heard_at is None else (now - said.heard_at) * 1000
        return [ev.VadSpeechEnded(item_id=said.id, lag_ms=lag_ms, **self._meta())]

    def _is_new(self, said: _Said, now: float) -> bool:
        """Whether words that come now are of another turn than this."""
        if said.answered_at is None:
            return False
        over = said.closed or self._cut or not self._under_way
        return over or now > said.answered_at + LATE_S

    def _show(self, said: _Said, text: str) -> list[ProviderEvent]:
        """The words so far, if they go on from those that were shown."""
        words = text.strip()
        wanted = self.transcripts and self.partials and not said.finished
        if not wanted or words == said.shown or not words.startswith(said.shown):
            return []
        said.shown = words
        return [ev.TranscriptPartial(text=words, item_id=said.id, **self._meta())]

    def _complete(self, said: _Said, language: str | None = None) -> list[ProviderEvent]:
        said.finished = True
        if not self.transcripts:
            return []
        words = said.text.strip()
        return [
            ev.TranscriptCompleted(text=words, item_id=said.id, language=language, **self._meta())
        ]

    # -- the model

    def _begin(self, events: list[ProviderEvent], now: float) -> _Response | None:
        """A response, if what comes now is wanted."""
        if self._muted is not None:
            if now < self._muted + MUTE_S:
                self._muted, self._muted_begun, self._under_way = now, True, True
                return None
            self._muted = None
        if not self._under_way:
            self._answer(events, now)
        self._under_way, self._playing, self._cut = True, False, False
        response = _Response(self._new_id("response"), self._new_id("item"))
        self._response = response
        self._items.append(response.item_id)
        events.append(ev.ResponseStarted(response_id=response.id, **self._meta()))
        return response

    def _answer(self, events: list[ProviderEvent], now: float) -> None:
        """An answer begins: to what was asked for in writing, or to what the user has said."""
        said, waiting = self._said, self._said is not None and self._said.answered_at is None
        if self._asked:
            self._asked -= 1
            if not waiting:
                return
        if said is None or not waiting:
            said = self._said = _Said(self._new_id("user"))
        said.answered_at = now
        if not said.told:
            said.told = True
            events += self._falls_silent(said, now)
            events.append(ev.TurnDetected(item_id=said.id, **self._meta()))
        if said.text.strip() and not said.finished:
            events += self._complete(said)

    def _spoke(self, text: str, now: float) -> list[ProviderEvent]:
        events: list[ProviderEvent] = []
        response = self._response or self._begin(events, now)
        if response is not None:
            events.append(
                ev.TextOutput(
                    text=text,
                    is_partial=True,
                    item_id=response.item_id,
                    response_id=response.id,
                    **self._meta(),
                )
            )
        return events

    def _interrupted(self) -> list[ProviderEvent]:
        """What is being said is not said to its end: the user speaks, or something was put into the conversation."""
        self._cut = True
        if self._muted is not None:
            return []
        if self._asked or not self._under_way:
            return self._cancel("client_cancelled")
        said = self._said
        if said is None or said.answered_at is not None:
            said = self._said = _Said(self._new_id("user"))
        return self._speaks(said) + self._cancel("turn_detected")

    def _cancel(self, reason: str) -> list[ProviderEvent]:
        response, self._response = self._response, None
        if response is None:
            return []
        return [ev.ResponseCancelled(response_id=response.id, reason=reason, **self._meta())]

    def _completed(self, reason: str | None, now: float) -> list[ProviderEvent]:
        """The vendor's turn is over."""
        cut, muted = self._cut, self._muted is not None
        events: list[ProviderEvent] = []
        if not (cut or muted or self._under_way) and (self._asked or reason not in (None, *_FINE)):
            self._begin(events, now)  # an answer of no words: whoever waits for it has to know
        self._under_way, self._playing, self._cut = False, False, False
        if muted and (self._muted_begun or cut):
            self._muted = None
        return events + self._finish(reason)

    def _finish(self, reason: str | None) -> list[ProviderEvent]:
        """The response under way has come to its end."""
        response, self._response = self._response, None
        if response is None:
            return []
        fine = reason is None or reason in _FINE
        status, why = ("completed", "") if fine else ("incomplete", str(reason).lower())
        return [
            ev.ResponseCompleted(response_id=response.id, status=status, reason=why, **self._meta())
        ]

    def _new_id(self, kind: str) -> str:
        self._count += 1
        return f"{self._prefix}_{kind}_{self._count}"
