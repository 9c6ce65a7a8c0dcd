"""The provider: the connection to a Voice Agent, and what is said on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.net import WebSocket
from voxengine.providers.deepgram import codec
from voxengine.providers.deepgram import session as shape
from voxengine.providers.deepgram.turns import Turns
from voxengine.providers.failures import error_of
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider
from voxengine.providers.turns_provider import GO_ON, LOCAL, Calls

__all__ = ["DeepgramProvider"]

#: Bytes of notes that stay a part of the prompt; of more, the oldest go.
MAX_NOTES = 8 * 1024
#: How often it is looked, in seconds, whether audio was sent since; if none was, a sign of life is. The vendor wants
#: one every 8 seconds, and that is the longest that there can be nothing.
KEEP_ALIVE_S = 4.0
#: Seconds for which an answer counts as due that was asked for and has not begun.
_DUE_S = 10.0

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
    title = "Deepgram's Voice Agent"
    _turns: Turns
    binary_audio = True
    #: By the minute, whatever its models.
    billed_as = "deepgram-voice-agent"

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.capabilities = shape.capabilities_of(self.config)
        self._turns = Turns(self.meta, shape.output_format(self.config))
        self._notes: list[str] = []
        #: Calls that wait for a result: the tool of each.
        self._calls = Calls[str]()
        #: When an answer was asked for that has not begun; and what is to be asked for after the next.
        self._asked_at: float | None = None
        self._next: str | None = None
        self._alive: asyncio.TimerHandle | None = None
        #: Milliseconds of audio that were sent when it was last looked.
        self._alive_ms = 0.0
        self.set_local()

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
        super().end_response(code)

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
            self.tell(events)

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
                self.tell(turns.user_words(message.content, sent, spoken))
            case "ConversationText":
                self.tell(turns.agent_words(message.content, sent))
            case "UserStartedSpeaking":
                self.tell(turns.speech_started(sent))
            case "AgentStartedSpeaking":
                turns.begins()
            case "AgentAudioDone":
                self.tell(turns.audio_done())
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
            self._calls.add(function.id, function.name)
        if len(ours) < len(message.functions):
            self.raw(message.type, msgspec.to_builtins(message.functions))
        if ours:
            self.tell(self._turns.tools(ours, self.sent_ms))

    def _uncalled(self, message: codec.Message) -> None:
        for function in message.functions:
            if self._calls.pop(function.id, None) is not None:
                why = "the agent has withdrawn it"
                self.emit(
                    ev.FunctionCancelled(
                        call_id=function.id, name=function.name, reason=why, **self.meta()
                    )
                )

    def told(self, event: ev.ProviderEvent) -> None:
        """An event was told: what follows from it."""
        if type(event) is ev.ResponseStarted:
            self._asked_at = None
        elif type(event) is ev.TurnDetected:
            self._asked_at = self.now()
        super().told(event)

    def tell(self, events: Sequence[ev.ProviderEvent]) -> None:
        """Tell of these events; and ask for what was to be asked for after them."""
        super().tell(events)
        if self._turns.user_speaks:
            self._next = None  # what the user says is answered instead
        elif self._next is not None and not self._due and self._turns.response_id is None:
            self._ask(self._next)

    @property
    def _due(self) -> bool:
        """Whether an answer is about to begin."""
        return self._asked_at is not None and self.now() - self._asked_at < _DUE_S

    # -- out

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put in words of the user, which are answered, or a note ("system"), which becomes a part of the prompt.

        Raises:
            UnsupportedFeatureError: words of the assistant; the agent would speak them.
        """
        self.open_socket()
        self.need_text(text)
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
        self._asked_at = self.now()
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
            self._next = instructions or GO_ON
        else:
            self._ask(instructions or GO_ON)

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word, after what is being said."""
        socket = self.open_socket()
        self.need_text(text)
        socket.send_text(codec.encode_say(text))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change instructions, voice, tools, model, vocabulary or turn detection, or which events are told.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the session begins.
        """
        self.open_socket()
        self.need_changeable(config, shape.CHANGEABLE | LOCAL, "once the session has begun")
        self.config.update(**dict(config))
        self.set_local()
        self._change(config)
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    def _change(self, changed: Mapping[str, Any]) -> None:
        socket = self.open_socket()
        for message in shape.changes_of(self.config, changed, self._notes):
            socket.send_text(codec.encode_event(message))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """As of every provider that is told at the start; notes go on as a part of the prompt."""
        await super().add_conversation_history(items)
        self._notes += [
            item.text for item in items if item.kind == "message" and item.role == "system"
        ]

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._calls)
        self.tell(self._turns.returned())
        socket.send_text(codec.encode_tool_result(call_id, self._calls.pop(call_id), output))
        if not self._calls:
            self._asked_at = self.now()
