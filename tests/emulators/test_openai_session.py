"""Sessions: how they open, what their settings are, and what is refused."""

from __future__ import annotations

import json

import pytest

from tests.emulators.wire import KEY, WEATHER, connected
from voxengine.audio.formats import AudioFormat
from voxengine.testing.emulators.openai import EmulatorFailed, OpenAIEmulator
from voxengine.testing.emulators.voice import SignalVoice


async def test_a_session_opens_with_the_vendors_defaults():
    async with OpenAIEmulator() as emulator, connected(emulator, greeting=False) as wire:
        created = await wire.recv()
        assert created["type"] == "session.created"
        session = created["session"]
        assert session["object"] == "realtime.session"
        assert session["model"] == "gpt-realtime"
        assert session["id"] == emulator.sessions[0].id
        assert session["expires_at"] > 1_750_000_000
        assert session["output_modalities"] == ["audio"]
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}
        vad = session["audio"]["input"]["turn_detection"]
        assert (vad["type"], vad["threshold"], vad["silence_duration_ms"]) == (
            "server_vad",
            0.5,
            500,
        )
        assert session["audio"]["output"]["voice"] == "alloy"
        assert emulator.sessions[0].config == session


async def test_an_update_changes_what_it_names_and_nothing_else():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        before = emulator.sessions[0].config
        updated = await wire.update(
            instructions="Be brief.",
            tools=[WEATHER],
            audio={"input": {"transcription": {"model": "gpt-4o-transcribe", "language": "en"}}},
        )
        assert updated["instructions"] == "Be brief."
        assert updated["tools"] == [WEATHER]
        assert updated["audio"]["output"] == before["audio"]["output"]
        assert updated["audio"]["input"]["turn_detection"]["type"] == "server_vad"
        # Field by field inside of an object; null and an array clear.
        updated = await wire.update(
            audio={
                "input": {
                    "transcription": {"language": "de"},
                    "turn_detection": {"type": "server_vad", "silence_duration_ms": 900},
                }
            },
            tools=[],
        )
        assert updated["audio"]["input"]["transcription"] == {
            "model": "gpt-4o-transcribe",
            "language": "de",
        }
        assert updated["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 900
        assert updated["audio"]["input"]["turn_detection"]["prefix_padding_ms"] == 300
        assert updated["tools"] == []
        updated = await wire.update(
            audio={"input": {"turn_detection": None, "transcription": None}}
        )
        assert updated["audio"]["input"]["turn_detection"] is None
        assert updated["audio"]["input"]["transcription"] is None
        updated = await wire.update(audio={"input": {"turn_detection": {"type": "semantic_vad"}}})
        assert updated["audio"]["input"]["turn_detection"] == {
            "type": "semantic_vad",
            "eagerness": "auto",
            "create_response": True,
            "interrupt_response": True,
        }


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({"voice": "marin"}, "unknown_parameter", "session.voice"),
        ({"modalities": ["text"]}, "unknown_parameter", "session.modalities"),
        ({"type": None}, "missing_required_parameter", "session.type"),
        ({"type": "transcription"}, "invalid_value", "session.type"),
        ({"model": "gpt-realtime-2"}, "invalid_value", "session.model"),
        (
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}},
            "invalid_value",
            "session.audio.input.format.rate",
        ),
        (
            {"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}},
            "invalid_value",
            "session.audio.output.format.rate",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2.0}}}},
            "invalid_value",
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "psychic_vad"}}}},
            "invalid_value",
            "session.audio.input.turn_detection.type",
        ),
        ({"instructions": 5}, "invalid_type", "session.instructions"),
        ({"output_modalities": ["audio", "text"]}, "invalid_value", "session.output_modalities"),
        ({"max_output_tokens": 5000}, "invalid_value", "session.max_output_tokens"),
        ({"tools": [{"type": "robot"}]}, "invalid_value", "session.tools[0].type"),
    ],
)
async def test_a_bad_update_is_refused_and_changes_nothing(session, code, param):
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        before = emulator.sessions[0].config
        session = {"type": "realtime", "instructions": "Never taken.", **session}
        session = {k: v for k, v in session.items() if v is not None}
        error = await wire.complaint("session.update", event_id="mine", session=session)
        assert error["type"] == "invalid_request_error"
        assert (error["code"], error["param"], error["event_id"]) == (code, param, "mine")
        assert emulator.sessions[0].config == before
        assert emulator.sessions[0].refused == [("session.update", code)]
        # The socket is open.
        assert (await wire.update(instructions="Go on."))["instructions"] == "Go on."


async def test_the_voice_cannot_be_changed_once_it_was_heard():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.update(audio={"output": {"voice": "cedar"}})
        await wire.text("hello")
        await wire.respond(output_modalities=["text"])
        await wire.update(audio={"output": {"voice": "marin"}})
        await wire.respond()
        error = await wire.complaint(
            "session.update", session={"type": "realtime", "audio": {"output": {"voice": "ash"}}}
        )
        assert error["code"] == "cannot_update_voice"
        await wire.update(audio={"output": {"voice": "marin"}})
        assert emulator.sessions[0].config["audio"]["output"]["voice"] == "marin"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{not json", "invalid_json"),
        ("[1]", "invalid_json"),
        (json.dumps({"event_id": "e"}), "missing_required_parameter"),
        (json.dumps({"type": "make.coffee"}), "invalid_value"),
        (json.dumps({"type": "session.update"}), "missing_required_parameter"),
        (json.dumps({"type": "response.create", "resp": {}}), "unknown_parameter"),
        (json.dumps({"type": "response.create", "response": {"voice": "x"}}), "unknown_parameter"),
        (
            json.dumps({"type": "conversation.item.truncate", "item_id": "i"}),
            "missing_required_parameter",
        ),
        (json.dumps({"type": "input_audio_buffer.append", "audio": 7}), "invalid_type"),
        (json.dumps({"type": "input_audio_buffer.append", "audio": "***"}), "invalid_value"),
        (b"\x00\x01", "invalid_value"),
    ],
)
async def test_what_is_no_event_is_refused(message, code):
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        await wire.socket.send(message)
        error = (await wire.get("error"))["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", code)
        await wire.update(instructions="still here")


async def test_only_the_vendors_types_know_that_a_field_is_wrong():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        tool = {"type": "mcp", "server_label": "docs", "surprise": 1}
        error = await wire.complaint(
            "session.update", session={"type": "realtime", "tools": [tool]}
        )
        assert error["code"] == "invalid_value"
        assert "surprise" in error["message"]


async def test_a_transcription_session():
    async with OpenAIEmulator() as emulator, connected(emulator, intent="transcription") as wire:
        session = wire.log[0]["session"]
        assert session["type"] == "transcription"
        assert session["object"] == "realtime.transcription_session"
        vad = {"type": "server_vad", "silence_duration_ms": 300}
        await wire.send(
            "session.update",
            session={"type": "transcription", "audio": {"input": {"turn_detection": vad}}},
        )
        await wire.get("session.updated")
        await wire.say("good morning everybody")
        seen = await wire.until("conversation.item.input_audio_transcription.completed")
        assert seen[-1]["transcript"] == "good morning everybody"
        assert not any(event["type"].startswith("response.") for event in seen)
        assert (await wire.complaint("response.create"))["code"] == "invalid_value"
        error = await wire.complaint("session.update", session={"type": "realtime"})
        assert error["param"] == "session.type"


async def test_whisper_in_a_transcription_session_leaves_turns_to_the_client():
    async with (
        OpenAIEmulator() as emulator,
        connected(emulator, intent="transcription", model="gpt-realtime-whisper") as wire,
    ):
        assert wire.log[0]["session"]["audio"]["input"]["turn_detection"] is None
        audio = {"input": {"turn_detection": {"type": "server_vad"}}}
        error = await wire.complaint(
            "session.update", session={"type": "transcription", "audio": audio}
        )
        assert error["param"] == "session.audio.input.turn_detection"
        await wire.say("one two")
        await wire.send("input_audio_buffer.commit")
        done = await wire.get("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "one two"


async def test_a_session_expires_after_an_hour():
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        seen = await wire.rest()
        assert seen[-1]["error"]["code"] == "session_expired"
        assert wire.socket.close_code == 1001
        assert emulator.sessions[0].closed


async def test_an_event_that_breaks_the_protocol_fails_the_emulator():
    emulator = OpenAIEmulator()
    await emulator.start()
    async with connected(emulator) as wire:
        emulator.sessions[0].send({"type": "session.created", "session": {"surprise": 1}})
        await wire.recv()
    with pytest.raises(EmulatorFailed, match="id: Field required"):
        await emulator.close()


async def test_the_verdict_does_not_hide_the_tests_own_failure():
    async def fail() -> None:
        async with OpenAIEmulator() as emulator, connected(emulator):
            emulator.sessions[0].send({"type": "no.such.event"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        await fail()
    assert "no.such.event" in caught.value.__notes__[0]


async def test_no_two_emulators_have_an_id_in_common():
    ids: list[set[str]] = []
    for _ in range(2):
        async with OpenAIEmulator() as emulator, connected(emulator) as wire:
            await wire.text("hello")
            seen = await wire.respond()
            ids.append(
                {wire.log[0]["session"]["id"], seen[0]["response"]["id"]}
                | {item.id for item in emulator.sessions[0].items}
                | {event["event_id"] for event in wire.log}
            )
    assert not ids[0] & ids[1]


async def test_a_failure_of_the_emulator_itself_is_not_hidden():
    class Broken(SignalVoice):
        async def say(self, text: str, format: AudioFormat, *, speed: float = 1.0) -> bytes:
            raise KeyError("a mistake")

    emulator = OpenAIEmulator(speech=Broken())
    await emulator.start()
    async with connected(emulator) as wire:
        await wire.text("hello")
        await wire.send("response.create")
        await wire.rest()
        assert wire.socket.close_code == 1011
    with pytest.raises(EmulatorFailed, match="a mistake"):
        await emulator.close()


async def test_sessions_are_remembered():
    async with OpenAIEmulator() as emulator:
        async with connected(emulator) as wire:
            await wire.text("hello")
            await wire.respond()
        async with connected(emulator):
            first, second = emulator.sessions
            assert first.received == ["conversation.item.create", "response.create"]
            assert [item.type for item in first.items] == ["message", "message"]
            assert first.usage.responses == 1
            assert not second.closed
        assert emulator.judge is not None
        assert emulator.judge.client_seen["response.create"] == 1
        assert emulator.judge.server_seen.total() == emulator.judge.server_valid
    assert all(session.closed for session in emulator.sessions)


async def test_without_a_judge_it_refuses_what_it_knows_itself():
    async with OpenAIEmulator(judge=None) as emulator, connected(emulator, key=KEY) as wire:
        assert emulator.judge is None
        error = await wire.complaint("session.update", session={"type": "realtime", "speed": 1})
        assert error["code"] == "unknown_parameter"
        await wire.text("hello")
        assert (await wire.respond())[-1]["response"]["status"] == "completed"
