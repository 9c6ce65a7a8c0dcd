"""Contents as turns and responses: what Nova Sonic sends is a row of contents, each begun, filled and ended.

A turn comes as: the user's words (role USER, FINAL); then, sentence by sentence, what the model plans to say
(ASSISTANT, SPECULATIVE), its audio, and, when that has been played by the vendor's own count, what was said of it
(ASSISTANT, FINAL); or a call of a tool. Nothing says that a turn or an answer begins. Here is how they are told:

- A response begins with the first content of the assistant's that is a plan, audio or a tool call; that also ends the
  user's turn. It ends with the audio whose `stopReason` is END_TURN, or with a tool call, whose result is answered by
  another response.
- A plan is the text of the item, placed where its audio begins. Words that were said without a plan are told with
  their place; of those that were planned, saying them changes nothing.
- INTERRUPTED, at the end of the audio or of a FINAL text, cancels the response; audio that is cut short may end with
  END_TURN all the same, right before that, so the end is told a moment later. The vendor sends faster than it is
  played, so the response is often complete by then; then it is the beginning of the user's speech that is told, which
  has to stop what is still playing. Nobody tells when that speech ends: it is taken to when its words come. The FINAL
  texts up to there are the vendor's word on what was heard, by its own clock, which begins with the first audio.
- The mark of an interruption, which comes as a text, is none.

All methods take events of the server and return ours, in order. Nothing here does I/O or knows a clock but the `now`
that it is given.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.nova.codec import Body, Tokens, is_interruption, stage_of
from voxengine.providers.turns import BaseTurns, Response

__all__ = ["GRACE_S", "SPEECH_S", "WORDS_S", "Turns"]

#: Seconds after the end of the audio in which the mark of an interruption may say that it was cut short.
GRACE_S = 0.1

#: Seconds after which speech that interrupted is taken to have ended, if no words of it came.
SPEECH_S = 5.0
#: Seconds after which the user's words are taken to be complete, if the model says nothing to them.
WORDS_S = 2.0
#: Contents that may be open, plans that may wait to be said, and calls for their results. The oldest is forgotten.
MAX_OPEN = 64


class _Content(msgspec.Struct):
    """A content of the server's."""

    kind: str
    role: str
    stage: str = ""
    text: str = ""
    #: The response that it is of was called off: what still comes of it is let go.
    void: bool = False
    interrupted: bool = False


class _Response(Response):
    """What the model says in one go."""

    audio_ms: float = 0.0
    #: Where the audio of the latest sentence begins.
    sentence_ms: float = 0.0
    text: str = ""
    #: When its first audio came, and what was said of it by the vendor's count.
    began: float | None = None
    said: str = ""
    #: When it is complete, if nothing else is heard of it.
    ends_at: float | None = None


class _Said(msgspec.Struct):
    """What the user says in one turn."""

    id: str
    text: str = ""
    #: When the last words came, and whether they were told as complete.
    at: float = 0.0
    told: bool = False
    #: Since when the speech has been told of; None: it has not, or its end has been too.
    speaks_since: float | None = None


class Turns(BaseTurns[_Response]):
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        format: the format of the model's audio.
        model: the name by which usage is priced.
    """

    def __init__(self, meta: Callable[[], dict[str, Any]], format: AudioFormat, model: str) -> None:
        super().__init__(meta, "nova")
        #: Calls that wait for their results, by id; the name of the tool.
        self.calls: dict[str, str] = {}
        #: Whether the results of all calls are there, and the model has not gone on yet.
        self.owes_answer = False
        #: All tokens of the session so far.
        self.used = Tokens()
        self._format = format
        self._model = model
        self._contents: dict[str, _Content] = {}
        #: The response that ended last, and whether it was interrupted.
        self._last: _Response | None = None
        self._last_cut = False
        self._user: _Said | None = None
        self._plans: deque[str] = deque(maxlen=MAX_OPEN)
        #: The response that words in writing came after: if that is interrupted, nobody spoke.
        self._stopped_by_writing: _Response | None = None
        #: What the user said in writing, and may be repeated to us as if it had been spoken.
        self._written: deque[str] = deque(maxlen=MAX_OPEN)

    @property
    def deadline(self) -> float | None:
        """When `tick` has to be called, if nothing comes before."""
        response, said = self._response, self._user
        times = [response.ends_at if response is not None else None]
        if said is not None and said.text and not said.told:
            times.append(said.at + WORDS_S)
        if said is not None and said.speaks_since is not None:
            times.append(said.speaks_since + SPEECH_S)
        return min((time for time in times if time is not None), default=None)

    # -- what comes

    def started(self, body: Body) -> list[ProviderEvent]:
        """A content begins."""
        content = _Content(body.type, body.role, stage_of(body))
        while len(self._contents) >= MAX_OPEN:
            del self._contents[next(iter(self._contents))]
        self._contents[body.content_id] = content
        if body.role == "USER" or content.stage == "FINAL":
            return []
        return self._speaking()

    def text(self, body: Body) -> list[ProviderEvent]:
        """Words of a content; whose they are, its beginning has said."""
        content = self._contents.get(body.content_id)
        if content is None or content.void:
            return []
        if is_interruption(body.content):
            content.interrupted = True
            return []
        content.text += body.content
        if content.role == "USER" or content.stage == "FINAL":
            return []
        self._plans.append(body.content)
        return self._words(body.content, None)

    def audio(self, body: Body, audio: bytes, now: float) -> list[ProviderEvent]:
        """Audio of a content, whole samples."""
        content, response = self._contents.get(body.content_id), self._response
        if content is None or content.void or response is None:
            return []
        response.began = now if response.began is None else response.began
        response.audio_ms += self._format.duration_ms(len(audio))
        return [self._chunk(audio, response, self._format)]

    def tool(self, body: Body) -> list[ProviderEvent]:
        """A call of a tool."""
        content = self._contents.get(body.content_id)
        if content is not None and content.void:
            return []
        events = self._speaking()
        assert self._response is not None
        while len(self.calls) >= MAX_OPEN:
            del self.calls[next(iter(self.calls))]
        self.calls[body.tool_use_id] = body.tool_name
        call = ev.FunctionInvoked(
            call_id=body.tool_use_id,
            name=body.tool_name,
            arguments=body.content or "{}",
            response_id=self._response.id,
            **self._meta(),
        )
        return [*events, call]

    def ended(self, body: Body, now: float) -> list[ProviderEvent]:
        """A content ends."""
        content = self._contents.pop(body.content_id, None)
        if content is None:
            return []
        if content.role == "USER":
            return self._heard(content.text, now)
        if content.void:
            return []
        if body.stop_reason == "INTERRUPTED" or content.interrupted:
            return self._interrupted(now)
        if content.kind == "TOOL":
            return self._end()
        if content.kind == "AUDIO":
            if body.stop_reason == "END_TURN" and self._response is not None:
                self._response.ends_at = now + GRACE_S
            return []
        return self._said(content.text) if content.stage == "FINAL" else []

    def usage(self, body: Body) -> list[ProviderEvent]:
        """What the session used so far: told is what came since the last report."""
        total = body.details.total if body.details is not None else None
        if total is None:
            return []
        before, self.used = self.used, total
        counts = {
            "input_audio_tokens": total.input.speech_tokens - before.input.speech_tokens,
            "input_text_tokens": total.input.text_tokens - before.input.text_tokens,
            "output_audio_tokens": total.output.speech_tokens - before.output.speech_tokens,
            "output_text_tokens": total.output.text_tokens - before.output.text_tokens,
        }
        added: dict[str, Any] = {name: count for name, count in counts.items() if count > 0}
        if not added:
            return []
        current = self._response or self._last
        return [
            ev.UsageUpdated(
                model=self._model,
                response_id=current.id if current is not None else None,
                **added,
                **self._meta(),
            )
        ]

    def written(self, text: str) -> None:
        """The user says this in writing, which also stops the model."""
        self._written.append(text.strip())
        self._stopped_by_writing = self._response or self._last

    def tick(self, now: float) -> list[ProviderEvent]:
        """What has ended by now without a word."""
        said, response = self._user, self._response
        if response is not None and response.ends_at is not None and now >= response.ends_at:
            return self._end()
        if said is None:
            return []
        if said.text and not said.told and now >= said.at + WORDS_S:
            return self._complete(said)
        if said.speaks_since is not None and now >= said.speaks_since + SPEECH_S:
            return self._fell_silent()
        return []

    def forget(self) -> str | None:
        """The connection is gone: nothing is under way any more. Returns the response that was."""
        response, self._response = self._response, None
        self._user = None
        self._contents.clear()
        return response.id if response is not None else None

    # -- the user

    def _heard(self, text: str, now: float) -> list[ProviderEvent]:
        """Some more of what the user said; more may follow."""
        text = text.strip()
        if text in self._written:
            self._written.remove(text)
            return []
        if not text:
            return []
        events = self._fell_silent()
        if self._user is None:
            self._user = _Said(self._new_id("user"))
        said = self._user
        said.text, said.at = f"{said.text} {text}".strip(), now
        if said.told:
            return [*events, *self._complete(said)]
        if self.transcripts and self.partials:
            events.append(
                ev.TranscriptPartial(text=said.text, item_id=said.id, **self._meta()),
            )
        return events

    def _complete(self, said: _Said) -> list[ProviderEvent]:
        """All words of the turn so far, as a whole."""
        said.told = True
        if not self.transcripts:
            return []
        return [ev.TranscriptCompleted(text=said.text, item_id=said.id, **self._meta())]

    def _fell_silent(self) -> list[ProviderEvent]:
        said = self._user
        if said is None or said.speaks_since is None:
            return []
        said.speaks_since = None
        return [ev.VadSpeechEnded(item_id=said.id, **self._meta())]

    def _turn_over(self) -> list[ProviderEvent]:
        """The model has taken its turn, so the user's is over."""
        said = self._user
        if said is None:
            return []
        events = self._fell_silent()
        self._user = None
        if not said.text:
            return events
        events.append(ev.TurnDetected(item_id=said.id, **self._meta()))
        if not said.told:
            events += self._complete(said)
        return events

    # -- the model

    def _speaking(self) -> list[ProviderEvent]:
        """A response is under way, begun if there was none."""
        response = self._response
        events: list[ProviderEvent] = []
        if response is not None and response.ends_at is not None:
            events = self._end()
        elif response is not None:
            response.sentence_ms = response.audio_ms
            return []
        events += self._turn_over()
        self.owes_answer = False
        self._plans.clear()
        self._response = _Response(self._new_id("response"), self._new_id("item"))
        events.append(ev.ResponseStarted(response_id=self._response.id, **self._meta()))
        return events

    def _words(self, text: str, end_ms: float | None) -> list[ProviderEvent]:
        response = self._response
        if response is None or not text:
            return []
        text = _gap(response.text, text) + text
        response.text += text
        return [self._piece(response, text, response.sentence_ms, end_ms)]

    def _said(self, text: str) -> list[ProviderEvent]:
        """A sentence was said; most were planned, and are told already."""
        response = self._response or self._last
        if response is not None:
            response.said += _gap(response.said, text) + text
        if self._plans:
            self._plans.popleft()
            return []
        return self._words(text, response.audio_ms) if response is not None else []

    def _end(self) -> list[ProviderEvent]:
        response = self._close()
        if response is None:
            return []
        return [ev.ResponseCompleted(response_id=response.id, **self._meta())]

    def _interrupted(self, now: float) -> list[ProviderEvent]:
        response = self._close()
        for content in self._contents.values():
            content.void = content.role != "USER"
        self._plans.clear()
        if response is None and (self._last is None or self._last_cut):
            return []
        self._last_cut = True
        spoken = (response or self._last) is not self._stopped_by_writing
        events = self._speech(now) if spoken and self.vad_events else []
        if response is not None:
            why = "turn_detected" if spoken else "client_cancelled"
            end = ev.ResponseCancelled(response_id=response.id, reason=why, **self._meta())
            events.append(end)
        cut = response or self._last
        return [*events, *self._heard_of(cut, now)] if cut is not None and events else []

    def _speech(self, now: float) -> list[ProviderEvent]:
        """The user has begun to speak."""
        if self._user is None:
            self._user = _Said(self._new_id("user"))
        self._user.speaks_since = now
        return [ev.VadSpeechStarted(item_id=self._user.id, **self._meta())]

    def _heard_of(self, response: _Response, now: float) -> list[ProviderEvent]:
        """What was heard of a response that was interrupted, by the vendor's count."""
        if response.began is None or not response.said:
            return []
        return [
            ev.ConversationInterrupted(
                item_id=response.item_id,
                response_id=response.id,
                heard_ms=min(response.audio_ms, (now - response.began) * 1000),
                heard_text=response.said,
                **self._meta(),
            )
        ]

    def _close(self) -> _Response | None:
        """The response under way has ended."""
        response, self._response = self._response, None
        if response is not None:
            self._last, self._last_cut = response, False
        return response


def _gap(before: str, text: str) -> str:
    """What stands between two sentences: they come without the space."""
    return " " if before and text and not (before[-1].isspace() or text[0].isspace()) else ""
