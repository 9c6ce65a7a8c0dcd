"""Recognition: audio in, guesses and phrases out."""

from __future__ import annotations

import asyncio
from typing import Any

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.azure_speech.session import TICKS, SpeechSession
from voxengine.testing.emulators.hearing import Hearing, Turn
from voxengine.testing.oracles.azure_speech import Frame

__all__ = ["RecognitionSession"]

FORMAT = AudioFormat("pcm16", 16000)
#: The header of a WAV file, which comes before the samples.
_RIFF = b"RIFF"


class RecognitionSession(SpeechSession):
    """One session of recognition.

    Attributes:
        language, phrases, silence_ms: as the client asked for them.
    """

    def opened(self) -> None:
        """Nothing is heard before the client says how."""
        super().opened()
        self.language: str | None = self.request.query.get("language")
        self.phrases: list[str] = []
        self.silence_ms = 500.0
        self._hearing: Hearing | None = None
        self._turn_of = ""
        self._tokens: list[str] = []
        self._count = 0
        self._partial = ""

    def taken(self, frame: Frame) -> None:
        """A frame of the client."""
        match frame.path, frame.body:
            case "speech.context", dict() as context:
                self._configure(context)
            case "audio", bytes() as audio:
                self._audio(audio)
            case "audio.commit", _:
                self._commit(frame.headers["X-Client-Commit-Token"])

    def closed(self) -> None:
        """Hear no more."""
        if self._hearing is not None:
            self.tasks.append(self._hearing.close())

    def _configure(self, context: dict[str, Any]) -> None:
        groups = (context.get("dgi") or {}).get("Groups") or []
        self.phrases = [item["Text"] for group in groups for item in group["Items"]]
        mode = context["phraseDetection"].get(context["phraseDetection"]["mode"]) or {}
        segmentation = mode.get("segmentation") or {}
        self.silence_ms = float(segmentation.get("segmentationSilenceTimeoutMs") or 500)
        if self._hearing is None:
            self._hearing = Hearing(FORMAT, self.emulator.voice, self, silence_ms=self.silence_ms)

    def _audio(self, audio: bytes) -> None:
        if self._turn_of != self.request_id:
            self._turn_of = self.request_id
            self.begin_turn()
        if self._hearing is None or audio.startswith(_RIFF):
            return
        if audio:
            self._hearing.feed(audio)
        else:
            self.tasks.append(asyncio.create_task(self._finish(self._hearing)))

    def _commit(self, token: str) -> None:
        if self._hearing is None or not self.emulator.settings.acknowledges:
            return
        self._tokens.append(token)
        if not self._hearing.commit():
            self._phrase("", 0, 0)

    async def _finish(self, hearing: Hearing) -> None:
        """The client has no more audio."""
        hearing.commit()
        await hearing.understood()
        end = round(hearing.position_ms) * TICKS
        self.say("speech.endDetected", {"Offset": end})
        phrase = {"RecognitionStatus": "EndOfDictation", "Offset": end, "Duration": 0}
        self.say("speech.phrase", {"Id": self._new_id(), **phrase})
        self.say("turn.end", {})

    # -- told by the ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._partial = ""
        self.say("speech.startDetected", {"Offset": round(audio_ms) * TICKS})

    def on_user_partial(self, text: str) -> None:
        """A guess."""
        turn = self._hearing.turn if self._hearing is not None else None
        start = round(turn.start_ms) * TICKS if turn is not None else 0
        self.say(
            "speech.hypothesis",
            {"Id": self._new_id(), "Text": text, "Offset": start, "Duration": TICKS},
        )

    def on_turn(self, turn: Turn, text: str) -> None:
        """A phrase has ended."""
        start = round(turn.start_ms)
        self._phrase(text, start * TICKS, (round(turn.end_ms or start) - start) * TICKS)

    def _phrase(self, text: str, offset: int, duration: int) -> None:
        token = self._tokens.pop(0) if self._tokens else None
        if not text and token is None:
            return
        phrase: dict[str, Any] = {"Id": self._new_id(), "Offset": offset, "Duration": duration}
        if text:
            phrase |= {"RecognitionStatus": "Success", "DisplayText": text}
        else:
            phrase |= {"RecognitionStatus": "NoMatch", "Offset": 0, "Duration": 0}
        if token is not None:
            phrase["clientAudioMetadata"] = {"X-Client-Commit-Token": token}
        self.say("speech.phrase", phrase)

    def _new_id(self) -> str:
        self._count += 1
        return f"{self._count:032x}"
