"""Notes in whole calls: what the vendor was told, what was said, and what became of the handle."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.engine.conftest import MakeEngine
from tests.engine.desk import ABLE, desk
from tests.engine.desk import Desk as Provider
from voxengine import ConnectionError, MessageError, MockProvider, SessionClosedError, VoiceEngine
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak

FORMAT = AudioFormat()


class Call:
    """An engine on the mock, and the events of its notes."""

    def __init__(self, capabilities: dict[str, Any] | None = None, **settings: Any) -> None:
        metadata = {"capabilities": capabilities or {}, **settings.pop("mock", {})}
        self.engine = VoiceEngine(provider="mock", metadata=metadata, **settings)
        self.injected: list[ev.ContextInjected] = []
        self.started = 0
        self.engine.on("context_injected", self.injected.append)
        self.engine.on("response_started", self._began)
        self.errors: list[Any] = []
        self.engine.on("error", self.errors.append)

    def _began(self, _: Any) -> None:
        self.started += 1

    async def __aenter__(self) -> VoiceEngine:
        await self.engine.connect()
        return self.engine

    async def __aexit__(self, *_: object) -> None:
        await self.engine.disconnect()
        assert self.errors == []

    @property
    def vendor(self) -> MockProvider:
        provider = self.engine.provider
        assert isinstance(provider, MockProvider)
        return provider

    @property
    def known(self) -> list[tuple[str, str]]:
        """What the vendor remembers: roles and texts."""
        return [(m["role"], m["text"]) for m in self.vendor.get_message_history() if m.get("text")]

    async def say(self, text: str, pause_ms: float = 1000.0) -> None:
        audio = speak(text, FORMAT) + bytes(FORMAT.n_bytes(pause_ms))
        for start in range(0, len(audio), FORMAT.n_bytes(20)):
            await self.engine.send_audio(audio[start : start + FORMAT.n_bytes(20)])
            await asyncio.sleep(0.02)


async def test_the_vendor_knows_the_note_and_says_nothing():
    call = Call()
    async with call as engine:
        note = engine.inject("it rains", key="weather")
        before = note.status
        result = await note
        assert (before, note.status, result.status) == ("queued", "applied", "applied")
        assert call.known == [("system", "it rains")]
        await asyncio.sleep(30)
        assert call.started == 0
        event = call.injected[0]
        assert (event.injection_id, event.key, event.text) == (note.id, "weather", "it rains")
        assert (event.provider, event.role, event.when) == ("mock", "system", "now")
        assert engine.conversation[0].id == event.item_id == result.item_id


async def test_a_note_before_the_answer_to_speech():
    call = Call({"auto_response": False})
    async with call as engine:
        note = engine.inject("be brief", when="next_turn")
        await call.say("hello there")
        await asyncio.sleep(3)
        assert note.status == "applied"
        assert call.known[:2] == [("user", "hello there"), ("system", "be brief")]
        assert call.started == 1


async def test_a_note_for_one_that_answers_by_itself_is_there_in_time():
    call = Call()
    async with call as engine:
        note = engine.inject("be brief", when="next_turn")
        await call.say("hello there")
        await asyncio.sleep(3)
        assert (note.status, note.degraded_to) == ("degraded", "before_turn")
        assert [role for role, _ in call.known] == ["system", "user", "assistant"]


LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"system_messages": False}, "items"),
    ({"system_messages": False, "history": "none"}, "instructions"),
    ({"system_messages": False, "history": "none", "instructions_updatable": False}, "prefix"),
]


@pytest.mark.parametrize(("lacks", "degraded_to"), LIMITS)
async def test_one_that_takes_no_notes_is_told_all_the_same(
    lacks: dict[str, Any], degraded_to: str
):
    call = Call(lacks, instructions="You sell umbrellas.")
    async with call as engine:
        note = engine.inject("it rains")
        await asyncio.sleep(10)
        assert call.started == 0
        await engine.send_text("hello")
        await asyncio.sleep(5)
        assert (note.status, note.degraded_to) == ("degraded", degraded_to)
        assert call.started == 1
        told = [text for _, text in call.known] + [str(call.vendor.config.instructions)]
        assert any("it rains" in text for text in told)
        assert [i.text for i in engine.conversation if i.role == "system"] == ["it rains"]
        assert [i.text for i in engine.conversation if i.role == "user"] == ["hello"]


async def test_instructions_that_are_changed_go_on_holding_the_notes():
    call = Call({"system_messages": False, "history": "none"}, instructions="You sell umbrellas.")
    async with call as engine:
        await engine.inject("it rains")
        assert call.vendor.config.instructions == "You sell umbrellas.\n\nit rains"
        await engine.update_session(instructions="You sell boats.")
        assert call.vendor.config.instructions == "You sell boats.\n\nit rains"
        await engine.inject("it pours")
        assert call.vendor.config.instructions == "You sell boats.\n\nit rains\n\nit pours"
        assert engine.config.instructions == "You sell boats."


async def test_the_assistant_speaks_when_it_is_silent_and_never_over_itself():
    call = Call(mock={"mock_responses": {"*": "one two three four five six"}})
    async with call as engine:
        await engine.send_text("go")
        notes = [engine.inject(f"note {n}", speak=True) for n in range(3)]
        words = engine.inject("And that is all.", role="assistant", speak=True)
        await asyncio.sleep(30)
        assert {note.status for note in notes} == {"applied"}
        assert words.status == "applied"
        said = [i.text for i in engine.conversation if i.role == "assistant"]
        assert call.started == len(said) == 3
        assert "And that is all." in said
        assert call.vendor.calls("interrupt") == []


async def test_after_silence_it_asks_once():
    call = Call()
    async with call as engine:
        note = engine.inject("Ask who is there.", when="on_silence", silence_s=4, speak=True)
        await asyncio.sleep(3.9)
        assert (note.status, call.started) == ("queued", 0)
        await asyncio.sleep(0.2)
        assert call.started == 1
        await asyncio.sleep(30)
        assert call.started == 1


async def test_it_survives_a_lost_connection():
    call = Call()
    async with call as engine:
        await engine.inject("first")
        call.vendor.simulate_error("closed")
        during, later = engine.inject("second"), engine.inject("third", when="after_response")
        assert (await during.result(5)).status == "applied"
        assert call.known == [("system", "first"), ("system", "second")]
        await engine.send_text("hello")
        await asyncio.sleep(10)
        assert later.status == "applied"


async def test_another_provider_is_told_and_gets_what_waits():
    call = Call()
    async with call as engine:
        await engine.inject("first")
        waiting = engine.inject("second", when="before_response")
        await engine.switch_provider("mock")
        assert call.known == [("system", "first")]
        await engine.send_text("hello")
        assert (await waiting.result(5)).status == "applied"
        assert call.known[:3] == [("system", "first"), ("system", "second"), ("user", "hello")]


async def test_a_handle_is_settled_by_the_end():
    call = Call()
    await call.engine.connect()
    note = call.engine.inject("too late", when="after_response")
    waiting = asyncio.create_task(note.result())
    await call.engine.disconnect()
    assert (await waiting).status == "cancelled"
    assert [e.status for e in call.injected] == ["cancelled"]
    assert note.cancel()
    with pytest.raises(SessionClosedError):
        _ = call.engine.inject("nobody is there")


async def test_what_makes_no_sense_is_refused_at_once():
    call = Call()
    async with call as engine:
        bad: dict[str, Any]
        for bad in ({"role": "tool"}, {"when": "later"}, {"ttl": -1}, {"silence_s": 0}):
            with pytest.raises(MessageError):
                _ = engine.inject("text", **bad)
        with pytest.raises(MessageError):
            _ = engine.inject("  ")
        assert len(engine.conversation) == 0


async def test_a_condition_may_look_and_not_touch():
    call = Call()
    async with call as engine:

        def meddle(_: Any) -> bool:
            _ = engine.inject("another")
            return True

        note = await engine.inject("first", condition=meddle)
        assert note.status == "rejected"
        assert "changes nothing" in note.reason
        assert call.known == []


async def test_what_the_vendor_refuses_is_rejected_in_its_words(make_engine: MakeEngine):
    def refuse(provider: Provider, *_: Any) -> None:
        raise MessageError("the note is too long", provider=provider.name)

    async with make_engine(desk(send_text=refuse)) as engine:
        note = await engine.inject("it rains")
        assert (note.status, note.reason) == ("rejected", "the note is too long")
        assert len(engine.conversation) == 0


async def test_a_connection_that_is_found_to_be_gone_is_not_held_against_the_note(
    make_engine: MakeEngine,
):
    kind = desk()

    def break_off(provider: Provider, *_: Any) -> None:
        if provider is kind.made[0]:
            asyncio.get_running_loop().call_later(0.2, provider.lose)
            raise ConnectionError("broken pipe", provider=provider.name)

    kind.hooks["send_text"] = break_off
    async with make_engine(kind) as engine:
        note = await engine.inject("it rains").result(10)
        assert note.status == "applied"
        assert len(kind.made) == 2
        assert kind.made[1].asked("send_text") == [("it rains", "system")]


async def test_a_connection_that_only_says_it_is_gone_is(make_engine: MakeEngine):
    def broken(provider: Provider, *_: Any) -> None:
        raise ConnectionError("broken pipe", provider=provider.name)

    async with make_engine(desk(replace(ABLE, say=False), send_text=broken)) as engine:
        note = await engine.inject("it rains").result(10)
        assert (note.status, note.reason) == ("rejected", "broken pipe")
