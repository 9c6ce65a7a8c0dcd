"""The client's events: understood or refused, and done in order."""

from __future__ import annotations

import asyncio
import base64
import gc
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.wire.talking import PCM24, talking
from voxengine.audio.level import silence
from voxengine.gateway.wire import commands
from voxengine.realtime import CLIENT_EVENTS

TWO = {
    "providers": {
        "one": {"provider": "mock", "metadata": {"default_response": "one"}},
        "two": {
            "provider": "mock",
            "metadata": {"default_response": "two", "latency_ms": {"connect": 3000}},
        },
    },
    "routes": {
        "play": {"providers": ["one"]},
        "other": {"providers": ["two"]},
        "forbidden": {"providers": ["two"]},
    },
}


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[]", "invalid_json", None),
        (b'"text"', "invalid_json", None),
        (b"\xff\xfe\x00", "invalid_json", None),
        (b'{"type":"response.cancel","event_id":"\xff"}', "invalid_json", None),
        (b"[" * 5000, "invalid_json", None),
        (b"{}", "missing_required_parameter", "type"),
        (b'{"type":7}', "invalid_value", "type"),
        (b'{"type":"response.think"}', "invalid_value", "type"),
        (b'{"type":"session.update"}', "missing_required_parameter", "session"),
        (b'{"type":"session.update","session":7}', "invalid_type", "session"),
        (b'{"type":"input_audio_buffer.append"}', "missing_required_parameter", "audio"),
        (b'{"type":"input_audio_buffer.append","audio":7}', "invalid_type", "audio"),
        (b'{"type":"input_audio_buffer.commit","now":1}', "unknown_parameter", "now"),
        (b'{"type":"conversation.item.delete"}', "missing_required_parameter", "item_id"),
        (b'{"type":"output_audio_buffer.clear"}', "invalid_value", "type"),
        (b'{"type":"response.cancel","event_id":7}', "invalid_type", "event_id"),
    ],
)
async def test_what_is_no_event_is_refused_and_the_call_goes_on(
    message: bytes, code: str, param: str | None
):
    async with talking() as client:
        client.session.on_message(message)
        await client.told("error")
        assert [(e["code"], e["param"]) for e in client.errors] == [(code, param)]
        client.update()
        await client.told("session.updated")
        assert client.closed == []


async def test_a_refusal_names_the_event_that_it_is_about():
    async with talking() as client:
        for kind in CLIENT_EVENTS:
            client.say(kind, nonsense=1, event_id=f"about {kind}")
        await client.told("error", len(CLIENT_EVENTS))
        assert [e["event_id"] for e in client.errors] == [f"about {kind}" for kind in CLIENT_EVENTS]


async def test_events_are_done_in_the_order_in_which_they_came():
    async with talking() as client:
        client.update(instructions="first")
        client.update(instructions="second")
        client.say("conversation.item.retrieve", item_id="none", event_id="third")
        client.update(instructions="fourth")
        await client.told("session.updated", 3)
        told = [
            event["session"]["instructions"]
            if event["type"] == "session.updated"
            else event["error"]["event_id"]
            for event in client.events[1:]
        ]
        assert told == ["first", "second", "third", "fourth"]


async def test_a_switch_holds_what_comes_after_it_but_not_the_audio():
    async with talking(content=TWO) as client:
        client.update(model="other")
        client.say("conversation.item.retrieve", item_id="none")
        await asyncio.sleep(0.5)
        client.append(silence(400, PCM24))
        assert client.session.input.position_ms == 400
        assert client.types() == ["session.created"]
        await client.told("error")
        assert client.types() == ["session.created", "session.updated", "error"]
        assert client.call.route.name == "other"


async def test_a_client_that_leaves_at_once_leaves_nothing_behind():
    async with talking(content=TWO) as client:
        client.update(instructions="never")
        client.close(1006, "")
        gc.collect()  # what was begun and never done would complain here
        await asyncio.sleep(1)
        assert client.call.engine.config.instructions is None


async def test_too_much_that_waits_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(commands, "MAX_WAITING", 3)
    async with talking(content=TWO) as client:
        client.update(model="other")
        for n in range(5):
            client.say("conversation.item.retrieve", item_id="none", event_id=str(n))
        await client.told("session.updated")
        await client.told("error", 5)
        refused = [e["event_id"] for e in client.errors if e["code"] == "too_many_pending_events"]
        assert refused == ["3", "4"]


async def test_too_many_bytes_that_wait_are_refused():
    async with talking(content=TWO) as client:
        client.update(model="other")
        big = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "x" * 90_000}],
        }
        for _ in range(60):
            client.say("conversation.item.create", item=big)
        await client.told("session.updated")
        await client.told("conversation.item.done", 40)
        refused = [e for e in client.errors if e["code"] == "too_many_pending_events"]
        assert 10 <= len(refused) <= 20  # 45 of these are 4 MB


async def test_audio_that_is_sent_before_the_hello_is_heard():
    async with talking() as client:
        other = type(client)(client.gateway, client.call)
        audio = base64.b64encode(silence(100, PCM24)).decode()
        other.session.on_open(other)
        other.append(silence(100, PCM24))
        other.session.on_message(
            json.dumps({"audio": audio, "type": "input_audio_buffer.append"}).encode()
        )
        await other.told("session.created")
        assert other.session.input.position_ms == 200
        other.close()


async def test_a_client_that_leaves_in_the_middle_leaves_nothing_behind():
    async with talking(content=TWO) as client:
        client.update(model="other")
        for _ in range(3):
            client.say("input_audio_buffer.commit")
        await asyncio.sleep(0.1)
        n = len(client.events)
        client.close()
        await asyncio.sleep(5)
        assert len(client.events) == n


async def test_each_event_of_openais_is_taken():
    async with talking() as client:
        assert client.session.commands.kinds == CLIENT_EVENTS.keys()


KEYS = st.sampled_from(
    ["type", "event_id", "session", "item", "item_id", "audio", "response", "content_index", "x"]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 10**20)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from([*CLIENT_EVENTS, "realtime", "message", "user", "input_text"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
EVENTS = st.builds(
    lambda kind, more: {**more, "type": kind},
    st.sampled_from(list(CLIENT_EVENTS)),
    st.dictionaries(KEYS, VALUES, max_size=4),
)


async def test_no_message_breaks_a_call():
    """Each is answered by an error, or done; none ends the call, and none is the server's own fault."""
    messages: list[bytes] = []

    @settings(max_examples=400, deadline=None, database=None)
    @given(st.binary(max_size=60) | EVENTS.map(lambda e: json.dumps(e).encode()))
    def gather(message: bytes) -> None:
        messages.append(message)

    gather()
    async with talking() as client:
        for message in messages:
            client.session.on_message(message)
            await asyncio.sleep(0.02)
        await asyncio.sleep(5)
        client.update()
        await client.told("session.updated")
        assert [e for e in client.errors if e["code"] == "internal_error"] == []
        assert client.closed == []
