"""`azure`: speech to text by Azure Speech, while the user speaks.

The client is fed through a push stream and tells guesses (`recognizing`) and phrases (`recognized`). A phrase ends by
itself after `segmentation_ms` of silence; `finalize` asks the service to end it now (`PushAudioInputStream.commit`),
and the result that acknowledges that is the answer. The service may let such a request go unanswered: then silence is
fed, which ends the phrase as if the user had fallen silent, and after `ANSWER_S` what is known counts.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from voxengine.errors import ConfigurationError, ProviderError
from voxengine.providers.azure_speech.access import Access, access_of
from voxengine.providers.azure_speech.sdk import (
    Handover,
    config_of,
    failure_of,
    let_go,
    load_sdk,
    misuse_of,
)
from voxengine.providers.cascade.parts import (
    STTEvent,
    STTFailed,
    STTFinal,
    STTPartial,
    STTSpeechStarted,
    STTUsage,
)

__all__ = ["AzureSTT", "make"]

NAME = "azure"
SAMPLE_RATE = 16000
_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*")
#: Seconds until the service is connected, until a request to end a phrase counts as unheard, and until it is given up.
CONNECT_S = 8.0
HEARD_S = 0.3
ANSWER_S = 1.5
#: Seconds that stopping the client may take.
CLOSE_S = 2.0
#: Units of the client's places in the audio in a millisecond.
_TICKS = 10_000


def make(model: str, options: Mapping[str, Any]) -> AzureSTT:
    """`azure/LOCALE`.

    Raises:
        ConfigurationError: an option is unknown, or there is no key or no place.
    """
    return AzureSTT(model, **_keywords(options))


def _keywords(options: Mapping[str, Any]) -> dict[str, Any]:
    own = ("language", "endpoint_id", "segmentation_ms")
    access = access_of("the azure recogniser", options, own)
    return {"access": access, **{name: options[name] for name in own if name in options}}


class AzureSTT:
    """Azure Speech to text.

    Args:
        model: the language as a locale, "en-US", where nothing else says one.
        access: where it is, and the key.
        language: the same, as an option.
        endpoint_id: a custom model of one's own.
        segmentation_ms: the silence that ends a phrase, 100 to 5000.
    """

    name = NAME
    sample_rate = SAMPLE_RATE
    detects_turns = False
    takes_vocabulary = True
    tells_emotion = False

    def __init__(
        self,
        model: str = "",
        *,
        access: Access,
        language: str | None = None,
        endpoint_id: str | None = None,
        segmentation_ms: int = 500,
    ) -> None:
        if model and _LOCALE.fullmatch(model) is None:
            raise ConfigurationError(f"azure/{model}: behind the / stands a language, as en-US")
        if not isinstance(segmentation_ms, int) or not 100 <= segmentation_ms <= 5000:
            raise ConfigurationError(
                f"segmentation_ms is a whole number from 100 to 5000, not {segmentation_ms!r}"
            )
        self.language = language or model or "en-US"
        self.segmentation_ms = segmentation_ms
        self._access = access
        self._endpoint_id = endpoint_id

    async def load(self) -> None:
        """Look whether the client is there.

        Raises:
            MissingDependencyError: it is not installed.
        """
        await load_sdk("the azure recogniser")

    async def open(
        self,
        on_event: Callable[[STTEvent], None],
        *,
        session: str,
        language: str | None = None,
        vocabulary: Sequence[str] = (),
        turn_options: Mapping[str, Any] | None = None,
    ) -> _Stream:
        """Open a stream. `turn_options` may have a `silence_duration_ms`, which then ends a phrase.

        Raises:
            ProviderError: it could not be opened. MissingDependencyError: the client is not installed.
        """
        sdk = await load_sdk("the azure recogniser")
        stream = _Stream(sdk, self._access, on_event, _locale(language) or self.language)
        silence = (turn_options or {}).get("silence_duration_ms") or self.segmentation_ms
        await stream.start(vocabulary, round(min(max(silence, 100), 5000)), self._endpoint_id)
        return stream


def _locale(language: str | None) -> str | None:
    """A language as the service names it; of a bare language, none: the service wants a locale."""
    return language.replace("_", "-") if language and len(language) > 3 else None


class _Stream:
    """One recogniser of the client's, with its push stream."""

    def __init__(
        self, sdk: Any, access: Access, on_event: Callable[[STTEvent], None], language: str
    ) -> None:
        self._sdk = sdk
        self._access = access
        self._tell = on_event
        self._language = language
        self._loop = asyncio.get_running_loop()
        self._hand = Handover()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._silence_ms = 500
        self._input: Any = None
        self._recogniser: Any = None
        self._connection: Any = None
        #: The token of the request to end a phrase that waits for its answer, None without one. 0: any phrase is that,
        #: for silence was fed.
        self._asked: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fed = self._billed = 0
        self._failed = False

    async def start(
        self, vocabulary: Sequence[str], silence_ms: int, endpoint_id: str | None
    ) -> None:
        """Connect.

        Raises:
            ProviderError: the service refuses, or does not answer.
        """
        self._silence_ms = silence_ms
        try:
            # Making a recogniser and starting it takes a few milliseconds, without the network.
            await asyncio.to_thread(self._make, vocabulary, endpoint_id)
            async with asyncio.timeout(CONNECT_S):
                await self._connected
        except TimeoutError:
            await self.close()
            raise ProviderError(
                f"{NAME}: not connected within {CONNECT_S:g} s",
                provider=NAME,
                code="timeout",
                retryable=True,
            ) from None
        except BaseException as failure:
            await self.close()
            if isinstance(failure, (ProviderError, asyncio.CancelledError)):
                raise
            raise misuse_of(NAME, failure, self._access.key) from None

    def _make(self, vocabulary: Sequence[str], endpoint_id: str | None) -> None:
        sdk, hand = self._sdk, self._hand
        config = config_of(sdk, self._access, "", endpoint_id)
        config.speech_recognition_language = self._language
        config.set_property(
            sdk.PropertyId.Speech_SegmentationSilenceTimeoutMs, str(self._silence_ms)
        )
        format = sdk.audio.AudioStreamFormat(samples_per_second=SAMPLE_RATE)
        self._input = sdk.audio.PushAudioInputStream(format)
        recogniser = self._recogniser = sdk.SpeechRecognizer(
            speech_config=config, audio_config=sdk.audio.AudioConfig(stream=self._input)
        )
        if vocabulary:
            phrases = sdk.PhraseListGrammar.from_recognizer(recogniser)
            for phrase in vocabulary:
                phrases.addPhrase(phrase)
        recogniser.speech_start_detected.connect(lambda event: hand(self._started, event.offset))
        recogniser.recognizing.connect(lambda event: hand(self._guessed, event.result.text))
        recogniser.recognized.connect(lambda event: hand(self._recognised, _plain(event.result)))
        recogniser.canceled.connect(lambda event: hand(self._cancelled, event.cancellation_details))
        self._connection = sdk.Connection.from_recognizer(recogniser)
        self._connection.connected.connect(lambda _: hand(self._has_connected))
        recogniser.start_continuous_recognition_async().get()

    # -- the contract

    def feed(self, audio: bytes) -> None:
        """Take the next audio. It is copied into memory of the client's, which sends it as the network takes it."""
        if self._failed or self._input is None:
            return
        self._fed += len(audio)
        self._input.write(audio)

    def finalize(self) -> None:
        """Ask for the end of the phrase."""
        if self._failed or self._input is None:
            return
        self._asked = self._input.commit()
        self._wait(HEARD_S if self._asked else 0.0, self._unheard)

    async def close(self) -> None:
        """Stop the client; nothing is told after that."""
        self._hand.close()
        self._stop_waiting()
        objects = [self._input, self._recogniser, self._connection]
        self._input = self._recogniser = self._connection = None
        if objects[1] is not None:
            await let_go(objects, _stop, CLOSE_S)

    # -- told by the client, on the loop

    def _has_connected(self) -> None:
        if not self._connected.done():
            self._connected.set_result(None)

    def _started(self, offset: int) -> None:
        self._tell(STTSpeechStarted(offset / _TICKS))

    def _guessed(self, text: str) -> None:
        if text:
            self._tell(STTPartial(text))

    def _recognised(self, result: tuple[str, int]) -> None:
        text, token = result
        if self._asked is not None and token >= self._asked:
            self._answer(text)
        elif text:
            self._tell(STTFinal(text, self._language))

    def _cancelled(self, details: Any) -> None:
        if details.reason == self._sdk.CancellationReason.EndOfStream:
            return
        failure = failure_of(NAME, details, self._access.key)
        self._failed = True
        self._stop_waiting()
        if not self._connected.done():
            self._connected.set_exception(failure)
        else:
            self._tell(STTFailed(failure))

    # -- the end of a phrase

    def _unheard(self) -> None:
        """The request was not answered at once: end the phrase as silence does."""
        self._asked = 0
        if self._input is not None:
            n_bytes = round(SAMPLE_RATE * (self._silence_ms + 100) / 1000) * 2
            self._input.write(bytes(n_bytes))
        self._wait(ANSWER_S, self._answer, "")

    def _answer(self, text: str) -> None:
        self._stop_waiting()
        self._asked = None
        self._tell(STTFinal(text, self._language, asked=True))
        seconds, self._billed = (self._fed - self._billed) / (2 * SAMPLE_RATE), self._fed
        self._tell(STTUsage(seconds))

    def _wait(self, seconds: float, call: Callable[..., None], *args: Any) -> None:
        self._stop_waiting()
        self._timer = self._loop.call_later(seconds, call, *args)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _stop(source: Any, recogniser: Any, _: Any) -> None:
    source.close()
    recogniser.stop_continuous_recognition_async().get()


def _plain(result: Any) -> tuple[str, int]:
    """What of a result is used; the client's object is not to be touched on another thread, later."""
    return result.text or "", result.commit_token
