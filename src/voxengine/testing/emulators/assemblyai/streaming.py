"""The emulator of Universal-Streaming v3."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.clock import Clock
from voxengine.testing.emulators.hearing import Hearing, Turn
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.oracles.assemblyai import parameter_problems, stt_judge
from voxengine.testing.oracles.judge import Judge

__all__ = ["StreamingEmulator", "StreamingSession", "StreamingSettings"]

#: Milliseconds of the shortest and the longest piece of audio that is taken.
_SHORT_MS, _LONG_MS = 50.0, 1000.0
_ENCODINGS = {"pcm_s16le": "pcm16", "pcm_mulaw": "g711_ulaw"}
#: The reason of every close frame after an error.
_REASON = "See Error message for details"


class StreamingSettings(ModelSettings, frozen=True, kw_only=True):
    """How Universal-Streaming behaves: `silence_ms` ends a turn where the address says nothing else."""

    #: From the end of a turn to its text with capitals and signs.
    format_ms: float = 100.0
    #: Whether the end of a turn that is asked for is told.
    forces: bool = True


class StreamingEmulator(VendorEmulator):
    """Universal-Streaming on a port of this machine. See `VendorEmulator`; settings: those of `StreamingSettings`."""

    path = "/v3/ws"
    settings_type = StreamingSettings

    def make_judge(self) -> Judge:
        """The vendor's types."""
        return stt_judge()

    def make_session(self, request: Request, session_id: str) -> StreamingSession:
        """A stream."""
        return StreamingSession(self, request, session_id)

    @property
    def api_host(self) -> str:
        """The `api_host` of the official client."""
        return self.ws_url

    def key_of(self, request: Request) -> str | None:
        """A key in its header, without a scheme, or a token in the address."""
        return request.headers.get("authorization") or request.query.get("token")

    def authorized(self, request: Request) -> bool:
        """Anybody may connect: that the key is wrong is told by a message."""
        return True

    def knows(self, request: Request) -> bool:
        """Whether the right key is shown."""
        return super().authorized(request)

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of the vendor's API."""
        return json_answer(status, {"error": message})


class StreamingSession(VendorSession):
    """The server's side of one stream.

    Attributes:
        parameters: those of the address.
        pieces_ms: the length of each piece of audio that came.
    """

    def opened(self) -> None:
        """The session begins, if the key and the parameters are right."""
        self.parameters = dict(self.request.query)
        self.pieces_ms: list[float] = []
        self._hearing: Hearing | None = None
        self._order = self._number = self._sent = 0
        self._audio_ms = 0.0
        if not self.emulator.knows(self.request):  # type: ignore[attr-defined]
            self._refuse(1008, "Invalid API key")
            return
        self.parameters.pop("token", None)
        if problems := parameter_problems(self.parameters):
            self._refuse(3006, problems[0])
            return
        encoding = _ENCODINGS[self.parameters.get("encoding", "pcm_s16le")]
        self._format = AudioFormat(encoding, int(self.parameters["sample_rate"]))
        silence = self.parameters.get("min_turn_silence")
        self._hear(float(silence or self.emulator.settings.silence_ms))
        self.send(
            {
                "type": "Begin",
                "id": str(uuid.uuid4()),
                "expires_at": int(Clock().wall()) + 3 * 3600,
                "configuration": {"model": self._model, "api_version": "2025-05-12"},
            }
        )

    def closed(self) -> None:
        """Hear no more."""
        if self._hearing is not None:
            self.tasks.append(self._hearing.close())

    @property
    def _model(self) -> str:
        return self.parameters.get("speech_model", "universal-3-5-pro")

    @property
    def _formats(self) -> bool:
        """Whether the end of a turn is told once more."""
        wanted = self.parameters.get("format_turns", "false").lower() == "true"
        return wanted and self._model.startswith("universal-streaming")

    def _hear(self, silence_ms: float) -> None:
        if self._hearing is not None:
            self.tasks.append(self._hearing.close())
        self._hearing = Hearing(self._format, self.emulator.voice, self, silence_ms=silence_ms)

    def _refuse(self, code: int, words: str) -> None:
        self.send({"type": "Error", "error_code": code, "error": words})
        self.end(code, _REASON)

    # -- the client

    def received_audio(self, audio: bytes) -> None:
        """A piece of audio."""
        if self._hearing is None:
            return
        length = self._format.duration_ms(len(audio))
        self.pieces_ms.append(length)
        if not _SHORT_MS <= length <= _LONG_MS:
            words = f"Input Duration Violation: {length:g} ms. Expected between 50 and 1000 ms"
            self._refuse(3007, words)
            return
        self._audio_ms += length
        self._hearing.feed(audio)

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        hearing = self._hearing
        if hearing is None:
            return
        match message["type"]:
            case "ForceEndpoint":
                if self.emulator.settings.forces:
                    hearing.commit()
            case "Terminate":
                self.tasks.append(asyncio.create_task(self._finish(hearing)))
            case "UpdateConfiguration":
                if message.get("min_turn_silence") is not None:
                    self._hear(float(message["min_turn_silence"]))

    async def _finish(self, hearing: Hearing) -> None:
        hearing.commit()
        await hearing.understood()
        self.send(
            {
                "type": "Termination",
                "audio_duration_seconds": round(self._audio_ms / 1000),
                "session_duration_seconds": round(self.now_ms() / 1000),
            }
        )
        self.end(1000)

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid ends the session."""
        self._refuse(3006, problems[0])

    def error(self, code: str, message: str) -> None:
        """Every error ends the session."""
        self._refuse(3005, message)

    def expiry_messages(self) -> Iterable[dict[str, Any]]:
        """The longest time of a session has passed."""
        words = "Session Expired: Maximum session duration exceeded"
        return [{"type": "Error", "error_code": 3008, "error": words}]

    # -- told by the ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._number, self._sent = self.emulator.faults.responding(), 0
        if not self._model.startswith("universal-streaming"):
            self.send({"type": "SpeechStarted", "timestamp": round(audio_ms)})

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The words follow."""

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        self._turn(self._order, text, end=False)
        self._sent += 1
        for fault in self.emulator.faults.at_chunk(self._number, self._sent):
            self.strike(fault)

    def on_turn(self, turn: Turn, text: str) -> None:
        """A turn is over."""
        if not text:
            return
        order, self._order = self._order, self._order + 1
        if not self._model.startswith("universal-streaming"):
            self._turn(order, _formatted(text), end=True, formatted=True)
            return
        self._turn(order, text, end=True)
        if self._formats:
            delay = self.emulator.settings.format_ms / 1000
            # Named by the turn, so that none takes the place of another.
            self.later(f"format {order}", delay, self._turn, order, _formatted(text), True, True)

    def _turn(self, order: int, text: str, end: bool, formatted: bool = False) -> None:
        words = [
            {
                "text": word,
                "start": 100 * number,
                "end": 100 * number + 90,
                "confidence": 0.9,
                "word_is_final": True,
            }
            for number, word in enumerate(text.split())
        ]
        self.send(
            {
                "type": "Turn",
                "turn_order": order,
                "turn_is_formatted": formatted,
                "end_of_turn": end,
                "transcript": text,
                "end_of_turn_confidence": 0.9 if end else 0.1,
                "words": words,
            }
        )


def _formatted(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
