"""An agent's messages as turns and responses.

The agent tells what the user says while it is said (tentative transcripts) and when the turn is over (a final one). Of
what it says itself the whole text comes with the first piece of audio, and with each piece the places of the characters
in it. What it lacks is made up for here:

- A response begins with the first thing that comes of it. Its end nobody tells: it is where the last word of the text
  has been spoken, or a call of a tool waits for its result, or the next answer begins; where no places of characters
  come, when all has been played and nothing follows.
- Speech of the user is told when a word of it is understood. While the agent is speaking, a word may be a mere nod:
  then speech is told when the agent says that it was interrupted.
- What was heard of an answer that was cut short comes as its corrected text, without a time: the time is that of the
  interruption, by the audio that can have been played until then.

Nothing here does I/O; the methods return events in order. Times (`now`) are seconds of any clock.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.cascade.cues import Cues
from voxengine.providers.cascade.partials import StablePrefix
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.providers.cascade.wording import Word
from voxengine.providers.elevenlabs.alignment import words_in
from voxengine.providers.elevenlabs.codec import Alignment
from voxengine.providers.turns import BaseTurns, Response

__all__ = ["Turns"]

#: Audio of an answer that may come without the place of any character before it is taken for one that has none.
_PATIENCE_MS = 500.0
#: Seconds after which an answer has ended: after its last word, as more audio of that may come; after a call, as more
#: of those may; after all was played; after its text, where no audio comes.
_AFTER_WORDS = 0.5
_AFTER_CALL = 0.05
_AFTER_AUDIO = 1.0
_AFTER_TEXT = 5.0
#: And where words are wanting that the vendor would have placed: then it has come to a standstill, which shows by an
#: answer that has no end.
_STANDSTILL = 15.0
#: The part of a text's letters that were spoken at least when all of it was: numbers and signs are said in other words.
_MOST_OF_IT = 0.8
#: What is between two words of a text goes with the word behind it.
_WORD = re.compile(r"\s*\S+|\s+\Z")
#: A transcript of nothing: the user has been silent for so long that the agent speaks again.
_SILENCE = " .…"


class _Said(msgspec.Struct):
    """What the user is saying. `told`: that somebody speaks; `heard_at`: when the last word was understood."""

    id: str
    words: StablePrefix
    told: bool = False
    heard_at: float | None = None


class _Response(Response):
    """What the agent is saying."""

    begun: float
    #: When the last of it came.
    last: float
    text: str = ""
    cues: Cues = msgspec.field(default_factory=Cues)
    #: Words that were spoken before the text came.
    early: list[SpokenWord] = msgspec.field(default_factory=list)
    audio_ms: float = 0.0
    #: Whether places of characters come; None as long as that is not known.
    timed: bool | None = None
    #: Letters that were spoken.
    letters: int = 0
    called: bool = False

    @property
    def is_said(self) -> bool:
        """Whether the last word of its text was spoken, as far as that is told."""
        told = bool(self.text) and self.timed is not False
        return told and not self.cues.with_letters(self.cues.said)

    @property
    def is_wanting(self) -> bool:
        """Whether it is certain that more of it will be spoken."""
        return bool(self.timed) and self.letters < _MOST_OF_IT * len(_letters(self.text))


class _Playing(msgspec.Struct):
    """The last thing that was heard of the agent, as far as that is known here. `until`: when all of it is played."""

    item_id: str
    response_id: str
    until: float
    audio_ms: float = 0.0
    #: How much of it was heard, once it was cut short.
    cut_ms: float | None = None


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.

    Attributes:
        output: the format of what the agent says.
        speaks: whether it does; an agent that writes has ended its answer with the text.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]]) -> None:
        super().__init__(meta, "elevenlabs")
        self.output = AudioFormat("pcm16", 16000)
        self.speaks = True
        self._user: _Said | None = None
        self._playing: _Playing | None = None
        #: Audio up to this number is void.
        self._void = -1
        #: The application has put words of the user since the last answer began.
        self._texted = False

    # -- the user

    def tentative(self, text: str, now: float) -> list[ProviderEvent]:
        """What the user has said so far in this turn."""
        if not text.strip(_SILENCE):
            return []
        said = self._hear()
        said.heard_at = now
        events = [] if self._is_speaking(now) else self._speech(said)
        shown = said.words.update(text)
        if shown is not None and self.transcripts and self.partials:
            events.append(ev.TranscriptPartial(text=shown, item_id=said.id, **self._meta()))
        return events

    def final(self, text: str, now: float) -> list[ProviderEvent]:
        """The user's turn is over."""
        silent = not text.strip(_SILENCE)
        if silent and self._user is None:
            return []
        said = self._hear()
        events = [] if silent or self._is_speaking(now) else self._speech(said)
        self._user = None
        if said.told and self.vad_events:
            lag_ms = 0.0 if said.heard_at is None else (now - said.heard_at) * 1000
            events.append(ev.VadSpeechEnded(item_id=said.id, lag_ms=lag_ms, **self._meta()))
        events.append(ev.TurnDetected(item_id=said.id, **self._meta()))
        if self.transcripts:
            words = "" if silent else text.strip()
            events += self._rest_of(said, words)
            events.append(ev.TranscriptCompleted(text=words, item_id=said.id, **self._meta()))
        return events

    def _rest_of(self, said: _Said, text: str) -> list[ProviderEvent]:
        """The words that were not shown while they were said: they were not certain enough."""
        shown = said.words.shown
        if not (self.partials and shown and text.startswith(shown) and text != shown):
            return []
        return [ev.TranscriptPartial(text=text, item_id=said.id, **self._meta())]

    def texted(self) -> None:
        """The application puts words into the conversation, which are answered."""
        self._texted = True

    def interrupted(self, event_id: int, now: float) -> list[ProviderEvent]:
        """The agent has stopped, because the user speaks, or because of what the application has put in."""
        self._void = max(self._void, event_id)
        self._cut(now)
        by_text = self._texted and self._user is None
        events: list[ProviderEvent] = []
        response, self._response = self._response, None
        if response is not None:
            events.append(
                ev.ResponseCancelled(
                    response_id=response.id, reason="turn_detected", **self._meta()
                )
            )
        # First that the user speaks: it is the reason of the rest.
        return events if by_text else [*self._speech(self._hear()), *events]

    def corrected(self, original: str, corrected: str, now: float) -> list[ProviderEvent]:
        """What was heard of the answer that was cut short last."""
        self._cut(now)
        playing = self._playing
        if playing is None or playing.cut_ms is None:
            return []
        return [
            ev.ConversationInterrupted(
                item_id=playing.item_id,
                response_id=playing.response_id,
                heard_ms=playing.cut_ms,
                heard_text=_heard(original.strip(), corrected.strip()),
                **self._meta(),
            )
        ]

    def _hear(self) -> _Said:
        """What the user is saying, begun if nothing is."""
        if self._user is None:
            self._user = _Said(self._new_id("user"), StablePrefix())
        return self._user

    def _speech(self, said: _Said) -> list[ProviderEvent]:
        """The user speaks; told once."""
        if said.told:
            return []
        said.told = True
        if not self.vad_events:
            return []
        return [ev.VadSpeechStarted(item_id=said.id, **self._meta())]

    def _is_speaking(self, now: float) -> bool:
        """Whether the agent is, as far as the listener can tell."""
        playing = self._playing
        return self._response is not None or (playing is not None and playing.until > now)

    # -- the agent

    def said(self, text: str, now: float) -> list[ProviderEvent]:
        """The whole text of an answer."""
        if not text.strip():
            return []
        open_one = self._response
        events: list[ProviderEvent] = []
        if open_one is not None and (open_one.text or (open_one.called and not open_one.audio_ms)):
            events += self._complete()
        started, response = self._speaking(now)
        events += started
        response.text, response.last = text.strip(), now
        for found in _WORD.finditer(response.text):
            response.cues.add(Word(found[0], found[0]))
        early, response.early = response.early, []
        events += self._spoken(response, early)
        if not self.speaks:
            events += self._complete()
        elif response.timed is False:
            events += self._rest(response)
        return events

    def audio(
        self, samples: bytes, event_id: int, alignment: Alignment | None, now: float
    ) -> list[ProviderEvent]:
        """A piece of an answer's audio.

        Raises:
            ValueError: its alignment is not in order.
        """
        if event_id <= self._void or not samples:
            return []
        events, response = self._speaking(now)
        response.last = now
        words: list[SpokenWord] = []
        if alignment is not None and alignment.chars:
            response.timed = True
            response.letters += sum(len(_letters(char)) for char in alignment.chars)
            words = words_in(
                alignment.chars,
                alignment.char_start_times_ms,
                alignment.char_durations_ms,
                response.audio_ms,
            )
        events += self._spoken(response, words)
        self._play(response, samples, now)
        events += self._chunks(samples, response, self.output)
        if response.timed is None and response.audio_ms >= _PATIENCE_MS:
            response.timed = False
            events += self._rest(response)
        return events

    def tool_call(self, call_id: str, name: str, arguments: str, now: float) -> list[ProviderEvent]:
        """The agent wants the result of a tool."""
        events, response = self._speaking(now)
        response.called, response.last = True, now
        events.append(self._called(call_id, name, arguments, response))
        return events

    @property
    def deadline(self) -> float | None:
        """When the answer under way has ended if nothing more comes of it; None without one."""
        response = self._response
        if response is None:
            return None
        if response.called and (response.is_said or not response.text):
            return response.last + _AFTER_CALL
        if response.is_said:
            return response.last + _AFTER_WORDS
        if response.audio_ms and self._playing is not None:
            patience = _STANDSTILL if response.is_wanting else _AFTER_AUDIO
            return max(response.last, self._playing.until) + patience
        return response.last + _AFTER_TEXT

    def tick(self, now: float) -> list[ProviderEvent]:
        """End the answer that is due to."""
        due = self.deadline
        return [] if due is None or now < due else self._complete()

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response_id = self.response_id
        self._response = self._user = self._playing = None
        return response_id

    def _speaking(self, now: float) -> tuple[list[ProviderEvent], _Response]:
        """The response under way, begun if there is none."""
        if self._response is not None:
            return [], self._response
        response = _Response(self._new_id("response"), self._new_id("item"), now, now)
        self._response, self._texted = response, False
        return [ev.ResponseStarted(response_id=response.id, **self._meta())], response

    def _spoken(self, response: _Response, words: Iterable[SpokenWord]) -> list[ProviderEvent]:
        """Words are spoken: the text that they stand for."""
        if not response.text:
            response.early += words
            return []
        lines = [response.cues.hear(word) for word in words]
        return [self._piece(response, *line) for line in lines if line is not None]

    def _rest(self, response: _Response) -> list[ProviderEvent]:
        text = response.cues.rest()
        return [self._piece(response, text)] if text else []

    def _complete(self) -> list[ProviderEvent]:
        response = self._response
        assert response is not None
        events = self._rest(response)
        self._response = None
        return [*events, ev.ResponseCompleted(response_id=response.id, **self._meta())]

    def _play(self, response: _Response, samples: bytes, now: float) -> None:
        """Audio begins to be heard when all that came before it has been."""
        lasts_ms = self.output.duration_ms(len(samples))
        playing = self._playing
        if playing is None or playing.item_id != response.item_id:
            begins = now if playing is None else max(now, playing.until)
            playing = self._playing = _Playing(response.item_id, response.id, begins)
        playing.until = max(now, playing.until) + lasts_ms / 1000
        response.audio_ms += lasts_ms
        playing.audio_ms = response.audio_ms

    def _cut(self, now: float) -> None:
        playing = self._playing
        if playing is not None and playing.cut_ms is None and playing.until > now:
            playing.cut_ms = max(0.0, playing.audio_ms - (playing.until - now) * 1000)
            playing.until = now


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def _heard(original: str, corrected: str) -> str:
    """The corrected text, without the dots by which the vendor may mark the cut."""
    bare = corrected.rstrip(".… ")
    if original.startswith(corrected) or not original.startswith(bare):
        return corrected
    return bare
