"""The connection to Azure Voice Live: opened, configured, lost and closed, and what comes on it."""

from __future__ import annotations

import asyncio
import copy
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.config import ProviderConfig
from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MessageError,
    ProviderError,
    SessionClosedError,
)
from voxengine.net import WebSocket
from voxengine.providers.azure_voice_live import codec, shape
from voxengine.providers.azure_voice_live.turns import Turns
from voxengine.providers.endpoints import Address, from_environment, is_key, need_key, websocket_url
from voxengine.providers.openai import encode, failures
from voxengine.providers.openai.gate import REQUEST_ID
from voxengine.providers.openai.messages import Failure
from voxengine.providers.openai.waits import Waits
from voxengine.providers.socket_provider import SocketProvider

__all__ = ["VoiceLiveConnection"]

PATH = "/voice-live/realtime"
#: The version of the API whose vocabulary this is.
API_VERSION = "2026-07-15"
#: Seconds that the vendor may take to confirm a change of the session.
ACK_BUDGET = 8.0
#: The id of the first change, whose confirmation makes the session stand.
FIRST = "update_1"
_ENDPOINTS = ("AZURE_VOICE_LIVE_ENDPOINT", "AZURE_VOICELIVE_ENDPOINT")
#: Codes of an error that says: there is nothing to call off; and: a response is under way already.
_NOT_ACTIVE = frozenset({"response_cancel_not_active"})
_ALREADY_ACTIVE = frozenset({"conversation_already_has_active_response", "response_active"})
#: Settings of the connection: another one is made with others.
_FIXED = frozenset(
    {
        "agent_name",
        "agent_version",
        "api_key",
        "api_version",
        "connect_timeout",
        "endpoint",
        "headers",
        "model",
        "project_name",
        "proxy",
        "region",
        "resource",
        "resume",
        "speech_key",
        "ssl_context",
        "token_provider",
    }
)
_COUNTS = tuple(
    name
    for name in ev.UsageUpdated.__struct_fields__
    if name not in ev.ProviderEvent.__struct_fields__ and name not in ("response_id", "model")
)


class VoiceLiveConnection(SocketProvider):
    """What of the provider is there before a word is said."""

    provider_name = "azure-voice-live"
    capabilities = shape.CAPABILITIES
    key_variables = (
        "AZURE_VOICE_LIVE_API_KEY",
        "AZURE_VOICELIVE_API_KEY",
        "AZURE_SPEECH_KEY",
        "SPEECH_KEY",
    )

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.capabilities = shape.capabilities_of(self.config)
        can = self.capabilities
        self._given = shape.format_of(self.config.input_format, can.input_formats, "input_format")
        self._taken = shape.format_of(
            self.config.output_format, can.output_formats, "output_format"
        )
        self._session = self._session_of(self.config)
        self._waits = Waits()
        self._changing = asyncio.Lock()
        self._used: dict[str, float] = {}
        #: Ids of items that it was told of by shorter ones.
        self._told_long: set[str] = set()
        self._turns = self._make_turns()

    def check(self) -> None:
        """Find out what can be wrong with the configuration.

        Raises:
            ConfigurationError: there is no key, or nothing says where to connect.
        """
        shape.agent_of(self.config)
        if self.config.option("token_provider") is None:
            self.key()
        self._default_address()

    def key(self) -> str:
        """The key: the configured one, or that of the environment.

        Raises:
            ConfigurationError: there is none, or it is none that a header can hold.
        """
        given = self.config.api_key or self.config.option("speech_key")
        return need_key(self.name, given, self.key_variables)

    @property
    def model(self) -> str | None:
        """The model that is asked for; None leaves it to the agent."""
        wanted = self.config.model or self.config.metadata.get("model")
        if wanted is None and shape.agent_of(self.config) is not None:
            return None
        return str(wanted or shape.DEFAULT_MODEL)

    def get_audio_format(self) -> AudioFormat:
        """The format that `send_audio` takes."""
        return self._given

    # -- the connection

    def _default_address(self) -> str:
        option = self.config.option
        endpoint = option("endpoint") or from_environment(_ENDPOINTS)
        if endpoint:
            return websocket_url(f"wss://azure{PATH}", endpoint)
        if option("resource"):
            return f"wss://{option('resource')}.services.ai.azure.com{PATH}"
        if option("region"):
            return f"wss://{option('region')}.api.cognitive.microsoft.com{PATH}"
        raise ConfigurationError(
            f"provider {self.name!r} needs an endpoint: metadata={{'endpoint': 'https://NAME.services.ai.azure.com'}}, "
            f"or 'resource', or 'region', or {_ENDPOINTS[0]}"
        )

    async def address(self) -> Address:
        """Where to connect: the model or the agent stands in the address."""
        agent = shape.agent_of(self.config) or {}
        parameters = {
            "api-version": str(self.config.option("api_version", API_VERSION)),
            "model": self.model,
            **agent,
            "conversation-id": self.resuming if agent else None,
        }
        url = websocket_url(self._default_address(), None, parameters)
        provider = self.config.option("token_provider")
        if provider is not None:
            token = await self._token(provider)
            return Address(url=url, headers={"Authorization": f"Bearer {token}"}, secrets=(token,))
        key = self.key()
        return Address(url=url, headers={"api-key": key}, secrets=(key,))

    async def _token(self, provider: Any) -> str:
        try:
            if inspect.iscoroutinefunction(provider):
                token = provider()
            else:  # it may ask a server: not on the event loop
                token = await asyncio.to_thread(provider)
            if inspect.isawaitable(token):
                token = await token
        except Exception as failure:
            raise AuthenticationError(
                f"the token provider failed: {type(failure).__name__}: {failure}",
                provider=self.name,
            ) from failure
        # What a credential of Azure's returns has the token in a field.
        token = getattr(token, "token", token)
        if not is_key(token):
            raise AuthenticationError(
                f"the token provider gave {type(token).__name__}, not a token", provider=self.name
            )
        return str(token)

    def opened(self, socket: WebSocket) -> None:
        """The session's settings come first; their confirmation makes it stand."""
        socket.send_text(encode.update_session(self._session, FIRST))

    def reset(self) -> None:
        """Forget the attempt whose conversation was not known any more."""
        self._turns = self._make_turns()

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    def end_response(self, code: str | None) -> None:
        """Tell the end of what is under way."""
        self._waits.fail(SessionClosedError(f"provider {self.name!r}: the connection has ended"))
        for response_id in self._turns.forget():
            for event in self._turns.last_words(response_id):
                self.emit(event)
            self.tell_end(response_id, code)

    def _make_turns(self) -> Turns:
        turns = Turns(self.meta, self._taken, sent_ms=lambda: self.sent_ms, clock=self.wall)
        turns.model = _billed_as(self.model)
        self._configure(turns, self.config)
        return turns

    def _configure(self, turns: Turns, config: ProviderConfig) -> None:
        turns.places = shape.wants_places(config)
        turns.partials = config.partials is not False
        turns.vad_events = config.vad_events is not False
        turns.silence_ms = shape.silence_ms(config)

    def _session_of(self, config: ProviderConfig) -> dict[str, Any]:
        return shape.session_of(config, given=self._given, taken=self._taken)

    # -- in

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        elif isinstance(message, codec.Malformed):
            self.complain(message.words)
        else:
            try:
                self._take(message)
            except (msgspec.DecodeError, ValueError, RecursionError) as failure:
                self.complain(f"{message.type} in a form that cannot be read: {failure}")

    def _take(self, message: codec.Message) -> None:
        kind = message.type
        if kind == codec.AUDIO_DELTA:
            audio = codec.decode_base64(message.delta or "")
            if len(audio) % self._taken.bytes_per_frame:
                # Half a sample would turn all that follows it into noise.
                self.complain(f"{len(audio)} bytes of audio, which are no whole number of samples")
            elif audio:
                for event in self._turns.sound(message, audio):
                    self.stream(event)
        elif kind == "session.created":
            self._created(message)
        elif kind == "session.updated":
            if self.at_work:
                self._waits.confirmed()
            else:
                self.ready(
                    resumed=self.resuming is not None and self.resume_handle == self.resuming
                )
        elif kind == "error":
            self._refused(message)
        else:
            self._tell(self._turns.take(message))

    def _tell(self, events: Sequence[ev.ProviderEvent]) -> None:
        for event in events:
            if event.error is not None:
                event = msgspec.structs.replace(event, error=self.masked(event.error))
            if isinstance(event, ev.UsageUpdated):
                self._count(event)
            self.emit(event)
        if self._turns.out:
            messages, self._turns.out = self._turns.out, []
            self._send_all(messages)

    def _count(self, used: ev.UsageUpdated) -> None:
        for name in _COUNTS:
            value = getattr(used, name)
            if value:
                self._used[name] = self._used.get(name, 0) + value

    def _created(self, message: codec.Message) -> None:
        session = codec.parse(message.session, codec.Session) or codec.Session()
        self.session_id = session.id
        if session.model:
            self._turns.model = _billed_as(session.model)
        if session.agent is not None and self.capabilities.resume == "handle":
            self.resume_handle = session.agent.thread_id

    def _refused(self, message: codec.Message) -> None:
        failure = codec.parse(message.error, Failure) or Failure()
        failure.message = self.masked(failure.message or "")
        code = failures.code_of(failure)
        error = failures.error_of(failure, self.name)
        if self._waits.refused(failure.event_id, error):
            return
        taken = failure.code in _ALREADY_ACTIVE
        if failure.event_id == REQUEST_ID or (taken and failure.event_id is None):
            self._request_refused(str(failure.code) if taken else code, failure.message or code)
        elif failure.code in _NOT_ACTIVE:
            # The response ended while we called it off.
            self._send_all(self._turns.gate.nothing_to_cancel(failure.event_id))
        elif (failure.event_id or "").startswith("truncate"):
            # The item is as long as it is; the conversation goes on all the same.
            words = failure.message or code
            warning = ev.SystemWarning(code="truncate_refused", message=words, **self.meta())
            self.emit(warning)
        else:
            self.error(error, fatal=code in failures.FATAL)

    def _request_refused(self, code: str, words: str) -> None:
        meta = self.meta()
        if code in _ALREADY_ACTIVE:
            # One of the vendor's own was quicker. Ours waits for its end.
            self.emit(ev.SystemWarning(code=code, message=words, **meta))
            self._send_all(self._turns.gate.refused())
            return
        retryable = failures.is_retryable(code)
        self.emit(
            ev.ResponseError(response_id=None, code=code, retryable=retryable, error=words, **meta)
        )
        self._send_all(self._turns.gate.failed())

    def _send_all(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            if self.at_work:
                self.open_socket().send_text(message)

    # -- changes of the session

    def _changed(self, settings: Mapping[str, Any]) -> ProviderConfig:
        """The configuration with other settings."""
        config = copy.copy(self.config)
        config.options, config.metadata = dict(config.options), dict(config.metadata)
        config.update(**dict(settings))
        fixed = sorted(
            name for name in _FIXED & settings.keys() if settings[name] != self._setting(name)
        )
        if fixed:
            raise MessageError(
                f"{', '.join(fixed)}: of the connection, and cannot be changed while it is open",
                provider=self.name,
                code="model_fixed" if fixed == ["model"] else "fixed",
            )
        can = self.capabilities
        for name, wish, formats, now in (
            ("input_format", config.input_format, can.input_formats, self._given),
            ("output_format", config.output_format, can.output_formats, self._taken),
        ):
            if shape.format_of(wish, formats, name) != now:
                raise MessageError(
                    f"the {name} of an open session cannot be changed; it is {now}",
                    provider=self.name,
                    code="format_fixed",
                )
        return config

    def _setting(self, name: str) -> Any:
        return (
            getattr(self.config, name) if name in ("api_key", "model") else self.config.option(name)
        )

    async def _update(self, session: Mapping[str, Any]) -> None:
        """Change the session, and wait until the vendor has."""
        event_id, done = self._waits.update()
        try:
            self.open_socket().send_text(encode.update_session(session, event_id))
            async with asyncio.timeout(ACK_BUDGET):
                await done
        except TimeoutError:
            raise ProviderError(
                f"provider {self.name!r} did not confirm its settings within {ACK_BUDGET:g} s",
                provider=self.name,
                code="timeout",
                retryable=True,
            ) from None
        finally:
            self._waits.forget(event_id)  # else a later confirmation would be taken for this one's


def _billed_as(model: str | None) -> str:
    """Under which name usage is booked. A model has prices of its own here, which are not those of its maker."""
    return f"voice-live/{model}" if model else ""
