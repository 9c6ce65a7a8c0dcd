"""What the server's messages mean: turns of the user, answers, words, calls. Pure: no I/O, no clock of its own.

`Turns.take` is given one message and returns events in order; what has to be sent because of it is in `out` then, to be
sent after the events were told, for whoever is told may ask for something first. One answer is under way at a time:
`gate` (`voxengine.providers.openai.gate`) holds back what the vendor would refuse, and what was called off before it
began is told to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.azure_voice_live import codec
from voxengine.providers.azure_voice_live.codec import Message
from voxengine.providers.azure_voice_live.words import Piece, TimedText
from voxengine.providers.openai import usage
from voxengine.providers.openai.failures import code_of, is_retryable
from voxengine.providers.openai.gate import ResponseGate
from voxengine.providers.openai.memory import Bounded, ItemAudio, SeenEvents
from voxengine.providers.openai.messages import Failure, OutputItem

__all__ = ["Turns"]

_NONE: tuple[ProviderEvent, ...] = ()


class Turns:
    """Of one connection.

    Args:
        meta: gives the fields that all events have: timestamp, provider, session_id.
        output: the format of the assistant's audio.
        sent_ms: how many milliseconds of audio the vendor was sent.
        clock: monotonic seconds, for what the vendor never answers.
    """

    def __init__(
        self,
        meta: Callable[[], dict[str, Any]],
        output: AudioFormat,
        *,
        sent_ms: Callable[[], float],
        clock: Callable[[], float],
    ) -> None:
        self._meta = meta
        self._output = output
        self._sent_ms = sent_ms
        self.gate = ResponseGate(clock)
        #: What has to be sent.
        self.out: list[bytes] = []
        #: Under which usage is booked.
        self.model = ""
        #: Whether places of words were asked for.
        self.places = False
        self.partials = True
        self.vad_events = True
        #: Milliseconds of silence after which the vendor calls speech ended.
        self.silence_ms = 0.0
        self._seen = SeenEvents()
        #: Received audio by item, for the point at which an item can be cut.
        self.audio = ItemAudio()
        #: Answers that were told to have begun and not yet to have ended; and those that have.
        self.open: dict[str, None] = {}
        self._over: Bounded[bool] = Bounded()
        self._texts: Bounded[TimedText] = Bounded()
        #: The items of the answer under way that have text.
        self._speaking: dict[str, None] = {}
        #: Items all of whose text has come.
        self._complete: Bounded[bool] = Bounded()
        #: The user's words so far, and where in all input audio a turn ended, by item.
        self._heard: Bounded[str] = Bounded()
        self._ends: Bounded[float] = Bounded()
        #: Calls that were told of.
        self.calls: Bounded[bool] = Bounded()

    def take(self, message: Message) -> Sequence[ProviderEvent]:
        """What a message means.

        Raises:
            ValueError, msgspec.DecodeError: a part of it is not of the form that its type has.
        """
        if message.response_id is not None and self._is_void(message.response_id):
            return _NONE
        if self._comes_again(message):
            return _NONE
        rule = _RULES.get(message.type)
        return rule(self, message) if rule is not None else _NONE

    def sound(self, message: Message, audio: bytes) -> Sequence[ProviderEvent]:
        """Audio of an answer, whole samples."""
        response_id, item_id = message.response_id, message.item_id
        if response_id is None or response_id not in self.open or self._comes_again(message):
            return _NONE  # of one that has ended, or was called off
        self.audio.add(item_id, len(audio), message.content_index or 0)
        output = self._output
        chunk = ev.AudioOutputChunk(
            audio_data=audio,
            sample_rate=output.sample_rate,
            encoding=output.encoding,
            item_id=item_id,
            response_id=response_id,
            **self._meta(),
        )
        if not self.places:
            return (chunk,)
        late = self._text_of(item_id).audio(output.duration_ms(len(audio)))
        return (chunk, *self._told(message, late))

    def forget(self) -> list[str]:
        """The connection ends: nothing is under way any more. Returns the answers that were."""
        gone = [*self.open]
        self._over.update(dict.fromkeys(gone, True))
        self.open.clear()
        return gone

    def _is_void(self, response_id: str) -> bool:
        return response_id == self.gate.muted or response_id in self._over

    def _comes_again(self, message: Message) -> bool:
        return self._seen.again(
            message.event_id, message.type, message.response_id, message.item_id
        )

    # -- the user

    def _speech_started(self, message: Message) -> Sequence[ProviderEvent]:
        if not self.vad_events:
            return _NONE
        where = message.audio_start_ms
        return (ev.VadSpeechStarted(item_id=message.item_id, audio_ms=where, **self._meta()),)

    def _speech_stopped(self, message: Message) -> Sequence[ProviderEvent]:
        # As with OpenAI, the position includes the silence that had to pass.
        where = message.audio_end_ms
        if where is not None and message.item_id:
            self._ends[message.item_id] = where
        if not self.vad_events:
            return _NONE
        lag = 0.0
        if where is not None:
            where = max(0.0, where - self.silence_ms)
            # Audio that is sent faster than it was spoken is far ahead of the vendor's ears.
            lag = min(max(0.0, self._sent_ms() - where), self.silence_ms + 1000)
        meta = self._meta()
        return (ev.VadSpeechEnded(item_id=message.item_id, audio_ms=where, lag_ms=lag, **meta),)

    def _committed(self, message: Message) -> Sequence[ProviderEvent]:
        where = self._ends.pop(message.item_id or "", None)
        return (ev.TurnDetected(item_id=message.item_id, audio_ms=where, **self._meta()),)

    def _transcript_delta(self, message: Message) -> Sequence[ProviderEvent]:
        item_id = message.item_id or ""
        text = self._heard.get(item_id, "") + (message.delta or "")
        self._heard[item_id] = text
        if not self.partials or not text.strip():
            return _NONE
        return (ev.TranscriptPartial(text=text, item_id=message.item_id, **self._meta()),)

    def _transcript_completed(self, message: Message) -> Sequence[ProviderEvent]:
        self._heard.pop(message.item_id or "", None)
        text = (message.transcript or "").strip()
        return (ev.TranscriptCompleted(text=text, item_id=message.item_id, **self._meta()),)

    def _transcript_failed(self, message: Message) -> Sequence[ProviderEvent]:
        self._heard.pop(message.item_id or "", None)
        failure = codec.parse(message.error, Failure)
        words = (failure.message if failure else None) or "the transcription failed"
        return (ev.TranscriptFailed(item_id=message.item_id, error=words, **self._meta()),)

    # -- the assistant

    def _response_created(self, message: Message) -> Sequence[ProviderEvent]:
        response = codec.parse(message.response, codec.Response)
        response_id = (response.id if response else None) or ""
        if response_id in self._over or response_id in self.open:
            return _NONE  # it was told twice
        self.out += self.gate.started(response_id)
        if self.gate.muted == response_id:
            return _NONE
        self.open[response_id] = None
        return (ev.ResponseStarted(response_id=response_id, **self._meta()),)

    def _response_done(self, message: Message) -> Sequence[ProviderEvent]:
        response = codec.parse(message.response, codec.Response) or codec.Response()
        # There is but one: the gate must not wait for the end of a response because its id was left out.
        response_id = response.id or self.gate.active or ""
        if response_id in self._over:
            return _NONE
        muted = response_id == self.gate.muted
        self._over[response_id] = True
        self.open.pop(response_id, None)
        meta = self._meta()
        events: list[ProviderEvent] = [] if muted else self.last_words(response_id)
        if response.usage is not None:
            events.append(usage.of_response(response.usage, response_id, self.model, meta))
        if not muted:
            events.append(_end_of(response, response_id, meta))
        self.out += self.gate.ended(response_id)
        return events

    def last_words(self, response_id: str) -> list[ProviderEvent]:
        """Text that still waits for its places, when none can come any more."""
        events: list[ProviderEvent] = []
        for item_id in self._speaking:
            rest = self._texts.pop(item_id, TimedText(timed=False)).rest()
            events += [self._output_text(piece, item_id, response_id) for piece in rest]
            events += self._end_of_text(item_id, response_id)
        self._speaking.clear()
        return events

    def _text_delta(self, message: Message) -> Sequence[ProviderEvent]:
        if not message.delta:
            return _NONE
        if message.type == "response.text.delta" or not self.places:
            piece = Piece(message.delta)
            return (self._output_text(piece, message.item_id, message.response_id),)
        return self._told(message, self._text_of(message.item_id).text(message.delta))

    def _text_done(self, message: Message) -> Sequence[ProviderEvent]:
        """All of a text again; only its end is news, and that comes behind the places of its last words."""
        self._complete[message.item_id or ""] = True
        return self._told(message, ())

    def _place(self, message: Message) -> Sequence[ProviderEvent]:
        if message.text is None or message.audio_offset_ms is None:
            return _NONE
        start = message.audio_offset_ms
        end = start + (message.audio_duration_ms or 0.0)
        return self._told(message, self._text_of(message.item_id).word(message.text, start, end))

    def _places_done(self, message: Message) -> Sequence[ProviderEvent]:
        return self._told(message, self._text_of(message.item_id).rest())

    def _text_of(self, item_id: str | None) -> TimedText:
        key = item_id or ""
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = TimedText(timed=self.places)
            self._speaking[key] = None
        return found

    def _told(self, message: Message, pieces: Sequence[Piece]) -> list[ProviderEvent]:
        item_id, response_id = message.item_id, message.response_id
        events = [self._output_text(piece, item_id, response_id) for piece in pieces]
        timed = self._texts.get(item_id or "")
        if timed is None or not timed.waits:
            events += self._end_of_text(item_id, response_id)
        return events

    def _end_of_text(self, item_id: str | None, response_id: str | None) -> list[ProviderEvent]:
        if not self._complete.pop(item_id or "", False):
            return []
        meta = self._meta()
        end = ev.TextOutput(
            text="", is_partial=False, item_id=item_id, response_id=response_id, **meta
        )
        return [end]

    def _output_text(
        self, piece: Piece, item_id: str | None, response_id: str | None
    ) -> ProviderEvent:
        return ev.TextOutput(
            text=piece.text,
            is_partial=True,
            item_id=item_id,
            response_id=response_id,
            audio_start_ms=piece.start_ms,
            audio_end_ms=piece.end_ms,
            **self._meta(),
        )

    # -- calls

    def _item_done(self, message: Message) -> Sequence[ProviderEvent]:
        """Where the arguments had no event of their own, the finished item has them."""
        item = codec.parse(message.item, OutputItem)
        if item is None or item.type != "function_call" or not item.call_id:
            return _NONE
        if item.status == "incomplete":
            return _NONE
        return self._invoked(item.call_id, item.name, item.arguments, message, item.id)

    def _arguments_done(self, message: Message) -> Sequence[ProviderEvent]:
        # Of a call that was cut short the arguments are "done" as well: then they are no JSON, and nothing is called.
        if not message.call_id or not message.name or not _is_json(message.arguments):
            return _NONE
        return self._invoked(
            message.call_id, message.name, message.arguments, message, message.item_id
        )

    def _invoked(
        self,
        call_id: str,
        name: str | None,
        arguments: str | None,
        message: Message,
        item_id: str | None,
    ) -> Sequence[ProviderEvent]:
        if call_id in self.calls:
            return _NONE
        self.calls[call_id] = True
        event = ev.FunctionInvoked(
            call_id=call_id,
            name=name or "",
            arguments=arguments or "{}",
            item_id=item_id,
            response_id=message.response_id,
            **self._meta(),
        )
        return (event,)

    def _warning(self, message: Message) -> Sequence[ProviderEvent]:
        told = codec.parse(message.warning, codec.Warning) or codec.Warning()
        code, words = told.code or "vendor_warning", told.message
        return (ev.SystemWarning(code=code, message=words, **self._meta()),)


def _end_of(response: codec.Response, response_id: str, meta: dict[str, Any]) -> ProviderEvent:
    details = response.status_details or codec.Details()
    reason = details.reason or ""
    if response.status == "cancelled":
        return ev.ResponseCancelled(response_id=response_id, reason=reason, **meta)
    if response.status != "failed":
        whole = "incomplete" if response.status == "incomplete" else "completed"
        return ev.ResponseCompleted(response_id=response_id, status=whole, reason=reason, **meta)
    failure = _failure_of(details.error)
    code = code_of(failure)
    return ev.ResponseError(
        response_id=response_id,
        code=code if code != "error" else "response_failed",
        retryable=is_retryable(code),
        error=failure.message or reason or "the response failed",
        **meta,
    )


def _failure_of(error: Any) -> Failure:
    """What is said of a failed response: by the vendor's types, anything."""
    try:
        return msgspec.convert(error or {}, Failure)
    except msgspec.ValidationError:
        return Failure(message=str(error))


def _is_json(text: str | None) -> bool:
    try:
        codec.decode_plain((text or "{}").encode())
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


_Rule = Callable[[Turns, Message], Sequence[ProviderEvent]]

_RULES: Mapping[str, _Rule] = {
    "warning": Turns._warning,
    "input_audio_buffer.speech_started": Turns._speech_started,
    "input_audio_buffer.speech_stopped": Turns._speech_stopped,
    "input_audio_buffer.committed": Turns._committed,
    "conversation.item.input_audio_transcription.delta": Turns._transcript_delta,
    "conversation.item.input_audio_transcription.completed": Turns._transcript_completed,
    "conversation.item.input_audio_transcription.failed": Turns._transcript_failed,
    "response.created": Turns._response_created,
    "response.done": Turns._response_done,
    "response.output_item.done": Turns._item_done,
    "response.text.delta": Turns._text_delta,
    "response.text.done": Turns._text_done,
    "response.audio_transcript.delta": Turns._text_delta,
    "response.audio_transcript.done": Turns._text_done,
    "response.audio_timestamp.delta": Turns._place,
    "response.audio_timestamp.done": Turns._places_done,
    "response.function_call_arguments.done": Turns._arguments_done,
}
