"""The provider: the connection to the Voice Agent, and what is said on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.net import WebSocket
from voxengine.providers.assemblyai import codec
from voxengine.providers.assemblyai import session as shape
from voxengine.providers.assemblyai.turns import Turns
from voxengine.providers.failures import error_of
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider
from voxengine.providers.turns_provider import LOCAL, Calls, TurnsProvider

__all__ = ["AssemblyAIProvider"]

#: Texts of which the agent's prompt is told. The oldest is forgotten.
MAX_NOTES = 64
#: The name under which it is billed: by the time of the session, whatever happens in it.
MODEL = "voice-agent"

#: How the agent is told what the user has written: it takes no words of the user's but spoken ones.
WRITTEN = "The user has just written the following, and waits for an answer to it: {}"

#: The vendor's words for an error, and ours; in small letters.
_CODES = {
    "unauthorized": "auth",
    "forbidden": "auth",
    "session_forbidden": "not_found",
    "session_not_found": "not_found",
    "agent_not_found": "not_found",
    "session_expired": "session_expired",
    "at_capacity": "overloaded",
    "concurrency_exceeded": "rate_limit",
    "agent_timeout": "timeout",
    "agent_init_failed": "server",
    "internal_error": "server",
    "server_error": "server",
}
#: After these the vendor closes the connection.
_FATAL = frozenset({"auth", "not_found", "session_expired", "overloaded", "rate_limit"})


class AssemblyAIProvider(TimedProvider):
    """AssemblyAI's Voice Agent: it hears, answers and speaks over one connection.

    The agent finds the turns and answers them by itself. It has no command that stops it: `interrupt` raises while it
    is answering (the session above stops playing it all the same). Where each of its words is in the audio it tells
    itself, so that what was heard is known to the word.

    It takes no words of the user's but spoken ones. What is written (`send_text`) becomes a part of its prompt, so that
    it is known from then on, and is answered by a reply that is asked for; it waits for the one under way. A note (role
    "system") becomes a part of the prompt only. So does an earlier conversation.

    The result of a tool is given when the reply that called it has ended; the result of one that was interrupted is not
    wanted any more, and is let go.

    Usage is the length of the session in seconds, as it is billed: `input_audio_seconds` of `UsageUpdated`.

    Settings beside those of every provider over a WebSocket: `greeting`, said first, word for word; `agent_id`, an
    agent that is stored at AssemblyAI, whose voice and greeting stay; `token` in place of a key; `resume`, the id of a
    session whose connection was lost less than 30 seconds ago; and `session`, a dict of settings in the vendor's own
    words (`input.transcription_mode`, `input.voice_focus`, `output.volume`, ...).
    """

    capabilities = shape.CAPABILITIES
    key_variables = ("ASSEMBLYAI_API_KEY",)
    provider_name = "assemblyai"
    title = "AssemblyAI's Voice Agent"
    _turns: Turns

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._turns = Turns(self.meta, shape.output_format(self.config))
        #: What was written, and what the stored agent is told to be.
        self._notes: list[Item] = []
        self._stored_prompt: str | None = None
        #: Calls that wait for a result; whether it is wanted.
        self._calls = Calls[bool]()
        #: Results that wait for the end of the reply that is under way.
        self._held: list[tuple[str, str]] = []
        #: It has the result of a tool, and nothing of the answer to that has come.
        self._owed = False
        self.set_local()

    # -- the connection

    def check(self) -> None:
        """Find out what can be wrong with the configuration.

        Raises:
            ConfigurationError: there is neither a key nor a token.
        """
        if not self.config.option("token"):
            self.key()

    async def address(self) -> Address:
        """Where to connect."""
        token = self.config.option("token")
        url = self.url(shape.ENDPOINT, {"token": token})
        headers = {} if token else {"Authorization": f"Bearer {self.key()}"}
        return Address(url=url, headers=headers, secrets=(token,) if token else ())

    def opened(self, socket: WebSocket) -> None:
        """Take up the session, or make the settings of a new one."""
        agent = self.config.option("agent_id")
        if self.resuming is not None:
            socket.send_text(codec.encode_resume(self.resuming))
        elif agent:
            # The first message names it, and nothing else.
            socket.send_text(codec.encode_update({"agent_id": agent}))
        else:
            socket.send_text(codec.encode_update(self._session()))

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    def reset(self) -> None:
        """The session is not known any more."""
        self.session_id = self._billed_to = None

    def end_response(self, code: str | None) -> None:
        """Tell the end of the reply under way, and what the session has cost since; in a goodbye, that comes last."""
        self._held.clear()
        if code is None:
            TurnsProvider.end_response(self, code)
        else:
            super().end_response(code)

    async def goodbye(self, socket: WebSocket) -> None:
        """End the session, so that it is billed no longer; the vendor's last word says how long it was."""
        socket.send_text(codec.END)
        try:
            await self.until_ended()
        finally:
            self.bill()

    # -- in

    def encode_audio(self, audio: bytes) -> bytes:
        """The message that carries this audio."""
        return codec.encode_audio(audio)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            if message.type == codec.REPLY_AUDIO:
                self._audio(message)
            elif message.type.startswith("session."):
                self._of_session(message)
            else:
                self._said(message)
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        elif message is not None:
            self.complain(message.words)

    def _of_session(self, message: codec.Message) -> None:
        if message.type == "session.ready":
            self._stands(message)
        elif message.type == "session.error":
            self._error(message)
        else:
            self._ended(message)

    def _stands(self, message: codec.Message) -> None:
        self.session_id = self.resume_handle = message.session_id
        self._turns.prefix = message.session_id or self._turns.prefix
        if self.config.option("agent_id"):
            self._stored_prompt = codec.prompt_of(message)
            self._change_stored()
        self.start_clock()
        self.ready(resumed=self.resuming is not None)

    def _change_stored(self) -> None:
        """A stored agent is not told of our settings but afterwards."""
        if self.resuming is not None or self._socket is None:
            return
        session = self._session()
        session.pop("output", None)
        session.pop("greeting", None)
        session.get("input", {}).pop("format", None)
        if session.get("system_prompt") == self._stored_prompt:
            session.pop("system_prompt", None)
        if not session.get("input"):
            session.pop("input", None)
        if session:
            self._socket.send_text(codec.encode_update(session))

    def _audio(self, message: codec.Message) -> None:
        try:
            events = self._turns.audio(codec.decode_audio(message))
        except ValueError as failure:
            self.complain(f"audio that cannot be read: {failure}")
            return
        for event in events:
            self.stream(event)

    def _said(self, message: codec.Message) -> None:
        turns, text = self._turns, message.text or ""
        match message.type:
            case "input.speech.started":
                self.tell(turns.speech_started(self.sent_ms))
            case "transcript.user.delta":
                self.tell(turns.user_delta(text))
            case "input.speech.stopped":
                self.tell(turns.speech_stopped(self.sent_ms))
            case "transcript.user":
                self.tell(turns.user_words(text, self.sent_ms))
            case "reply.started":
                self.tell(turns.reply_started(message.reply_id))
            case "transcript.agent.delta":
                word = message.delta or ""
                place = message.start_ms, message.end_ms
                self.tell(turns.agent_delta(message.reply_id, word, *place))
            case "transcript.agent":
                cut = bool(message.interrupted)
                self.tell(turns.agent_text(message.reply_id, text, cut))
            case "reply.done":
                self.tell(turns.reply_done(message.reply_id, message.status))
            case _:
                self._call(message)

    def _call(self, message: codec.Message) -> None:
        try:
            arguments = codec.arguments_of(message)
        except (msgspec.DecodeError, ValueError) as failure:
            self.complain(f"a call whose arguments cannot be read: {failure}")
            return
        self._calls.add(message.call_id, True)
        self.tell(self._turns.tool_call(message.call_id, message.name, arguments))

    def _error(self, message: codec.Message) -> None:
        theirs = (message.code or "error").lower()
        code = _CODES.get(theirs, theirs)
        refused = not self.at_work
        words = message.message or theirs
        self.error(error_of(code, words, self.name, refused=refused), fatal=code in _FATAL)

    def _ended(self, message: codec.Message) -> None:
        """The session is over: because we said so, or because its time is up."""
        duration = message.session_duration_seconds
        if duration is not None and not self.resumed:
            # Its clock counts, not ours.
            self._billed_to = self.now() - (duration - self._seconds)
            self.bill()
            self._billed_to = None
        self.resume_handle = None
        self.ended()
        if self.at_work:
            self.lose("session_expired", "the session has ended")

    def told(self, event: ev.ProviderEvent) -> None:
        """An event was told: what follows from it."""
        kind = type(event)
        if kind is ev.ResponseStarted:
            self._owed = False
        super().told(event)
        if kind is ev.ResponseCompleted:
            self._give_results()
        elif kind is ev.ResponseCancelled:
            # The agent has dropped its calls with the reply.
            self._held.clear()
            self._owed = False
            self._calls.update(dict.fromkeys(self._calls, False))

    @property
    def billed_as(self) -> str:
        """All of it, by the time of the session."""
        return MODEL

    # -- out

    def _prompt(self) -> str:
        instructions = self.config.instructions
        if instructions is None:
            instructions = self._stored_prompt
        told = shape.told_of(self._history)
        return shape.prompt(instructions, told, shape.written(self._notes))

    def _session(self) -> dict[str, Any]:
        return shape.session_of(self.config, self.get_audio_format(), self._prompt())

    async def send_text(self, text: str, role: str = "user") -> None:
        """Tell it what the user has written, which is answered, or a note ("system"), which is not.

        Raises:
            UnsupportedFeatureError: words of the assistant in mid-conversation.
        """
        socket = self.open_socket()
        self.need_text(text)
        if role not in ("user", "system"):
            raise self.unsupported(f"words of the {role} that are not spoken")
        item = Item(id=f"note_{len(self._notes)}", role=role, text=text, status="completed")  # type: ignore[arg-type]
        self._notes = [*self._notes[1 - MAX_NOTES :], item]
        socket.send_text(codec.encode_update({"system_prompt": self._prompt()}))
        if role == "user":
            socket.send_text(codec.encode_reply(WRITTEN.format(text)))

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a reply; it waits for the one under way. Where the agent has the results of tools, that is the reply.

        Raises:
            UnsupportedFeatureError: `modalities` without audio; the agent always speaks.
        """
        socket = self.open_socket()
        if modalities is not None and "audio" not in modalities:
            raise self.unsupported("answers in text alone")
        if not self._owed or instructions:
            socket.send_text(codec.encode_reply(instructions))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change instructions, tools, vocabulary, or how turns are found; or which events are told.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the session begins.
        """
        socket = self.open_socket()
        self.need_changeable(config, shape.CHANGEABLE | LOCAL, "once the session has begun")
        kind = config.get("turn_detection")
        if kind not in (None, *self.capabilities.turn_detection):
            raise self.unsupported(f"the turn detection {kind!r}")
        self.config.update(**dict(config))
        self.set_local()
        session = shape.changes_of(config, self.config)
        if "instructions" in config:
            session["system_prompt"] = self._prompt()
        if session:
            socket.send_text(codec.encode_update(session))
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before the first audio. Of a long one, the end is told.

        Raises:
            MessageError: it comes too late (`history_late`).
        """
        if not items:
            return
        self.need_early("the first audio", late=bool(self.sent_ms))
        self._history += items
        if self.begun:
            socket = self.open_socket()
            if not self.resumed:
                socket.send_text(codec.encode_update({"system_prompt": self._prompt()}))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned, when the reply under way has ended.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        self.open_socket()
        self.need_call(call_id, self._calls)
        if self._calls.pop(call_id):
            self._owed = True
            self._held.append((call_id, output))
            if self._turns.response_id is None:
                self._give_results()

    def _give_results(self) -> None:
        held, self._held = self._held, []
        if held and self._socket is not None and self.at_work:
            for call_id, output in held:
                self._socket.send_text(codec.encode_tool_result(call_id, output))
