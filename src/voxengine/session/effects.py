"""What goes into the session core beside the provider's events, and what comes out of it.

In: commands of the application, and reports of the runner (a tool has finished, a timer has fired). Out: effects, in
the order in which they are to be performed. An effect that is a `ProviderEvent` is an event for the application.
"""

from typing import Any, TypeAlias

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.conversation import Item
from voxengine.conversation.injection import InjectionResult, Note
from voxengine.errors import VoiceEngineError
from voxengine.events import ProviderEvent, ProviderSwitched
from voxengine.providers.capabilities import Capabilities

__all__ = [
    "PASS",
    "AddItem",
    "Announce",
    "Attached",
    "CallFailed",
    "CancelInjection",
    "CancelResponse",
    "CancelTool",
    "ClearTimer",
    "Close",
    "Command",
    "Configured",
    "CreateResponse",
    "DeleteItem",
    "Effect",
    "FailOver",
    "FailOverFailed",
    "ForgetAudio",
    "ForgetItem",
    "GaveUp",
    "GiveNote",
    "HandOver",
    "HearSpeech",
    "HearTurn",
    "HedgeTookOver",
    "Inject",
    "Interrupt",
    "KeepAudio",
    "NameTurn",
    "NoteRefused",
    "NoteSettled",
    "NoteTaken",
    "PlaybackAck",
    "Reattached",
    "RenewMemory",
    "RenewalFailed",
    "Replay",
    "RequestResponse",
    "Rotate",
    "RotationFailed",
    "RunTool",
    "Say",
    "SendText",
    "SendToolResult",
    "SetTimer",
    "Speak",
    "TellItems",
    "Text",
    "TimerFired",
    "ToolFinished",
    "Truncate",
    "TruncateItem",
    "TurnOver",
]


class _In(msgspec.Struct, frozen=True):
    """A command or a report."""


class Attached(_In, frozen=True):
    """From now on events come from this provider."""

    provider: str
    capabilities: Capabilities
    #: The loop's time at which it was connected.
    opened_at: float = 0.0


class Reattached(_In, frozen=True):
    """The same conversation goes on over another connection, after an outage or without one.

    The fields are those of `ConnectionRestored`; `opened_at` is the loop's time. Where it is another provider,
    `switched` tells of that, and `manual_turns` whether the application ends each turn there.
    """

    provider: str
    capabilities: Capabilities
    reason: str
    opened_at: float = 0.0
    resumed: bool = False
    attempts: int = 1
    outage_ms: float = 0.0
    items: int = 0
    audio_ms: float = 0.0
    audio_lost_ms: float = 0.0
    #: Whether there was none meanwhile.
    outage: bool = True
    switched: ProviderSwitched | None = None
    manual_turns: bool | None = None


class HedgeTookOver(_In, frozen=True):
    """The same conversation goes on over a connection that has heard the user all the time.

    `aliases` are the ids of the log by those that it gives to the user's items. `speaking`: the user is, as it hears.
    `answers`: it gives the answer that is due without being asked.
    """

    provider: str
    capabilities: Capabilities
    switched: ProviderSwitched
    opened_at: float = 0.0
    manual_turns: bool = False
    aliases: dict[str, str] = {}
    speaking: bool = False
    answers: bool = True


class HandOver(_In, frozen=True):
    """Another provider is about to take over from one that is connected; `Reattached` follows at once.

    `failed`: because this one does not do its work.
    """

    failed: bool = False


class FailOverFailed(_In, frozen=True):
    """No other provider could take over: the present one stays."""


class GaveUp(_In, frozen=True):
    """The connection that was lost will not be restored; `error` is what those are told who wait for it."""

    code: str
    reason: str
    error: VoiceEngineError | None = None


class RotationFailed(_In, frozen=True):
    """The connection that was to take over could not be opened, or (`busy`) came at a moment that had become bad."""

    busy: bool = False


class Text(_In, frozen=True):
    """The application puts in a text; that of the user is to be answered."""

    text: str
    role: str = "user"


class CreateResponse(_In, frozen=True):
    """The application asks for a response."""

    modalities: tuple[str, ...] | None = None
    instructions: str | None = None
    #: Settings for this response only.
    overrides: dict[str, Any] | None = None
    #: The user's item that it is to answer, and whether the provider knows of something that was said later.
    turn_id: str | None = None
    overtaken: bool = False


class HearSpeech(_In, frozen=True):
    """The application itself hears that the user began to speak, or fell silent: fields as of the provider's events."""

    began: bool
    item_id: str
    audio_ms: float | None = None
    lag_ms: float = 0.0


class HearTurn(_In, frozen=True):
    """The application itself hears that the user's turn of `duration_ms` is over; its audio is sent later."""

    item_id: str
    audio_ms: float | None = None
    duration_ms: float = 0.0


class NameTurn(_In, frozen=True):
    """The application is about to end the user's turn; `made` is False if that failed.

    It becomes this item of the log, where the application's own ear has told of it. Nobody answers it unasked.
    """

    item_id: str | None = None
    made: bool = True


class AddItem(_In, frozen=True):
    """The application puts an item into the conversation, behind another ("" is the beginning, None the end)."""

    item: Item
    after: str | None = None


class DeleteItem(_In, frozen=True):
    """The application takes an item out of the conversation."""

    item_id: str


class TruncateItem(_In, frozen=True):
    """The application says that of an item of the assistant only so much was heard."""

    item_id: str
    heard_ms: float


class Configured(_In, frozen=True):
    """The connection at work has other capabilities, or the application other wishes; None: as before.

    `silent_tools` are the names of tools after whose results no answer is asked for. `new_format`: audio comes in
    another format from here on. `stale`: the connection at work does not have its settings and never will.
    """

    capabilities: Capabilities | None = None
    auto_response: bool | None = None
    interruptions: bool | None = None
    silent_tools: frozenset[str] | None = None
    new_format: bool = False
    stale: bool = False


class RenewalFailed(_In, frozen=True):
    """No fresh connection that knows the conversation as it stands; `busy`: it came at a moment that was bad."""

    busy: bool = False


class Say(_In, frozen=True):
    """The application wants this spoken, word for word."""

    text: str


class Announce(_In, frozen=True):
    """The session says something by itself, after what is playing: words, and samples in which they are spoken."""

    text: str
    audio: bytes
    format: AudioFormat


class Inject(_In, frozen=True):
    """The application puts in a note, to go in at its moment."""

    note: Note


class CancelInjection(_In, frozen=True):
    """The application takes a note back, if it still waits."""

    injection_id: str


class NoteTaken(_In, frozen=True):
    """The provider has taken a note."""

    injection_id: str


class NoteRefused(_In, frozen=True):
    """The provider has not taken a note; `reason` says why, in words."""

    injection_id: str
    reason: str


class Interrupt(_In, frozen=True):
    """The application wants silence."""


class ToolFinished(_In, frozen=True):
    """A tool has returned, or has failed with `code` (then `output` tells the assistant so)."""

    call_id: str
    output: str
    code: str | None = None
    error: str | None = None
    duration_ms: float = 0.0


class PlaybackAck(_In, frozen=True):
    """The client says that it has played the item up to here."""

    item_id: str
    played_ms: float


class CallFailed(_In, frozen=True):
    """The provider did not take what was to be answered: no response will come of it."""


class TimerFired(_In, frozen=True):
    """A timer that was set has run out."""

    name: str


class Close(_In, frozen=True):
    """The conversation is over."""

    reason: str = ""


Command: TypeAlias = (
    Attached
    | Reattached
    | HedgeTookOver
    | GaveUp
    | RotationFailed
    | RenewalFailed
    | FailOverFailed
    | HandOver
    | Configured
    | AddItem
    | DeleteItem
    | TruncateItem
    | Text
    | CreateResponse
    | HearSpeech
    | HearTurn
    | NameTurn
    | Say
    | Announce
    | Inject
    | CancelInjection
    | NoteTaken
    | NoteRefused
    | Interrupt
    | ToolFinished
    | PlaybackAck
    | CallFailed
    | TimerFired
    | Close
)


class _Out(msgspec.Struct, frozen=True):
    """Something for the runner to do."""


class SendText(_Out, frozen=True):
    """`provider.send_text`."""

    text: str
    role: str


class RequestResponse(_Out, frozen=True):
    """`provider.create_response`."""

    modalities: tuple[str, ...] | None = None
    instructions: str | None = None
    overrides: dict[str, Any] | None = None


class Speak(_Out, frozen=True):
    """`provider.generate_tts`, or its stand-in."""

    text: str


class CancelResponse(_Out, frozen=True):
    """`provider.interrupt`."""

    response_id: str | None = None


class Truncate(_Out, frozen=True):
    """`provider.truncate_item`."""

    item_id: str
    heard_ms: float
    heard_text: str


class SendToolResult(_Out, frozen=True):
    """`provider.send_tool_result`. `best_effort`: the provider may have forgotten the call, which is no error."""

    call_id: str
    output: str
    best_effort: bool = False


class GiveNote(_Out, frozen=True):
    """Give the provider a note by one of the means (`voxengine.session.means`); `NoteTaken` tells that it has it.

    `item_id` is that of its item. `instructions` are all notes that the session's instructions are to hold, where that
    is the means. Without an `injection_id` nobody waits for it: it is told again.
    """

    injection_id: str
    means: str
    role: str
    text: str
    item_id: str | None = None
    instructions: tuple[str, ...] = ()


class NoteSettled(_Out, frozen=True):
    """Tell the holder of a note what became of it."""

    result: InjectionResult


class TellItems(_Out, frozen=True):
    """`provider.add_conversation_history`, of items of the log that it does not know.

    `after` is where they go, as the provider calls it; None: to the end. `waited_for`: by whoever put them in.
    """

    item_ids: tuple[str, ...]
    after: str | None = None
    waited_for: bool = False


class ForgetItem(_Out, frozen=True):
    """`provider.delete_item`, of an item that it may not know."""

    item_id: str


class RenewMemory(_Out, frozen=True):
    """Open another connection of the same provider, which is told the log as it stands, and let it take over."""


class Replay(_Out, frozen=True):
    """Send the user's audio that was kept, faster than it was spoken; what comes in meanwhile follows it.

    `commit`: the first turn in it is one that the application had ended.
    """

    commit: bool = False


class KeepAudio(_Out, frozen=True):
    """The turn of this item has begun, at this millisecond of the connection's input: its audio is kept."""

    item_id: str
    audio_ms: float | None = None


class TurnOver(_Out, frozen=True):
    """The user's turn is over, at this millisecond of the connection's input."""

    audio_ms: float | None = None


class ForgetAudio(_Out, frozen=True):
    """The turn of this item is settled: its audio is not needed any more."""

    item_id: str


class Rotate(_Out, frozen=True):
    """Open another connection of the same provider, and let it take over."""


class FailOver(_Out, frozen=True):
    """The provider does not do its work, though it is connected: another one is to take over, if there is one."""

    code: str
    reason: str


class RunTool(_Out, frozen=True):
    """Run a tool of the application; `ToolFinished` tells how it went."""

    call_id: str
    name: str
    arguments: str


class CancelTool(_Out, frozen=True):
    """Stop a tool that is running; no `ToolFinished` is wanted any more."""

    call_id: str


class SetTimer(_Out, frozen=True):
    """Report `TimerFired(name)` at this time of the loop; a timer of the same name is replaced."""

    name: str
    at: float


class ClearTimer(_Out, frozen=True):
    """Forget a timer."""

    name: str


Effect: TypeAlias = (
    ProviderEvent
    | SendText
    | RequestResponse
    | Speak
    | CancelResponse
    | Truncate
    | ForgetItem
    | RenewMemory
    | SendToolResult
    | TellItems
    | GiveNote
    | NoteSettled
    | Replay
    | KeepAudio
    | TurnOver
    | ForgetAudio
    | Rotate
    | FailOver
    | RunTool
    | CancelTool
    | SetTimer
    | ClearTimer
)

#: The answer to most events on the audio path: hand the event on, and nothing else.
PASS: tuple[Effect, ...] = ()
