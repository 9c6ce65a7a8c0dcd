"""One stream of the emulated `/v1/listen`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from voxengine.testing.emulators.deepgram.listening import (
    CONFIDENCE,
    ListeningSession,
    words_of,
)
from voxengine.testing.emulators.hearing import Hearing, Turn

__all__ = ["NovaSession"]


class NovaSession(ListeningSession):
    """The server's side of one connection. A stretch of speech ends with a silence of `endpointing` ms."""

    interface = "listen.v1"

    def make_ears(self) -> Hearing:
        """Ears that end a stretch of speech early."""
        query = self.request.query
        endpointing = query.get("endpointing", "10")
        silence = float(endpointing) if endpointing != "false" else 60_000.0
        self._finalized = 0
        self._number = 0
        self._start_s = 0.0
        self._told: set[int] = set()
        partials = query.get("interim_results") == "true"
        return self.ears(silence_ms=max(silence, 10.0), partials=partials)

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        self.alive()
        match message["type"]:
            case "Finalize":
                self._finalize()
            case "CloseStream":
                self.tasks.append(asyncio.create_task(self._farewell()))
            case "Configure":
                self._configure(message)

    def _finalize(self) -> None:
        if self.hearing is None:
            return
        # Without audio that is worth it, nothing is answered.
        if self.hearing.turn is not None:
            self._finalized = self.hearing.turn.number
            self.hearing.commit()

    def _configure(self, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {"type": "ConfigureSuccess", "request_id": self.request_id}
        if message.get("keyterms") is not None:
            answer["keyterms"] = message["keyterms"]
        self.send(answer)

    async def _farewell(self) -> None:
        """The rest of what was said, and how much that was."""
        if self.hearing is None:
            return
        hearing = self.hearing
        hearing.commit()
        await hearing.understood()
        self.send(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self.request_id,
                "sha256": uuid.uuid4().hex * 2,
                "created": "2026-11-21T00:00:00.000Z",
                "duration": hearing.position_ms / 1000,
                "channels": 1,
            }
        )
        self.end(1000)

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.send({"type": "Error", "variant": "SchemaError", "description": problems[0]})

    def error(self, code: str, message: str) -> None:
        """Tell an error, and hang up."""
        self.send({"type": "Error", "variant": code.upper(), "description": message})
        self.end(1011, code)

    # -- the ears

    def on_speech_started(self, audio_ms: float) -> None:
        """Somebody speaks."""
        self._number = self.emulator.faults.responding()
        self.chunks = 0
        self._start_s = audio_ms / 1000
        if self.request.query.get("vad_events") == "true":
            self.send({"type": "SpeechStarted", "channel": [0, 1], "timestamp": self._start_s})

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        if self.hearing is not None and not self.strike_if_due(self._number):
            self._results(text, self.hearing.position_ms / 1000)

    def on_turn(self, turn: Turn, text: str) -> None:
        """All words of a stretch."""
        if self.strike_if_due(self._number):
            return
        end = (turn.end_ms or turn.start_ms) / 1000
        asked = self._finalized == turn.number
        self._results(text, end, final=True, asked=asked)
        wait = self.request.query.get("utterance_end_ms")
        if wait is not None and text:
            gap = int(wait) / 1000
            self.later("utterance end", gap, self._utterance_end, end)

    def _utterance_end(self, end: float) -> None:
        if self.hearing is not None and self.hearing.turn is None:
            self.send({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end})

    def _results(self, text: str, end: float, *, final: bool = False, asked: bool = False) -> None:
        start = self._start_s
        heard = {"transcript": text, "confidence": CONFIDENCE if text else 0.0}
        self.send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": round(max(0.0, end - start), 3),
                "start": round(start, 3),
                "is_final": final,
                "speech_final": final and not asked,
                "from_finalize": asked,
                "channel": {"alternatives": [{**heard, "words": words_of(text, start, end)}]},
                "metadata": {
                    "request_id": self.request_id,
                    "model_info": {
                        "name": self.request.query["model"],
                        "version": "2026-01-01.0",
                        "arch": "nova-3",
                    },
                    "model_uuid": "00000000-0000-0000-0000-000000000000",
                },
            }
        )
