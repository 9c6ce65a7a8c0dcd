"""The client's audio: turns as OpenAI tells them, by whoever finds them; commit and clear; what is no audio."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from tests.gateway.wire.talking import PCM24, Talker, talking
from tests.testing.profiles import PROFILES
from voxengine import register_provider
from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.gateway.wire.input import audio_of
from voxengine.providers import registry
from voxengine.providers.mock import MockProvider

INPUT = ("input_audio_buffer.", "conversation.item.", "response.created", "response.done")
WHISPER = {"transcription": {"model": "whisper-1"}}
MANUAL: dict[str, Any] = {"audio": {"input": {"turn_detection": None, **WHISPER}}}


def user_items(client: Talker) -> list[str]:
    return [
        e["item"]["id"]
        for e in client.all("conversation.item.added")
        if e["item"].get("role") == "user"
    ]


def words(client: Talker) -> str:
    found = client.all("conversation.item.input_audio_transcription.completed")
    return " ".join(event["transcript"] for event in found)


# -- turns that the provider finds


async def test_a_turn_is_told_in_openais_order():
    async with talking() as client:
        client.update(audio={"input": WHISPER})
        await client.speak("hello over there")
        await client.told("response.done")

        told = [t for t in client.types(*INPUT) if not t.endswith("delta")]
        assert told == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            "conversation.item.input_audio_transcription.completed",
            "response.created",
            "conversation.item.added",
            "conversation.item.done",
            "response.done",
        ]
        started, stopped, committed = (
            client.all(f"input_audio_buffer.{kind}")[0]
            for kind in ("speech_started", "speech_stopped", "committed")
        )
        item_id = committed["item_id"]
        assert started["item_id"] == stopped["item_id"] == item_id == user_items(client)[0]
        assert committed["previous_item_id"] is None
        assert 0 <= started["audio_start_ms"] < stopped["audio_end_ms"] <= 2600
        deltas = client.all("conversation.item.input_audio_transcription.delta")
        assert len(deltas) > 1
        assert "".join(event["delta"] for event in deltas) == "hello over there"
        assert words(client) == "hello over there"
        done = client.all("conversation.item.input_audio_transcription.completed")[0]
        assert done["usage"]["type"] == "duration"
        assert 0.5 < done["usage"]["seconds"] < 3


async def test_the_second_turn_follows_the_answer_to_the_first():
    async with talking() as client:
        await client.speak("one")
        await client.told("response.done")
        await client.speak("two")
        await client.told("response.done", 2)
        answer = client.all("response.done")[0]["response"]["output"][0]["id"]
        assert client.all("input_audio_buffer.committed")[1]["previous_item_id"] == answer
        first, second = client.all("input_audio_buffer.speech_started")
        assert second["audio_start_ms"] > first["audio_start_ms"] + 1000


async def test_transcripts_are_told_only_to_those_who_asked():
    async with talking() as client:
        await client.speak("hello")
        await client.told("response.done")
        assert client.types("conversation.item.input_audio_transcription") == []


async def test_speech_that_cannot_be_understood_is_told_so():
    async with talking({"transcripts": [None], "ms_per_word": 100}) as client:
        client.update(audio={"input": WHISPER})
        loud = bytes(range(1, 255)) * 200  # no words of ours
        for start in range(0, len(loud), 960):
            client.append(loud[start : start + 960])
        for _ in range(60):
            client.append(silence(20, PCM24))
            await asyncio.sleep(0.02)
        failed = await client.told("conversation.item.input_audio_transcription.failed")
        assert failed["error"]["type"] == "transcription_error"
        assert failed["item_id"] == user_items(client)[0]


async def test_a_pause_within_a_turn_is_not_told():
    async with talking({"pause_ms": 200, "silence_ms": 1000}) as client:
        client.update(audio={"input": WHISPER})
        await client.speak("well", pause_ms=500)
        await client.speak("yes", pause_ms=1500)
        await client.told("response.done")
        assert client.types("input_audio_buffer.") == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
        ]
        assert words(client) == "well yes"


async def test_speech_that_never_becomes_a_turn_ends_for_the_client_too():
    async with talking() as client:
        provider: Any = client.call.engine.provider
        provider.emit_speech_started("item_x", 100)
        provider.emit_speech_ended("item_x", 400, 0)
        await client.told("input_audio_buffer.speech_started")
        assert client.types("input_audio_buffer.speech_stopped") == []
        stopped = await client.told("input_audio_buffer.speech_stopped")
        assert stopped["item_id"] == "item_x"


async def test_barging_in_is_told_before_the_answer_ends():
    async with talking({"default_response": "this is a very long answer " * 8}) as client:
        await client.speak("go on", pause_ms=700)
        await client.told("response.output_audio.delta", 3)
        await client.speak("stop", pause_ms=700)
        done = await client.told("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        order = client.types("input_audio_buffer.speech_started", "response.done")
        assert order[:3] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_started",
            "response.done",
        ]


# -- turns by hand


@pytest.mark.parametrize("profile", ["everything", "finds no turns", "like a vendor of streams"])
async def test_turns_by_hand_on_any_provider(profile: str):
    async with talking({"capabilities": PROFILES[profile]}) as client:
        client.update(**MANUAL)
        await client.speak("hello there", pause_ms=600)
        await asyncio.sleep(1)
        assert client.types("input_audio_buffer.", "response.") == []

        client.say("input_audio_buffer.commit")
        committed = await client.told("input_audio_buffer.committed")
        assert user_items(client) == [committed["item_id"]]
        await asyncio.sleep(2)
        assert client.types("response.") == []

        client.say("response.create")
        done = await client.told("response.done")
        assert done["response"]["status"] == "completed"
        said = done["response"]["output"][0]["content"][0]["transcript"]
        assert said == "You said: hello there"
        assert words(client) == "hello there"
        assert client.errors == []
        assert len(client.all("input_audio_buffer.committed")) == 1


async def test_what_was_cleared_is_not_part_of_the_turn():
    async with talking() as client:
        client.update(**MANUAL)
        await client.speak("wrong", pause_ms=200)
        client.say("input_audio_buffer.clear")
        await client.speak("right", pause_ms=200)
        client.say("input_audio_buffer.commit")
        await client.told("conversation.item.input_audio_transcription.completed")
        assert client.types("input_audio_buffer.") == [
            "input_audio_buffer.cleared",
            "input_audio_buffer.committed",
        ]
        assert words(client) == "right"


async def test_clearing_works_where_the_provider_cannot():
    can = {"clear": False}
    async with talking({"capabilities": can}) as client:
        client.update(**MANUAL)
        await client.speak("wrong", pause_ms=200)
        client.say("input_audio_buffer.clear")
        await client.speak("right", pause_ms=200)
        client.say("input_audio_buffer.commit")
        client.say("response.create")
        await client.told("response.done")
        assert words(client) == "right"


async def test_audio_after_a_commit_belongs_to_the_next_turn():
    async with talking() as client:
        client.update(**MANUAL)
        await client.told("session.updated")
        # All in one go: nothing has time to happen in between.
        for word in ("one", "two"):
            client.append(speak(word, PCM24) + silence(100, PCM24))
            client.say("input_audio_buffer.commit")
        await client.told("input_audio_buffer.committed", 2)
        await client.told("conversation.item.input_audio_transcription.completed", 2)
        found = client.all("conversation.item.input_audio_transcription.completed")
        assert [event["transcript"] for event in found] == ["one", "two"]


class SlowToHear(MockProvider):
    """Has to be waited for with each frame."""

    async def send_audio(self, audio_data: bytes) -> None:
        await asyncio.sleep(0.05)
        await super().send_audio(audio_data)


async def test_a_turn_has_all_audio_that_came_before_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_registered", {})
    register_provider("slow", lambda config: SlowToHear(config))
    content = {"routes": {"play": {"providers": ["slow"]}}}
    async with talking(content=content) as client:
        client.update(**MANUAL)
        await client.told("session.updated")
        for n, text in enumerate(("hello over there", "and good bye"), 1):
            audio = speak(text, PCM24) + silence(200, PCM24)
            for start in range(0, len(audio), 4800):
                client.append(audio[start : start + 4800])
            client.say("input_audio_buffer.commit")
            await client.told("conversation.item.input_audio_transcription.completed", n)
        assert words(client) == "hello over there and good bye"
        assert client.errors == []


async def test_clearing_forgets_what_was_still_to_be_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registry, "_registered", {})
    register_provider("slow", lambda config: SlowToHear(config))
    async with talking(content={"routes": {"play": {"providers": ["slow"]}}}) as client:
        client.update(**MANUAL)
        await client.told("session.updated")
        for text, kind in (("wrong", "clear"), ("right", "commit")):
            audio = speak(text, PCM24) + silence(200, PCM24)
            for start in range(0, len(audio), 4800):
                client.append(audio[start : start + 4800])
            client.say(f"input_audio_buffer.{kind}")
        await client.told("conversation.item.input_audio_transcription.completed")
        assert words(client) == "right"


async def test_what_stands_before_an_item_is_one_that_the_client_knows():
    async with talking() as client:
        await client.speak("hello over there", pause_ms=0)
        started = await client.told("input_audio_buffer.speech_started")
        part = {"type": "input_text", "text": "by the way"}
        message = {"type": "message", "role": "user", "content": [part]}
        client.say("conversation.item.create", item={**message, "id": "mine"})
        added = await client.told("conversation.item.added")
        assert added["item"]["id"] == "mine"
        log = [item.id for item in client.call.engine.conversation]
        assert log == [started["item_id"], "mine"]
        assert added["previous_item_id"] is None

        await client.speak("", pause_ms=1500)
        committed = await client.told("input_audio_buffer.committed")
        assert (committed["item_id"], committed["previous_item_id"]) == (log[0], None)
        client.say("conversation.item.create", item={**message, "id": "second"})
        while (added := client.all("conversation.item.added")[-1])["item"]["id"] != "second":
            await client.told("conversation.item.added", len(client.all(added["type"])) + 1)
        before = [item.id for item in client.call.engine.conversation]
        assert added["previous_item_id"] == before[before.index("second") - 1]


async def test_too_little_cannot_be_committed():
    async with talking() as client:
        client.update(**MANUAL)
        client.say("input_audio_buffer.commit", event_id="mine")
        client.append(silence(90, PCM24))
        client.say("input_audio_buffer.commit")
        client.append(silence(20, PCM24))
        client.say("input_audio_buffer.commit")
        await client.told("input_audio_buffer.committed")
        assert [e["code"] for e in client.errors] == ["input_audio_buffer_commit_empty"] * 2
        assert client.errors[0]["event_id"] == "mine"
        assert "90.00ms" in client.errors[1]["message"]


async def test_a_commit_under_turn_detection_makes_a_turn_without_an_answer():
    async with talking() as client:
        await client.speak("hello", pause_ms=0)
        client.say("input_audio_buffer.commit")
        await client.told("input_audio_buffer.committed")
        await asyncio.sleep(20)  # longer than an answer may take
        assert client.types("response.", "error") == []
        client.say("response.create")
        await client.told("response.done")
        assert client.errors == []


async def test_where_no_speech_is_taken_a_commit_says_so():
    async with talking({"capabilities": PROFILES["nearly nothing"]}) as client:
        client.append(silence(200, PCM24))
        client.say("input_audio_buffer.commit")
        await client.told("error")
        assert client.errors[-1]["code"] == "unsupported"


# -- turns that the gateway finds


async def test_the_gateway_finds_turns_where_the_provider_does_not():
    async with talking({"capabilities": PROFILES["finds no turns"]}) as client:
        client.update(audio={"input": WHISPER})
        await client.speak("", pause_ms=1000)
        await client.speak("hello there")
        done = await client.told("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: hello there"
        assert client.types("input_audio_buffer.") == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
        ]
        started = client.all("input_audio_buffer.speech_started")[0]
        stopped = client.all("input_audio_buffer.speech_stopped")[0]
        committed = client.all("input_audio_buffer.committed")[0]
        assert started["item_id"] == stopped["item_id"] == committed["item_id"]
        assert user_items(client) == [committed["item_id"]]
        assert words(client) == "hello there"
        assert 600 <= started["audio_start_ms"] <= 1000  # 300 ms of padding
        assert stopped["audio_end_ms"] == pytest.approx(1000 + 700 + 500, abs=200)
        assert client.errors == []


async def test_its_own_ear_interrupts_the_answer():
    setup = {
        "capabilities": PROFILES["finds no turns"],
        "default_response": "this is a very long answer " * 8,
    }
    async with talking(setup) as client:
        await client.speak("go on", pause_ms=900)
        await client.told("response.output_audio.delta", 3)
        await client.speak("stop", pause_ms=900)
        done = await client.told("response.done")
        assert done["response"]["status"] == "cancelled"
        assert done["response"]["status_details"]["reason"] == "turn_detected"
        again = await client.told("response.done", 2)
        assert again["response"]["status"] != "failed"
        assert len(user_items(client)) == 2
        assert client.errors == []


async def test_its_own_ear_waits_as_long_as_it_is_told():
    async with talking({"capabilities": PROFILES["finds no turns"]}) as client:
        vad = {"type": "server_vad", "silence_duration_ms": 1200}
        client.update(audio={"input": {"turn_detection": vad, **WHISPER}})
        await client.speak("well", pause_ms=900)
        await client.speak("yes", pause_ms=1600)
        await client.told("response.done")
        assert words(client) == "well yes"
        assert len(user_items(client)) == 1


@pytest.mark.parametrize("profile", ["everything", "finds no turns", "like a vendor of streams"])
async def test_turns_are_not_answered_unasked_if_that_is_not_wanted(profile: str):
    async with talking({"capabilities": PROFILES[profile]}) as client:
        vad = {"type": "server_vad", "create_response": False}
        client.update(audio={"input": {"turn_detection": vad, **WHISPER}})
        await client.speak("hello there")
        await client.told("input_audio_buffer.committed")
        await asyncio.sleep(20)
        assert client.types("response.", "error") == []
        client.say("response.create")
        done = await client.told("response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "You said: hello there"
        assert len(client.all("input_audio_buffer.committed")) == 1
        assert len(client.all("input_audio_buffer.speech_started")) == 1


async def test_speech_does_not_interrupt_if_that_is_not_wanted():
    setup = {"default_response": "this is a very long answer indeed"}
    async with talking(setup) as client:
        vad = {"type": "server_vad", "interrupt_response": False, "create_response": False}
        client.update(audio={"input": {"turn_detection": vad}})
        await client.speak("go on", pause_ms=700)
        client.say("response.create")
        await client.told("response.output_audio.delta")
        await client.speak("stop", pause_ms=700)
        done = await client.told("response.done")
        assert done["response"]["status"] == "completed"
        assert len(client.all("input_audio_buffer.speech_started")) == 2


# -- what the audio is


@pytest.mark.parametrize(
    ("wire", "format"),
    [
        ({"type": "audio/pcmu"}, AudioFormat("g711_ulaw", 8000)),
        ({"type": "audio/pcma"}, AudioFormat("g711_alaw", 8000)),
        ({"type": "audio/pcm", "rate": 24000}, PCM24),
    ],
)
async def test_any_format_of_openais(wire: dict[str, Any], format: AudioFormat):
    async with talking() as client:
        client.update(audio={"input": {"format": wire, **WHISPER}, "output": {"format": wire}})
        updated = await client.told("session.updated")
        assert updated["session"]["audio"]["input"]["format"] == wire
        await client.speak("hello there", format=format)
        await client.told("response.done")
        assert words(client) == "hello there"
        sent = b"".join(
            base64.b64decode(event["delta"]) for event in client.all("response.output_audio.delta")
        )
        assert 1000 < format.duration_ms(len(sent)) < 2500


async def test_positions_go_on_when_the_format_changes():
    async with talking() as client:
        client.append(silence(2000, PCM24))
        await client.told("session.created")
        client.update(audio={"input": {"format": {"type": "audio/pcmu"}}})
        await client.told("session.updated")
        await client.speak("hello", format=AudioFormat("g711_ulaw", 8000))
        assert client.session.input.position_ms == pytest.approx(2000 + 350 + 1500, abs=400)


async def test_half_a_sample_is_kept_for_the_next_message():
    async with talking() as client:
        client.update(audio={"input": WHISPER})
        audio = speak("hello there", PCM24) + silence(1500, PCM24)
        for start in range(0, len(audio), 961):
            client.append(audio[start : start + 961])
            await asyncio.sleep(0.02)
        await client.told("response.done")
        assert words(client) == "hello there"
        assert client.errors == []


@pytest.mark.parametrize("audio", ["???", "AAA", "AAAA AAAA", 'AA"'])
async def test_what_is_no_base64_is_refused(audio: str):
    async with talking() as client:
        client.say("input_audio_buffer.append", audio=audio, event_id="bad")
        await client.told("error")
        error = client.errors[0]
        assert (error["code"], error["param"], error["event_id"]) == (
            "invalid_value",
            "audio",
            "bad",
        )


def test_the_usual_forms_of_an_append_are_read_without_a_parser():
    audio = bytes(range(90))
    text = base64.b64encode(audio).decode()
    event = {"type": "input_audio_buffer.append", "audio": text}
    spaced = json.dumps(event).encode()
    compact = json.dumps(event, separators=(",", ":")).encode()
    assert audio_of(spaced) == audio_of(compact) == audio
    assert audio_of(memoryview(compact)) == audio


@pytest.mark.parametrize(
    "message",
    [
        b'{"type":"input_audio_buffer.append","audio":"AAAA","event_id":"e"}',
        b'{"type":"input_audio_buffer.append","audio":"AAAA","audio":"BBBB"}',
        b'{"type":"input_audio_buffer.append","audio":"AA\\/A"}',
        b'{"type":"input_audio_buffer.append","audio":"AAAA"} ',
        b'{"type":"input_audio_buffer.append","audio":"',
        b'{"type":"input_audio_buffer.commit"}',
        b"",
    ],
)
def test_any_other_form_takes_a_closer_look(message: bytes):
    assert audio_of(message) is None


async def test_every_form_of_an_append_is_heard():
    async with talking() as client:
        for message in (
            b'{"audio":"%b","type":"input_audio_buffer.append"}',
            b'{"type":"input_audio_buffer.append","audio":"%b","event_id":"e"}',
            b'{\n  "type": "input_audio_buffer.append",\n  "audio": "%b"\n}',
        ):
            client.session.on_message(message % base64.b64encode(silence(100, PCM24)))
        assert client.session.input.position_ms == 300
        assert client.errors == []
