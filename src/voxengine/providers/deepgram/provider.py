"""The provider: the connection to a Voice Agent, and what is said on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import MessageError, UnsupportedFeatureError
from voxengine.net import WebSocket
from voxengine.providers.deepgram import codec
from voxengine.providers.deepgram import session as shape
from voxengine.providers.deepgram.turns import Turns
from voxengine.providers.failures import error_of
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider

__all__ = ["DeepgramProvider"]

#: Calls of tools that may wait for a result. The oldest is forgotten: the agent has gone on without it.
MAX_CALLS = 64
#: Bytes of notes that stay a part of the prompt; of more, the oldest go.
MAX_NOTES = 8 * 1024
#: How often it is looked, in seconds, whether audio was sent since; if none was, a sign of life is. The vendor wants
#: one every 8 seconds, and that is the longest that there can be nothing.
KEEP_ALIVE_S = 4.0
#: Seconds for which an answer counts as due that was asked for and has not begun.
_DUE_S = 10.0

#: What is said to it in place of instructions for one response, where there are none.
_GO_ON = "It is your turn: answer what was said last, or go on."

#: Settings that are ours alone, and so can be changed at any time.
_LOCAL = frozenset({"transcription", "partials", "vad_events"})
#: The vendor's codes for which there is a word of ours.
_CODES = {
    "INTERNAL_SERVER_ERROR": "server",
    "CLIENT_MESSAGE_TIMEOUT": "timeout",
    "ASR_CONNECTION_CLOSED": "server",
    "ASR_DRIVER_TIMEOUT": "timeout",
    "FAILED_TO_START_LISTENING": "server",
    "FAILED_TO_THINK": "server",
    "FAILED_TO_SPEAK": "server",
    "UNPARSABLE_CLIENT_MESSAGE": "message",
    "NON_SETTINGS_MESSAGE_BEFORE_SETTINGS": "message",
    "SETTINGS_ALREADY_APPLIED": "message",
    "INVALID_SETTINGS": "message",
    "USER_AUDIO_FORMAT": "message",
}


class DeepgramProvider(TimedProvider):
    """Deepgram's Voice Agent: Deepgram's ears and voices, and a language model of one's choice between them.

    The agent finds the turns and answers them by itself. It has no command that stops it: `interrupt` raises while it
    is answering (the session above stops playing it all the same), and what was heard cannot be told to it. A note
    (role "system") becomes a part of the prompt. The instructions of one response go in among the user's words, marked
    as what they are; the prompt says so. A turn can be ended by `send_event({"type": "ForceEndTurn"})`, where Flux
    listens; it is answered at once, as any is.

    Usage is the length of the session in seconds, as it is billed: `input_audio_seconds` of `UsageUpdated`.

    The `model` is the language model, "open_ai/gpt-4o-mini" or "anthropic/claude-sonnet-4-5". Settings beside those of
    every provider over a WebSocket: `listen` ("flux-general-en", "nova-3"), `think`, `speak`, each a model or a dict
    in the vendor's own words; `greeting`, which is spoken first; and `session`, more of `Settings` (`tags`,
    `mip_opt_out`, ...).
    """

    capabilities = shape.CAPABILITIES
    key_variables = ("DEEPGRAM_API_KEY",)
    provider_name = "deepgram"
    binary_audio = True
    #: By the minute, whatever its models.
    billed_as = "deepgram-voice-agent"

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.capabilities = shape.capabilities_of(self.config)
        self._turns = Turns(self.meta, shape.output_format(self.config))
        self._history: list[Item] = []
        self._notes: list[str] = []
        #: Calls that wait for a result: the tool of each.
        self._calls: dict[str, str] = {}
        #: When an answer was asked for that has not begun; and what is to be asked for after the next.
        self._asked_at: float | None = None
        self._next: str | None = None
        self._alive: asyncio.TimerHandle | None = None
        #: Milliseconds of audio that were sent when it was last looked.
        self._alive_ms = 0.0
        self._set_local()

    # -- the connection

    async def address(self) -> Address:
        """Where to connect."""
        headers = {"Authorization": f"Token {self.key()}"}
        return Address(url=self.url(shape.ENDPOINT), headers=headers)

    def opened(self, socket: WebSocket) -> None:
        """Make the settings."""
        settings = shape.settings_of(self.config, self.get_audio_format(), self._history)
        socket.send_text(codec.encode_event(settings))

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    def end_response(self, code: str | None) -> None:
        """Tell the end of what the agent was saying, and what the session has cost since."""
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None
        response_id = self._turns.forget()
        if response_id is not None:
            self.tell_end(response_id, code)
        self.bill()

    def _look(self) -> None:
        """Say that we are there, if no audio has said it."""
        self._alive = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._look)
        if self.sent_ms == self._alive_ms and self.at_work:
            self.open_socket().send_text(codec.KEEP_ALIVE)
        self._alive_ms = self.sent_ms

    # -- in

    def on_binary(self, payload: memoryview) -> None:
        """Audio came."""
        events = self._turns.audio(bytes(payload), self.sent_ms)
        if len(events) == 1:
            self.stream(events[0])
        else:
            self._tell(events)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            self._said(message)
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        else:
            self.complain(message.words)

    def _said(self, message: codec.Message) -> None:
        turns, sent = self._turns, self.sent_ms
        match message.type:
            case "ConversationText" if message.role == "user":
                spoken = message.languages[0] if message.languages else None
                self._tell(turns.user_words(message.content, sent, spoken))
            case "ConversationText":
                self._tell(turns.agent_words(message.content, sent))
            case "UserStartedSpeaking":
                self._tell(turns.speech_started(sent))
            case "AgentStartedSpeaking":
                turns.begins()
            case "AgentAudioDone":
                self._tell(turns.audio_done())
            case "FunctionCallRequest":
                self._called(message)
            case "FunctionCallCancelled":
                self._uncalled(message)
            case _:
                self._about_the_session(message)

    def _about_the_session(self, message: codec.Message) -> None:
        match message.type:
            case "Welcome":
                self.session_id = message.request_id
                self._turns.prefix = message.request_id or self._turns.prefix
            case "SettingsApplied":
                self.start_clock()
                loop = asyncio.get_running_loop()
                self._alive = loop.call_later(KEEP_ALIVE_S, self._look)
                self.ready()
            case "Warning":
                code = message.code.lower() or "warning"
                words = self.masked(message.description)
                self.emit(ev.SystemWarning(code=code, message=words, **self.meta()))
            case "InjectionRefused":
                refusal = error_of("injection_refused", message.message, self.name, refused=True)
                self.error(refusal)
            case "Error":
                code = _CODES.get(message.code, message.code.lower() or "error")
                words = f"{message.description} ({message.code})"
                refused = not self.at_work and code == "message"
                self.error(error_of(code, words, self.name, refused=refused), fatal=True)

    def _called(self, message: codec.Message) -> None:
        ours = [function for function in message.functions if function.client_side]
        for function in ours:
            self._calls[function.id] = function.name
            if len(self._calls) > MAX_CALLS:
                del self._calls[next(iter(self._calls))]
        if len(ours) < len(message.functions):
            self.raw(message.type, msgspec.to_builtins(message.functions))
        if ours:
            self._tell(self._turns.tools(ours, self.sent_ms))

    def _uncalled(self, message: codec.Message) -> None:
        for function in message.functions:
            if self._calls.pop(function.id, None) is not None:
                why = "the agent has withdrawn it"
                self.emit(
                    ev.FunctionCancelled(
                        call_id=function.id, name=function.name, reason=why, **self.meta()
                    )
                )

    def _tell(self, events: Sequence[ev.ProviderEvent]) -> None:
        for event in events:
            kind = type(event)
            if kind is ev.ResponseStarted:
                self._asked_at = None
            elif kind is ev.TurnDetected:
                self._asked_at = _now()
            self.emit(event)
            if kind in (ev.ResponseCompleted, ev.ResponseCancelled):
                self.bill()
        if self._turns.user_speaks:
            self._next = None  # what the user says is answered instead
        elif self._next is not None and not self._due and self._turns.response_id is None:
            self._ask(self._next)

    @property
    def _due(self) -> bool:
        """Whether an answer is about to begin."""
        return self._asked_at is not None and _now() - self._asked_at < _DUE_S

    # -- out

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put in words of the user, which are answered, or a note ("system"), which becomes a part of the prompt.

        Raises:
            UnsupportedFeatureError: words of the assistant; the agent would speak them.
        """
        self.open_socket()
        self._check_text(text)
        if role == "user":
            self._put(text)
        elif role == "system":
            self._notes.append(text)
            while len(self._notes) > 1 and sum(len(n.encode()) for n in self._notes) > MAX_NOTES:
                del self._notes[0]
            self._change({"instructions": self.config.instructions})
        else:
            raise self.unsupported(f"words of the {role} that are not spoken")

    def _put(self, text: str) -> None:
        """Put in words that are answered."""
        self._asked_at = _now()
        self._turns.texted(text)
        self.open_socket().send_text(codec.encode_user(text))

    def _ask(self, instructions: str) -> None:
        self._next = None
        self._put(codec.note(instructions))

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response, after the one that is under way; one that is due already is the one asked for.

        Raises:
            UnsupportedFeatureError: `modalities` without audio.
        """
        self.open_socket()
        if modalities is not None and "audio" not in modalities:
            raise self.unsupported("a response in text alone")
        if self._due and instructions is None:
            return
        if self._due or self._turns.response_id is not None:
            self._next = instructions or _GO_ON
        else:
            self._ask(instructions or _GO_ON)

    async def interrupt(self) -> None:
        """Without a response under way, nothing happens.

        Raises:
            UnsupportedFeatureError: one is. The agent stops by itself when it hears the user; it cannot be told to.
        """
        self.open_socket()
        if self._turns.response_id is not None:
            raise self.unsupported("calling off what it says")

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word, after what is being said."""
        socket = self.open_socket()
        self._check_text(text)
        socket.send_text(codec.encode_say(text))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change instructions, voice, tools, model, vocabulary or turn detection, or which events are told.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the session begins.
        """
        self.open_socket()
        fixed = [name for name in config if name not in shape.CHANGEABLE | _LOCAL]
        if fixed:
            raise self.unsupported(f"a change of {', '.join(fixed)} once the session has begun")
        self.config.update(**dict(config))
        self._set_local()
        self._change(config)
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    def _change(self, changed: Mapping[str, Any]) -> None:
        socket = self.open_socket()
        for message in shape.changes_of(self.config, changed, self._notes):
            socket.send_text(codec.encode_event(message))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before `connect`. Of a long one, the end is told.

        Raises:
            MessageError: it comes too late (`history_late`).
        """
        if not items:
            return
        if self.begun:
            raise MessageError(
                "an earlier conversation is given before the session begins",
                provider=self.name,
                code="history_late",
            )
        self._history += items
        self._notes += [
            item.text for item in items if item.kind == "message" and item.role == "system"
        ]

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        if call_id not in self._calls:
            raise MessageError(
                f"no call {call_id!r} is waiting for a result",
                provider=self.name,
                code="unknown_call",
            )
        self._tell(self._turns.returned())
        socket.send_text(codec.encode_tool_result(call_id, self._calls.pop(call_id), output))
        if not self._calls:
            self._asked_at = _now()

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words, such as `UpdateThink`.

        Raises:
            MessageError: it has no type, or is nothing that JSON can hold.
        """
        socket = self.open_socket()
        if not isinstance(event.get("type"), str):
            raise MessageError("an event has a type", provider=self.name)
        try:
            message = codec.encode_event(event)
        except (TypeError, ValueError, msgspec.EncodeError) as failure:
            raise MessageError(f"not JSON: {failure}", provider=self.name) from None
        socket.send_text(message)

    def unsupported(self, what: str) -> UnsupportedFeatureError:
        """The error for something that the agent cannot do."""
        words = f"Deepgram's Voice Agent does not offer {what}"
        return UnsupportedFeatureError(words, provider=self.name)

    def _check_text(self, text: object) -> None:
        if not isinstance(text, str) or not text:
            raise MessageError("a text is a string that is not empty", provider=self.name)

    def _set_local(self) -> None:
        self._turns.transcripts = self.config.transcription is not False
        self._turns.vad_events = self.config.vad_events is not False


def _now() -> float:
    return asyncio.get_running_loop().time()
