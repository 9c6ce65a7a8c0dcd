"""The emulator of Amazon Transcribe: results that change until they are final, with the place of every word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.aws.emulator import AmazonEmulator, AmazonSession
from voxengine.testing.emulators.aws.frames import encode_frame
from voxengine.testing.emulators.hearing import Hearing, Turn
from voxengine.testing.emulators.http import Request
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.oracles.transcribe import TranscribeJudge

__all__ = ["TranscribeEmulator", "TranscribeSession"]


class TranscribeSettings(ModelSettings, frozen=True, kw_only=True):
    """How it hears. `silence_ms` is the pause that makes a result final."""

    silence_ms: float = 400.0
    #: Seconds without audio after which the stream is ended.
    idle_s: float = 15.0


class TranscribeEmulator(AmazonEmulator):
    """Amazon Transcribe of one's own, on a port of this machine. See `VendorEmulator`; `responses` have no use."""

    path = "/stream-transcription"
    settings_type = TranscribeSettings
    exceptions = {  # noqa: RUF012 - declared as one in the class that it overrides
        1008: "BadRequestException",
        1011: "InternalFailureException",
        1013: "LimitExceededException",
        1001: "ServiceUnavailableException",
    }

    def make_judge(self) -> TranscribeJudge:
        """By the types of AWS's library."""
        return TranscribeJudge()

    def make_session(self, request: Request, session_id: str) -> TranscribeSession:
        """A stream."""
        return TranscribeSession(self, request, session_id)


class TranscribeSession(AmazonSession):
    """One stream."""

    def __init__(self, emulator: TranscribeEmulator, request: Request, session_id: str) -> None:
        super().__init__(emulator, request, session_id)
        self._hearing: Hearing | None = None
        self._results = 0
        #: All audio that came, in bytes.
        self.heard = 0

    def unwrap(self, headers: Mapping[str, Any], payload: bytes) -> bytes:
        """The audio in an audio event."""
        if headers.get(":event-type") != "AudioEvent":
            raise ValueError(f"an event that is no audio: {headers.get(':event-type')}")
        return payload

    def wrap(self, message: str | bytes) -> bytes:
        """A transcript event."""
        raw = message.encode() if isinstance(message, str) else message
        headers = {
            ":event-type": "TranscriptEvent",
            ":content-type": "application/json",
            ":message-type": "event",
        }
        return encode_frame(headers, raw)

    def response_headers(self) -> list[tuple[str, str]]:
        """What was asked for, told back."""
        asked = self.request.headers
        names = ("language-code", "sample-rate", "media-encoding")
        return [
            *super().response_headers(),
            *((f"x-amzn-transcribe-{n}", asked.get(f"x-amzn-transcribe-{n}", "")) for n in names),
            ("x-amzn-transcribe-session-id", self.id),
        ]

    def error(self, code: str, message: str) -> None:
        """Errors are exceptions, after which the stream has ended."""
        self.end(1008 if code == "invalid_request" else 1011, message)

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """There is but one kind."""
        return "TranscriptEvent"

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """An event with nothing in it that is known."""
        return {"Mood": {"Kind": kind}}

    def opened(self) -> None:
        """The stream is open."""
        wrong = self.emulator.judge.request(self.request.headers)
        if wrong:
            self.end(1008, wrong[0])
            return
        rate = int(self.request.headers["x-amzn-transcribe-sample-rate"])
        settings = self.emulator.settings
        self._hearing = Hearing(
            AudioFormat("pcm16", rate),
            self.emulator.voice,
            self,
            silence_ms=settings.silence_ms,
            transcripts=settings.transcripts,
        )
        self._await_audio()

    def closed(self) -> None:
        """The stream is over."""
        if self._hearing is not None:
            self.tasks.append(self._hearing.close())

    def received_audio(self, audio: bytes) -> None:
        """Some audio."""
        self.heard += len(audio)
        self._await_audio()
        if self._hearing is not None:
            self._hearing.feed(audio)

    def _await_audio(self) -> None:
        words = "Your request timed out because no new audio was received for 15 seconds."
        self.later("idle", self.emulator.settings.idle_s, self.end, 1008, words)

    # -- told by its ears

    def on_user_partial(self, text: str) -> None:
        """Words of a result that is open."""
        assert self._hearing is not None
        turn = self._hearing.turn
        if turn is not None:
            self._tell(text, turn, self._hearing.position_ms, partial=True)

    def on_turn(self, turn: Turn, text: str) -> None:
        """A result is final."""
        if text:
            self._tell(text, turn, turn.end_ms or turn.start_ms, partial=False)

    def _tell(self, text: str, turn: Turn, end_ms: float, *, partial: bool) -> None:
        words = text.split()
        start, end = turn.start_ms / 1000, end_ms / 1000
        step = (end - start) / max(1, len(words))
        items = [
            {
                "StartTime": round(start + n * step, 3),
                "EndTime": round(start + (n + 1) * step, 3),
                "Type": "pronunciation",
                "Content": word,
                "VocabularyFilterMatch": False,
                "Stable": not partial or n < len(words) - 1,
                **({} if partial else {"Confidence": 0.98}),
            }
            for n, word in enumerate(words)
        ]
        result = {
            "ResultId": f"{self.id}_{turn.number}",
            "StartTime": round(start, 3),
            "EndTime": round(end, 3),
            "IsPartial": partial,
            "Alternatives": [{"Transcript": text, "Items": items}],
            "ChannelId": "ch_0",
        }
        self.send({"Transcript": {"Results": [result]}})
