"""One connection to the emulated `/v2/speak`: Flux, which speaks turn by turn and says what was heard."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from voxengine.testing.emulators.deepgram.speaking import SpeakingSession

__all__ = ["FluxVoiceSession"]

_NO_CONTROLS = {"pronunciations_applied": 0, "breaks_applied": 0, "pronunciation_warnings": 0}


class FluxVoiceSession(SpeakingSession):
    """The server's side of one connection.

    Attributes:
        interrupts: the offsets at which it was interrupted.
    """

    interface = "speak.v2"
    family = "flux"

    def ready(self) -> None:
        """Say who we are."""
        self.interrupts: list[int | None] = []
        self._speech_id = ""
        self._characters = self._all_characters = 0
        self._turn_ms = 0.0
        self._position = -1
        self._closing = False
        self.send(
            {
                "type": "Connected",
                "request_id": self.request_id,
                "model_name": self.name,
                "model_version": "2026.06.01",
                "model_uuids": [str(uuid.uuid4())],
            }
        )

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        self.wait()
        match message["type"]:
            case "Speak":
                self._characters += len(message["text"])
                self._all_characters += len(message["text"])
                self._name()
                self.add(message["text"])
            case "Flush":
                self._flush()
            case "Interrupt":
                self._interrupt(message.get("playback_offset"))
            case "Configure":
                speed = message.get("speed")
                applied = {} if speed is None else {"speed": speed}
                self.send({"type": "ConfigureSuccess", "applied": applied})
            case "Close":
                self._closing = True
                self.flush()

    def _name(self) -> None:
        """A turn begins, unless one is under way."""
        if not self._speech_id:
            self._speech_id = f"dg_sp_{uuid.uuid4().hex[:12]}"
            self._turn_ms = self.spoken
            self.send({"type": "SpeechStarted", "speech_id": self._speech_id})

    def _flush(self) -> None:
        if not self._speech_id:
            self._warn("NO_ACTIVE_SPEECH", "there is no turn")
            return
        self.send({"type": "Flushed", "speech_id": self._speech_id})
        self.flush()

    def done(self) -> None:
        """The turn is complete."""
        if self._speech_id:
            self.send({"type": "SpeechMetadata", **self._metadata()})
            self._over()
        if self._closing:
            self.send(
                {
                    "type": "SessionMetadata",
                    "total_audio_duration_ms": round(self.spoken),
                    "total_input_character_count": self._all_characters,
                    "total_billable_character_count": self._all_characters,
                }
            )
            self.end(1000)

    def _over(self) -> None:
        self._number = 0  # the words stay, for one may be interrupted while they are played
        self._speech_id = ""
        self._characters = 0

    def begin(self) -> None:
        """The words of the turn before are not spoken any more."""
        self.said = []

    def _metadata(self) -> dict[str, Any]:
        return {
            "speech_id": self._speech_id,
            "audio_duration_ms": round(self.spoken - self._turn_ms),
            "input_character_count": self._characters,
            "billable_character_count": self._characters,
            "controls_applied": _NO_CONTROLS,
        }

    def _interrupt(self, offset: Mapping[str, Any] | None) -> None:
        at = None if offset is None else int(offset["value"])
        self.interrupts.append(at)
        if not self.spoken:
            self._warn("NO_AUDIO_GENERATED", "nothing was said yet")
            return
        if at is not None and at <= self._position:
            self._warn("INVALID_INTERRUPT_OFFSET", f"{at} ms were interrupted before")
            return
        left = self.stop()
        answer: dict[str, Any] = {"type": "SpeechInterrupted", "metadata": self._metadata()}
        answer["audio_played_ms"] = round(self.spoken) if at is None else at
        if at is not None:
            heard = [word.text for word in self.said if word.end_ms <= at]
            rest = [word.text for word in self.said if word.end_ms > at]
            answer["text_spoken"] = "".join(heard).strip()
            answer["text_remaining"] = f"{''.join(rest)} {left}".strip()
            self._position = at
            self.spoken = float(at)
        self.send(answer)
        self._over()
        self.said = []

    def _warn(self, code: str, words: str) -> None:
        self.send({"type": "Warning", "code": code, "description": words})

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self._fail("MESSAGE-0000", problems[0])

    def error(self, code: str, message: str) -> None:
        """Tell an error, and hang up."""
        self._fail("NET-0000", message)

    def _fail(self, code: str, words: str) -> None:
        self.send({"type": "Error", "code": code, "description": words})
        self.end(1011, code)
