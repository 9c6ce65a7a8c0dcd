"""The provider: the connection to an agent, and what is said on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError
from voxengine.net import Closed, WebSocket
from voxengine.providers.elevenlabs import codec
from voxengine.providers.elevenlabs import session as shape
from voxengine.providers.elevenlabs.access import KEYS, base_url, format_of
from voxengine.providers.elevenlabs.failures import code_of_reason, failure_of
from voxengine.providers.elevenlabs.signing import PATH as SIGNING
from voxengine.providers.elevenlabs.signing import signed_url
from voxengine.providers.elevenlabs.turns import Turns
from voxengine.providers.endpoints import find_key, http_url
from voxengine.providers.failures import error_of, is_retryable
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider
from voxengine.providers.turns_provider import GO_ON, LOCAL, Calls

__all__ = ["ElevenLabsProvider"]

#: The name under which it is billed.
MODEL = "conversational_ai"


class ElevenLabsProvider(TimedProvider):
    """ElevenLabs Agents: an agent that is made at the vendor's, with a voice, a model and tools of its own.

    Which one is the setting `model`, or `agent_id`. Instructions, language, voice and vocabulary are overrides, each of
    which the agent has to permit (else the connection is refused); `overrides=False` leaves the agent as it is, and
    tells it the instructions as something to know. It calls those tools of the application that it was given as client
    tools of the same names.

    It finds the turns and answers them by itself. It has no command that stops it: `interrupt` raises while it is
    answering (the session above stops playing it all the same). What was heard of an answer that was cut short, it says
    itself. An earlier conversation becomes a part of its prompt.

    Usage is the length of the conversation in seconds, as it is billed: `input_audio_seconds` of `UsageUpdated`.

    Settings beside those of every provider over a WebSocket: `residency` (us, eu, in, sg), `signed` (False: the agent
    is public), `signed_url` (one that a server of yours has asked for), `first_message`, `dynamic_variables`,
    `user_id`, `llm`, `speed`, `stability`, `similarity_boost`, `max_duration` (seconds, that of the agent), and
    `session`, a dict of what else begins a conversation, in the vendor's own words.
    """

    capabilities = shape.CAPABILITIES
    key_variables = KEYS
    provider_name = "elevenlabs"
    title = "ElevenLabs"
    _turns: Turns

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        longest = self.config.option("max_duration")
        if longest is not None:
            self.capabilities = msgspec.structs.replace(
                self.capabilities, max_connection_seconds=int(longest)
            )
        self._turns = Turns(self.meta)
        self._told = ""
        #: Calls that wait for a result.
        self._calls = Calls[None]()
        #: Results of tools were given that were not answered yet.
        self._owed = False
        self.set_local()

    # -- the connection

    def check(self) -> None:
        """Find out what can be wrong with the configuration.

        Raises:
            ConfigurationError: there is no agent, or no key to one that is not public.
        """
        option = self.config.option
        if option("signed_url"):
            return
        if not self._agent:
            raise ConfigurationError(
                "provider 'elevenlabs' needs the id of an agent: model or agent_id"
            )
        base_url(option("residency"))
        if option("signed") is True:
            self.key()

    @property
    def billed_as(self) -> str:
        """By the minute, whatever the agent."""
        return MODEL

    @property
    def _agent(self) -> str | None:
        agent = self.config.option("agent_id") or self.config.model
        return str(agent) if agent else None

    async def address(self) -> Address:
        """Where to connect: with a key, that is asked for."""
        option = self.config.option
        given = option("signed_url")
        if not given:
            base, query = base_url(option("residency")), {"agent_id": self._agent}
            key = find_key(self.config.api_key, self.key_variables)
            if option("signed") is False or not key:
                return Address(url=self.url(f"{base}{shape.PATH}", query))
            where = http_url(f"{base}{SIGNING}", option("endpoint"), query)
            given = await signed_url(where, self.key(), self.config, provider=self.name)
        # It lets anybody in who has it.
        return Address(url=str(given), secrets=(str(given).partition("?")[2] or str(given),))

    def opened(self, socket: WebSocket) -> None:
        """Begin the conversation."""
        self._told = shape.told_of(self._history)
        message = shape.initiation_of(self.config, self._told)
        self._turns.speaks = not shape.writes(message)
        socket.send_text(codec.encode_event(message))

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    def code_of_close(self, closed: Closed) -> tuple[str, bool]:
        """A word for the end of the connection. An agent that hangs up closes it as one does who has done."""
        if self._told_code is None:
            code = code_of_reason(closed.reason)
            if code is not None:
                return code, is_retryable(code)
            if closed.code == 1000:
                return "ended", False
        return super().code_of_close(closed)

    # -- in

    def encode_audio(self, audio: bytes) -> bytes:
        """The message that carries this audio."""
        return codec.encode_audio(audio)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            if message.audio_event is not None:
                self._audio(message.audio_event)
            elif message.ping_event is not None:
                if self._socket is not None:
                    self._socket.send_text(codec.encode_pong(message.ping_event.event_id))
            elif message.conversation_initiation_metadata_event is not None:
                self._stands(message.conversation_initiation_metadata_event)
            elif message.error_event is not None:
                self._error(message.error_event)
            else:
                self._said(message)
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        else:
            self.complain(message.words)

    def _stands(self, metadata: codec.Metadata) -> None:
        try:
            given = format_of(metadata.user_input_audio_format)
            made = format_of(metadata.agent_output_audio_format)
        except ConfigurationError as failure:
            self.error(error_of("format", str(failure), self.name))
            return
        self._turns.output = made
        # From here on it is known what this agent takes and gives.
        self.capabilities = msgspec.structs.replace(
            self.capabilities, input_formats=(given,), output_formats=(made,)
        )
        self.session_id = self._turns.prefix = metadata.conversation_id
        self.start_clock()
        for text, context_id in shape.contexts_of(self.config, self._told):
            if self._socket is not None:
                self._socket.send_text(codec.encode_context(text, context_id))
        self.ready()

    def _audio(self, audio: codec.Audio) -> None:
        try:
            samples = codec.decode_audio(audio)
            events = self._turns.audio(samples, audio.event_id, audio.alignment, self.now())
        except ValueError as failure:
            self.complain(f"audio that cannot be read: {failure}")
            return
        self.tell(events)

    def _said(self, message: codec.Message) -> None:
        turns, now = self._turns, self.now()
        if message.tentative_user_transcription_event is not None:
            words = message.tentative_user_transcription_event.user_transcript
            self.tell(turns.tentative(words, now))
        elif message.user_transcription_event is not None:
            self.tell(turns.final(message.user_transcription_event.user_transcript, now))
        elif message.agent_response_event is not None:
            self.tell(turns.said(message.agent_response_event.agent_response, now))
        elif message.interruption_event is not None:
            self.tell(turns.interrupted(message.interruption_event.event_id, now))
        elif message.agent_response_correction_event is not None:
            told = message.agent_response_correction_event
            words = told.corrected_agent_response
            self.tell(turns.corrected(told.original_agent_response, words, now))
        elif message.client_tool_call is not None:
            self._called(message.client_tool_call)
        else:
            words = "a guardrail of the agent has stopped it"
            self.emit(ev.SystemWarning(code="guardrail", message=words, **self.meta()))

    def _called(self, call: codec.ToolCall) -> None:
        self._calls.add(call.tool_call_id, None)
        arguments = bytes(call.parameters).decode()
        self.tell(self._turns.tool_call(call.tool_call_id, call.tool_name, arguments, self.now()))

    def _error(self, error: codec.Error) -> None:
        failure = failure_of(error, self.name, at_work=self.at_work)
        self.error(failure, fatal=True)

    def told(self, event: ev.ProviderEvent) -> None:
        """An event was told: what follows from it."""
        if type(event) is ev.ResponseStarted:
            self._owed = False
        super().told(event)

    # -- out

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put in words of the user, which are answered, or a note ("system"), which is not.

        Raises:
            UnsupportedFeatureError: words of the assistant.
        """
        socket = self.open_socket()
        self.need_text(text)
        if role == "user":
            self._turns.texted()
            socket.send_text(codec.encode_user(text))
        elif role == "system":
            socket.send_text(codec.encode_context(text))
        else:
            raise self.unsupported(f"words of the {role} that are not spoken")

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response. Where the agent has the results of tools to answer, that is the response.

        Raises:
            UnsupportedFeatureError: `modalities` without audio; an agent that speaks always does.
        """
        socket = self.open_socket()
        if modalities is not None and "audio" not in modalities and self._turns.speaks:
            raise self.unsupported("answers in text alone")
        if self._owed and not instructions:
            return
        self._turns.texted()
        socket.send_text(codec.encode_user(codec.note(instructions or GO_ON)))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change the instructions, the tools, or which events are told.

        New instructions are told beside the prompt. Tools are the agent's own: what changes is only which of those the
        application has.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the conversation begins.
        """
        socket = self.open_socket()
        self.need_changeable(config, shape.CHANGEABLE | LOCAL, "in mid-conversation")
        self.config.update(**dict(config))
        self.set_local()
        if config.get("instructions"):
            words = shape.instructed(config["instructions"])
            socket.send_text(codec.encode_context(words, shape.INSTRUCTIONS))
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before the first audio. Of a long one, the end is told.

        Before it is connected, that becomes a part of the prompt, and the agent does not begin with its first message.

        Raises:
            MessageError: it comes too late (`history_late`).
        """
        if not items:
            return
        self.need_early("the first audio", late=bool(self.sent_ms))
        self._history += items
        if self.begun:
            self.open_socket().send_text(codec.encode_context(shape.told_of(items)))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._calls)
        del self._calls[call_id]
        self._owed = True
        is_error = _is_error(output)
        socket.send_text(codec.encode_tool_result(call_id, output, is_error=is_error))


def _is_error(output: str) -> bool:
    """Whether a result says that the tool has failed: a JSON object with an `error`."""
    try:
        found = msgspec.json.decode(output)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return isinstance(found, dict) and bool(found.get("error"))
