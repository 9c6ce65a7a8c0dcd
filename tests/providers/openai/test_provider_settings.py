"""Changes of an open session: acknowledged, refused, in their order, or given up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.providers.openai.calls import (
    DIALECTS,
    Peer,
    call_of,
    calling,
    emulated,
    peers,
    polite,
    until,
)
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.errors import (
    ConfigurationError,
    ConnectionError,
    MessageError,
    ProviderError,
    SessionClosedError,
)

ANSWERS = {"re:^say (.*)": "{1}", "hello": "Hi!"}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_change_is_acknowledged(dialect: str):
    async with call_of(dialect, ANSWERS, instructions="Be kind.") as (call, emulator):
        await call.provider.update_session(instructions="Be brief.", speed=1.3)
        session = emulator.sessions[0].settings
        assert session.values["instructions"] == "Be brief."
        assert session.output["speed"] == 1.3
        updated = call.of(ev.SessionUpdated)
        assert [event.settings for event in updated] == [
            {"instructions": "Be brief.", "speed": 1.3}
        ]
        assert call.provider.config.instructions == "Be brief."
        assert emulator.sessions[0].refused == []
        assert await call.ask("say yes") == "yes"


async def test_only_what_changes_is_sent():
    sent: list[dict[str, Any]] = []

    def react(peer: Peer, event: dict[str, Any]) -> None:
        polite(peer, event)
        if event["type"] == "session.update":
            sent.append(event["session"])

    async with peers(react) as server:
        call = server.call(instructions="Be kind.", voice="cedar")
        await call.provider.connect()
        await call.provider.update_session(instructions="Be brief.", voice="cedar")
        await call.provider.update_session(instructions="Be brief.")
        await call.provider.disconnect()
    assert len(sent) == 2  # one at the start, one for the words that changed
    assert sent[1] == {"type": "realtime", "instructions": "Be brief."}
    assert len(call.of(ev.SessionUpdated)) == 2


async def test_a_refused_change_changes_nothing():
    async with call_of(responses=ANSWERS, voice="cedar") as (call, emulator):
        await call.ask("say yes")
        with pytest.raises(MessageError, match="voice") as caught:
            await call.provider.update_session(voice="marin", instructions="Be brief.")
        assert caught.value.code == "cannot_update_voice"
        assert call.provider.config.voice == "cedar"
        assert call.provider.config.instructions is None
        assert call.of(ev.SessionUpdated) == []
        assert call.of(ev.ErrorGeneral) == []  # it was raised
        # The refused part is not sent along with the next change.
        await call.provider.update_session(instructions="Be brief.")
        assert emulator.sessions[0].settings.output["voice"] == "cedar"
        assert emulator.sessions[0].settings.values["instructions"] == "Be brief."


@pytest.mark.parametrize(
    ("dialect", "settings"),
    [
        ("openai", {"turn_detection": "telepathy"}),
        ("xai", {"turn_detection": "semantic_vad"}),
        ("openai", {"turn_detection_options": {"eagerness": "high"}}),
        ("openai", {"modalities": ["smell"]}),
        ("openai", {"session": "loud"}),
    ],
)
async def test_what_cannot_be_is_refused_before_it_is_sent(dialect: str, settings: dict[str, Any]):
    async with call_of(dialect, ANSWERS) as (call, emulator):
        before = dict(call.provider.config)
        with pytest.raises((ConfigurationError, MessageError)):
            await call.provider.update_session(**settings)
        assert emulator.sessions[0].received.count("session.update") == 1
        assert dict(call.provider.config) == before
        assert await call.ask("say yes") == "yes"


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "gpt-of-tomorrow"},
        {"input_format": AudioFormat("g711_ulaw", 8000)},
        {"output_format": AudioFormat("g711_ulaw", 8000)},
    ],
)
async def test_what_is_fixed_for_a_session_is_refused(settings: dict[str, Any]):
    async with call_of(responses=ANSWERS) as (call, emulator):
        with pytest.raises(MessageError):
            await call.provider.update_session(**settings)
        assert emulator.sessions[0].received.count("session.update") == 1
        assert call.of(ev.SessionUpdated) == []
        assert call.provider.get_audio_format() == AudioFormat("pcm16", 24000)
        # The same as it is, or as it came out of a wish that could not be met, is no change.
        await call.provider.update_session(input_format=AudioFormat("pcm16", 24000))
        assert len(call.of(ev.SessionUpdated)) == 1


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_turn_detection_is_switched_off_and_on_again(dialect: str):
    async with call_of(dialect, ANSWERS) as (call, emulator):
        provider = call.provider
        assert provider.capabilities.auto_response
        await provider.update_session(turn_detection="none")
        assert emulator.sessions[0].settings.turn_detection is None
        assert not provider.capabilities.auto_response
        assert not provider.capabilities.vad_events
        await call.speak("hello", then_ms=2000)
        assert call.of(ev.TurnDetected) == []
        await provider.clear_audio()
        options = {"silence_duration_ms": 900}
        await provider.update_session(turn_detection="server_vad", turn_detection_options=options)
        assert provider.capabilities.auto_response
        assert provider.capabilities.vad_events
        vad = emulator.sessions[0].settings.turn_detection
        assert vad is not None
        assert vad["silence_duration_ms"] == 900
        await call.speak("hello", then_ms=2000)
        await call.wait_ends()
        assert call.answers() == ["Hi!"]
        assert call.of(ev.VadSpeechEnded)[0].lag_ms == pytest.approx(900, abs=60)


async def test_tools_are_changed_and_taken_away():
    tool = {"name": "weather", "parameters": {"type": "object", "properties": {}}}
    async with call_of(responses={"weather?": {"tool": {"name": "weather"}}}) as (call, emulator):
        await call.provider.update_session(tools=[tool])
        await call.provider.send_text("weather?")
        await call.wait_ends()
        assert len(call.of(ev.FunctionInvoked)) == 1
        await call.provider.update_session(tools=[])
        assert emulator.sessions[0].settings.values["tools"] == []
        await call.provider.send_text("weather?")
        await call.wait_ends(2)
        assert len(call.of(ev.FunctionInvoked)) == 1


async def test_two_changes_at_once_both_hold():
    async with call_of(responses=ANSWERS) as (call, emulator):
        await asyncio.gather(
            call.provider.update_session(instructions="Be brief."),
            call.provider.update_session(speed=1.3),
            call.provider.update_session(voice="cedar"),
        )
        session = emulator.sessions[0].settings
        assert session.values["instructions"] == "Be brief."
        assert (session.output["speed"], session.output["voice"]) == (1.3, "cedar")
        config = call.provider.config
        assert (config.instructions, config.option("speed"), config.voice) == (
            "Be brief.",
            1.3,
            "cedar",
        )
        assert [list(e.settings) for e in call.of(ev.SessionUpdated)] == [
            ["instructions"],
            ["speed"],
            ["voice"],
        ]
        # What comes next is the difference to all three.
        await call.provider.update_session(instructions="")
        assert session.values["instructions"] == ""
        assert session.output["voice"] == "cedar"


async def test_of_two_at_once_the_refused_one_alone_is_refused():
    async with call_of(responses=ANSWERS, voice="cedar") as (call, emulator):
        await call.ask("say yes")
        refused, done = await asyncio.gather(
            call.provider.update_session(voice="marin"),
            call.provider.update_session(speed=1.3),
            return_exceptions=True,
        )
        assert isinstance(refused, MessageError)
        assert done is None
        assert emulator.sessions[0].settings.output["speed"] == 1.3
        assert call.provider.config.voice == "cedar"


class Slow:
    """Confirms each change after so many seconds; None: never."""

    def __init__(self, *seconds: float | None) -> None:
        self.seconds = list(seconds)

    def __call__(self, peer: Peer, event: dict[str, Any]) -> None:
        wait = self.seconds.pop(0) if event["type"] == "session.update" else 0
        if wait is not None:
            peer.later(wait, lambda: polite(peer, event))


async def test_a_change_that_is_not_confirmed_in_time():
    async with peers(Slow(0, None, 0)) as server:
        call = server.call()
        await call.provider.connect()
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderError) as caught:
            await call.provider.update_session(instructions="Be brief.")
        assert (caught.value.code, caught.value.retryable) == ("timeout", True)
        assert asyncio.get_running_loop().time() - began == pytest.approx(8, abs=0.1)
        assert call.of(ev.SessionUpdated) == []
        assert call.provider.config.instructions is None
        # It does not stand in the way of the next.
        await call.provider.update_session(instructions="Be kind.")
        assert call.provider.config.instructions == "Be kind."
        await call.provider.disconnect()


async def test_the_confirmation_of_a_change_that_was_cancelled_is_not_that_of_the_next():
    async with peers(Slow(0, 2, 5)) as server:
        call = server.call()
        await call.provider.connect()
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await call.provider.update_session(instructions="Be brief.")
        began = loop.time()
        await call.provider.update_session(speed=1.3)
        assert loop.time() - began == pytest.approx(5, abs=0.1)
        await call.provider.disconnect()


async def test_a_change_in_the_vendors_own_words_has_a_confirmation_of_its_own():
    async with peers(Slow(0, 1, 5)) as server:
        call = server.call()
        await call.provider.connect()
        began = asyncio.get_running_loop().time()
        own = {"type": "session.update", "session": {"type": "realtime", "instructions": "x"}}
        await call.provider.send_event(own)
        await call.provider.update_session(speed=1.3)
        assert asyncio.get_running_loop().time() - began == pytest.approx(5, abs=0.1)
        assert len(call.of(ev.SessionUpdated)) == 1
        await call.provider.disconnect()


async def test_a_refused_change_in_the_vendors_own_words_is_told():
    async with emulated(valid=False, responses=ANSWERS) as emulator, calling(emulator) as call:
        own = {"type": "session.update", "session": {"type": "realtime", "mood": "sunny"}}
        await call.provider.send_event(own)
        error = await call.wait(ev.ErrorGeneral)
        assert "mood" in str(error.error)
        await call.provider.update_session(instructions="Be brief.")


@pytest.mark.parametrize("how", ["lost", "disconnected"])
async def test_a_change_while_the_connection_ends(how: str):
    async with peers(Slow(0, None)) as server:
        call = server.call()
        await call.provider.connect()
        work = asyncio.ensure_future(call.provider.update_session(instructions="Be brief."))
        waiting = asyncio.ensure_future(call.provider.update_session(speed=1.3))
        await until(lambda: len(server.peer.received) == 2)
        if how == "lost":
            server.peer.close(1011, "bye")
        else:
            await call.provider.disconnect()
        first, second = await asyncio.gather(work, waiting, return_exceptions=True)
        assert isinstance(first, ConnectionError if how == "lost" else SessionClosedError)
        assert isinstance(second, ConnectionError)
        assert call.of(ev.SessionUpdated) == []
        await call.provider.disconnect()


async def test_a_confirmation_in_the_moment_of_disconnecting_tells_nothing_more():
    async with peers(Slow(0, 1)) as server:
        call = server.call()
        await call.provider.connect()
        work = asyncio.ensure_future(call.provider.update_session(instructions="Be brief."))
        seen = call.provider._waits.confirmed
        ends: list[asyncio.Future[None]] = []

        def confirmed() -> None:
            seen()
            ends.append(asyncio.ensure_future(call.provider.disconnect()))

        call.provider._waits.confirmed = confirmed  # type: ignore[method-assign]
        await asyncio.gather(work, return_exceptions=True)
        await asyncio.gather(*ends)
        closed = [i for i, e in enumerate(call.events) if isinstance(e, ev.ConnectionClosed)]
        assert closed == [len(call.events) - 1]


async def test_the_model_of_the_transcripts_is_changed_and_billed():
    async with call_of(responses=ANSWERS) as (call, emulator):
        await call.provider.update_session(transcription_model="gpt-4o-mini-transcribe")
        heard = emulator.sessions[0].settings.transcription
        assert heard is not None
        assert heard["model"] == "gpt-4o-mini-transcribe"
        await call.speak("hello")
        await call.wait(ev.TranscriptCompleted)
        await call.wait_ends()
        assert "gpt-4o-mini-transcribe" in {event.model for event in call.of(ev.UsageUpdated)}


async def test_settings_of_the_vendor_are_changed_on_top():
    async with call_of(responses=ANSWERS, session={"audio": {"output": {"speed": 0.8}}}) as (
        call,
        emulator,
    ):
        await call.provider.update_session(session={"audio": {"output": {"speed": 1.4}}})
        assert emulator.sessions[0].settings.output["speed"] == 1.4
        await call.provider.update_session(session={"truncation": "disabled"})
        assert emulator.sessions[0].settings.values["truncation"] == "disabled"
