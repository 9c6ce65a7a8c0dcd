"""The provider: the connection to Nova Sonic, and what is said on it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConnectionError, MessageError
from voxengine.net import Closed
from voxengine.net.masking import Mask
from voxengine.providers.aws.access import Access, find_access
from voxengine.providers.aws.stream import EventStream
from voxengine.providers.nova import codec, shape
from voxengine.providers.nova.stream import check_library, open_stream
from voxengine.providers.nova.turns import Turns
from voxengine.providers.socket_provider import Address
from voxengine.providers.turns_provider import LOCAL, TurnsProvider

__all__ = ["NovaProvider"]

#: The model wants audio all the time. Seconds without any after which silence is sent, and how much at a time.
IDLE_S = 0.3
SILENCE_S = 0.2

#: The prompt begins with the first audio or text. Seconds after which it begins without: until then, a client that has
#: just come can say what the model is to be.
BEGIN_S = 0.5

#: What is said where a response is wanted, and nothing else is to be said.
GO_ON = "Go on: answer what was said last, or greet the user if nothing was."

#: Settings that can be changed before the prompt begins.
_OF_PROMPT = frozenset({"instructions", "tools", "voice"})


class NovaProvider(TurnsProvider):
    """Amazon Nova Sonic, on Bedrock: one HTTP/2 event stream, by AWS's own library (Python 3.12 or newer).

    The model finds turns and answers them by itself, and stops when it hears the user. A response cannot be called off
    or truncated: `interrupt` raises while one is under way, and the session above stops playing it all the same. Words
    of the user in writing are answered; a response is asked for by a note in the user's place (neither by the first
    model, `amazon.nova-sonic-v1:0`). An earlier conversation is given before the first audio. A stream lasts eight
    minutes; the session goes over to another before that.

    Instructions, tools and voice are settled with the first audio or text, and can be changed until then. From then on
    the model has to hear something all the time: where no audio is sent, silence is.

    Credentials: `aws_access_key_id`, `aws_secret_access_key` (or `api_key`), `aws_session_token`; or `profile`; or
    what AWS's own tools would take. Other settings beside those of every provider: `region`, `endpoint`, `ca_bundle`,
    `connect_timeout`, `top_p`, and `transport`, which makes an HTTP client of AWS's library in the place of its own.
    """

    provider_name = "nova"
    title = "Nova Sonic"
    _turns: Turns
    capabilities = shape.CAPABILITIES
    key_variables = ()

    def __init__(self, config: Mapping[str, Any] | ProviderConfig | None = None) -> None:
        super().__init__(config)
        self.capabilities = shape.capabilities_of(self.config)
        self._heard, self._spoken = shape.formats_of(self.config)
        self._model = self.config.model or shape.DEFAULT_MODEL
        self._turns = Turns(self.meta, self._spoken, self._model)
        self.set_local()
        self._access: Access | None = None
        self._stream: EventStream | None = None
        self._prompting = False
        self._prompt = ""
        self._ear_name = ""
        self._fed_at = 0.0
        self._pulse: asyncio.TimerHandle | None = None
        self._silence = silence(SILENCE_S * 1000, self._heard)

    def get_audio_format(self) -> AudioFormat:
        """The format that `send_audio` takes."""
        return self._heard

    # -- opening

    def check(self) -> None:
        """Find out what can be wrong with the configuration.

        Raises:
            ConfigurationError: something is.
        """
        shape.check(self.config)

    async def address(self) -> Address:
        """Find the credentials. Where to connect, AWS's library knows by the region."""
        check_library()
        option = self.config.option
        self._access = await find_access(option, self.name, self.config.api_key)
        return Address(url="", secrets=self._access.secrets)

    async def _connect(self, address: Address, seconds: float) -> None:
        assert self._access is not None
        self._mask = Mask((), {}, (), address.secrets)
        stream = self._stream = await open_stream(
            self._access,
            self._model,
            self.config.option,
            on_message=self.on_text,
            on_closed=self._on_end,
            on_dropped=self._on_dropped,
            provider=self.name,
        )
        # It has what is used of a WebSocket.
        self._on_open(stream)  # type: ignore[arg-type]
        try:
            async with asyncio.timeout(seconds):
                await stream.answered()
        except TimeoutError:
            raise ConnectionError(
                f"provider {self.name!r}: no answer within {seconds:g} s",
                provider=self.name,
                code="timeout",
            ) from None
        self.ready()
        self._fed_at = self.now()
        self._beat()

    def opened(self, socket: Any) -> None:
        """Begin the session. What depends on settings that may still change comes with the prompt."""
        prompt, config = str(uuid.uuid4()), self.config
        self.session_id = self._prompt = prompt
        self._turns.prefix = f"nova_{prompt[:8]}"
        self._ear_name = str(uuid.uuid4())
        start: dict[str, Any] = {"inferenceConfiguration": shape.inference_of(config)}
        sensitivity = shape.sensitivity_of(config)
        if sensitivity is not None:
            start["turnDetectionConfiguration"] = {"endpointingSensitivity": sensitivity}
        socket.send_text(codec.encode("sessionStart", **start))

    def _begin(self, socket: Any) -> None:
        """Begin the prompt: everything up to the first audio, in the order in which it has to come."""
        self._prompting = True
        self._fed_at = self.now()
        socket.send_text(codec.encode("promptStart", **self._prompt_settings()))
        system = shape.instructions_of(self.config, self._history)
        self._send_text(socket, "SYSTEM", system, interactive=False)
        for role, text in shape.history_of(self._history):
            self._send_text(socket, role, text, interactive=False)
        rate = self._heard.sample_rate
        socket.send_text(codec.audio_start(self._prompt, self._ear_name, rate))

    def _prompt_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "promptName": self._prompt,
            "textOutputConfiguration": {"mediaType": "text/plain"},
            "audioOutputConfiguration": {
                "mediaType": "audio/lpcm",
                "sampleRateHertz": self._spoken.sample_rate,
                "sampleSizeBits": 16,
                "channelCount": 1,
                "voiceId": shape.voice_of(self.config),
                "encoding": "base64",
                "audioType": "SPEECH",
            },
        }
        tools = shape.tools_of(self.config)
        if tools:
            settings["toolUseOutputConfiguration"] = {"mediaType": "application/json"}
            settings["toolConfiguration"] = {"tools": tools}
        return settings

    def _send_text(self, socket: Any, role: str, text: str, *, interactive: bool) -> None:
        name = str(uuid.uuid4())
        for message in codec.text_content(self._prompt, name, role, text, interactive=interactive):
            socket.send_text(message)

    def notes(self) -> Iterable[tuple[str, str]]:
        """What of the configuration cannot be done as it stands."""
        return shape.notes_of(self.config)

    # -- the end

    async def goodbye(self, socket: Any) -> None:
        """Close what is open, in the order that the vendor asks for, and wait for its end."""
        if self._prompting:
            audio = {"promptName": self._prompt, "contentName": self._ear_name}
            socket.send_text(codec.encode("contentEnd", **audio))
            socket.send_text(codec.encode("promptEnd", promptName=self._prompt))
        socket.send_text(codec.encode("sessionEnd"))
        socket.finish()
        await self.until_ended()

    def end_response(self, code: str | None) -> None:
        """Tell the end of what the model was saying."""
        if self._pulse is not None:
            self._pulse.cancel()
            self._pulse = None
        super().end_response(code)

    def _on_end(self, closed: Closed, failure: Exception | None) -> None:
        self.ended()
        if closed.cause == "local":
            return
        code = getattr(failure, "code", None) or "closed"
        retryable = getattr(failure, "retryable", True)
        self.lose(code, closed.reason or code, None, retryable)

    # -- in

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if isinstance(message, codec.Message):
            self.tell(self._events_of(message.name, message.body))
        elif isinstance(message, codec.Unknown):
            self.raw(message.type, message.payload)
        elif message is not None:
            self.complain(message.words)

    def _events_of(self, name: str, body: codec.Body) -> Sequence[ev.ProviderEvent]:
        turns, now = self._turns, self.now()
        match name:
            case codec.AUDIO:
                return self._audio(body, now)
            case "textOutput":
                return turns.text(body)
            case "contentStart":
                return turns.started(body)
            case "contentEnd":
                return turns.ended(body, now)
            case "toolUse":
                return turns.tool(body)
        return turns.usage(body)

    def _audio(self, body: codec.Body, now: float) -> Sequence[ev.ProviderEvent]:
        try:
            audio = codec.decode_audio(body)
        except ValueError as failure:
            self.complain(f"audio that is no base64: {failure}")
            return ()
        if not audio or len(audio) % self._spoken.bytes_per_frame:
            self.complain(f"{len(audio)} bytes of audio, which are no whole number of samples")
            return ()
        return self._turns.audio(body, audio, now)

    # -- out

    def encode_audio(self, audio: bytes) -> bytes:
        """The message that carries this audio; before the first one the prompt begins."""
        if not self._prompting:
            self._begin(self._stream)
        self._fed_at = self.now()
        return codec.encode_audio(self._prompt, self._ear_name, audio)

    async def send_text(self, text: str, role: str = "user") -> None:
        """Say something in writing, which is answered.

        Raises:
            UnsupportedFeatureError: another role than the user's, or a model that only listens.
        """
        socket = self.open_socket()
        self.need_text(text)
        if role != "user" or not self.capabilities.text_input:
            raise self.unsupported(f"words of the {role} in writing, once the session has started")
        if not self._prompting:
            self._begin(socket)
        self._turns.written(text)
        self._send_text(socket, "USER", text, interactive=True)

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response: by a note in the user's place, for there is no other way.

        Raises:
            MessageError: one is under way (`response_active`).
            UnsupportedFeatureError: in text alone; or the model takes nothing in writing.
        """
        socket = self.open_socket()
        if not self.capabilities.response_on_request:
            raise self.unsupported("a response on request")
        if modalities is not None and "audio" not in modalities:
            raise self.unsupported("a response in text alone")
        if self._turns.response_id is not None:
            raise MessageError(
                "a response is under way", provider=self.name, code="response_active"
            )
        if self._turns.owes_answer:
            return  # to what a tool has returned: it comes unasked
        if not self._prompting:
            self._begin(socket)
        text = codec.note(instructions or GO_ON)
        self._turns.written(text)
        self._send_text(socket, "USER", text, interactive=True)

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change `transcription`, `partials` or `vad_events`; until the prompt begins, also what it is to be.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the session starts.
        """
        self.open_socket()
        open_ = LOCAL if self._prompting else LOCAL | _OF_PROMPT
        # To be given what it has already is no change.
        given = [name for name in config if config[name] != self.config.get(name)]
        self.need_changeable(given, open_, "once the session has started")
        self.config.update(**dict(config))
        self.set_local()
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before the first audio or text. Of a long one, the end is told.

        Raises:
            MessageError: it comes too late (`history_late`).
        """
        if items:
            self.need_early("the first audio", late=self._prompting)
            self._history += items

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned. What is no JSON object goes as {"output": ...}: the model wants one.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._turns.calls)
        del self._turns.calls[call_id]
        name = str(uuid.uuid4())
        self._turns.owes_answer = not self._turns.calls
        for message in codec.tool_content(self._prompt, name, call_id, _as_object(output)):
            socket.send_text(message)

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words: {"event": {NAME: {...}}}.

        Raises:
            MessageError: it is none, or nothing that JSON can hold.
        """
        socket = self.open_socket()
        try:
            message = codec.event_of(event)
        except (TypeError, ValueError, msgspec.EncodeError) as failure:
            raise MessageError(f"not a message: {failure}", provider=self.name) from None
        if not self._prompting:
            self._begin(socket)
        socket.send_text(message)

    async def get_usage(self) -> dict[str, Any] | None:
        """The model and all tokens of the session so far."""
        used = self._turns.used
        return {
            "model": self._model,
            "input_audio_tokens": used.input.speech_tokens,
            "input_text_tokens": used.input.text_tokens,
            "output_audio_tokens": used.output.speech_tokens,
            "output_text_tokens": used.output.text_tokens,
        }

    # -- time

    def _beat(self) -> None:
        """Let the model hear silence where there is nothing else."""
        if not self.at_work or self._stream is None:
            return
        now = self.now()
        if not self._prompting:
            if now - self._fed_at >= BEGIN_S and self._stream.is_open:
                self._begin(self._stream)
        elif now - self._fed_at >= IDLE_S and self._stream.is_open:
            message = codec.encode_audio(self._prompt, self._ear_name, self._silence)
            self._stream.send_audio(message, len(self._silence))
        self._pulse = asyncio.get_running_loop().call_later(SILENCE_S, self._beat)


def _as_object(output: str) -> str:
    try:
        plain = msgspec.json.decode(output)
    except (msgspec.DecodeError, ValueError):
        plain = output
    if isinstance(plain, dict):
        return output
    return msgspec.json.encode({"output": plain}).decode()
