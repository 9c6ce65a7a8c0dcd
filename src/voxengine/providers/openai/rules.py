"""What each type of server event means: a function of the decoder and the message, which returns events in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

from voxengine import events as ev
from voxengine.events import ProviderEvent
from voxengine.providers.openai import messages as ms
from voxengine.providers.openai import usage
from voxengine.providers.openai.failures import code_of, is_retryable
from voxengine.providers.openai.messages import Message, decode_plain, parse

if TYPE_CHECKING:
    from voxengine.providers.openai.decode import Decoder

__all__ = ["RULES"]

_NONE: tuple[ProviderEvent, ...] = ()
#: A text of which nothing is said but that it is one.
_NO_PART = ":0"

# -- the user


def _speech_started(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    if not decoder.vad_events:
        return _NONE
    where = message.audio_start_ms
    return (ev.VadSpeechStarted(item_id=message.item_id, audio_ms=where, **decoder.meta()),)


def _speech_stopped(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    # By the type's own description the position "includes the min_silence_duration_ms configured".
    where = message.audio_end_ms
    if where is not None and message.item_id:
        decoder.turn_ends[message.item_id] = where
    if not decoder.vad_events:
        return _NONE
    if where is not None:
        where = max(0.0, where - decoder.silence_ms)
    sent = decoder.sent_ms()
    lag = 0.0
    if where is not None and sent is not None:
        # Audio that is sent faster than it was spoken is far ahead of the vendor's ears.
        lag = min(max(0.0, sent - where), decoder.silence_ms + 1000)
    event = ev.VadSpeechEnded(item_id=message.item_id, audio_ms=where, lag_ms=lag, **decoder.meta())
    return (event,)


def _committed(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    # The turn has ended where its speech has. What was sent since belongs to the next one.
    where = decoder.turn_ends.pop(message.item_id or "", None)
    return (ev.TurnDetected(item_id=message.item_id, audio_ms=where, **decoder.meta()),)


def _transcript_delta(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    item_id = message.item_id or ""
    text = decoder.partial_texts.get(item_id, "") + (message.delta or "")
    decoder.partial_texts[item_id] = text
    return _partial(decoder, message, text)


def _transcript_updated(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    """All of the words so far. They may have changed; what was shown does not."""
    item_id = message.item_id or ""
    text = message.transcript or message.text or message.delta or ""
    shown = decoder.partial_texts.get(item_id, "")
    if text == shown or not text.startswith(shown):
        return _NONE
    decoder.partial_texts[item_id] = text
    return _partial(decoder, message, text)


def _partial(decoder: Decoder, message: Message, text: str) -> Sequence[ProviderEvent]:
    if not decoder.partials or not text.strip():
        return _NONE
    return (ev.TranscriptPartial(text=text, item_id=message.item_id, **decoder.meta()),)


def _forget_partial(decoder: Decoder, message: Message) -> None:
    # Under "" are the words of an item whose id was not given: they are of this one, or of none.
    for item_id in (message.item_id or "", ""):
        decoder.partial_texts.pop(item_id, None)


def _transcript_completed(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    _forget_partial(decoder, message)
    meta = decoder.meta()
    text = (message.transcript or "").strip()
    done = ev.TranscriptCompleted(text=text, item_id=message.item_id, **meta)
    used = parse(message.usage, ms.TranscriptionUsage) if decoder.tokens else None
    report = usage.of_transcription(used, decoder.transcription_model, meta) if used else None
    return (done,) if report is None else (done, report)


def _transcript_failed(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    _forget_partial(decoder, message)
    failure = parse(message.error, ms.Failure)
    words = (failure.message if failure else None) or "the transcription failed"
    return (ev.TranscriptFailed(item_id=message.item_id, error=words, **decoder.meta()),)


# -- the assistant


def _response_created(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    response = parse(message.response, ms.Response)
    decoder.response_id = response.id if response else None
    decoder.text_parts.pop(_NO_PART, None)
    return (ev.ResponseStarted(response_id=decoder.response_id, **decoder.meta()),)


def _response_done(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    response = parse(message.response, ms.Response) or ms.Response()
    meta = decoder.meta()
    # There is but one: the gate must not wait for the end of a response because its id was left out.
    response_id = response.id or decoder.response_id
    events: list[ProviderEvent] = []
    used = response.usage or parse(message.usage, ms.Usage)
    if used is not None and decoder.tokens:
        events.append(usage.of_response(used, response_id, decoder.model, meta))
    details = response.status_details
    reason = (details.reason if details else None) or ""
    match response.status:
        case "cancelled":
            events.append(ev.ResponseCancelled(response_id=response_id, reason=reason, **meta))
        case "failed":
            failure = (details.error if details else None) or ms.Failure()
            code = code_of(failure)
            which = f" ({failure.code or failure.type})" if code != "error" else ""
            words = failure.message or reason or f"the response failed{which}"
            events.append(
                ev.ResponseError(
                    response_id=response_id,
                    code=code if code != "error" else "response_failed",
                    retryable=is_retryable(code),
                    error=words,
                    **meta,
                )
            )
        case status:
            whole = "incomplete" if status == "incomplete" else "completed"
            events.append(
                ev.ResponseCompleted(response_id=response_id, status=whole, reason=reason, **meta)
            )
    return events


def _text_delta(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    text, part = message.delta, (message.item_id, message.content_index)
    if not text:
        return _NONE
    if part != decoder.text_comes:
        decoder.text_comes = part
        decoder.text_parts.setdefault(_part(message), True)
    # Without `_told_text` and `meta`: nearly as frequent as audio.
    event = ev.TextOutput(
        text=text,
        is_partial=True,
        item_id=message.item_id,
        response_id=message.response_id,
        timestamp=decoder.now() + decoder.epoch,
        provider=decoder.provider,
        session_id=decoder.session_id,
    )
    return (event,)


def _text_done(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    """All of a text again; where it came piece by piece, only its end is news."""
    part = _part(message)
    streams = decoder.text_parts.get(part)
    decoder.text_parts[part] = False
    decoder.text_comes = None
    if streams is None:
        text = message.transcript or message.text
        return _told_text(decoder, message, text, partial=False) if text else _NONE
    return _told_text(decoder, message, "", partial=False) if streams else _NONE


def _part(message: Message) -> str:
    """Which part of which item a text is, as far as that is said."""
    return f"{message.item_id or message.response_id or ''}:{message.content_index or 0}"


def _told_text(
    decoder: Decoder, message: Message, text: str, *, partial: bool
) -> Sequence[ProviderEvent]:
    event = ev.TextOutput(
        text=text,
        is_partial=partial,
        item_id=message.item_id,
        response_id=message.response_id,
        **decoder.meta(),
    )
    return (event,)


def _item_added(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    item = parse(message.item, ms.OutputItem)
    if item is None:
        return _NONE
    if item.type == "message":
        decoder.item_id = item.id
    elif item.call_id and item.name:
        decoder.tool_names[item.call_id] = item.name
    return _NONE


def _item_done(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    """Where the arguments had no event of their own, the finished item has them."""
    item = parse(message.item, ms.OutputItem)
    if item is None or item.type != "function_call" or not item.call_id:
        return _NONE
    if item.status == "incomplete":
        return _NONE
    return _invoked(decoder, item.call_id, item.name, item.arguments, message, item.id)


def _arguments_done(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    call_id = message.call_id
    if not call_id:
        return _NONE
    name = message.name or decoder.tool_names.get(call_id)
    if not name or not _is_json(message.arguments):
        # The finished item has the name. It also says whether the call was cut short: by the type's own description
        # its arguments are "done" then too.
        return _NONE
    return _invoked(decoder, call_id, name, message.arguments, message, message.item_id)


def _invoked(
    decoder: Decoder,
    call_id: str,
    name: str | None,
    arguments: str | None,
    message: Message,
    item_id: str | None,
) -> Sequence[ProviderEvent]:
    if call_id in decoder.told_calls:
        return _NONE
    decoder.told_calls[call_id] = True
    event = ev.FunctionInvoked(
        call_id=call_id,
        name=name or "",
        arguments=arguments or "{}",
        item_id=item_id,
        response_id=message.response_id,
        **decoder.meta(),
    )
    return (event,)


# -- the rest


def _rate_limits(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    rows = parse(message.rate_limits, list[ms.RateLimitRow]) or []
    limits = tuple(
        ev.RateLimit(
            name=row.name or "",
            limit=row.limit,
            remaining=row.remaining,
            reset_seconds=row.reset_seconds,
        )
        for row in rows
    )
    return (ev.RateLimitsUpdated(limits=limits, **decoder.meta()),)


def _error(decoder: Decoder, message: Message) -> Sequence[ProviderEvent]:
    failure = parse(message.error, ms.Failure) or ms.Failure()
    code = code_of(failure)
    words = failure.message or code
    if failure.event_id and failure.event_id.startswith("truncate"):
        # The item is as long as it is; the conversation goes on all the same.
        return (ev.SystemWarning(code="truncate_refused", message=words, **decoder.meta()),)
    event = ev.ErrorGeneral(
        code=code,
        error=f"{decoder.provider}: {words}",
        recoverable=code not in ("auth", "quota"),
        **decoder.meta(),
    )
    return (event,)


def _is_json(text: str | None) -> bool:
    try:
        decode_plain(text or "{}")
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


_Rule = Callable[["Decoder", Message], Sequence[ProviderEvent]]

RULES: dict[str, _Rule] = {
    "input_audio_buffer.speech_started": _speech_started,
    "input_audio_buffer.speech_stopped": _speech_stopped,
    "input_audio_buffer.committed": _committed,
    "conversation.item.input_audio_transcription.delta": _transcript_delta,
    "conversation.item.input_audio_transcription.completed": _transcript_completed,
    "conversation.item.input_audio_transcription.failed": _transcript_failed,
    "response.created": _response_created,
    "response.done": _response_done,
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    "response.output_text.delta": _text_delta,
    "response.output_text.done": _text_done,
    "response.output_audio_transcript.delta": _text_delta,
    "response.output_audio_transcript.done": _text_done,
    "response.function_call_arguments.done": _arguments_done,
    "rate_limits.updated": _rate_limits,
    "error": _error,
    # xAI: all of the words so far, each time.
    "conversation.item.input_audio_transcription.updated": _transcript_updated,
    # The names of the preview, which compatible servers still use.
    "response.text.delta": _text_delta,
    "response.text.done": _text_done,
    "response.audio_transcript.delta": _text_delta,
    "response.audio_transcript.done": _text_done,
}
