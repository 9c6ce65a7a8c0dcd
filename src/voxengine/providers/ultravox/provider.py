"""The provider: the connection to an Ultravox call, and what is said on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.net import WebSocket
from voxengine.providers.endpoints import http_url
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider
from voxengine.providers.turns_provider import GO_ON, LOCAL, Calls
from voxengine.providers.ultravox import codec
from voxengine.providers.ultravox import session as shape
from voxengine.providers.ultravox.calls import create_call
from voxengine.providers.ultravox.turns import Turns

__all__ = ["UltravoxProvider"]

#: Settings that can be changed at any time; and those for which there has to be another call.
_CHANGEABLE = LOCAL | {"modalities"}
_OF_CALL = frozenset({"instructions", "tools", "voice", "temperature", "language", "model"})


class UltravoxProvider(TimedProvider):
    """Ultravox Realtime: an agent whose model hears the audio itself.

    A call is created by a request, with everything that it is about, and then joined. The agent finds the turns and
    answers them by itself. It is told to stop by a message of the user's that is empty; what was heard it knows by its
    own clock, for it is told how much audio may wait with us (30 s) and tells us to throw that away when it is
    interrupted. A note (role "system") and the instructions of one response go in among the user's words, marked as
    what they are; the prompt says so.

    Usage is the length of the call in seconds, as it is billed: `input_audio_seconds` of `UsageUpdated`.

    Settings beside those of every provider over a WebSocket: `resume`, the id of an earlier call; and `session`, a dict
    of settings of the call in the vendor's own words (`externalVoice`, `vadSettings`, `maxDuration`, ...). `endpoint`
    is that of the request; the vendor says where the call is joined.
    """

    capabilities = shape.CAPABILITIES
    key_variables = ("ULTRAVOX_API_KEY",)
    provider_name = "ultravox"
    title = "Ultravox"
    _turns: Turns
    binary_audio = True

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._format = shape.output_format(self.config)
        self._turns = Turns(self.meta, self._format)
        #: Calls of tools that wait for a result.
        self._calls = Calls[None]()
        #: A text was sent that is to be answered, and nothing of the answer has come.
        self._asked = False
        #: Nobody has said anything yet.
        self._silent = True
        self._rest = b""
        #: Something has come: the call has begun.
        self._begun = False
        self.set_local()

    @property
    def billed_as(self) -> str:
        """The model, where one was chosen."""
        return self.config.model or "ultravox"

    # -- the connection

    async def address(self) -> Address:
        """Create the call; where it is joined."""
        format, handle = self.get_audio_format(), self.resuming
        body = shape.body_of(self.config, format, self._history, resumed=handle is not None)
        url = http_url(shape.CALLS, self.config.option("endpoint"), {"priorCallId": handle})
        call = await create_call(url, self.key(), body, self.config, provider=self.name)
        self.resume_handle = call.call_id
        if self.session_id is None:
            self.session_id = self._turns.prefix = call.call_id
        return Address(url=call.join_url)

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    def reset(self) -> None:
        """The earlier call is not known any more."""
        self.session_id, self._begun = None, False

    async def goodbye(self, socket: WebSocket) -> None:
        """Hang up."""
        socket.send_text(codec.encode_hang_up())

    # -- in

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            self._stands()
            self._said(message)
        elif isinstance(message, codec.Unknown):
            self._stands()
            self.raw(message.type, message.payload)
        else:
            self.complain(message.words)

    def on_binary(self, payload: memoryview) -> None:
        """Audio came."""
        self._stands()
        audio = self._rest + bytes(payload)
        # A message is any number of bytes; a sample that is cut in two waits for the next.
        cut = len(audio) - len(audio) % self._format.bytes_per_frame
        self._rest, audio = audio[cut:], audio[:cut]
        if audio:
            self.tell(self._turns.audio(audio))

    def _stands(self) -> None:
        """Whatever comes first: the call has begun. `call_started` does, where nobody has switched it off."""
        if not self._begun:
            self._begun = True
            self.start_clock()
            self.ready(resumed=self.resuming is not None)

    def _said(self, message: codec.Message) -> None:
        turns, sent = self._turns, self.sent_ms
        match message.type:
            case "state":
                self.tell(turns.state(message.state, sent))
            case "transcript" if message.role == "agent":
                self.tell(turns.agent_words(message.text, message.delta, message.ordinal))
            case "transcript" if message.medium == "voice":
                words = turns.user_words(message.text, message.delta, message.final, sent)
                self.tell(words)
            case "client_tool_invocation":
                self._called(message)
            case "playback_clear_buffer":
                self._rest = b""
                self.tell(turns.cleared(sent))
            case "user_started_speaking":
                self.tell(turns.speech_started(sent))
            case "user_stopped_speaking":
                self.tell(turns.speech_stopped(sent))

    def _called(self, message: codec.Message) -> None:
        self._calls.add(message.invocation_id, None)
        arguments = bytes(message.parameters).decode()
        self.tell(self._turns.tool_call(message.invocation_id, message.tool_name, arguments))

    def told(self, event: ev.ProviderEvent) -> None:
        """An event was told: what follows from it."""
        self._silent = False
        if type(event) is ev.ResponseStarted:
            self._asked = False
        super().told(event)

    # -- out

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put in words of the user, which are answered, or a note ("system").

        Raises:
            UnsupportedFeatureError: words of the assistant; the agent would speak them.
        """
        socket = self.open_socket()
        self.need_text(text)
        if role == "user":
            self._ask()
            self._turns.texted()
            socket.send_text(codec.encode_text(text))
        elif role == "system":
            self._silent = False
            socket.send_text(codec.encode_note(text))
        else:
            raise self.unsupported(f"words of the {role} that are not spoken")

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response, after what is being said.

        Raises:
            UnsupportedFeatureError: other `modalities` than those of the session.
        """
        socket = self.open_socket()
        if modalities is not None and ("audio" in modalities) != self._speaks:
            raise self.unsupported("text alone, or speech, for one response")
        self._ask()
        socket.send_text(codec.encode_note(instructions or GO_ON, answered=True))

    @property
    def _speaks(self) -> bool:
        return self.config.modalities is None or "audio" in self.config.modalities

    async def interrupt(self) -> None:
        """Call off what the agent says, and what it was asked for and has not begun."""
        socket = self.open_socket()
        if self._turns.response_id is not None or self._asked:
            self._asked = False
            socket.send_text(codec.encode_interrupt())
            self.tell(self._turns.interrupt())

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word, after what is being said."""
        socket = self.open_socket()
        self.need_text(text)
        self._ask()
        socket.send_text(codec.encode_say(text))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change `modalities`, or which events are told; and all else as long as nobody has said anything.

        What is settled when a call is created changes by another call, which takes the place of this one.

        Raises:
            UnsupportedFeatureError: it is too late for that, or there is no such setting.
            ProviderError: the other call could not be created; this one goes on as it was.
        """
        self.open_socket()
        of_call = {*config} - _CHANGEABLE
        if of_call and not (self._silent and of_call <= _OF_CALL):
            names = ", ".join(sorted(of_call))
            raise self.unsupported(f"a change of {names} once somebody has said something")
        before = {name: getattr(self.config, name) for name in config}
        self.config.update(**dict(config))
        if of_call:
            try:
                await self._call_anew()
            except BaseException:
                self.config.update(**before)
                raise
        self.set_local()
        if "modalities" in config:
            self.open_socket().send_text(codec.encode_medium(self._speaks))
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def _call_anew(self) -> None:
        """Another call takes the place of this one, of which nobody has made use."""
        old, handle, budget = self.open_socket(), self.resume_handle, self._budget()
        try:
            async with asyncio.timeout(budget):
                address = await self.address()
            await self._connect(address, budget)
        except BaseException as failure:
            self.resume_handle = handle
            if isinstance(failure, TimeoutError):
                raise self._too_slow(f"no other call within {budget:g} s") from None
            raise
        self._ear = self._socket
        old.send_text(codec.encode_hang_up())
        await old.close()

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._calls)
        del self._calls[call_id]
        socket.send_text(codec.encode_tool_result(call_id, output))

    def _ask(self) -> None:
        """What is sent now is to be answered."""
        self._asked, self._silent = True, False
