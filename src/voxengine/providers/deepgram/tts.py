"""Speech for a cascade: "deepgram/aura-2-thalia-en", and "deepgram/flux-haley-en", which says what was heard."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.errors import ConfigurationError, ConnectionError, ProviderError
from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.providers.cascade.parts import Speech
from voxengine.providers.deepgram.speaking import AuraTongue, FluxTongue, Tongue
from voxengine.providers.deepgram.voices import FLUX, VOICES
from voxengine.providers.endpoints import need_key, websocket_url
from voxengine.providers.failures import code_of_close

__all__ = ["DeepgramTTS", "make_tts"]

KEY_VARIABLES = ("DEEPGRAM_API_KEY",)
DEFAULT_MODEL = "aura-2-thalia-en"
#: Samples per second of what it gives.
RATE = 24000
_FORMAT = AudioFormat("pcm16", RATE)

#: Seconds for which a connection is kept that has nothing to say, for the next answer.
IDLE_S = 20.0
#: Seconds in which the vendor says that it has stopped, and what was heard.
STOP_S = 0.5
#: Pieces of speech that wait to be taken. If there are more, nobody takes them, and the answer fails.
_MAX_PIECES = 4096
#: What a pace may be, and its steps.
_SLOWEST, _FASTEST, _STEPS = 0.5, 1.5, 20

_OPTIONS = frozenset({"api_key", "endpoint", "connect_timeout", "proxy", "ssl_context", "api"})


def make_tts(model: str, options: Mapping[str, Any]) -> DeepgramTTS:
    """The part "deepgram/MODEL".

    Raises:
        ConfigurationError: there is no key, or an option is unknown.
    """
    return DeepgramTTS(model or DEFAULT_MODEL, **options)


class DeepgramTTS:
    """Deepgram's voices, a `StreamingTTS`. A connection is kept for the next answer, for some seconds.

    Args:
        model: "aura-2-..." (`/v1/speak`) or "flux-..." (`/v2/speak`), the voice where none is chosen.
        options: `api_key`, `endpoint`, `connect_timeout`, `proxy`, `ssl_context`; and `api`, "v1" or "v2", for a voice
            of another name than these.

    Raises:
        ConfigurationError: there is no key, or an option is unknown.
    """

    sample_rate = RATE

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        self.name = f"deepgram/{model}"
        self.model = model
        unknown = sorted(set(options) - _OPTIONS)
        if unknown:
            known = ", ".join(sorted(_OPTIONS))
            raise ConfigurationError(
                f"{self.name} has no option {', '.join(unknown)}; known are {known}"
            )
        if options.get("api") not in (None, "v1", "v2"):
            raise ConfigurationError(f"{self.name}: api is v1 or v2, not {options['api']!r}")
        self._options = options
        self._key = need_key("deepgram", options.get("api_key"), KEY_VARIABLES)
        aura = tuple(voice.name for voice in VOICES)
        self.voices: tuple[str, ...] = FLUX if self._is_flux(model) else aura
        self._kept: _Line | None = None

    def _is_flux(self, model: str) -> bool:
        api = self._options.get("api")
        return api == "v2" if api else model.startswith("flux")

    async def load(self) -> None:
        """Connect, so that the first answer does not wait for that.

        Raises:
            ProviderError: it could not be connected.
        """
        self.keep(await self._line(self.model, 1.0))

    async def open(self, *, voice: str | None, speed: float, session: str) -> DeepgramSpeech:
        """Begin an answer.

        Raises:
            ProviderError: it could not be connected.
        """
        return DeepgramSpeech(self, await self._line(voice or self.model, speed))

    async def close(self) -> None:
        """Close the connection that is kept."""
        kept, self._kept = self._kept, None
        if kept is not None:
            await kept.close()

    # -- connections

    def keep(self, line: _Line) -> None:
        """Keep a connection for the next answer, in the place of another."""
        before, self._kept = self._kept, line
        if before is not None and before is not line:
            before.drop()
        line.rest(self._forget)

    def take_back(self, line: _Line) -> None:
        """A connection that may be kept has something to say once more."""
        self._forget(line)
        line.stay()

    def _forget(self, line: _Line) -> None:
        if self._kept is line:
            self._kept = None

    async def _line(self, model: str, speed: float) -> _Line:
        url = self._url(model, speed)
        kept, self._kept = self._kept, None
        if kept is not None:
            if kept.url == url and kept.is_open:
                kept.wake()
                return kept
            kept.drop()
        line = _Line(url, FluxTongue() if self._is_flux(model) else AuraTongue())
        options = self._options
        line.socket = await connect_websocket(
            url,
            on_text=line.on_text,
            on_binary=line.on_binary,
            on_closed=line.on_closed,
            headers={"Authorization": f"Token {self._key}"},
            proxy=options.get("proxy"),
            ssl_context=options.get("ssl_context"),
            timeout=float(options.get("connect_timeout", 10.0)),
            provider="deepgram",
            secrets=(self._key,),
        )
        return line

    def _url(self, model: str, speed: float) -> str:
        version = "v2" if self._is_flux(model) else "v1"
        pace = round(min(max(speed, _SLOWEST), _FASTEST) * _STEPS) / _STEPS
        parameters = {
            "model": model,
            "encoding": "linear16",
            "sample_rate": str(RATE),
            "speed": None if pace == 1.0 else f"{pace:g}",
        }
        default = f"wss://api.deepgram.com/{version}/speak"
        return websocket_url(default, self._options.get("endpoint"), parameters)


class _Line:
    """A connection, over which one answer is spoken at a time."""

    def __init__(self, url: str, tongue: Tongue) -> None:
        self.url = url
        self.tongue = tongue
        self.socket: WebSocket | None = None
        #: Who is told of what comes: the answer that was the last.
        self.speech: DeepgramSpeech | None = None
        self._rest: asyncio.TimerHandle | None = None
        self._forgotten: Any = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether more can be said."""
        return not self._closed and self.socket is not None and self.socket.is_open

    def send(self, messages: list[bytes]) -> None:
        """Send them. That the connection is gone is told by `on_closed`."""
        if self.socket is not None:
            with contextlib.suppress(ProviderError):
                for message in messages:
                    self.socket.send_text(message)

    def rest(self, forgotten: Any) -> None:
        """Wait for the next answer, but not for long."""
        self.stay()
        self._forgotten = forgotten
        self._rest = asyncio.get_running_loop().call_later(IDLE_S, self.drop)

    def stay(self) -> None:
        """It is not to be closed because it rests."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None

    def wake(self) -> None:
        """The next answer is here."""
        self.stay()
        self.speech = None

    def drop(self) -> None:
        """Nobody has a use for it."""
        self._let_go()
        self.send([b'{"type":"Close"}'])
        if self.socket is not None:
            self.socket.start_closing()

    async def close(self) -> None:
        """Close it, and wait for that."""
        self.drop()
        if self.socket is not None:
            await self.socket.close()

    def _let_go(self) -> None:
        self.wake()
        if self._forgotten is not None:
            self._forgotten(self)
            self._forgotten = None

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        failure = self.tongue.read(payload)
        if self.speech is None:
            return
        if failure is not None:
            self.speech.failed(failure)
        else:
            self.speech.told()

    def on_binary(self, payload: memoryview) -> None:
        """Audio came."""
        if self.tongue.stopping or self.tongue.idle:
            return
        self.tongue.spoke(_FORMAT.duration_ms(len(payload)))
        if self.speech is not None:
            self.speech.spoke(bytes(payload))

    def on_closed(self, closed: Closed) -> None:
        """It is gone."""
        self._closed = True
        speech = self.speech
        self._let_go()
        if speech is not None:
            code, retryable = code_of_close(closed)
            words = f"deepgram: the connection was closed ({closed.reason or code})"
            speech.failed(
                ConnectionError(words, provider="deepgram", code=code, retryable=retryable)
            )


class DeepgramSpeech:
    """One answer, a `TTSStream`."""

    def __init__(self, tts: DeepgramTTS, line: _Line) -> None:
        self._tts = tts
        self._line = line
        line.speech = self
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue(_MAX_PIECES)
        self._news = asyncio.Event()
        self._rest = b""
        self._said = self._ended = self._cancelled = self._done = False
        self._failure: ProviderError | None = None

    # -- for a cascade

    def push(self, text: str) -> None:
        """Take a further piece of the text."""
        if self._open and (self._said or text.strip()):
            self._said = True
            self._line.send(self._line.tongue.text(text))

    def flush(self) -> None:
        """Speak now what has been pushed."""
        if self._open and self._said:
            self._line.send(self._line.tongue.flush(self._now()))

    def end(self) -> None:
        """No more text comes."""
        if not self._open:
            return
        self._ended = True
        if self._said:
            self._line.send(self._line.tongue.end(self._now()))
        self.told()

    async def __aiter__(self) -> AsyncIterator[Speech]:
        """The speech, in order."""
        while not self._cancelled:
            if not self._pieces.empty():
                audio = self._rest + self._pieces.get_nowait()
                cut = len(audio) - len(audio) % 2
                self._rest, audio = audio[cut:], audio[:cut]
                if audio:
                    yield Speech(audio)
            elif self._failure is not None:
                raise self._failure
            elif self._done:
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def cancel(self, heard_ms: float | None = None) -> str | None:
        """Speak no more. The words that were heard, from Flux, where it is known how much that was."""
        if self._cancelled:
            return None
        self._cancelled = True
        self._news.set()
        line = self._line
        if line.speech is not self or not line.is_open:
            return None  # it has another answer to speak, or is gone
        messages = line.tongue.stop(heard_ms)
        self._tts.take_back(line)
        try:
            line.send(messages)
            if messages:
                await self._stopped()
            return line.tongue.heard if messages else None
        finally:
            self._leave()

    async def _stopped(self) -> None:
        """Wait until the vendor says that it has stopped, but not for long."""
        tongue = self._line.tongue
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                while tongue.stopping and self._line.is_open:
                    self._news.clear()
                    await self._news.wait()

    # -- told by the connection

    def told(self) -> None:
        """Something was said about it."""
        self._news.set()
        if self._ended and not self._done and (not self._said or self._line.tongue.idle):
            self._done = True
            self._leave()

    def spoke(self, audio: bytes) -> None:
        """Audio of it came."""
        try:
            self._pieces.put_nowait(audio)
        except asyncio.QueueFull:
            words = "deepgram: nobody takes what is spoken"
            self.failed(ProviderError(words, provider="deepgram", code="overloaded"))
        self._news.set()

    def failed(self, failure: ProviderError) -> None:
        """It cannot be spoken to its end."""
        if not self._done and not self._cancelled and self._failure is None:
            self._failure = failure
            self._line.drop()
        self._news.set()

    # -- inside

    @property
    def _open(self) -> bool:
        return not (self._ended or self._cancelled or self._failure is not None)

    def _leave(self) -> None:
        """The connection is free for the next answer, if it is fit for one."""
        line = self._line
        if line.is_open and (line.tongue.idle and not line.tongue.stopping):
            self._tts.keep(line)
        else:
            line.drop()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
