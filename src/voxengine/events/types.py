"""What can happen: one frozen, slotted class for each `EventType`.

There is one family of events, from the provider to the application. A type means the same on every provider; the
docstring of its class is the definition. Every event also has a dict view, `.data`, and can be made from a dict
(`voxengine.events.factory`), so that a provider may be written with plain dicts.

Times are seconds, audio positions are milliseconds within the item that they belong to, audio is bytes.
"""

from typing import Any, ClassVar

import msgspec

from voxengine.events.kinds import EventType

__all__ = [
    "AudioDropped",
    "AudioOutputChunk",
    "AudioOutputStarted",
    "AudioOutputStopped",
    "ConnectionClosed",
    "ConnectionEstablished",
    "ConnectionFailed",
    "ConnectionLost",
    "ConnectionReconnecting",
    "ConnectionRestored",
    "ConnectionStarting",
    "ConversationEnded",
    "ConversationInterrupted",
    "ConversationStarted",
    "ConversationUpdated",
    "EmotionDetected",
    "ErrorGeneral",
    "FunctionCancelled",
    "FunctionCompleted",
    "FunctionFailed",
    "FunctionInvoked",
    "MetricsUpdated",
    "ProviderEvent",
    "RateLimit",
    "RateLimitsUpdated",
    "RawEvent",
    "ResponseCancelled",
    "ResponseCompleted",
    "ResponseError",
    "ResponseStarted",
    "SessionUpdated",
    "StateChanged",
    "SystemWarning",
    "TextInput",
    "TextOutput",
    "TimingStage",
    "TranscriptCompleted",
    "TranscriptFailed",
    "TranscriptPartial",
    "TurnDetected",
    "TypedEvent",
    "UsageUpdated",
    "VadSpeechEnded",
    "VadSpeechStarted",
]


class ProviderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event. Also the class of an event whose type is not one of ours: then `data` is all that is known of it."""

    #: An `EventType`, or any other string for an event of a custom type.
    type: str
    #: The event's own fields as a dict. On a typed event this is a view, made when it is asked for.
    data: dict[str, Any] = {}
    #: Unix time in seconds at which the event was made.
    timestamp: float = 0.0
    #: Registered name of the provider that the event comes from.
    provider: str = ""
    #: Id of the provider's session, where it has one.
    session_id: str | None = None
    #: What went wrong, in words, if anything did.
    error: str | None = None
    #: The vendor's id of this event. Of two events with one id only the first counts.
    event_id: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether this event tells of something that went wrong."""
        return self.error is not None


# The slot behind the field `data`: typed events keep in it what a dict held beyond their own fields.
_extra_of = ProviderEvent.__dict__["data"].__get__

#: The fields that are not an event's own.
META = frozenset(ProviderEvent.__struct_fields__)


class TypedEvent(ProviderEvent, frozen=True, kw_only=True):
    """Base of the events of known types: real fields, and `.data` as their dict view."""

    #: Fields whose name in `.data` is another one.
    data_names: ClassVar[dict[str, str]] = {}

    def _view(self) -> dict[str, Any]:
        """The event's own fields by name, and what else the provider said with it."""
        names = self.data_names
        view = {names.get(n, n): getattr(self, n) for n in self.__struct_fields__ if n not in META}
        view.update(_extra_of(self))
        return view


# To a type checker `data` stays the field that it is in the base; in truth a typed event makes it when it is read.
setattr(TypedEvent, "data", property(TypedEvent._view))  # noqa: B010


# --- connection -----------------------------------------------------------------------------------------------------


class ConnectionStarting(TypedEvent, frozen=True, kw_only=True):
    """The provider is about to be connected."""

    type: str = EventType.CONNECTION_STARTING


class ConnectionEstablished(TypedEvent, frozen=True, kw_only=True):
    """The provider is connected and takes audio. `resumed`: it still knows the conversation from before."""

    type: str = EventType.CONNECTION_ESTABLISHED
    resumed: bool = False


class ConnectionFailed(TypedEvent, frozen=True, kw_only=True):
    """The connection could not be opened. `code` is that of the error that `connect` raised."""

    type: str = EventType.CONNECTION_FAILED
    code: str = "connection"
    retryable: bool = True


class ConnectionLost(TypedEvent, frozen=True, kw_only=True):
    """An open connection ended without our asking. `close_code` is the transport's, where it has one."""

    type: str = EventType.CONNECTION_LOST
    code: str = "closed"
    close_code: int | None = None
    reason: str = ""
    retryable: bool = True


class ConnectionClosed(TypedEvent, frozen=True, kw_only=True):
    """The connection was closed because we asked. Nothing follows from this provider."""

    type: str = EventType.CONNECTION_CLOSED
    reason: str = ""


class ConnectionReconnecting(TypedEvent, frozen=True, kw_only=True):
    """The connection was lost, and is about to be opened anew: for the `attempt`-th time, in `delay_s` seconds.

    `code` and `reason` say why: of the loss, or of the attempt before this one. What the user says meanwhile is kept.
    """

    type: str = EventType.CONNECTION_RECONNECTING
    attempt: int = 1
    delay_s: float = 0.0
    code: str = "closed"
    reason: str = ""


class ConnectionRestored(TypedEvent, frozen=True, kw_only=True):
    """The conversation goes on over a new connection; this says what became of it in between.

    `reason` is the code of the loss, "rotation" (the old connection had come near to its longest time) or "switch" (the
    application chose another provider during an outage). `resumed`: the vendor still knew the conversation; otherwise
    it was told `items` of the log. `audio_ms` of the user's audio are replayed to it, and `audio_lost_ms` are lost.
    """

    type: str = EventType.CONNECTION_RESTORED
    reason: str = "closed"
    attempts: int = 1
    outage_ms: float = 0.0
    resumed: bool = False
    items: int = 0
    audio_ms: float = 0.0
    audio_lost_ms: float = 0.0


# --- session --------------------------------------------------------------------------------------------------------


class SessionUpdated(TypedEvent, frozen=True, kw_only=True):
    """The provider now works with these settings (only what was changed)."""

    type: str = EventType.SESSION_UPDATED
    settings: dict[str, Any] = {}


class StateChanged(TypedEvent, frozen=True, kw_only=True):
    """The conversation went from one state to another: idle, listening, thinking, speaking, closed."""

    type: str = EventType.STATE_CHANGED
    previous: str = ""
    state: str = ""


# --- audio ----------------------------------------------------------------------------------------------------------


class AudioOutputStarted(TypedEvent, frozen=True, kw_only=True):
    """The first audio of an item of the assistant follows."""

    type: str = EventType.AUDIO_OUTPUT_STARTED
    item_id: str | None = None
    response_id: str | None = None


class AudioOutputChunk(TypedEvent, frozen=True, kw_only=True, gc=False):
    """Speech of the assistant: mono, in `encoding` at `sample_rate` Hz, to be played after what came before."""

    type: str = EventType.AUDIO_OUTPUT_CHUNK
    audio_data: bytes = b""
    sample_rate: int = 24000
    encoding: str = "pcm16"
    item_id: str | None = None
    response_id: str | None = None


class AudioOutputStopped(TypedEvent, frozen=True, kw_only=True):
    """The item's speech has ended at the listener's ear: played to its end, or cut after `heard_ms`.

    When `interrupted`, whatever is still buffered for playing has to be thrown away now.
    """

    type: str = EventType.AUDIO_OUTPUT_STOPPED
    item_id: str | None = None
    response_id: str | None = None
    heard_ms: float = 0.0
    interrupted: bool = False


class AudioDropped(TypedEvent, frozen=True, kw_only=True):
    """Audio was thrown away because a bounded buffer was full. `direction` is "input" or "output"."""

    type: str = EventType.AUDIO_DROPPED
    direction: str = "output"
    audio_ms: float = 0.0
    chunks: int = 0
    reason: str = ""


# --- text -----------------------------------------------------------------------------------------------------------


class TextInput(TypedEvent, frozen=True, kw_only=True):
    """A text was put into the conversation in the name of `role`."""

    type: str = EventType.TEXT_INPUT
    text: str = ""
    role: str = "user"
    item_id: str | None = None


class TextOutput(TypedEvent, frozen=True, kw_only=True, gc=False):
    """Words of the assistant: append `text` to the item's text. `is_partial`: more text of this item follows.

    Where the provider knows at which milliseconds of the item's audio these words are spoken, it says so in
    `audio_start_ms` and `audio_end_ms`; then what was heard is known to the word.
    """

    type: str = EventType.TEXT_OUTPUT
    text: str = ""
    is_partial: bool = False
    item_id: str | None = None
    response_id: str | None = None
    audio_start_ms: float | None = None
    audio_end_ms: float | None = None


class TranscriptPartial(TypedEvent, frozen=True, kw_only=True, gc=False):
    """What the user has said so far in this turn: the whole text, which replaces the one before.

    Words once shown do not change: each partial text of a turn starts with the one before it.
    """

    type: str = EventType.TRANSCRIPT_PARTIAL
    text: str = ""
    item_id: str | None = None


class TranscriptCompleted(TypedEvent, frozen=True, kw_only=True):
    """What the user said in this item. Empty: there was no speech in it. A later one for the same item replaces it."""

    type: str = EventType.TRANSCRIPT_COMPLETED
    text: str = ""
    item_id: str | None = None
    language: str | None = None


class EmotionDetected(TypedEvent, frozen=True, kw_only=True):
    """How the user sounds, or what the words convey, in a turn or so far in it.

    `scores`: from 0 to 1 by the vendor's own names of feelings, the strongest first. `item_id` is the user's item.
    """

    type: str = EventType.EMOTION_DETECTED
    scores: dict[str, float] = {}
    item_id: str | None = None


class TranscriptFailed(TypedEvent, frozen=True, kw_only=True):
    """The item was heard, but could not be transcribed. The reason is in `error`."""

    type: str = EventType.TRANSCRIPT_FAILED
    item_id: str | None = None


# --- voice activity and turns ---------------------------------------------------------------------------------------


class VadSpeechStarted(TypedEvent, frozen=True, kw_only=True):
    """The user began to speak. `audio_ms`: at which millisecond of all input audio; `item_id`: of the item to come."""

    type: str = EventType.VAD_SPEECH_STARTED
    item_id: str | None = None
    audio_ms: float | None = None


class VadSpeechEnded(TypedEvent, frozen=True, kw_only=True):
    """The user fell silent; whether the turn is over is not yet said.

    `audio_ms`: at which millisecond of all input audio the speech ended. `lag_ms`: how long before this event that
    was (the silence that had to pass before it could be called one).
    """

    type: str = EventType.VAD_SPEECH_ENDED
    item_id: str | None = None
    audio_ms: float | None = None
    lag_ms: float = 0.0


class TurnDetected(TypedEvent, frozen=True, kw_only=True):
    """The user's turn is over and its audio is an item of the conversation. An answer is due now."""

    type: str = EventType.CONVERSATION_TURN_DETECTED
    item_id: str | None = None
    audio_ms: float | None = None


# --- conversation ---------------------------------------------------------------------------------------------------


class ConversationStarted(TypedEvent, frozen=True, kw_only=True):
    """The conversation is open."""

    type: str = EventType.CONVERSATION_STARTED
    conversation_id: str = ""


class ConversationInterrupted(TypedEvent, frozen=True, kw_only=True):
    """The assistant was cut short: of `item_id` the listener heard `heard_ms`, which is `heard_text`.

    `reason` is "speech" (the user began to speak), "request" (`interrupt` was called) or "continued" (the user went
    on speaking before any of the answer was heard; the answer is void and the turn goes on).

    Told by a provider, it says which words were heard, as the vendor knows it, of an item that was cut before: the log
    is put right (`ConversationUpdated`), and the application is not told of a second interruption.
    """

    type: str = EventType.CONVERSATION_INTERRUPTED
    item_id: str | None = None
    response_id: str | None = None
    heard_ms: float = 0.0
    heard_text: str = ""
    reason: str = "speech"


class ConversationUpdated(TypedEvent, frozen=True, kw_only=True):
    """The log changed. `action` is "added", "changed" or "removed"; `item` is a copy of the item as it now is."""

    type: str = EventType.CONVERSATION_UPDATED
    action: str = "added"
    item: Any = None


class ConversationEnded(TypedEvent, frozen=True, kw_only=True):
    """The conversation is closed; nothing is added to it any more."""

    type: str = EventType.CONVERSATION_ENDED
    conversation_id: str = ""
    reason: str = ""


# --- response -------------------------------------------------------------------------------------------------------


class ResponseStarted(TypedEvent, frozen=True, kw_only=True):
    """The provider began to answer. Exactly one of completed, cancelled or error ends it."""

    type: str = EventType.RESPONSE_STARTED
    response_id: str | None = None


class ResponseCompleted(TypedEvent, frozen=True, kw_only=True):
    """The provider has sent all of its answer (of which much may still have to be played).

    `status` is "completed" or "incomplete"; `reason` says why it is incomplete.
    """

    type: str = EventType.RESPONSE_COMPLETED
    response_id: str | None = None
    status: str = "completed"
    reason: str = ""


class ResponseCancelled(TypedEvent, frozen=True, kw_only=True):
    """The answer was called off: "turn_detected" (the user speaks) or "client_cancelled" (we asked)."""

    type: str = EventType.RESPONSE_CANCELLED
    response_id: str | None = None
    reason: str = ""


class ResponseError(TypedEvent, frozen=True, kw_only=True):
    """The answer failed; the conversation goes on. The reason is in `error`, a word to branch on in `code`."""

    type: str = EventType.RESPONSE_ERROR
    response_id: str | None = None
    code: str = "response_failed"
    retryable: bool = True


# --- functions ------------------------------------------------------------------------------------------------------


class FunctionInvoked(TypedEvent, frozen=True, kw_only=True):
    """The assistant calls a tool. `arguments` is the JSON text of one object."""

    type: str = EventType.FUNCTION_INVOKED
    call_id: str = ""
    name: str = ""
    arguments: str = "{}"
    item_id: str | None = None
    response_id: str | None = None


class FunctionCompleted(TypedEvent, frozen=True, kw_only=True):
    """A tool returned; `output` is what the assistant is told (JSON text, or plain text)."""

    type: str = EventType.FUNCTION_COMPLETED
    call_id: str = ""
    name: str = ""
    output: str = ""
    duration_ms: float = 0.0


class FunctionFailed(TypedEvent, frozen=True, kw_only=True):
    """A tool did not return; the assistant is told.

    `code` is unknown_tool, bad_arguments, raised, timeout or bad_result.
    """

    type: str = EventType.FUNCTION_FAILED
    call_id: str = ""
    name: str = ""
    code: str = "raised"
    duration_ms: float = 0.0


class FunctionCancelled(TypedEvent, frozen=True, kw_only=True):
    """A tool call was called off: by the user's barge-in, or by the provider."""

    type: str = EventType.FUNCTION_CANCELLED
    call_id: str = ""
    name: str = ""
    reason: str = ""


# --- figures --------------------------------------------------------------------------------------------------------


class UsageUpdated(TypedEvent, frozen=True, kw_only=True):
    """What the provider used since the last such event. All are counts to add up; cached tokens are part of the input.

    Tokens are the vendor's; seconds are of audio; characters are of text turned to speech; messages are those in
    writing that a vendor bills one by one. Where a vendor bills the length of the session, that is the input's seconds,
    and the output has none. `model` is the vendor's name of what was used, by which it is priced: not the name of a
    deployment.
    """

    type: str = EventType.USAGE_UPDATED
    response_id: str | None = None
    model: str = ""
    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    cached_image_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    input_audio_seconds: float = 0.0
    output_audio_seconds: float = 0.0
    input_text_messages: int = 0
    characters: int = 0


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """One of the vendor's limits: of `limit`, `remaining` are left, and all of it again in `reset_seconds`.

    `name` is the vendor's, such as "requests" or "tokens". What it does not say is None.
    """

    name: str
    limit: int | None = None
    remaining: int | None = None
    reset_seconds: float | None = None


class RateLimitsUpdated(TypedEvent, frozen=True, kw_only=True):
    """How much the vendor still lets us use."""

    type: str = EventType.RATE_LIMITS_UPDATED
    limits: tuple[RateLimit, ...] = ()


class MetricsUpdated(TypedEvent, frozen=True, kw_only=True):
    """The latencies of one turn, in ms after the acoustic end of the user's speech; None is "did not occur"."""

    type: str = EventType.METRICS_UPDATED
    response_id: str | None = None
    item_id: str | None = None
    turn_decided_ms: float | None = None
    transcript_ms: float | None = None
    first_token_ms: float | None = None
    first_audio_ms: float | None = None
    first_audible_ms: float | None = None


class TimingStage(TypedEvent, frozen=True, kw_only=True):
    """The provider reached a stage of its work that no other event tells, such as "first_token".

    `timestamp` is when that was, which may be before the response was told of: an answer that was begun while it was
    not certain yet that the turn was over ("brain_started", then "first_token").
    """

    type: str = EventType.TIMING_STAGE
    stage: str = ""
    response_id: str | None = None


# --- trouble --------------------------------------------------------------------------------------------------------


class SystemWarning(TypedEvent, frozen=True, kw_only=True):
    """Something was not as it should be, and was put right or did no harm."""

    type: str = EventType.SYSTEM_WARNING
    code: str = ""
    message: str = ""


class ErrorGeneral(TypedEvent, frozen=True, kw_only=True):
    """Something failed. `recoverable`: the session goes on. `data["error"]` is the exception, `error` its words."""

    data_names: ClassVar[dict[str, str]] = {"exception": "error"}

    type: str = EventType.ERROR_GENERAL
    exception: BaseException | None = None
    code: str = "error"
    recoverable: bool = True


class RawEvent(TypedEvent, frozen=True, kw_only=True):
    """A message of the vendor that we have no name for, as it came. `name` is the vendor's name for it."""

    type: str = EventType.RAW
    name: str = ""
    payload: Any = None
