"""Recognition for a cascade: "assemblyai/universal-streaming-english" and its siblings, which find turns themselves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.net import Closed, WebSocket
from voxengine.providers.assemblyai import stream as codec
from voxengine.providers.begun_stream import begin
from voxengine.providers.cascade.parts import (
    STTEvent,
    STTFailed,
    STTFinal,
    STTTurnEnded,
    STTUsage,
)
from voxengine.providers.endpoints import need_key, websocket_url
from voxengine.providers.failures import code_of_close, error_of

__all__ = ["AssemblyAISTT", "make"]

NAME = "assemblyai"
ENDPOINT = "wss://streaming.assemblyai.com/v3/ws"
#: The version of the interface that this speaks: that of the vendor's own client.
VERSION = "2025-05-12"
KEY_VARIABLES = ("ASSEMBLYAI_API_KEY",)
DEFAULT_MODEL = "universal-streaming-english"
#: Samples per second that are sent. The vendor takes pieces of 50 ms to one second: bytes of the shortest, and of those
#: that more is cut into.
RATE = 16000
_SHORT, _PIECE = RATE // 20 * 2, RATE // 2 * 2

#: Seconds until what was asked for comes if anything is there, and the same where the turn has ended a moment ago by
#: itself.
ANSWER_S = 1.5
NOTHING_S = 0.4
#: How long ago a moment is, and how long a turn that is over waits for its capitals and signs.
_MOMENT_S = 3.0
FORMAT_S = 1.0
#: Seconds without audio after which a sign of life is sent, and those that the farewell may take.
KEEP_ALIVE_S = 15.0
CLOSE_S = 0.8

#: What the vendor takes of words to listen for.
_MAX_WORDS, _MAX_LETTERS = 100, 50
#: The silence that ends a turn, by eagerness: where the recogniser is sure, and in any case. The vendor's own profiles.
_SILENCES = {"high": (160, 400), "medium": (400, 1280), "auto": (400, 1280), "low": (800, 3600)}

#: Options of our own; and those that are parameters of the address as they are.
_OWN = ("api_key", "token", "endpoint", "connect_timeout", "proxy", "ssl_context")
_PARAMETERS = (
    "format_turns",
    "end_of_turn_confidence_threshold",
    "min_turn_silence",
    "max_turn_silence",
    "vad_threshold",
    "language_codes",
    "language_detection",
    "prompt",
    "agent_context",
    "mode",
    "domain",
    "filter_profanity",
    "inactivity_timeout",
    "interruption_delay",
    "voice_focus",
    "voice_focus_threshold",
)


def make(model: str, options: Mapping[str, Any]) -> AssemblyAISTT:
    """`assemblyai/MODEL`.

    Raises:
        ConfigurationError: there is no key, or an option is unknown.
    """
    return AssemblyAISTT(model or DEFAULT_MODEL, **options)


class AssemblyAISTT:
    """AssemblyAI's streaming recognition, a `StreamingSTT`.

    Args:
        model: "universal-streaming-english", "universal-streaming-multilingual", "universal-3-5-pro", ...
        options: `api_key` or `token`, `endpoint`, `connect_timeout`, `proxy`, `ssl_context`; and parameters of the
            vendor's address by their names (`format_turns`, `max_turn_silence`, `prompt`, ...).

    Raises:
        ConfigurationError: there is no key, or an option is unknown.
    """

    name = NAME
    sample_rate = RATE
    detects_turns = True
    takes_vocabulary = True
    tells_emotion = False

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        if unknown := sorted(set(options) - {*_OWN, *_PARAMETERS}):
            known = ", ".join(sorted((*_OWN, *_PARAMETERS)))
            raise ConfigurationError(
                f"the assemblyai recogniser has no option {', '.join(unknown)}; known are {known}"
            )
        self.model = model
        self._options = options
        self._token = options.get("token")
        self._key = None if self._token else need_key(NAME, options.get("api_key"), KEY_VARIABLES)
        websocket_url(ENDPOINT, options.get("endpoint"))
        #: Only the older models write turns down twice, and only where that is wished.
        self.formats = bool(options.get("format_turns")) and model.startswith("universal-streaming")

    async def load(self) -> None:
        """Everything is there."""

    def url(
        self,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> str:
        """The address of a stream with these settings. What the options of the part say goes before them."""
        parameters: dict[str, Any] = {
            "sample_rate": RATE,
            "encoding": "pcm_s16le",
            "speech_model": self.model,
            "token": self._token,
        }
        words = [word for word in vocabulary if len(word) <= _MAX_LETTERS][:_MAX_WORDS]
        if words:
            parameters["keyterms_prompt"] = words
        if language and self.model.startswith("universal-3"):
            parameters["language_codes"] = [language.replace("_", "-").partition("-")[0]]
        parameters |= _turns(turn_options or {})
        parameters |= {n: v for n in _PARAMETERS if (v := self._options.get(n)) is not None}
        plain = {n: codec.parameter(v) for n, v in parameters.items() if v is not None}
        return websocket_url(ENDPOINT, self._options.get("endpoint"), plain)

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> AssemblyAIEars:
        """Open a stream.

        Raises:
            ProviderError: it could not be opened.
        """
        ears = AssemblyAIEars(on_event, formats=self.formats)
        headers = {"AssemblyAI-Version": VERSION}
        if self._key is not None:
            headers["Authorization"] = self._key
        await begin(
            ears,
            self.url(language, vocabulary, turn_options),
            headers=headers,
            options=self._options,
            provider=NAME,
            secrets=tuple(filter(None, (self._key, self._token))),
        )
        return ears


def _turns(options: Mapping[str, Any]) -> dict[str, Any]:
    """When a turn is over, by OpenAI's names."""
    found: dict[str, Any] = {}
    silences = _SILENCES.get(str(options.get("eagerness")))
    silence = options.get("silence_duration_ms")
    if silence is not None:
        silences = round(silence), round(silence)
    if silences is not None:
        found["min_turn_silence"], found["max_turn_silence"] = silences
    if options.get("threshold") is not None:
        found["vad_threshold"] = float(options["threshold"])
    return found


class AssemblyAIEars:
    """One stream."""

    def __init__(self, tell: Callable[[STTEvent], None], *, formats: bool) -> None:
        self._loop = asyncio.get_running_loop()
        #: Settled when the session stands, or was refused.
        self.begun: asyncio.Future[None] = self._loop.create_future()
        self._tell = tell
        self._hearing = codec.Hearing(self._say, formats=formats)
        self._socket: WebSocket | None = None
        self._rest = bytearray()
        self._over = False
        self._ended = asyncio.Event()
        self._since = self._fed_at = self._loop.time()
        self._ended_at = -_MOMENT_S
        self._seconds: float | None = None
        self._answer: asyncio.TimerHandle | None = None
        self._format: asyncio.TimerHandle | None = None
        self._alive: asyncio.TimerHandle | None = None

    # -- the contract

    def feed(self, audio: bytes) -> None:
        """Take the next audio. It goes on in pieces of 50 ms at least."""
        rest, socket = self._rest, self._socket
        rest += audio
        while len(rest) >= _SHORT:
            piece = bytes(rest[:_PIECE])
            del rest[:_PIECE]
            self._fed_at = self._loop.time()
            if socket is not None and not self._over:
                with contextlib.suppress(ProviderError):  # that it is gone is told by `on_closed`
                    socket.send_audio(piece, len(piece), binary=True)

    def finalize(self) -> None:
        """Ask for the end of the turn."""
        if self._rest:
            self.feed(bytes(_SHORT - len(self._rest)))
        self._hearing.asked += 1
        if self._socket is not None and not self._over:
            with contextlib.suppress(ProviderError):
                self._socket.send_text(codec.FORCE)
        self._await_answer()

    async def close(self) -> None:
        """Say goodbye, hear what was used, and close."""
        socket, self._socket = self._socket, None
        for timer in (self._answer, self._format, self._alive):
            if timer is not None:
                timer.cancel()
        if socket is None:
            return
        if socket.is_open and not self._over:
            self._over = True
            with contextlib.suppress(ProviderError, TimeoutError):
                socket.send_text(codec.TERMINATE)
                async with asyncio.timeout(CLOSE_S):
                    await self._ended.wait()
            self._bill()
        self._over = True
        await socket.close()

    def _bill(self) -> None:
        """The session is billed from its beginning to its end; without the vendor's word, by our clock."""
        seconds = self._loop.time() - self._since if self._seconds is None else self._seconds
        if self.begun.done() and not self.begun.cancelled() and self.begun.exception() is None:
            self._tell(STTUsage(seconds))

    # -- told by the connection

    def on_open(self, socket: WebSocket) -> None:
        """The handshake is done."""
        self._socket = socket
        self._alive = self._loop.call_later(KEEP_ALIVE_S, self._sign)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        message = codec.decode(payload)
        if message is None:
            return
        match message.type:
            case "Turn":
                self._turn(message)
            case "SpeechStarted":
                self._hearing.started(message)
            case "Begin":
                self._since = self._loop.time()
                if not self.begun.done():
                    self.begun.set_result(None)
            case "Error":
                self._fail(error_of(codec.code_of(message), message.error, NAME))
            case "Termination":
                self._seconds = message.session_duration_seconds
                self._ended.set()

    def on_closed(self, closed: Closed) -> None:
        """The connection is gone."""
        self._ended.set()
        if closed.cause == "local":
            return
        code, retryable = code_of_close(closed, codec.CODES)
        failure = error_of(code, closed.reason or code, NAME)
        failure.retryable = retryable
        self._fail(failure)

    def on_dropped(self, messages: int, n_bytes: int) -> None:
        """Audio was dropped: what was said cannot be known."""
        words = f"{NAME}: the connection takes less than is said; {messages} pieces were dropped"
        self._fail(ProviderError(words, provider=NAME, code="overloaded", retryable=True))

    def _fail(self, failure: ProviderError) -> None:
        if self._over:
            return
        self._over = True
        if not self.begun.done():
            self.begun.set_exception(failure)
            self.begun.exception()  # so that nobody complains that it was never looked at
            return
        self._bill()
        self._tell(STTFailed(failure))

    def _sign(self) -> None:
        self._alive = self._loop.call_later(KEEP_ALIVE_S, self._sign)
        quiet = self._loop.time() - self._fed_at >= KEEP_ALIVE_S
        if quiet and self._socket is not None and self._socket.is_open and not self._over:
            self._socket.send_text(codec.KEEP_ALIVE)

    # -- turns

    def _turn(self, message: codec.Message) -> None:
        hearing = self._hearing
        had = hearing.unformatted
        hearing.turn(message)
        if hearing.unformatted is not None and had is None:
            self._format = self._loop.call_later(FORMAT_S, hearing.over, None)

    def _say(self, event: STTEvent) -> None:
        if isinstance(event, (STTFinal, STTTurnEnded)):
            self._ended_at = self._loop.time()
            if self._format is not None:
                self._format.cancel()
            self._await_answer()
        if not self._over:
            self._tell(event)

    def _await_answer(self) -> None:
        """What was asked for comes in time, or what is known counts."""
        if self._answer is not None:
            self._answer.cancel()
            self._answer = None
        hearing = self._hearing
        if hearing.asked and not self._over:
            lately = self._loop.time() - self._ended_at < _MOMENT_S
            seconds = NOTHING_S if lately and not hearing.has_words else ANSWER_S
            self._answer = self._loop.call_later(seconds, hearing.over, None)
