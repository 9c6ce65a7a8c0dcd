"""Recognition for a cascade: "openai/gpt-live-transcribe" and its siblings, by a transcription session.

The audio is written down when it is committed: by us, when the user has fallen silent; or by the server's own turn
detection, where the option `turn_detection` asks for that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.net import Closed, WebSocket
from voxengine.providers.begun_stream import begin
from voxengine.providers.cascade.parts import STTEvent, STTFailed
from voxengine.providers.endpoints import need_key, websocket_url
from voxengine.providers.failures import code_of_close, error_of
from voxengine.providers.openai import encode
from voxengine.providers.openai import failures as vendor
from voxengine.providers.openai import messages as ms
from voxengine.providers.openai_speech.hearing import Hearing

__all__ = ["OpenAISTT", "make"]

NAME = "openai"
ENDPOINT = "wss://api.openai.com/v1/realtime"
KEY_VARIABLES = ("OPENAI_API_KEY",)
DEFAULT_MODEL = "gpt-live-transcribe"
#: The only rate of PCM that the vendor takes.
RATE = 24000

#: Models that take words to listen for as a prompt; the others take them as keywords, and one takes none at all.
_PROMPTED = ("gpt-4o", "whisper-1")
_WITHOUT_WORDS = ("gpt-realtime-whisper",)
#: The server's ways to find turns, and their settings in its words, which are ours.
_DETECTION = {
    "server_vad": ("threshold", "silence_duration_ms", "prefix_padding_ms"),
    "semantic_vad": ("eagerness",),
}
_OPTIONS = (
    "api_key",
    "endpoint",
    "connect_timeout",
    "proxy",
    "ssl_context",
    "turn_detection",
    "noise_reduction",
    "prompt",
    "language",
    "delay",
)


def make(model: str, options: Mapping[str, Any]) -> OpenAISTT:
    """`openai/MODEL`.

    Raises:
        ConfigurationError: there is no key, or an option is unknown or wrong.
    """
    return OpenAISTT(model or DEFAULT_MODEL, **options)


class OpenAISTT:
    """OpenAI's transcription, a `StreamingSTT`.

    Args:
        model: "gpt-live-transcribe", "gpt-transcribe", "gpt-realtime-whisper", ...
        options: `api_key`, `endpoint`, `connect_timeout`, `proxy`, `ssl_context`; `turn_detection` ("server_vad" or
            "semantic_vad": the server finds the turns), `noise_reduction` ("near_field", "far_field"), `prompt`,
            `language`, `delay`.

    Raises:
        ConfigurationError: there is no key, or an option is unknown or wrong.
    """

    name = NAME
    sample_rate = RATE
    tells_emotion = False

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ConfigurationError(
                f"the openai recogniser has no option {', '.join(unknown)}; known are {', '.join(_OPTIONS)}"
            )
        self.model = model
        self._options = options
        self._detection: str | None = options.get("turn_detection")
        if self._detection not in (None, *_DETECTION):
            raise ConfigurationError(
                f"turn_detection is {' or '.join(_DETECTION)}, not {self._detection!r}"
            )
        if self._detection is not None and model in _WITHOUT_WORDS:
            raise ConfigurationError(f"{model} has no turn detection of its own")
        self.detects_turns = self._detection is not None
        self.takes_vocabulary = model not in _WITHOUT_WORDS
        self._key = need_key(NAME, options.get("api_key"), KEY_VARIABLES)
        self._url = websocket_url(ENDPOINT, options.get("endpoint"), {"intent": "transcription"})

    async def load(self) -> None:
        """Everything is there."""

    def session(
        self,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """The settings of a session."""
        options = self._options
        transcription: dict[str, Any] = {"model": self.model}
        language = options.get("language") or language
        if language:
            # ISO 639-1: the region is of no interest.
            transcription["language"] = language.replace("_", "-").partition("-")[0]
        for name in ("prompt", "delay"):
            if options.get(name) is not None:
                transcription[name] = options[name]
        if vocabulary and self.model.startswith(_PROMPTED):
            transcription.setdefault("prompt", ", ".join(vocabulary))
        elif vocabulary and self.takes_vocabulary:
            transcription["keywords"] = list(vocabulary)
        heard: dict[str, Any] = {
            "format": {"type": "audio/pcm", "rate": RATE},
            "transcription": transcription,
            "turn_detection": self._turn_detection(turn_options or {}),
        }
        if options.get("noise_reduction") is not None:
            heard["noise_reduction"] = {"type": options["noise_reduction"]}
        return {"type": "transcription", "audio": {"input": heard}}

    def _turn_detection(self, turn_options: Mapping[str, Any]) -> dict[str, Any] | None:
        if self._detection is None:
            return None
        names = _DETECTION[self._detection]
        wanted = {n: turn_options[n] for n in names if turn_options.get(n) is not None}
        return {"type": self._detection, **wanted}

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> OpenAIEars:
        """Open a stream.

        Raises:
            ProviderError: it could not be opened.
        """
        ears = OpenAIEars(on_event, self.session(language, vocabulary, turn_options))
        await begin(
            ears,
            self._url,
            headers={"Authorization": f"Bearer {self._key}"},
            options=self._options,
            provider=NAME,
            secrets=(self._key,),
        )
        return ears


class OpenAIEars:
    """One stream."""

    def __init__(self, tell: Callable[[STTEvent], None], session: Mapping[str, Any]) -> None:
        #: Settled when the session stands, or was refused.
        self.begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tell = tell
        self._session = session
        self._hearing = Hearing(self._say, NAME)
        self._socket: WebSocket | None = None
        self._over = False

    # -- the contract

    def feed(self, audio: bytes) -> None:
        """Take the next audio."""
        if self._socket is not None and not self._over:
            with contextlib.suppress(ProviderError):  # that it is gone is told by `on_closed`
                self._socket.send_audio(encode.append_audio(audio), len(audio))

    def finalize(self) -> None:
        """Let what was heard be written down."""
        if self._socket is not None and not self._over:
            self._hearing.ask()
            with contextlib.suppress(ProviderError):
                self._socket.send_text(encode.commit_audio())

    async def close(self) -> None:
        """Close it; nothing is told after that."""
        self._over = True
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.close()

    # -- told by the connection

    def on_open(self, socket: WebSocket) -> None:
        """The handshake is done."""
        self._socket = socket
        socket.send_text(encode.update_session(self._session))

    def on_text(self, payload: memoryview) -> None:
        """A message came. What cannot be read, or has a type that nobody knows, says nothing here."""
        try:
            message = ms.decode_message(payload)
            if message.type == "session.updated" and not self.begun.done():
                self.begun.set_result(None)
            elif message.type == "error" and not self.begun.done():
                failure = ms.parse(message.error, ms.Failure) or ms.Failure()
                self._fail(vendor.error_of(failure, NAME))
            else:
                self._hearing.take(message)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return

    def on_closed(self, closed: Closed) -> None:
        """The connection is gone."""
        if closed.cause != "local":
            code, retryable = code_of_close(closed)
            failure = error_of(code, closed.reason or code, NAME)
            failure.retryable = retryable
            self._fail(failure)

    def on_dropped(self, messages: int, n_bytes: int) -> None:
        """Audio was dropped: what was said cannot be known."""
        words = f"{NAME}: the connection takes less than is said; {messages} pieces were dropped"
        self._fail(ProviderError(words, provider=NAME, code="overloaded", retryable=True))

    def _say(self, event: STTEvent) -> None:
        if isinstance(event, STTFailed):
            self._fail(event.error)
        elif not self._over:
            self._tell(event)

    def _fail(self, failure: ProviderError) -> None:
        if self._over:
            return
        self._over = True
        if self.begun.done():
            self._tell(STTFailed(failure))
        else:
            self.begun.set_exception(failure)
            self.begun.exception()  # so that nobody complains that it was never looked at
