"""The emulator of Scribe in real time."""

from __future__ import annotations

import binascii
from collections.abc import Mapping, Sequence
from typing import Any

import pybase64

from voxengine.testing.emulators.elevenlabs.session import format_named
from voxengine.testing.emulators.hearing import Hearing, Turn
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.model_types import ModelSettings
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.emulators.vendor_session import VendorSession
from voxengine.testing.oracles.elevenlabs import TypesJudge, scribe_judge

__all__ = ["ScribeEmulator", "ScribeSession", "ScribeSettings"]

#: Milliseconds of audio that a commit has to be about at least.
_LEAST_MS = 300.0
#: A silence that nobody keeps.
_NEVER_MS = 1e9


class ScribeSettings(ModelSettings, frozen=True, kw_only=True):
    """How Scribe behaves."""

    #: Seconds of the longest session.
    max_session_s: float = 3600.0


class ScribeSession(VendorSession):
    """One stream.

    Attributes:
        previous_text: what it was told of before.
        keyterms: the parameter as it was asked for last, `words` all of a turn that were told.
    """

    def opened(self) -> None:
        """Say what was understood of the address."""
        query = self.request.query
        name = query.get("audio_format", "pcm_16000")
        self.previous_text: str | None = None
        self._format = format_named(name)
        self._vad = query.get("commit_strategy") == "vad"
        silence_s = float(query.get("vad_silence_threshold_secs", "1.5"))
        self._hearing = Hearing(
            self._format,
            self.emulator.voice,
            self,
            silence_ms=silence_s * 1000 if self._vad else _NEVER_MS,
            transcripts=self.emulator.settings.transcripts,
        )
        self._open_ms = 0.0
        self._first = True
        config: dict[str, Any] = {
            "sample_rate": self._format.sample_rate,
            "audio_format": name,
            "model_id": query.get("model_id", ""),
        }
        if "language_code" in query:
            config["language_code"] = query["language_code"]
        if "keyterms" in query:
            config["keyterms"] = [query["keyterms"]]
        self.send({"message_type": "session_started", "session_id": self.id, "config": config})
        longest = self.emulator.settings.max_session_s
        self.later("longest", longest, self.error, "session_time_limit_exceeded", "too long")

    def closed(self) -> None:
        """Hear no more."""
        self.tasks.append(self._hearing.close())

    def kind_of(self, message: Mapping[str, Any]) -> str:
        """Messages are named by another field than elsewhere."""
        return str(message.get("message_type", ""))

    def is_audio(self, message: Mapping[str, Any]) -> bool:
        """All that commits nothing."""
        return not message.get("commit")

    def unknown_message(self, kind: str) -> dict[str, Any]:
        """A message of a type that no client knows yet."""
        return {"message_type": kind, "mood": "sunny"}

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.error("input_error", problems[0])

    def error(self, code: str, message: str) -> None:
        """Tell it, and close."""
        known = self.emulator.judge.knows(code)
        self.send({"message_type": code if known else "error", "error": message})
        self.end(1008 if code == "input_error" else 1011, message)

    def received(self, message: dict[str, Any]) -> None:
        """Audio, and perhaps a commit."""
        previous = message.get("previous_text")
        if previous is not None and not self._first:
            self.error("invalid_request", "previous_text goes with the first audio")
            return
        self.previous_text = previous if self._first else self.previous_text
        self._first = False
        try:
            audio = pybase64.b64decode(message["audio_base_64"], validate=True)
        except binascii.Error:
            self.error("input_error", "the audio is no base64")
            return
        self._open_ms += self._format.duration_ms(len(audio))
        self._hearing.feed(audio)
        if message["commit"]:
            self._commit()

    def _commit(self) -> None:
        if self._open_ms < _LEAST_MS:
            words = f"{self._open_ms:.0f} ms are too little to commit"
            self.send({"message_type": "commit_throttled", "error": words})
            return
        self._open_ms = 0.0
        if not self._hearing.commit(answer=False):
            self.send({"message_type": "committed_transcript", "text": ""})

    # -- told by the ears

    def on_user_partial(self, text: str) -> None:
        """A guess."""
        self.send({"message_type": "partial_transcript", "text": text})

    def on_turn(self, turn: Turn, text: str) -> None:
        """What was said up to a commit, or a silence."""
        for fault in self.emulator.faults.at_chunk(self.emulator.faults.responding(), 0):
            self.strike(fault)
        self._open_ms = 0.0
        if text or not turn.answer:
            self.send({"message_type": "committed_transcript", "text": text})


class ScribeEmulator(VendorEmulator):
    """Scribe on a port of this machine. See `VendorEmulator`, of whose arguments `responses` have no meaning here."""

    path = "/v1/speech-to-text/realtime"
    settings_type = ScribeSettings

    @property
    def metadata(self) -> dict[str, Any]:
        """Options with which the part finds it."""
        return {"endpoint": self.ws_url}

    def make_judge(self) -> TypesJudge:
        """The vendor's types."""
        return scribe_judge()

    def make_session(self, request: Request, session_id: str) -> ScribeSession:
        """A stream."""
        return ScribeSession(self, request, session_id)

    def key_of(self, request: Request) -> str | None:
        """The key in its header, or a token for one use."""
        return request.headers.get("xi-api-key") or request.query.get("token")

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of the vendor's API."""
        return json_answer(status, {"detail": {"status": code, "message": message}})
