"""What is declared, happens: conversations in which every type of event occurs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from voxengine import ConnectionError, EventType, VoiceEngine
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.events import RateLimit, event_class
from voxengine.providers.mock import FaultPlan

FORMAT = AudioFormat()


class Watched:
    """An engine on the mock that notes each event."""

    def __init__(self, settings: dict[str, Any] | None = None, **metadata: Any) -> None:
        self.engine = VoiceEngine(provider="mock", metadata=metadata, **settings or {})
        self.events: list[Any] = []
        self.engine.on("*", self.events.append)

    async def say(self, text: str, pause_ms: float = 1000.0) -> None:
        audio = speak(text, FORMAT) + bytes(FORMAT.n_bytes(pause_ms))
        for start in range(0, len(audio), FORMAT.n_bytes(20)):
            await self.engine.send_audio(audio[start : start + FORMAT.n_bytes(20)])
            await asyncio.sleep(0.02)


async def a_spoken_conversation() -> list[Any]:
    """Turns, transcripts, an answer that is interrupted, settings, notes."""
    call = Watched(
        mock_responses={"hello": "one two three four five six seven eight", "*": "yes"},
        realtime_factor=1.0,
        emotions={"joy": 0.8, "calmness": 0.1},
    )
    async with call.engine as engine:
        await call.say("hello")
        await call.say("stop")
        await asyncio.sleep(3)
        await engine.send_text("be brief", role="system")
        await engine.inject("be kind")
        await engine.update_session(instructions="be brief")
        await engine.provider.send_event({"type": "ping"})  # type: ignore[union-attr]
        left = RateLimit(name="requests", limit=1000, remaining=999, reset_seconds=60.0)
        engine.provider.emit_rate_limits(left)  # type: ignore[union-attr]
        await asyncio.sleep(3)
    return call.events


async def tools_that_work_and_fail() -> list[Any]:
    call = Watched(
        mock_responses={"go": {"tool": "go"}, "break": {"tool": "fail"}, "wait": {"tool": "wait"}}
    )

    @call.engine.tool
    async def go() -> str:
        return "went"

    @call.engine.tool
    async def fail() -> None:
        raise RuntimeError("broken")

    @call.engine.tool
    async def wait() -> None:
        await asyncio.sleep(100)

    async with call.engine as engine:
        for text in ("go", "break", "wait"):
            await engine.send_text(text)
            await asyncio.sleep(5)
        await engine.interrupt()
    return call.events


async def things_that_go_wrong() -> list[Any]:
    call = Watched(
        mock_responses={"fail": {"error": "server_error"}},
        transcripts=[None],
        faults=FaultPlan(["refuse", "drop:after_s=30,connect=2"]),
    )
    with pytest.raises(ConnectionError):
        await call.engine.connect()
    async with call.engine as engine:
        await engine.send_text("fail")
        await asyncio.sleep(1)
        await engine.create_response()
        await engine.create_response()
        # Loud, but no words: this cannot be transcribed.
        await engine.send_audio(b"\x00\x20\x00\xe0" * 24000 + bytes(48000))
        await asyncio.sleep(2)
        engine.provider.simulate_error("rate_limit")  # type: ignore[union-attr]
        await asyncio.sleep(30)
    return call.events


async def a_consumer_that_does_not_keep_up() -> list[Any]:
    call = Watched(mock_responses="word " * 100, chunk_ms=20, realtime_factor=float("inf"))
    async with call.engine as engine:
        stream = engine.events("audio_chunk")
        await engine.send_text("talk")
        await asyncio.sleep(1)
        async for _ in stream:
            break
        stream.close()
    return call.events


async def a_call_that_has_its_time() -> list[Any]:
    call = Watched({"max_duration": 5.0, "goodbye": None})
    async with call.engine:
        await asyncio.sleep(10)
    return call.events


async def a_call_that_goes_elsewhere() -> list[Any]:
    call = Watched()
    async with call.engine as engine:
        engine.provider.emit_expiring(60.0)  # type: ignore[union-attr]
        await asyncio.sleep(1)
        await engine.switch_provider("mock")
    return call.events


CONVERSATIONS = (
    a_spoken_conversation,
    tools_that_work_and_fail,
    things_that_go_wrong,
    a_consumer_that_does_not_keep_up,
    a_call_that_has_its_time,
    a_call_that_goes_elsewhere,
)


async def test_every_type_is_emitted_and_no_other() -> None:
    events = [event for conversation in CONVERSATIONS for event in await conversation()]
    missing = set(EventType) - {e.type for e in events}
    assert not missing, f"declared, but emitted nowhere: {', '.join(sorted(missing))}"
    assert {e.type for e in events} <= set(EventType)
    for event in events:
        assert type(event) is event_class(event.type)
        assert event.timestamp > 0, event
        assert event.provider == "mock", event


@pytest.mark.parametrize("conversation", CONVERSATIONS)
async def test_no_conversation_does_without(conversation: Any) -> None:
    """Each of them is there for something: without it a type would be missing."""
    others = [c for c in CONVERSATIONS if c is not conversation]
    seen = {e.type for other in others for e in await other()}
    assert set(EventType) - seen
