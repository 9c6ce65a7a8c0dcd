"""The Voice Agent's messages as turns and responses.

The agent tells when the user begins and ends to speak, the words so far, and those of the turn; of itself, when a reply
begins, its audio (which carries no id), its words one by one with their places in that audio, often long before they
are spoken, and how the reply ended. What it lacks is made up for here:

- The user's speech carries no id: the words of a turn belong to the one that is over and has none yet. When the user
  speaks again before they have come, that turn was perhaps a noise: it has no words, unless they come late.
- Words come without blanks between them.
- Audio and words of a reply that has ended are let go.
- A whole text without places (`transcript.agent`) counts only where the words did not come one by one, and audio did:
  the agent also tells text that it did not come to say.

Nothing here does I/O; the methods return events in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.cascade.partials import StablePrefix
from voxengine.providers.turns import BaseTurns, SpacedResponse

__all__ = ["Turns"]


class _Said(msgspec.Struct):
    """What the user is saying, or has said."""

    id: str
    words: StablePrefix


class _Response(SpacedResponse):
    """A reply."""

    #: Where each of its words ends.
    ends: list[float] = msgspec.field(default_factory=list)
    audio: bool = False
    #: What the agent takes for heard of it, after it was cut.
    heard: str | None = None


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        format: the format of the agent's audio.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]], format: AudioFormat) -> None:
        super().__init__(meta, "assemblyai")
        self._format = format
        self._speaking: _Said | None = None
        #: The turn that is over and waits for its words, and the one that waited in vain.
        self._wordless: _Said | None = None
        self._given_up: _Said | None = None
        #: The one that was cut last.
        self._cut: _Response | None = None
        self._rest = b""

    # -- the user

    def speech_started(self, sent_ms: float) -> list[ProviderEvent]:
        """The user speaks. `sent_ms`: how much audio the vendor has by now."""
        if self._speaking is not None:
            return []
        events = self._give_up()
        said = self._speaking = _Said(self._new_id("user"), StablePrefix())
        if self.vad_events:
            meta = self._meta()
            events.append(ev.VadSpeechStarted(item_id=said.id, audio_ms=sent_ms, **meta))
        return events

    def user_delta(self, text: str) -> list[ProviderEvent]:
        """The user's words so far."""
        said = self._speaking or self._wordless
        if said is None or not (self.transcripts and self.partials):
            return []
        shown = said.words.update(text)
        if shown is None:
            return []
        return [ev.TranscriptPartial(text=shown, item_id=said.id, **self._meta())]

    def speech_stopped(self, sent_ms: float) -> list[ProviderEvent]:
        """The user's turn is over."""
        said, self._speaking = self._speaking, None
        if said is None:
            return []
        self._wordless = said
        events: list[ProviderEvent] = []
        if self.vad_events:
            events.append(ev.VadSpeechEnded(item_id=said.id, audio_ms=sent_ms, **self._meta()))
        events.append(ev.TurnDetected(item_id=said.id, audio_ms=sent_ms, **self._meta()))
        return events

    def user_words(self, text: str, sent_ms: float) -> list[ProviderEvent]:
        """All words of a turn."""
        events: list[ProviderEvent] = []
        if self._wordless is None and self._given_up is None:
            # Nobody has told that it began, or that it is over.
            events += self.speech_started(sent_ms)
            events += self.speech_stopped(sent_ms)
        said = self._wordless or self._given_up
        assert said is not None
        self._wordless = self._given_up = None
        return events + self._words_of(said, text.strip())

    def _words_of(self, said: _Said, text: str) -> list[ProviderEvent]:
        if not self.transcripts:
            return []
        events: list[ProviderEvent] = []
        shown = said.words.shown
        if self.partials and shown and text.startswith(shown) and len(text) > len(shown):
            events.append(ev.TranscriptPartial(text=text, item_id=said.id, **self._meta()))
        events.append(ev.TranscriptCompleted(text=text, item_id=said.id, **self._meta()))
        return events

    def _give_up(self) -> list[ProviderEvent]:
        """The words of the turn before have not come."""
        said, self._wordless = self._wordless, None
        self._given_up = said
        return self._words_of(said, "") if said is not None else []

    # -- the agent

    def reply_started(self, reply_id: str | None) -> list[ProviderEvent]:
        """A reply begins."""
        events = self.reply_done(None, None)
        name = reply_id or self._new_id("reply")
        self._response, self._rest = _Response(name, self._new_id("item")), b""
        return [*events, ev.ResponseStarted(response_id=name, **self._meta())]

    def audio(self, piece: bytes) -> list[ProviderEvent]:
        """Audio of the reply. A sample that is cut in two waits for the next piece."""
        response = self._response
        if response is None:
            return []
        audio = self._rest + piece
        cut = len(audio) - len(audio) % self._format.bytes_per_frame
        self._rest, audio = audio[cut:], audio[:cut]
        response.audio = response.audio or bool(audio)
        return self._chunks(audio, response, self._format)

    def agent_delta(
        self, reply_id: str | None, word: str, start_ms: float | None, end_ms: float | None
    ) -> list[ProviderEvent]:
        """The next word of the reply."""
        response = self._of(reply_id)
        if response is None or not word:
            return []
        word = response.spaced(word)
        response.ends.append(end_ms or 0.0)
        return [self._piece(response, word, start_ms, end_ms)]

    def agent_text(self, reply_id: str | None, text: str, interrupted: bool) -> list[ProviderEvent]:
        """All of a reply; of one that was cut short, what the agent takes for heard."""
        response = self._of(reply_id)
        if response is not None:
            if response.ends:
                response.heard = text if interrupted else None
            elif text.strip() and response.audio:
                response.ends.append(0.0)
                return [self._piece(response, text)]
            return []
        cut = self._cut
        if cut is None or not interrupted or reply_id not in (None, cut.id):
            return []
        cut.heard = text
        return self._corrected(cut)

    def reply_done(self, reply_id: str | None, status: str | None) -> list[ProviderEvent]:
        """The reply has ended: "completed", or "interrupted" by the user."""
        response = self._of(reply_id)
        if response is None:
            return []
        self._response, self._rest = None, b""
        if status != "interrupted":
            return [ev.ResponseCompleted(response_id=response.id, **self._meta())]
        self._cut = response
        why = "turn_detected"
        return [
            ev.ResponseCancelled(response_id=response.id, reason=why, **self._meta()),
            *self._corrected(response),
        ]

    def tool_call(self, call_id: str, name: str, arguments: str) -> list[ProviderEvent]:
        """The agent wants the result of a tool. The reply goes on to its end."""
        events = [] if self._response is not None else self.reply_started(None)
        events.append(
            ev.FunctionInvoked(
                call_id=call_id,
                name=name,
                arguments=arguments,
                response_id=self.response_id,
                **self._meta(),
            )
        )
        return events

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response_id = self.response_id
        self._response = self._cut = None
        self._speaking = self._wordless = self._given_up = None
        return response_id

    # -- inside

    def _of(self, reply_id: str | None) -> _Response | None:
        """The response under way, if it is meant."""
        response = self._response
        return response if response is not None and reply_id in (None, response.id) else None

    def _corrected(self, cut: _Response) -> list[ProviderEvent]:
        """What was heard of a reply that was cut, by the agent's own account."""
        if cut.heard is None:
            return []
        text, cut.heard = cut.heard, None
        n = min(len(text.split()), len(cut.ends))
        return [
            ev.ConversationInterrupted(
                item_id=cut.item_id,
                response_id=cut.id,
                heard_ms=cut.ends[n - 1] if n else 0.0,
                heard_text=text,
                **self._meta(),
            )
        ]
