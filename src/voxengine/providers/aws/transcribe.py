"""Amazon Transcribe as the ears of a cascade: one HTTP/2 event stream, by AWS's own library (Python 3.12 or newer)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxengine.errors import ConfigurationError, ConnectionError, ProviderError
from voxengine.net import Closed
from voxengine.providers.aws import access, sdk
from voxengine.providers.aws.failures import failure_of
from voxengine.providers.aws.hearing import Results
from voxengine.providers.aws.stream import EventStream
from voxengine.providers.cascade.parts import INPUT_RATE, STTEvent, STTFailed

__all__ = ["TranscribeSTT", "make_transcribe"]

FEATURE = "Amazon Transcribe"
_PACKAGE = "aws_sdk_transcribe_streaming"

#: Seconds that opening a stream may take.
OPEN_S = 10.0
#: A stream without audio is ended by the vendor after 15 seconds: how long we let it be quiet, and the silence that is
#: sent then; and how much of it brings a result to its end.
IDLE_S = 5.0
SILENCE_S = 0.2
CLOSING_S = 0.6

#: For languages that are given without a country, the one that is meant.
_LOCALES = {
    "ar": "ar-AE",
    "de": "de-DE",
    "en": "en-US",
    "es": "es-US",
    "fr": "fr-FR",
    "hi": "hi-IN",
    "it": "it-IT",
    "ja": "ja-JP",
    "ko": "ko-KR",
    "nl": "nl-NL",
    "pl": "pl-PL",
    "pt": "pt-BR",
    "ru": "ru-RU",
    "sv": "sv-SE",
    "zh": "zh-CN",
}
#: Options that are passed on as they are.
_PASSED = (
    "vocabulary_name",
    "vocabulary_filter_name",
    "vocabulary_filter_method",
    "partial_results_stability",
)
_OPTIONS = (
    *access.OPTIONS,
    *_PASSED,
    "language",
    "endpoint",
    "ca_bundle",
    "transport",
    "connect_timeout",
)


def make_transcribe(model: str, options: Mapping[str, Any]) -> TranscribeSTT:
    """The part "transcribe"; `model` is the name of a language model of one's own.

    Raises:
        ConfigurationError: an option is unknown.
    """
    return TranscribeSTT(model, options)


class TranscribeSTT:
    """Amazon Transcribe.

    Options: those of `voxengine.providers.aws.access`; `language` where the session names none (en-US);
    `vocabulary_name` (a vocabulary that was made there before: words cannot be given with a call),
    `vocabulary_filter_name`, `vocabulary_filter_method`, `partial_results_stability` (high, medium, low); `endpoint`,
    `ca_bundle`, `connect_timeout`, and `transport`, as of the provider "nova".
    """

    name = "transcribe"
    sample_rate = INPUT_RATE
    detects_turns = False
    takes_vocabulary = False
    tells_emotion = False

    def __init__(self, model: str = "", options: Mapping[str, Any] | None = None) -> None:
        self._model = model
        self._options = dict(options or {})
        unknown = sorted(set(self._options) - set(_OPTIONS))
        if unknown:
            raise ConfigurationError(
                f"the stt 'transcribe' has no option {', '.join(unknown)}; it has {', '.join(_OPTIONS)}"
            )

    async def load(self) -> None:
        """Look whether AWS's library is there.

        Raises:
            MissingDependencyError: it is not, or this Python is too old for it.
        """
        sdk.need(FEATURE, f"{_PACKAGE}.client")

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> TranscribeStream:
        """Open a stream.

        Raises:
            MissingDependencyError: AWS's library is not there.
            ProviderError: it could not be opened.
        """
        await self.load()
        option = self._options.get
        allowed = await access.find_access(option, self.name)
        seconds = float(option("connect_timeout") or OPEN_S)
        stream = TranscribeStream(on_event, self.name)
        try:
            async with asyncio.timeout(seconds):
                await stream.open(await self._request(allowed, language), allowed, option)
        except TimeoutError:
            await stream.close()
            raise ConnectionError(
                f"{self.name}: no answer within {seconds:g} s", provider=self.name, code="timeout"
            ) from None
        except BaseException:
            await stream.close()
            raise
        return stream

    async def _request(self, allowed: access.Access, language: str | None) -> Any:
        models = sdk.need(FEATURE, f"{_PACKAGE}.models")
        wanted = language or self._options.get("language") or "en"
        passed = {name: self._options[name] for name in _PASSED if self._options.get(name)}
        passed.setdefault("partial_results_stability", "high")
        return models.StartStreamTranscriptionInput(
            language_code=_LOCALES.get(wanted, wanted),
            media_sample_rate_hertz=INPUT_RATE,
            media_encoding="pcm",
            enable_partial_results_stabilization=True,
            language_model_name=self._model or None,
            **passed,
        )


class TranscribeStream:
    """The ears of one session."""

    def __init__(self, on_event: Callable[[STTEvent], None], provider: str) -> None:
        self._on_event = on_event
        self._provider = provider
        self._results = Results()
        self._stream: EventStream | None = None
        self._closed = False
        self._fed_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._idle: asyncio.TimerHandle | None = None

    async def open(self, request: Any, allowed: access.Access, option: access.Option) -> None:
        """Open it.

        Raises:
            ProviderError: it could not be opened.
        """
        client_of, models = (
            sdk.need(FEATURE, f"{_PACKAGE}.{name}") for name in ("client", "models")
        )
        transport = sdk.transport(option, FEATURE)
        config = await sdk.need(
            FEATURE, f"{_PACKAGE}.config"
        ).AsyncTranscribeStreamingConfig.resolve(
            region=allowed.region,
            endpoint_uri=option("endpoint"),
            transport=transport,
            aws_credentials_identity_resolver=sdk.credentials(allowed, FEATURE),
        )
        try:
            stream = await client_of.AsyncTranscribeStreamingClient(
                config=config
            ).start_stream_transcription(request)
        except Exception as failure:
            raise failure_of(failure, self._provider) from None
        event, chunk = models.AudioStreamAudioEvent, models.AudioEvent
        self._stream = EventStream(
            stream,
            wrap=lambda audio: event(value=chunk(audio_chunk=audio)),
            on_event=self._came,
            on_closed=self._ended,
            on_dropped=self._dropped,
            provider=self._provider,
            done=transport.close,
        )
        await self._stream.answered()
        self._fed_at = self._now()
        self._watch()

    # -- as every ears

    def feed(self, audio: bytes) -> None:
        """Take the next audio. Never waits."""
        self._fed_at = self._now()
        self._send(audio)

    def finalize(self) -> None:
        """The turn is over: a little silence brings what is still open to its end."""
        self._results.finalize(self._now())
        self._send(bytes(round(CLOSING_S * INPUT_RATE) * 2))
        self._arm()

    async def close(self) -> None:
        """Close it."""
        self._closed = True
        for timer in (self._timer, self._idle):
            if timer is not None:
                timer.cancel()
        if self._stream is not None:
            await self._stream.close()

    # -- inside

    def _send(self, audio: bytes) -> None:
        stream = self._stream
        if self._closed or stream is None or not stream.is_open or not audio:
            return
        stream.send_audio(audio, len(audio))
        self._results.position_s += len(audio) / 2 / INPUT_RATE

    def _came(self, event: Any) -> None:
        transcript = getattr(getattr(event, "value", None), "transcript", None)
        for result in getattr(transcript, "results", None) or ():
            self._tell(self._results.result(result, self._now()))

    def _tell(self, events: Sequence[STTEvent]) -> None:
        for event in events:
            if not self._closed:
                self._on_event(event)
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._results.deadline
        if deadline is not None and not self._closed:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._tell(self._results.tick(self._now()))

    def _watch(self) -> None:
        """Keep the stream alive where nothing is fed."""
        if self._closed:
            return
        if self._now() - self._fed_at >= IDLE_S:
            self.feed(bytes(round(SILENCE_S * INPUT_RATE) * 2))
        self._idle = asyncio.get_running_loop().call_later(IDLE_S / 2, self._watch)

    def _dropped(self, messages: int, n_bytes: int) -> None:
        seconds = n_bytes / 2 / INPUT_RATE
        words = f"{self._provider}: {seconds:.1f} s of audio were not taken"
        self._fail(ConnectionError(words, provider=self._provider, code="overloaded"))

    def _ended(self, closed: Closed, failure: Exception | None) -> None:
        if closed.cause == "local":
            return
        words = f"{self._provider}: {closed.reason}"
        told = failure if isinstance(failure, ProviderError) else None
        self._fail(told or ConnectionError(words, provider=self._provider, code="closed"))

    def _fail(self, error: ProviderError) -> None:
        if not self._closed:
            self._closed = True
            self._on_event(STTFailed(error))
            if self._stream is not None:
                self._stream.start_closing()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
