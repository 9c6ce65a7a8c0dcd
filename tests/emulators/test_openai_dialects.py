"""Keys and addresses of each dialect, ephemeral keys, and what is different at xAI's."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import websockets

from tests.emulators.wire import KEY, WEATHER, Wire, connected, heard, of, silence, types
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak, understand
from voxengine.errors import ConfigurationError
from voxengine.testing.emulators.openai import DIALECTS, OpenAIEmulator


async def post(
    emulator: OpenAIEmulator, body: Any, key: str | None = KEY, method: str = "POST"
) -> tuple[int, Any]:
    """Ask for an ephemeral key; returns the status and the JSON."""
    path = f"{emulator.dialect.path}/realtime/client_secrets"
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    shown = f"Authorization: Bearer {key}\r\n" if key else ""
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{shown}Content-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    head_bytes, _, content = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split()[1]), json.loads(content)


async def refused(emulator: OpenAIEmulator, **how: Any) -> tuple[int, Any]:
    with pytest.raises(websockets.InvalidStatus) as failure:
        async with connected(emulator, **how):
            pass
    response = failure.value.response
    return response.status_code, json.loads(response.body or b"")["error"]


async def test_keys_of_openai():
    async with OpenAIEmulator(key="sk-right") as emulator:
        assert emulator.endpoint == f"ws://127.0.0.1:{emulator.port}/v1"
        assert emulator.http_url == f"http://127.0.0.1:{emulator.port}/v1"
        assert emulator.metadata == {"endpoint": emulator.endpoint}
        async with connected(emulator, key="sk-right"):
            pass
        subprotocols = ["realtime", "openai-insecure-api-key.sk-right"]
        async with connected(emulator, key=None, subprotocols=subprotocols) as wire:
            assert wire.socket.subprotocol == "realtime"
        for how in (
            {"key": "sk-wrong"},
            {"key": None},
            {"key": None, "headers": {"api-key": "sk-right"}},
            {"key": None, "headers": {"Authorization": "Basic sk-right"}},
        ):
            status, error = await refused(emulator, **how)
            assert (status, error["code"]) == (401, "invalid_api_key")
            assert "sk-" not in error["message"]
        assert (await refused(emulator, key="sk-right", path="/v1/realtime"))[1][
            "code"
        ] == "missing_model"
        assert (await refused(emulator, key="sk-right", path="/v1/other"))[0] == 404
        assert (await refused(emulator, key="sk-right", call_id="rtc_1"))[1][
            "code"
        ] == "call_not_found"
        assert len(emulator.sessions) == 2


async def test_an_ephemeral_key_opens_a_session_until_it_expires():
    async with OpenAIEmulator() as emulator:
        session = {"type": "realtime", "model": "gpt-realtime-2", "instructions": "Be kind."}
        status, made = await post(
            emulator, {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": session}
        )
        assert status == 200
        assert made["value"].startswith("ek_")
        assert made["session"]["instructions"] == "Be kind."
        async with connected(emulator, key=made["value"], model="") as wire:
            # The settings that it was made with are in force from the beginning.
            assert wire.log[0]["session"]["instructions"] == "Be kind."
            assert wire.log[0]["session"]["model"] == "gpt-realtime-2"
            await asyncio.sleep(61)
            await wire.update(instructions="The session outlives its key.")
        status, error = await refused(emulator, key=made["value"])
        assert (status, error["code"]) == (401, "invalid_api_key")
        # It makes no other keys.
        assert (await post(emulator, {}, key=made["value"]))[0] == 401


async def test_an_ephemeral_key_for_transcription():
    async with OpenAIEmulator() as emulator:
        _, made = await post(emulator, {"session": {"type": "transcription"}})
        assert made["session"]["type"] == "transcription"
        async with connected(emulator, key=made["value"], intent="transcription") as wire:
            assert wire.log[0]["session"]["type"] == "transcription"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"expires_after": {"seconds": 5}}, 400),
        ({"expires_after": {"seconds": 7201}}, 400),
        ({"expires_after": {"anchor": "birth", "seconds": 60}}, 400),
        ({"expires_after": 60}, 400),
        ({"session": {"type": "realtime", "voice": "x"}}, 400),
        ({"session": "realtime"}, 400),
        ({"surprise": 1}, 400),
        (b"{", 400),
        (b"x" * 2_000_000, 413),
    ],
)
async def test_bad_requests_for_an_ephemeral_key(body, status):
    async with OpenAIEmulator() as emulator:
        if status == 413:
            with pytest.raises((json.JSONDecodeError, ConnectionError)):
                await post(emulator, body)
        else:
            assert (await post(emulator, body))[0] == status
        assert (await post(emulator, {}, method="GET"))[0] == 405
        assert (await post(emulator, {}, key="sk-wrong"))[0] == 401


async def test_azure_has_another_path_and_header():
    async with OpenAIEmulator("azure") as emulator:
        assert emulator.endpoint == f"ws://127.0.0.1:{emulator.port}/openai/v1"
        for how in ({"headers": {"api-key": KEY}}, {"key": KEY}):
            async with connected(emulator, model="my-deployment", **how) as wire:
                assert wire.log[0]["session"]["model"] == "my-deployment"
                await wire.text("hello")
                assert heard(await wire.respond()) == "You said: hello"
        status, error = await refused(emulator, key="sk-wrong")
        assert (status, error["code"]) == (401, "401")
        assert (await refused(emulator, path="/v1/realtime?model=x"))[0] == 404


@pytest.mark.parametrize(
    ("auth", "how"),
    [
        ("bearer", {"key": KEY}),
        ("header", {"headers": {"api-key": KEY}}),
        ("query", {"key": None, "api-key": KEY}),
        ("none", {"key": None}),
    ],
)
async def test_a_custom_endpoint_says_how_it_wants_its_key(auth, how):
    async with OpenAIEmulator("custom", auth=auth) as emulator:
        assert emulator.metadata["endpoint"] == f"ws://127.0.0.1:{emulator.port}/v1/realtime"
        assert emulator.metadata["auth_type"] == auth
        async with connected(emulator, **how) as wire:
            await wire.text("hello")
            await wire.respond()
        if auth != "none":
            wrong = {"headers": {"X-Other": KEY}, "other": KEY}
            assert (await refused(emulator, **wrong))[0] == 401


def test_settings_that_do_not_do():
    for wrong in (
        {"dialect": "klingon"},
        {"auth": "magic"},
        {"auth": "query"},
        {"pace": 0},
        {"speech": "mime"},
        {"judge": "x"},
    ):
        with pytest.raises(ConfigurationError):
            OpenAIEmulator(**wrong)
    assert set(DIALECTS) == {"openai", "azure", "xai", "custom"}


# -- xAI


async def xai_update(wire: Wire, **session: Any) -> Any:
    return (await wire.ask("session.update", "session.updated", session=session))["session"]


async def test_a_session_of_xai():
    async with (
        OpenAIEmulator("xai", responses={"hi there": "Hello from space"}) as emulator,
        connected(emulator, model="") as wire,
    ):
        assert types(wire.log) == ["conversation.created", "session.created"]
        session = wire.log[1]["session"]
        assert session["model"] == "grok-voice-latest"
        assert session["voice"] == "eve"
        assert session["turn_detection"]["type"] == "server_vad"
        assert "type" not in session
        assert "voice" not in session["audio"]["output"]
        rate = {"type": "audio/pcm", "rate": 16000}
        updated = await xai_update(
            wire,
            voice="rex",
            turn_detection={"type": "server_vad", "silence_duration_ms": 300},
            audio={
                "input": {
                    "format": rate,
                    "transcription": {"model": "grok-transcribe", "keyterms": ["space"]},
                },
                "output": {"format": rate},
            },
            tools=[WEATHER, {"type": "web_search"}],
            replace={"xAI": "ex ay eye"},
            reasoning={"effort": "none"},
        )
        assert updated["voice"] == "rex"
        assert updated["audio"]["output"]["format"] == rate
        pcm16 = AudioFormat("pcm16", 16000)
        await wire.say("hi there", pcm16)
        seen = await wire.until("response.done")
        assert heard(seen, pcm16) == "Hello from space"
        name = "conversation.item.input_audio_transcription"
        assert [e["transcript"] for e in of(seen, f"{name}.updated")] == ["hi", "hi there"]
        assert not of(seen, f"{name}.delta")
        assert "usage" not in of(seen, f"{name}.completed")[0]
        assert set(seen[-1]["usage"]) == {"input_tokens", "output_tokens"}
        assert "usage" not in seen[-1]["response"]


@pytest.mark.parametrize(
    "session",
    [
        {"turn_detection": {"type": "semantic_vad"}},
        {"audio": {"output": {"voice": "rex"}}},
        {"audio": {"input": {"turn_detection": None}}},
        {"audio": {"input": {"format": {"type": "audio/pcm", "rate": 12345}}}},
        {"surprise": 1},
        {"resumption": {"on": True}},
    ],
)
async def test_what_xai_does_not_know(session):
    async with OpenAIEmulator("xai") as emulator, connected(emulator) as wire:
        error = await wire.complaint("session.update", session=session)
        assert error["type"] == "invalid_request_error"


async def test_xai_sends_audio_in_binary_frames():
    async with OpenAIEmulator("xai") as emulator, connected(emulator) as wire:
        await wire.socket.send(b"\0" * 4800)
        assert (await wire.get("error"))["error"]["code"] == "invalid_value"
        await xai_update(
            wire, audio={"input": {"transport": "binary"}, "output": {"transport": "binary"}}
        )
        pcm24 = AudioFormat("pcm16", 24000)
        await wire.socket.send(speak("over and out", pcm24) + silence(1000))
        audio = b""
        while True:
            message = await wire.socket.recv()
            if isinstance(message, bytes):
                audio += message
                continue
            event = json.loads(message)
            assert event["type"] != "response.output_audio.delta"
            if event["type"] == "response.done":
                break
        assert understand(audio, pcm24) == "You said: over and out"


@pytest.mark.parametrize("off", [None, {"type": None}])
async def test_turns_by_hand_at_xai(off):
    async with OpenAIEmulator("xai") as emulator, connected(emulator) as wire:
        assert (await xai_update(wire, turn_detection=off))["turn_detection"] is None
        await wire.say("over to you")
        await wire.ask("input_audio_buffer.commit", "conversation.item.done")
        assert heard(await wire.respond()) == "You said: over to you"


async def test_xai_pings():
    async with OpenAIEmulator("xai") as emulator, connected(emulator) as wire:
        began = asyncio.get_running_loop().time()
        for _ in range(3):
            await wire.until("ping")
        assert asyncio.get_running_loop().time() - began == pytest.approx(30.0)
        assert emulator.judge is not None
        assert emulator.judge.server_seen["ping"] == 3


async def test_xai_takes_up_a_conversation():
    async with OpenAIEmulator("xai") as emulator:
        async with connected(emulator) as wire:
            conversation = wire.log[0]["conversation"]["id"]
            await xai_update(wire, resumption={"enabled": True})
            await wire.text("remember me")
            await wire.respond()
            ids = [item.id for item in emulator.sessions[0].items]
        async with connected(emulator, conversation_id=conversation) as wire:
            assert wire.log[0]["conversation"]["id"] == conversation
            replayed = [await wire.recv(), await wire.recv()]
            assert [e["type"] for e in replayed] == ["conversation.item.added"] * 2
            assert [e["item"]["id"] for e in replayed] == ids
            assert replayed[0]["item"]["content"][0]["text"] == "remember me"
            assert heard(await wire.respond()) == "You said: remember me"
            new = [e["item"]["id"] for e in of(wire.log, "conversation.item.added")][2:]
            assert not set(new) & set(ids)
        async with connected(emulator, conversation_id="conv_unknown") as wire:
            assert wire.log[0]["conversation"]["id"] != "conv_unknown"
            assert not emulator.sessions[2].items
        async with connected(emulator) as wire:  # not asked to be kept
            lost = wire.log[0]["conversation"]["id"]
        async with connected(emulator, conversation_id=lost) as wire:
            assert wire.log[0]["conversation"]["id"] != lost


async def test_xai_speaks_a_text_word_for_word():
    async with OpenAIEmulator("xai") as emulator, connected(emulator) as wire:
        content = [{"type": "output_text", "text": "Exactly this"}]
        item = {"type": "force_message", "role": "assistant", "content": content}
        await wire.send("conversation.item.create", item=item)
        seen = await wire.until("response.done")
        assert heard(seen) == "Exactly this"
    async with OpenAIEmulator() as emulator, connected(emulator) as wire:
        assert (await wire.complaint("conversation.item.create", item=item))[
            "type"
        ] == "invalid_request_error"
