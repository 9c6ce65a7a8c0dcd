"""Calls by telephone for tests: a served gateway, and Twilio at the other end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.gateway.gateways import config, until
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.audio.wav import load_speech
from voxengine.gateway.call import Call
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front
from voxengine.gateway.twilio.messages import TELEPHONE
from voxengine.testing.emulators.twilio import TwilioCall

SPEECH = Path(__file__).parents[2] / "data" / "speech"
TOKEN = "made-up-auth-token"
PCM24 = AudioFormat()


class Office:
    """A gateway that is served, and its addresses."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway = gateway
        self.http = f"http://127.0.0.1:{port}"
        self.stream = f"ws://127.0.0.1:{port}/twilio/stream"

    @property
    def voice(self) -> str:
        return f"{self.http}/twilio/voice"

    async def call_of(self, phone: TwilioCall) -> Call:
        """The gateway's call, when it is open. There is one at a time."""
        await until(lambda: len(self.gateway.calls) and next(iter(self.gateway.calls)).attached)
        assert phone.violations == []
        return next(iter(self.gateway.calls))


@asynccontextmanager
async def office(
    content: Mapping[str, Any] | None = None, *, folder: Path = Path(), **gateway: Any
) -> AsyncIterator[Office]:
    """A gateway on a port of this machine; the route "play" is the mock's, unless `content` says otherwise."""
    made = Gateway(config(content, folder, port=0, **gateway))
    front = make_front(made)
    await front.start()
    try:
        yield Office(made, front.port)
    finally:
        await made.close()
        await front.close()


def mock(**options: Any) -> dict[str, Any]:
    """Configuration: the route "play" is a mock with these options."""
    return {
        "providers": {"one": {"provider": "mock", "metadata": options}},
        "routes": {"play": {"providers": ["one"]}},
    }


def words(text: str) -> bytes:
    """Words that the mock and the emulators understand, as a telephone has them."""
    return speak(text, TELEPHONE)


def human() -> bytes:
    """A person's voice, as a telephone has it."""
    return load_speech(SPEECH / "jfk.wav", TELEPHONE)
