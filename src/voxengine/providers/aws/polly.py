"""Amazon Polly as the mouth of a cascade: a request for each sentence, answered with audio as it is made.

The request is signed by botocore and sent by httpx; there is no need for AWS's newer library, so any Python will do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import msgspec

from voxengine.errors import ConfigurationError, ConnectionError, MissingDependencyError
from voxengine.providers.aws import access
from voxengine.providers.aws.failures import code_of
from voxengine.providers.aws.voices import VOICES
from voxengine.providers.cascade.brains.http_pool import HttpPool
from voxengine.providers.cascade.parts import Speech
from voxengine.providers.cascade.speakable import speakable
from voxengine.providers.endpoints import http_url
from voxengine.providers.failures import error_of
from voxengine.providers.voices import map_voice

if TYPE_CHECKING:
    import httpx

__all__ = ["PollyTTS", "make_polly"]

FEATURE = "Amazon Polly"
SAMPLE_RATE = 16000
ENGINES = ("generative", "long-form", "neural", "standard")
#: Seconds that a request may take to be answered, and each piece of the answer.
TIMEOUT_S = 10.0
#: Bytes of one piece of speech: a tenth of a second.
PIECE = SAMPLE_RATE // 10 * 2

_OPTIONS = (*access.OPTIONS, "engine", "language", "endpoint", "timeout")


def make_polly(model: str, options: Mapping[str, Any]) -> PollyTTS:
    """The part "polly"; `model` is the engine.

    Raises:
        ConfigurationError: an option is unknown, or there is no such engine.
    """
    return PollyTTS(model, options)


class PollyTTS:
    """Amazon Polly.

    Options: those of `voxengine.providers.aws.access`; `engine` (generative, long-form, neural, standard), if it is
    not named behind the slash; `language`, for voices that speak several; `endpoint`, `timeout` (seconds).
    """

    name = "polly"
    sample_rate = SAMPLE_RATE
    voices = tuple(voice.name for voice in VOICES)

    def __init__(self, model: str = "", options: Mapping[str, Any] | None = None) -> None:
        self._options = dict(options or {})
        unknown = sorted(set(self._options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(
                f"the tts 'polly' has no option {', '.join(unknown)}; it has {', '.join(_OPTIONS)}"
            )
        self._engine = model or self._options.get("engine") or "neural"
        if self._engine not in ENGINES:
            raise ConfigurationError(
                f"an engine of Polly is {', '.join(ENGINES)}, not {self._engine!r}"
            )
        self._pool = HttpPool(self._client)
        self._access: access.Access | None = None

    async def load(self) -> None:
        """Look whether what it needs is there, and find the credentials.

        Raises:
            MissingDependencyError: botocore or httpx is not installed.
            AuthenticationError: there are no credentials.
        """
        try:
            import botocore.auth
            import httpx
        except ImportError as failure:
            raise MissingDependencyError(FEATURE, "aws", str(failure)) from None
        del botocore, httpx
        await self._find()

    async def close(self) -> None:
        """Close the connections of the running loop."""
        await self._pool.close()

    async def synthesize(
        self, text: str, *, voice: str | None, speed: float, session: str
    ) -> AsyncIterator[Speech]:
        """Speak a sentence.

        Raises:
            ProviderError: Polly refuses it, or fails.
        """
        words = speakable(text).strip()
        if not words:
            return
        import httpx

        allowed = await self._find()
        client = await self._pool.get()
        url = http_url(
            f"https://polly.{allowed.region}.amazonaws.com/v1/speech",
            self._options.get("endpoint"),
        )
        body = msgspec.json.encode(self._request(words, voice, speed))
        headers = _signed(url, body, allowed)
        try:
            async with client.stream("POST", url, content=body, headers=headers) as answer:
                if answer.status_code != httpx.codes.OK:
                    raise await self._refusal(answer)
                async for audio in _pieces(answer):
                    yield Speech(audio)
        except httpx.TimeoutException:
            raise ConnectionError(
                f"{self.name}: no answer in time", provider=self.name, code="timeout"
            ) from None
        except httpx.HTTPError as failure:
            words = f"{self.name}: {str(failure) or type(failure).__name__}"
            raise ConnectionError(words, provider=self.name) from None

    def _request(self, text: str, voice: str | None, speed: float) -> dict[str, Any]:
        name = map_voice(voice, VOICES).voice if voice else VOICES[0].wire_name
        request: dict[str, Any] = {
            "Engine": self._engine,
            "OutputFormat": "pcm",
            "SampleRate": str(SAMPLE_RATE),
            "Text": text,
            "TextType": "text",
            "VoiceId": name,
        }
        if self._options.get("language"):
            request["LanguageCode"] = self._options["language"]
        if abs(speed - 1.0) > 0.01:
            rate = f"{round(speed * 100)}%"
            request["Text"] = f'<speak><prosody rate="{rate}">{escape(text)}</prosody></speak>'
            request["TextType"] = "ssml"
        return request

    async def _find(self) -> access.Access:
        if self._access is None or not access.is_stated(self._options.get):
            # What was looked for may expire.
            self._access = await access.find_access(self._options.get, self.name)
        return self._access

    async def _refusal(self, answer: httpx.Response) -> Exception:
        body = await answer.aread()
        try:
            told = msgspec.json.decode(body)
            words = str(told.get("message") or told.get("Message") or "")
        except (msgspec.DecodeError, AttributeError, ValueError):
            words = ""
        name = answer.headers.get("x-amzn-errortype", "").partition(":")[0]
        code = code_of(name, answer.status_code) or "server"
        shown = words or name or f"HTTP {answer.status_code}"
        return error_of(code, shown, self.name, refused=code == "message")

    def _client(self) -> httpx.AsyncClient:
        import httpx

        return httpx.AsyncClient(timeout=float(self._options.get("timeout") or TIMEOUT_S))


async def _pieces(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Whole samples, in pieces that are not too long."""
    rest = b""
    async for data in answer.aiter_bytes():
        rest += data
        while len(rest) >= PIECE:
            yield rest[:PIECE]
            rest = rest[PIECE:]
    rest = rest[: len(rest) - len(rest) % 2]
    if rest:
        yield rest


def _signed(url: str, body: bytes, allowed: access.Access) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("POST", url, headers={"Content-Type": "application/json"}, data=body)
    who = Credentials(allowed.key_id, allowed.secret, allowed.token)
    SigV4Auth(who, "polly", allowed.region).add_auth(request)
    return dict(request.headers.items())
