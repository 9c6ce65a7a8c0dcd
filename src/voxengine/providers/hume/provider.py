"""The provider: the connection to EVI, and what is said on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voxengine import events as ev
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import AudioError
from voxengine.net import WebSocket
from voxengine.providers.failures import error_of
from voxengine.providers.hume import codec
from voxengine.providers.hume import session as shape
from voxengine.providers.hume.turns import Turns
from voxengine.providers.socket_provider import Address
from voxengine.providers.timed_provider import TimedProvider
from voxengine.providers.turns_provider import GO_ON, LOCAL, Calls

__all__ = ["HumeProvider"]

#: Settings that are ours alone, and so can be changed at any time.
_LOCAL = LOCAL | {"emotion"}

#: What of a slug, which says what is wrong in a few words, means which of our codes; the first that is in it counts.
#: After some of these EVI closes the connection.
_CODES = (
    ("inactivity", "session_expired"),
    ("max_duration", "session_expired"),
    ("timeout", "session_expired"),
    ("credit", "quota"),
    ("billing", "quota"),
    ("rate_limit", "rate_limit"),
    ("too_many", "rate_limit"),
    ("concurren", "rate_limit"),
    ("auth", "auth"),
    ("api_key", "auth"),
    ("not_found", "not_found"),
)
_FATAL = frozenset({"session_expired", "quota", "auth"})


class HumeProvider(TimedProvider):
    """Hume's EVI: an agent that hears how the user sounds, and answers in a voice that suits.

    EVI finds the turns and answers them by itself. It has no command that stops it: `interrupt` raises while it is
    answering (the session above stops playing it all the same), and what was heard cannot be told to it. An earlier
    conversation becomes a part of its prompt; a note (role "system") goes with the next words of the user. A response
    is asked for in the user's name, by a note that says that it is none of the user's words.

    How the user sounds is told by `EmotionDetected`, 48 scores for each turn that was spoken.

    Usage is the length of the chat in seconds, as it is billed: `input_audio_seconds` of `UsageUpdated`.

    Settings beside those of every provider over a WebSocket: `config_id` and `config_version`, a configuration made at
    Hume's; `access_token` in place of a key; `resume`, the id of a chat group; and `session`, a dict of settings in the
    vendor's own words (`variables`, `builtin_tools`, `custom_session_id`, ...).
    """

    capabilities = shape.CAPABILITIES
    key_variables = ("HUME_API_KEY",)
    provider_name = "hume"
    title = "Hume EVI"
    _turns: Turns
    #: It is billed by the minute, whatever its configuration.
    billed_as = "evi"

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self._turns = Turns(self.meta)
        #: The earlier conversation as it was told, and the notes that go with the user's next words.
        self._told = ""
        self._notes: list[str] = []
        #: Calls that wait for a result; whether EVI does.
        self._calls = Calls[bool]()
        #: It has the result of a tool, and nothing of the answer to that has come.
        self._owed = False
        self.set_local()

    # -- the connection

    def check(self) -> None:
        """Find out what can be wrong with the configuration.

        Raises:
            ConfigurationError: there is neither a key nor a token.
        """
        if not self.config.option("access_token"):
            self.key()

    async def address(self) -> Address:
        """Where to connect."""
        option = self.config.option
        token, version = option("access_token"), option("config_version")
        wants_words = self.config.partials is not False or self.config.vad_events is not False
        url = self.url(
            shape.ENDPOINT,
            {
                "config_id": option("config_id"),
                "config_version": None if version is None else str(version),
                "resumed_chat_group_id": self.resuming,
                "verbose_transcription": "true" if wants_words else None,
                "access_token": token,
            },
        )
        headers = {} if token else {"X-Hume-Api-Key": self.key()}
        return Address(url=url, headers=headers, secrets=(token,) if token else ())

    def opened(self, socket: WebSocket) -> None:
        """Make the settings."""
        if self.resuming is None:
            self._told = shape.told_of(self._history)
        format = self.get_audio_format()
        settings = shape.settings_of(self.config, format, self._told)
        socket.send_text(codec.encode_settings(settings))

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    def reset(self) -> None:
        """The chat group is not known any more."""
        self.session_id = None

    # -- in

    def encode_audio(self, audio: bytes) -> bytes:
        """The message that carries this audio."""
        return codec.encode_audio(audio)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            if message.type == codec.AUDIO_OUTPUT:
                self._audio(message)
            elif message.type == "chat_metadata":
                self._stands(message)
            elif message.type == "error":
                self._error(message)
            else:
                self._said(message)
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        else:
            self.complain(message.words)

    def _stands(self, message: codec.Message) -> None:
        self.session_id, self.resume_handle = message.chat_id, message.chat_group_id
        self._turns.prefix = message.chat_id or self._turns.prefix
        resumed = self.resuming is not None and message.chat_group_id == self.resuming
        if self.resuming is not None and not resumed:
            self._tell_history()
        self.start_clock()
        self.ready(resumed=resumed)

    def _tell_history(self) -> None:
        """The chat is a new one: it has to be told what was said in another."""
        self._told = shape.told_of(self._history)
        if self._told and self._socket is not None:
            settings = shape.settings_of(self.config, self.get_audio_format(), self._told)
            self._socket.send_text(codec.encode_settings(settings))

    def _audio(self, message: codec.Message) -> None:
        try:
            events = self._turns.audio(message.id or "", codec.decode_audio(message))
        except (ValueError, AudioError) as failure:
            self.complain(f"audio that cannot be read: {failure}")
            return
        self.tell(events)

    def _said(self, message: codec.Message) -> None:
        turns, kind = self._turns, message.type
        if kind == "user_message":
            self._heard(message)
        elif kind == "user_interruption":
            self.tell(turns.interrupted())
        elif kind == "assistant_message":
            self.tell(turns.said(message.id, message.words))
        elif kind == "assistant_end":
            self.tell(turns.ended())
        else:
            self._calls.add(message.tool_call_id, message.response_required)
            self.tell(turns.tool_call(message.tool_call_id, message.name, message.parameters))

    def _heard(self, message: codec.Message) -> None:
        at = message.time if isinstance(message.time, codec.Interval) else codec.Interval()
        if message.interim:
            self.tell(self._turns.interim(message.words, at.begin))
            return
        self._notes.clear()  # they went with these words
        if message.from_text:
            return  # what the application has put in
        scores: dict[str, float] = {}
        if self.config.emotion is not False:
            try:
                scores = codec.scores_of(message)
            except ValueError as failure:
                self.complain(f"scores of feelings that cannot be read: {failure}")
        self.tell(
            self._turns.final(
                message.words,
                at.begin,
                at.end,
                self.sent_ms,
                language=message.language,
                scores=scores,
            )
        )

    def _error(self, message: codec.Message) -> None:
        slug = (message.slug or "").lower()
        found = (ours for part, ours in _CODES if part in slug)
        code = next(found, slug or message.code or "error")
        words = f"{message.words} ({message.code})" if message.code else message.words
        refused = not self.at_work
        self.error(error_of(code, words, self.name, refused=refused), fatal=code in _FATAL)

    def told(self, event: ev.ProviderEvent) -> None:
        """An event was told: what follows from it."""
        if type(event) is ev.ResponseStarted:
            self._owed = False
        super().told(event)

    # -- out

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put in words of the user, which are answered, or a note ("system"), which goes with the user's next words.

        Raises:
            UnsupportedFeatureError: words of the assistant; EVI would speak them.
        """
        socket = self.open_socket()
        self.need_text(text)
        if role == "user":
            self._turns.texted()
            socket.send_text(codec.encode_user(text))
        elif role == "system":
            self._notes.append(text)
            socket.send_text(codec.encode_settings({"context": self._context()}))
        else:
            raise self.unsupported(f"words of the {role} that are not spoken")

    def _context(self) -> dict[str, str]:
        """The notes, as one: each replaces what was there before."""
        if self._told and shape.told_apart(self.config):
            # There the earlier conversation stands, too, and has to stay.
            return {"text": "\n".join([self._told, *self._notes]), "type": "persistent"}
        return {"text": "\n".join(self._notes), "type": "temporary"}

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response. Where EVI has the results of tools to answer, that is the response.

        Raises:
            UnsupportedFeatureError: `modalities` without audio; EVI always speaks.
        """
        socket = self.open_socket()
        if modalities is not None and "audio" not in modalities:
            raise self.unsupported("answers in text alone")
        if self._owed and not instructions:
            return
        self._turns.texted()
        socket.send_text(codec.encode_user(codec.note(instructions or GO_ON)))

    async def generate_tts(self, text: str) -> None:
        """Speak this text, word for word."""
        socket = self.open_socket()
        self.need_text(text)
        self._turns.texted()
        socket.send_text(codec.encode_say(text))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change instructions, voice or tools, or which events are told.

        Raises:
            ConfigurationError: the voice is none that EVI has.
            UnsupportedFeatureError: anything else, which is settled when the chat begins.
        """
        socket = self.open_socket()
        self.need_changeable(config, shape.CHANGEABLE | _LOCAL, "once the chat has begun")
        shape.check_voice(config.get("voice"))
        self.config.update(**dict(config))
        self.set_local()
        settings = shape.changes_of(config, self._told)
        if settings:
            socket.send_text(codec.encode_settings(settings))
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
            self.open_socket()
            self._tell_history()

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned. A call that wants no result gets none.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._calls)
        if self._calls.pop(call_id):
            self._owed = True
            self._turns.returned()
            socket.send_text(codec.encode_tool_result(call_id, output))
