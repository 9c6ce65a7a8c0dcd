"""`azure`: text to speech by Azure Speech, from words as they come.

The words go to the service as they are pushed (a request with a text stream), and the speech comes while more of them
follow. The service tells where each word is spoken. It begins to speak when it has a sentence, or by its own measure;
it cannot be told to (`flush`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
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
from voxengine.providers.azure_voice_live.voices import STANDARD, is_azure
from voxengine.providers.azure_voice_live.words import Piece, TimedText
from voxengine.providers.cascade.parts import Speech, SpokenWord
from voxengine.providers.voices import map_voice

__all__ = ["AzureTTS", "make"]

NAME = "azure"
SAMPLE_RATE = 24000
#: Where the service takes a text as a stream.
PATH = "/tts/cognitiveservices/websocket/v2"
#: Seconds that stopping the client may take.
CLOSE_S = 2.0
_TICKS = 10_000
_NAMES = tuple(voice.name for voice in STANDARD)


def make(model: str, options: Mapping[str, Any]) -> AzureTTS:
    """`azure/VOICE`.

    Raises:
        ConfigurationError: an option is unknown, or there is no key or no place.
    """
    own = ("voice", "style", "pitch", "endpoint_id")
    access = access_of("the azure voice", options, own)
    return AzureTTS(
        model, access=access, **{name: options[name] for name in own if name in options}
    )


class AzureTTS:
    """Azure text to speech.

    Args:
        model: the voice that is meant where none is asked for.
        access: where it is, and the key.
        voice: the same, as an option.
        style, pitch: how it speaks: "cheerful", "+5%".
        endpoint_id: a custom voice of one's own.
    """

    name = NAME
    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        model: str = "",
        *,
        access: Access,
        voice: str | None = None,
        style: str | None = None,
        pitch: str | None = None,
        endpoint_id: str | None = None,
    ) -> None:
        for name, value in (("voice", voice), ("style", style), ("pitch", pitch)):
            if value is not None and not isinstance(value, str):
                raise ConfigurationError(f"{name} is a text, not {value!r}")
        self.voice = voice or model or _NAMES[0]
        #: Any other of Azure's may be asked for.
        self.voices = tuple(dict.fromkeys((self.voice, *_NAMES)))
        self._access = access
        self._style, self._pitch = style, pitch
        self._endpoint_id = endpoint_id

    async def load(self) -> None:
        """Look whether the client is there.

        Raises:
            MissingDependencyError: it is not installed.
        """
        await load_sdk("the azure voice")

    async def open(self, *, voice: str | None, speed: float, session: str) -> _Stream:
        """Begin an answer. The service is connected while its first words are being found.

        Raises:
            MissingDependencyError: the client is not installed. ProviderError: it cannot be configured.
        """
        sdk = await load_sdk("the azure voice")
        stream = _Stream(sdk, self._access)
        properties = {"rate": f"{speed:g}" if speed != 1.0 else None}
        properties |= {"style": self._style, "pitch": self._pitch}
        try:
            await asyncio.to_thread(stream.make, self._voice(voice), properties, self._endpoint_id)
        except RuntimeError as failure:  # of the client: an address or a voice that it cannot use
            raise misuse_of(NAME, failure, self._access.key) from None
        return stream

    def _voice(self, wanted: str | None) -> str:
        if wanted is None:
            return self.voice
        return wanted if is_azure(wanted) else map_voice(wanted, self.voices).voice


class _Stream:
    """One answer: a synthesizer of the client's, and a request with a text stream."""

    def __init__(self, sdk: Any, access: Access) -> None:
        self._sdk = sdk
        self._access = access
        self._hand = Handover()
        #: Speech, a failure, or None at the end. What the service speaks ahead is bounded by the answer's words.
        self._speech: asyncio.Queue[Speech | ProviderError | None] = asyncio.Queue()
        self._text = TimedText(timed=True)
        self._words: list[SpokenWord] = []
        self._synthesizer: Any = None
        self._connection: Any = None
        self._request: Any = None
        self._result: Any = None
        self._ended = False

    def make(
        self, voice: str, properties: Mapping[str, str | None], endpoint_id: str | None
    ) -> None:
        """Make the client's objects, and connect. In a thread: it takes some milliseconds."""
        sdk, hand = self._sdk, self._hand
        access = self._access
        if access.endpoint is None:
            place = f"wss://{access.region}.tts.speech.microsoft.com"
            access = Access(access.key, None, place)
            path = PATH.removeprefix("/tts")
        else:
            path = PATH
        config = config_of(sdk, access, path, endpoint_id)
        config.speech_synthesis_voice_name = voice
        config.set_speech_synthesis_output_format(
            sdk.SpeechSynthesisOutputFormat.Raw24Khz16BitMonoPcm
        )
        config.set_property(sdk.PropertyId.SpeechServiceResponse_RequestWordBoundary, "true")
        synthesizer = self._synthesizer = sdk.SpeechSynthesizer(
            speech_config=config, audio_config=None
        )
        synthesizer.synthesis_word_boundary.connect(
            lambda event: hand(
                self._word, event.text, event.audio_offset, event.duration.total_seconds()
            )
        )
        synthesizer.synthesizing.connect(lambda event: hand(self._audio, event.result.audio_data))
        synthesizer.synthesis_completed.connect(lambda _: hand(self._completed))
        synthesizer.synthesis_canceled.connect(
            lambda event: hand(self._cancelled, event.result.cancellation_details)
        )
        self._connection = sdk.Connection.from_speech_synthesizer(synthesizer)
        self._connection.open(True)
        self._request = sdk.SpeechSynthesisRequest(sdk.SpeechSynthesisRequestInputType.TextStream)
        for name, value in properties.items():
            if value is not None:
                setattr(self._request, name, value)

    # -- the contract

    def push(self, text: str) -> None:
        """Take a further piece of the text; with the first, the service is asked to speak."""
        if self._ended or not text:
            return
        if self._result is None:
            if not text.strip():
                return
            self._result = self._synthesizer.speak_async(self._request)
        self._spoken(self._text.text(text))
        try:
            self._request.input_stream.write(text)
        except (
            RuntimeError
        ) as failure:  # the request has ended; the client tells why, unless it cannot
            self._fail(misuse_of(NAME, failure, self._access.key))

    def flush(self) -> None:
        """The service speaks what it has as soon as that makes a sentence; there is no way to hurry it."""

    def end(self) -> None:
        """No more text comes."""
        if self._ended:
            return
        self._ended = True
        if self._result is None:
            self._speech.put_nowait(None)
        else:
            self._request.input_stream.close()

    async def __aiter__(self) -> AsyncIterator[Speech]:
        """The speech, and where its words are."""
        try:
            while (found := await self._speech.get()) is not None:
                if isinstance(found, ProviderError):
                    raise found
                yield found
        finally:
            await self._close()

    async def cancel(self, heard_ms: float | None = None) -> str | None:
        """Speak no more. What was heard the service does not know."""
        self._ended = True
        self._hand.close()
        while not self._speech.empty():
            self._speech.get_nowait()
        self._speech.put_nowait(None)
        await self._close()
        return None

    # -- told by the client, on the loop

    def _word(self, text: str, offset: int, seconds: float) -> None:
        start = offset / _TICKS
        self._spoken(self._text.word(text, start, start + seconds * 1000))

    def _spoken(self, pieces: list[Piece]) -> None:
        for piece in pieces:
            if piece.start_ms is not None and piece.end_ms is not None:
                self._words.append(SpokenWord(piece.text, piece.start_ms, piece.end_ms))

    def _audio(self, audio: bytes) -> None:
        words, self._words = tuple(self._words), []
        if audio or words:
            self._speech.put_nowait(Speech(audio, words))

    def _completed(self) -> None:
        self._audio(b"")
        self._speech.put_nowait(None)

    def _cancelled(self, details: Any) -> None:
        self._fail(failure_of(NAME, details, self._access.key))

    def _fail(self, failure: ProviderError) -> None:
        self._ended = True
        self._speech.put_nowait(failure)

    # -- the end

    async def _close(self) -> None:
        self._ended = True
        self._hand.close()
        objects = [self._synthesizer, self._result, self._connection, self._request]
        self._synthesizer = self._result = self._connection = self._request = None
        if objects[0] is not None:
            await let_go(objects, _stop, CLOSE_S)


def _stop(synthesizer: Any, result: Any, _: Any, request: Any) -> None:
    # A request whose text has no end keeps the client waiting for ever, even for its own release.
    with contextlib.suppress(RuntimeError):
        request.input_stream.close()
    synthesizer.stop_speaking_async().get()
    if result is not None:
        result.get()
