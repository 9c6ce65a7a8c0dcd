"""OpenAI's text to speech, on a port of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.realtime.errors import http_error
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Stall
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.mouth import speak_paced
from voxengine.testing.emulators.server import Pending, Streamed
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.openai_speech import speech_problems

__all__ = ["SpeechEmulator"]

FORMAT = AudioFormat("pcm16", 24000)
#: The vendor's pieces end where they end, also within a sample.
_ODD = 1001


class SpeechEmulator(VendorEmulator):
    """Text to speech. See `VendorEmulator`. Faults strike requests, which are counted as responses.

    Attributes:
        requests: what was asked for, as it came.
    """

    path = "/v1/audio/speech"

    def __init__(self, responses: Any = None, **settings: Any) -> None:
        super().__init__(responses, **settings)
        self.requests: list[dict[str, Any]] = []
        #: What was wrong with requests.
        self.problems: list[str] = []

    @property
    def base_url(self) -> str:
        """The `base_url` of the official client."""
        return f"{self.http_url}/v1"

    @property
    def metadata(self) -> dict[str, Any]:
        """Options with which the part finds it."""
        return {"endpoint": self.base_url}

    def opens(self, request: Request) -> bool:
        """There is no WebSocket here."""
        return False

    def may_fail(self, request: Request) -> bool:
        """Every request for speech."""
        return request.path == self.path

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """In the form of OpenAI's API."""
        return json_answer(status, http_error("invalid_request_error", code, message))

    def http(self, request: Request) -> Answer | Streamed | Pending | None:
        """Speech for a text."""
        if request.path != self.path or request.method != "POST":
            return None
        problems = speech_problems(request.body)
        if problems:
            self.problems += problems
            return self.refusal(400, "bad_request", problems[0])
        asked = msgspec.json.decode(request.body)
        self.requests.append(asked)
        if asked.get("response_format") != "pcm":
            return self.refusal(400, "bad_request", "only pcm is emulated")
        number = self.faults.responding()
        for fault in self.faults.at_chunk(number, 0):
            if isinstance(fault, ErrorOnce):
                return self.refusal(500, "server_error", fault.message)
        return Streamed(200, {"Content-Type": "audio/pcm"}, self._speech(asked, number))

    async def _speech(self, asked: Mapping[str, Any], number: int) -> AsyncGenerator[bytes]:
        settings = self.settings
        pieces = speak_paced(
            self.voice,
            asked["input"],
            FORMAT,
            chunk_ms=settings.chunk_ms,
            pace=settings.pace,
            speed=asked.get("speed", 1.0),
        )
        sent, rest = 0, b""
        await asyncio.sleep(settings.latency_ms / 1000)
        async with aclosing(pieces):
            async for piece in pieces:
                audio = rest + piece.audio
                cut = len(audio) - len(audio) % _ODD
                rest = audio[cut:]
                if cut:
                    yield audio[:cut]
                sent += 1
                for fault in self.faults.at_chunk(number, sent):
                    if isinstance(fault, Drop):
                        raise OSError("told to drop")
                    if isinstance(fault, Stall):
                        await asyncio.sleep(fault.seconds)
        if rest:
            yield rest
