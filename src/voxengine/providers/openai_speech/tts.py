"""Text to speech for a cascade: "openai/gpt-4o-mini-tts", sentence by sentence, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from voxengine.errors import ConfigurationError, ConnectionError, ProviderError
from voxengine.providers.cascade.brains.chat_endpoint import ChatEndpoint
from voxengine.providers.cascade.brains.chat_http import ChatHttp, Wait, bytes_of
from voxengine.providers.cascade.parts import Speech
from voxengine.providers.endpoints import http_url, need_key
from voxengine.providers.voice_table import VOICES as TABLE

__all__ = ["VOICES", "OpenAITTS", "make"]

NAME = "openai"
BASE = "https://api.openai.com/v1"
KEY_VARIABLES = ("OPENAI_API_KEY",)
DEFAULT_MODEL = "gpt-4o-mini-tts"
#: What the vendor's `pcm` is: 16 bits, one channel.
RATE = 24000
#: The vendor's limits: letters of a request, and its speeds.
MAX_LETTERS = 4096
SPEED = (0.25, 4.0)
#: Seconds for the first speech, and for each further piece.
WAIT_S = 10.0
#: Bytes of the longest piece that is handed on: a fifth of a second.
_PIECE = RATE // 5 * 2
#: Models that take no instructions.
_PLAIN = ("tts-1", "tts-1-hd")

_NAMES = (
    "alloy",
    "ash",
    "ballad",
    "coral",
    "echo",
    "fable",
    "nova",
    "onyx",
    "sage",
    "shimmer",
    "verse",
    "marin",
    "cedar",
)
_KNOWN = {voice.name: voice for voices in TABLE.values() for voice in voices}
#: Those of the vendor's that are known to sound somehow; the others may be asked for by name all the same.
VOICES = tuple(_KNOWN[name] for name in _NAMES if name in _KNOWN)

_OPTIONS = ("api_key", "endpoint", "headers", "voice", "instructions", "timeout")


def make(model: str, options: Mapping[str, Any]) -> OpenAITTS:
    """`openai/MODEL`.

    Raises:
        ConfigurationError: there is no key, or an option is unknown or wrong.
    """
    return OpenAITTS(model or DEFAULT_MODEL, **options)


class OpenAITTS:
    """OpenAI's text to speech, a `TTS`.

    Args:
        model: "gpt-4o-mini-tts", "tts-1", ...
        options: `api_key`, `endpoint` (the address up to /v1), `headers`, `voice`, `instructions` (how it is to sound),
            `timeout` (seconds for the first speech, and for each further piece).

    Raises:
        ConfigurationError: there is no key, or an option is unknown or wrong.
    """

    name = NAME
    sample_rate = RATE
    voices = _NAMES

    def __init__(self, model: str = DEFAULT_MODEL, **options: Any) -> None:
        if unknown := sorted(set(options) - set(_OPTIONS)):
            raise ConfigurationError(
                f"the openai voice has no option {', '.join(unknown)}; known are {', '.join(_OPTIONS)}"
            )
        self.model = model
        self._voice = options.get("voice") or _NAMES[0]
        self._instructions = options.get("instructions")
        if self._instructions and model in _PLAIN:
            raise ConfigurationError(f"{model} takes no instructions")
        self._wait = float(options.get("timeout") or WAIT_S)
        key = need_key(NAME, options.get("api_key"), KEY_VARIABLES)
        base = http_url(BASE, options.get("endpoint"))
        given = {"base_url": base, "api_key": key, "headers": options.get("headers")}
        self._http = ChatHttp(ChatEndpoint(given), model)

    async def load(self) -> None:
        """Everything is there, but for the connection, which the first sentence opens."""

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._http.close()

    def body(self, text: str, voice: str | None, speed: float) -> dict[str, Any]:
        """What is asked for (`openai.types.audio.SpeechCreateParams`)."""
        wanted = voice or self._voice
        asked: dict[str, Any] = {
            "model": self.model,
            "input": text[:MAX_LETTERS],
            # An id is that of a voice of one's own.
            "voice": {"id": wanted} if wanted.startswith("voice_") else wanted,
            "response_format": "pcm",
        }
        if self._instructions:
            asked["instructions"] = self._instructions
        if speed != 1.0:
            asked["speed"] = min(max(speed, SPEED[0]), SPEED[1])
        return asked

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        """Speak a sentence; the speech is given as it comes.

        Raises:
            MissingDependencyError: httpx is not installed.
            ProviderError: it was refused, or broke off.
        """
        if not any(letter.isalnum() for letter in text):
            return
        wait = Wait(self._wait)
        response = await self._http.open(
            "POST", "audio/speech", wait, self.body(text, voice, speed)
        )
        try:
            if response.status_code != 200:
                raise await self._http.refusal(response)
            rest = b""
            async with aclosing(bytes_of(response)) as source:
                while (came := await self._next(source, wait)) is not None:
                    wait.restart(self._wait)
                    # A piece may end in the middle of a sample.
                    audio = rest + came
                    whole = len(audio) - len(audio) % 2
                    rest = audio[whole:]
                    for at in range(0, whole, _PIECE):
                        yield Speech(audio[at : min(at + _PIECE, whole)])
        finally:
            await response.aclose()

    async def _next(self, source: AsyncIterator[bytes], wait: Wait) -> bytes | None:
        """The next bytes, None at the end. Speech that stops before its end is no speech."""
        import httpx

        try:
            async with wait.spend():
                return await anext(source, None)
        except TimeoutError:
            words = f"{NAME}: no more speech within {wait.limit:g} s"
            raise ProviderError(words, provider=NAME, code="timeout", retryable=True) from None
        except httpx.TransportError as failure:
            words = f"{NAME}: the speech broke off ({type(failure).__name__})"
            raise ConnectionError(words, provider=NAME, code="closed") from failure
