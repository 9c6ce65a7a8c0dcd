"""One call to the emulated recogniser."""

from __future__ import annotations

import asyncio
import datetime
import logging
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.faults import Drop, Stall
from voxengine.testing.emulators.hearing import Hearing, Turn

if TYPE_CHECKING:
    from voxengine.testing.emulators.google_stt.emulator import GoogleSTTEmulator

__all__ = ["Recognition"]

_log = logging.getLogger(__name__)

_RECOGNIZER = re.compile(r"projects/[^/]+/locations/[^/]+/recognizers/[^/]+")
_MODELS = re.compile(r"chirp(_\d)?|latest_long|latest_short|long|short|telephony(_short)?")
_FORMAT = AudioFormat("pcm16", 16000)
#: Bytes of audio in one message.
_MAX_AUDIO = 25 * 1024
#: Of the things to be told the oldest is forgotten beyond this.
_BACKLOG = 256


class Recognition:
    """Listens, and tells what it hears. `first` is the client's configuration; `sizes` those of its audio messages."""

    def __init__(self, emulator: GoogleSTTEmulator, context: Any, number: int) -> None:
        self.first: Any = None
        self.sizes: list[int] = []
        self._emulator = emulator
        self._types = emulator.types
        self._context = context
        self._number = number
        self._hearing: Hearing | None = None
        self._told: asyncio.Queue[Any] = asyncio.Queue(_BACKLOG)
        self._heard_s = 0.0

    async def run(self, requests: AsyncIterator[Any]) -> None:
        """Hold the call."""
        listening = asyncio.ensure_future(self._listen(requests))
        try:
            while True:
                telling = asyncio.ensure_future(self._told.get())
                await asyncio.wait({listening, telling}, return_when=asyncio.FIRST_COMPLETED)
                if telling.done():
                    await self._context.write(telling.result())
                    continue
                telling.cancel()
                await listening  # raises what has ended it
                while not self._told.empty():
                    await self._context.write(self._told.get_nowait())
                return
        finally:
            listening.cancel()
            if self._hearing is not None:
                await asyncio.wait([self._hearing.close()])

    async def _listen(self, requests: AsyncIterator[Any]) -> None:
        async for request in requests:
            if self.first is None:
                await self._begin(request)
            else:
                await self._hear(request)
        if self._hearing is not None:
            self._hearing.commit()
            await self._hearing.understood()
            self._say(self._response())

    async def _begin(self, request: Any) -> None:
        config = request.streaming_config.config
        decoding = config.explicit_decoding_config
        if not _RECOGNIZER.fullmatch(request.recognizer):
            await self._refuse("INVALID_ARGUMENT", "Invalid resource name: recognizer.")
        if not request.streaming_config or request.audio:
            await self._refuse("INVALID_ARGUMENT", "The first message holds the configuration.")
        if not _MODELS.fullmatch(config.model):
            await self._refuse("INVALID_ARGUMENT", f"The model {config.model!r} does not exist.")
        if not config.language_codes:
            await self._refuse("INVALID_ARGUMENT", "language_codes are required.")
        right = decoding.encoding.name, decoding.sample_rate_hertz, decoding.audio_channel_count
        if right != ("LINEAR16", 16000, 1):
            await self._refuse("INVALID_ARGUMENT", "The emulator takes LINEAR16 at 16000 Hz.")
        self.first = request
        interim = request.streaming_config.streaming_features.interim_results
        self._hearing = Hearing(_FORMAT, self._emulator.voice, self, partials=interim)

    async def _hear(self, request: Any) -> None:
        assert self._hearing is not None
        if request.streaming_config or len(request.audio) > _MAX_AUDIO or not request.audio:
            await self._refuse("INVALID_ARGUMENT", "Audio chunk can be of a maximum of 25 KB.")
        for fault in self._emulator.faults.at_chunk(self._number, len(self.sizes)):
            if isinstance(fault, Drop):
                await self._refuse("UNAVAILABLE", "The connection was reset.")
            elif isinstance(fault, Stall):
                await asyncio.sleep(min(fault.seconds, 3600.0))
        self.sizes.append(len(request.audio))
        self._heard_s += _FORMAT.duration_ms(len(request.audio)) / 1000
        if self._heard_s > self._emulator.max_call_s:
            words = "Max duration of 5 minutes reached for stream."
            await self._refuse("ABORTED", words)
        self._hearing.feed(request.audio)

    async def _refuse(self, status: str, words: str) -> None:
        import grpc

        await self._context.abort(grpc.StatusCode[status], words)

    # -- told by the ears

    def on_speech_started(self, audio_ms: float) -> None:
        """Speech begins."""
        self._activity("SPEECH_ACTIVITY_BEGIN", audio_ms)

    def on_speech_stopped(self, audio_ms: float) -> None:
        """Speech ends."""
        self._activity("SPEECH_ACTIVITY_END", audio_ms)

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        self._result(text, final=False)

    def on_pause(self, text: str) -> None:
        """It never asks."""

    def on_resumed(self) -> None:
        """It never asks."""

    def on_turn(self, turn: Turn, text: str) -> None:
        """All words of a stretch of speech."""
        if text:
            self._result(text, final=True)

    def on_failure(self, failure: BaseException) -> None:
        """A mistake of the emulator's own: nothing more is understood."""
        _log.error("the emulated recogniser failed", exc_info=failure)

    # -- what is told

    def _activity(self, kind: str, audio_ms: float) -> None:
        features = self.first.streaming_config.streaming_features
        if features.enable_voice_activity_events:
            kinds = self._types.StreamingRecognizeResponse.SpeechEventType
            offset = datetime.timedelta(milliseconds=audio_ms)
            self._say(self._response(speech_event_type=kinds[kind], speech_event_offset=offset))

    def _result(self, text: str, *, final: bool) -> None:
        alternative: dict[str, Any] = {"transcript": text}
        if final:
            alternative["confidence"] = 0.9
        code = self.first.streaming_config.config.language_codes[0]
        result = {
            "alternatives": [alternative],
            "is_final": final,
            "stability": 0.0 if final else 0.5,
            "result_end_offset": datetime.timedelta(seconds=self._heard_s),
            "language_code": "en-US" if code == "auto" else code,
        }
        self._say(self._response(results=[result]))

    def _response(self, **fields: Any) -> Any:
        billed = datetime.timedelta(seconds=round(self._heard_s))
        return self._types.StreamingRecognizeResponse(
            metadata={"total_billed_duration": billed}, **fields
        )

    def _say(self, response: Any) -> None:
        if self._told.full():
            self._told.get_nowait()
        self._told.put_nowait(response)
