"""The emulator of Amazon Polly: speech for a text, in the pieces in which it is made."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from xml.sax.saxutils import unescape

import msgspec

from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.aws.emulator import ANY_SECRET, KEY_ID, REGION
from voxengine.testing.emulators.aws.signing import check_request
from voxengine.testing.emulators.faults import Drop, ErrorOnce, Stall
from voxengine.testing.emulators.http import Answer, Request, json_answer
from voxengine.testing.emulators.mouth import speak_paced
from voxengine.testing.emulators.server import Pending, Streamed
from voxengine.testing.emulators.vendor import VendorEmulator
from voxengine.testing.oracles.polly import PollyJudge

__all__ = ["PollyEmulator"]

_RATE = re.compile(r'rate="(\d+)%"')
_NAMES: Mapping[str, str] = {
    "auth": "UnrecognizedClientException",
    "forbidden": "AccessDeniedException",
    "rate_limit": "ThrottlingException",
    "quota": "ThrottlingException",
    "bad_request": "InvalidSsmlException",
}


class PollyEmulator(VendorEmulator):
    """Amazon Polly of one's own, on a port of this machine. See `VendorEmulator`; `responses` have no use.

    `key` is the secret access key; with None the signature is not checked. Faults count requests as answers.
    """

    path = "/v1/speech"

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        #: The bodies of all requests.
        self.requests: list[dict[str, Any]] = []

    def make_judge(self) -> PollyJudge:
        """By botocore's service model."""
        return PollyJudge()

    def opens(self, request: Request) -> bool:
        """It has no WebSocket."""
        return False

    def may_fail(self, request: Request) -> bool:
        """Every request for speech."""
        return request.path == self.path

    def authorized(self, request: Request) -> bool:
        """Whether it is signed with the secret."""
        return self.key is None or check_request(request, request.path, self.key) is not None

    def refusal(self, status: int, code: str, message: str) -> Answer:
        """A refusal, with Amazon's name for it."""
        name = _NAMES.get(code, "ServiceFailureException")
        self._judged({"status": status, "headers": {}, "error": name})
        return json_answer(status, {"message": message}, {"x-amzn-ErrorType": name})

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self.http_url

    @property
    def options(self) -> dict[str, Any]:
        """Settings with which the part finds it, and is let in."""
        secret = self.key or ANY_SECRET
        return {
            "endpoint": self.endpoint,
            "aws_access_key_id": KEY_ID,
            "aws_secret_access_key": secret,
            "region": REGION,
        }

    def http(self, request: Request) -> Answer | Streamed | Pending | None:
        """Speech for a text."""
        if request.path != self.path or request.method != "POST":
            return None
        problems = self.judge.client(request.body)
        if problems:
            return self.refusal(400, "bad_request", problems[0])
        asked = msgspec.json.decode(request.body)
        self.requests.append(asked)
        number = self.faults.responding()
        for fault in self.faults.at_chunk(number, 0):
            if isinstance(fault, ErrorOnce):
                return self.refusal(500, "server_error", fault.message)
        headers = {
            "Content-Type": "audio/pcm",
            "x-amzn-RequestCharacters": str(len(_plain(asked["Text"]))),
        }
        self._judged({"status": 200, "headers": headers, "error": None})
        return Streamed(200, headers, self._speech(asked, number))

    async def _speech(self, asked: Mapping[str, Any], number: int) -> AsyncGenerator[bytes]:
        rate = _RATE.search(asked["Text"])
        format = AudioFormat("pcm16", int(asked.get("SampleRate", 16000)))
        pieces = speak_paced(
            self.voice,
            _plain(asked["Text"]),
            format,
            chunk_ms=self.settings.chunk_ms,
            pace=self.settings.pace,
            speed=int(rate[1]) / 100 if rate else 1.0,
        )
        sent = 0
        async with aclosing(pieces):
            async for piece in pieces:
                yield piece.audio
                sent += 1
                for fault in self.faults.at_chunk(number, sent):
                    if isinstance(fault, Drop):
                        raise OSError("told to drop")
                    if isinstance(fault, Stall):
                        await asyncio.sleep(fault.seconds)

    def _judged(self, head: Mapping[str, Any]) -> None:
        for problem in self.judge.server(head):
            self.violated(problem)


def _plain(text: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", text))
