"""Recognition for a cascade: "deepgram/flux-general-en", which finds turns by itself, and "deepgram/nova-3"."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.net import Closed, WebSocket, connect_websocket
from voxengine.providers.cascade.parts import STTEvent, STTFailed
from voxengine.providers.deepgram.listening import CODES, Ears, FluxEars, NovaEars
from voxengine.providers.deepgram.session import EAGERNESS
from voxengine.providers.endpoints import need_key, websocket_url
from voxengine.providers.failures import code_of_close, error_of

__all__ = ["DeepgramSTT", "make_stt"]

KEY_VARIABLES = ("DEEPGRAM_API_KEY",)
DEFAULT_MODEL = "flux-general-en"
#: Samples per second that are sent.
RATE = 16000

#: How sure Flux is that a turn is over when it says that it may be, so that an answer can be begun. By itself it does
#: not say that.
EAGER = 0.5
#: The least silence, in milliseconds, that ends a turn whatever Flux thinks.
_LEAST_SILENCE = 500
#: Seconds without audio after which a sign of life is sent. The vendor waits for 10.
KEEP_ALIVE_S = 4.0
#: Seconds in which what was asked for comes, if there is anything.
ANSWER_S = 1.5
#: Milliseconds of silence that are a sign of life to Flux, which has no message for that.
_SIGN_MS = 20

#: Options of the vendor's that are parameters of the address as they are.
_COMMON = ("numerals", "redact", "profanity_filter", "mip_opt_out", "tag")
_PARAMETERS = {
    "flux": (*_COMMON, "eot_threshold", "eager_eot_threshold", "eot_timeout_ms", "language_hint"),
    "nova": (*_COMMON, "endpointing", "smart_format", "punctuate", "dictation", "language"),
}
_OPTIONS = frozenset({"api_key", "endpoint", "connect_timeout", "ssl_context", "proxy", "eager"})


def make_stt(model: str, options: Mapping[str, Any]) -> DeepgramSTT:
    """The part "deepgram/MODEL".

    Raises:
        ConfigurationError: there is no key, or an option is unknown.
    """
    return DeepgramSTT(model or DEFAULT_MODEL, **options)


class DeepgramSTT:
    """Deepgram's recognition, a `StreamingSTT`.

    Args:
        model: "flux-..." finds turns by itself, and says early when one may be over; others do not.
        options: `api_key`, `endpoint`, `connect_timeout`, `proxy`, `ssl_context`; `eager` False for no early word of
            Flux's; and parameters of the vendor's address by their names (`eot_threshold`, `endpointing`, ...).

    Raises:
        ConfigurationError: there is no key, or an option is unknown.
    """

    sample_rate = RATE
    takes_vocabulary = True
    tells_emotion = False

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        self.name = f"deepgram/{model}"
        self.model = model
        self.detects_turns = model.startswith("flux")
        self._parameters = _PARAMETERS["flux" if self.detects_turns else "nova"]
        unknown = sorted(set(options) - _OPTIONS - set(self._parameters))
        if unknown:
            known = ", ".join(sorted(_OPTIONS | set(self._parameters)))
            raise ConfigurationError(
                f"{self.name} has no option {', '.join(unknown)}; known are {known}"
            )
        self._options = options
        self._key = need_key("deepgram", options.get("api_key"), KEY_VARIABLES)

    async def load(self) -> None:
        """Everything is there."""

    def url(
        self,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> str:
        """The address of a stream with these settings."""
        given = {n: _text(v) for n in self._parameters if (v := self._options.get(n)) is not None}
        parameters: dict[str, Any] = {
            "model": self.model,
            "encoding": "linear16",
            "sample_rate": str(RATE),
            "keyterm": list(vocabulary) or None,
        }
        if self.detects_turns:
            parameters |= self._thresholds(turn_options or {})
            if language and self.model.endswith("-multi"):
                parameters["language_hint"] = language
            default = "wss://api.deepgram.com/v2/listen"
        else:
            parameters |= {
                "interim_results": "true",
                "vad_events": "true",
                "smart_format": "true",
                "language": language,
                # A piece of speech is written down for good after so much silence.
                "endpointing": "300",
            }
            default = "wss://api.deepgram.com/v1/listen"
        return websocket_url(default, self._options.get("endpoint"), {**parameters, **given})

    def _thresholds(self, turn_options: Mapping[str, Any]) -> dict[str, str]:
        """When Flux declares a turn over, and when it says that it may be."""
        found: dict[str, str] = {}
        eagerness, silence = (turn_options.get(n) for n in ("eagerness", "silence_duration_ms"))
        sure = EAGERNESS.get(str(eagerness))
        if sure is not None:
            found["eot_threshold"] = str(sure)
        if silence is not None:
            found["eot_timeout_ms"] = str(max(_LEAST_SILENCE, round(silence)))
        if self._options.get("eager", True):
            most = self._options.get("eot_threshold") or sure or EAGER
            found["eager_eot_threshold"] = str(min(EAGER, float(most)))
        return found

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> DeepgramEars:
        """Open a stream.

        Raises:
            ProviderError: it could not be opened.
        """
        ears: Ears = FluxEars() if self.detects_turns else NovaEars()
        stream = DeepgramEars(ears, on_event, flux=self.detects_turns)
        options = self._options
        await connect_websocket(
            self.url(language, vocabulary, turn_options),
            on_text=stream.on_text,
            on_open=stream.on_open,
            on_closed=stream.on_closed,
            on_dropped=stream.on_dropped,
            headers={"Authorization": f"Token {self._key}"},
            proxy=options.get("proxy"),
            ssl_context=options.get("ssl_context"),
            timeout=float(options.get("connect_timeout", 10.0)),
            provider="deepgram",
            secrets=(self._key,),
        )
        return stream


class DeepgramEars:
    """One open stream, a `STTStream`."""

    def __init__(self, ears: Ears, on_event: Callable[[STTEvent], None], *, flux: bool) -> None:
        self._ears = ears
        self._on_event = on_event
        self._flux = flux
        self._socket: WebSocket | None = None
        self._over = False
        self._fed = self._looked = 0
        self._alive: asyncio.TimerHandle | None = None
        self._due: asyncio.TimerHandle | None = None

    # -- for a cascade

    def feed(self, audio: bytes) -> None:
        """Take the next audio."""
        if self._socket is not None and not self._over:
            self._fed += len(audio)
            with contextlib.suppress(ProviderError):  # that it is closed is told by `on_closed`
                self._socket.send_audio(audio, len(audio), binary=True)

    def finalize(self) -> None:
        """Ask for the words of what was fed."""
        self._ears.ask()
        self._send(b'{"type":"ForceEndTurn"}' if self._flux else b'{"type":"Finalize"}')
        self._stop("_due")
        self._due = asyncio.get_running_loop().call_later(ANSWER_S, self._late)

    async def close(self) -> None:
        """Close it."""
        self._end()
        if self._socket is not None:
            self._send(b'{"type":"CloseStream"}')
            await self._socket.close()

    # -- the connection

    def on_open(self, socket: WebSocket) -> None:
        """It is open."""
        self._socket = socket
        self._alive = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._look)

    def on_text(self, payload: memoryview) -> None:
        """A message came."""
        for event in self._ears.read(payload):
            self._tell(event)

    def on_closed(self, closed: Closed) -> None:
        """It is gone."""
        code, retryable = code_of_close(closed)
        code = CODES.get(closed.reason, code)
        failure = error_of(code, closed.reason or code, "deepgram")
        failure.retryable = retryable
        self._tell(STTFailed(failure))

    def on_dropped(self, messages: int, n_bytes: int) -> None:
        """The connection does not take what is said: what is heard from here on would have a hole."""
        words = f"{n_bytes * 1000 // (2 * RATE)} ms of speech were dropped: the connection is slow"
        self._tell(
            STTFailed(ProviderError(words, provider="deepgram", code="overloaded", retryable=True))
        )

    # -- inside

    def _tell(self, event: STTEvent) -> None:
        if self._over:
            return
        if not self._ears.asked:
            self._stop("_due")
        if type(event) is STTFailed:
            self._end()
            if self._socket is not None:
                self._socket.start_closing()
        self._on_event(event)

    def _late(self) -> None:
        self._due = None
        for event in self._ears.late():
            self._tell(event)

    def _look(self) -> None:
        """Say that we are there, if no audio has said it."""
        self._alive = asyncio.get_running_loop().call_later(KEEP_ALIVE_S, self._look)
        if self._fed == self._looked:
            if self._flux:
                self.feed(bytes(2 * RATE * _SIGN_MS // 1000))
            else:
                self._send(b'{"type":"KeepAlive"}')
        self._looked = self._fed

    def _send(self, message: bytes) -> None:
        if self._socket is not None:
            with contextlib.suppress(ProviderError):
                self._socket.send_text(message)

    def _end(self) -> None:
        self._over = True
        self._stop("_due")
        self._stop("_alive")

    def _stop(self, timer: str) -> None:
        running: asyncio.TimerHandle | None = getattr(self, timer)
        if running is not None:
            running.cancel()
            setattr(self, timer, None)


def _text(value: Any) -> str | list[str]:
    """A parameter of the address."""
    if isinstance(value, (list, tuple)):
        return [str(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)
