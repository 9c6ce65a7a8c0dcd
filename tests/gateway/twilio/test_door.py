"""Who gets in: Twilio's signature, tickets of streams, and what is refused."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import websockets
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]
from twilio.twiml.voice_response import (  # type: ignore[import-untyped]
    Connect,
    VoiceResponse,
)

from tests.gateway.gateways import config, until
from tests.gateway.twilio.calling import TOKEN, Office, mock, office, words
from voxengine.errors import ConfigurationError
from voxengine.gateway.refusal import Refused
from voxengine.gateway.twilio.settings import TwilioSettings
from voxengine.gateway.twilio.signature import is_signed, signature_of
from voxengine.gateway.twilio.tickets import GOOD_FOR, REMEMBERED_FOR, Tickets
from voxengine.testing.emulators.twilio import Rejected, StreamTarget, TwilioCall, ask_voice

VARIABLE = "TWILIO_TOKEN_OF_TESTS"


@asynccontextmanager
async def signed(monkeypatch: pytest.MonkeyPatch, **twilio: Any) -> AsyncIterator[Office]:
    """A gateway with an auth token."""
    monkeypatch.setenv(VARIABLE, TOKEN)
    content = {**mock(), "twilio": {"auth_token_env": VARIABLE, **twilio}}
    content["routes"]["other"] = {"providers": ["one"]}
    async with office(content) as desk:
        yield desk


async def call_by(target: StreamTarget, **changed: Any) -> TwilioCall:
    """A call that has come so far as it comes: in conversation, or refused."""
    options = {"parameters": target.parameters, "call_sid": target.call_sid, **changed}
    return TwilioCall(target.url, **options)


async def closed_with(phone: TwilioCall) -> tuple[int | None, str]:
    async with phone, asyncio.timeout(20):
        await phone.ended.wait()
    assert phone.closed is not None
    return phone.closed.code, phone.closed.reason


# -- the signature


SIGNED = [
    ("https://voice.example/twilio/voice", [("CallSid", "CA1"), ("From", "+15550100")]),
    (
        "https://voice.example:443/twilio/voice?route=a%20b&x=",
        [("b", ""), ("a", "ä ö"), ("B", "1")],
    ),
    ("http://voice.example:8080/twilio/voice", []),
    ("https://[2001:db8::1]/twilio/voice", [("To", "a&b=c")]),
]


@pytest.mark.parametrize(("url", "parameters"), SIGNED)
def test_signatures_are_twilios(url: str, parameters: list[tuple[str, str]]):
    validator = RequestValidator(TOKEN)
    ours = signature_of(url, parameters, TOKEN)
    assert ours == validator.compute_signature(url, dict(parameters))
    assert is_signed(url, parameters, TOKEN, ours)
    assert not is_signed(url, [*parameters, ("more", "1")], TOKEN, ours)
    assert not is_signed(url + "x", parameters, TOKEN, ours)
    assert not is_signed(url, parameters, "another", ours)
    assert not is_signed(url, parameters, TOKEN, "")
    assert not is_signed(url, parameters, TOKEN, "\udcff€")


@pytest.mark.parametrize(
    ("signed_as", "sent_as"),
    [
        ("https://voice.example/a", "https://voice.example:443/a"),
        ("https://voice.example:443/a", "https://voice.example/a"),
        ("http://voice.example:80/a?b=c", "http://voice.example/a?b=c"),
    ],
)
def test_the_usual_port_may_be_written_out(signed_as: str, sent_as: str):
    signature = RequestValidator(TOKEN).compute_signature(signed_as, {"a": "b"})
    assert RequestValidator(TOKEN).validate(sent_as, {"a": "b"}, signature)
    assert is_signed(sent_as, [("a", "b")], TOKEN, signature)


async def test_a_signed_call_from_the_question_to_the_answer(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch) as desk:
        target = await ask_voice(f"{desk.voice}?route=other", auth_token=TOKEN)
        assert target.url == desk.stream
        assert target.parameters["route"] == "other"
        async with await call_by(target) as phone:
            call = await desk.call_of(phone)
            assert (call.route.name, call.grant.key_id) == ("other", "twilio")
            await phone.say(words("hello"))
            await until(lambda: phone.received)


async def test_what_is_not_signed_as_it_should_be_is_refused(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch) as desk, httpx.AsyncClient() as http:
        form = {"CallSid": "CA1"}
        good = signature_of(desk.voice, form.items(), TOKEN)
        answer = await http.post(desk.voice, data=form)
        assert answer.status_code == 403
        assert answer.json()["error"]["code"] == "invalid_signature"
        for url, sent, signature in [
            (desk.voice, form, "bm9uc2Vuc2U="),
            (desk.voice, {"CallSid": "CA2"}, good),
            (f"{desk.voice}?route=play", form, good),
        ]:
            answer = await http.post(url, data=sent, headers={"X-Twilio-Signature": signature})
            assert answer.status_code == 403
        answer = await http.post(desk.voice, data=form, headers={"X-Twilio-Signature": good})
        assert answer.status_code == 200
        assert TOKEN not in answer.text


async def test_questions_by_get(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch) as desk, httpx.AsyncClient() as http:
        url = f"{desk.voice}?{urlencode({'route': 'play', 'CallSid': 'CA1'})}"
        headers = {"X-Twilio-Signature": RequestValidator(TOKEN).compute_signature(url, {})}
        answer = await http.get(url, headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/xml")


async def test_the_answer_is_twilios_own_form(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch, public_url="https://voice.example/") as desk:
        form = {"CallSid": "CA1"}
        signature = signature_of(
            "https://voice.example/twilio/voice?route=play", form.items(), TOKEN
        )
        async with httpx.AsyncClient() as http:
            answer = await http.post(
                f"{desk.voice}?route=play", data=form, headers={"X-Twilio-Signature": signature}
            )
        found = answer.text
        ticket = found.partition('name="ticket" value="')[2].partition('"')[0]
        expected = VoiceResponse()
        connect = Connect()
        stream = connect.stream(url="wss://voice.example/twilio/stream")
        stream.parameter(name="route", value="play")
        stream.parameter(name="ticket", value=ticket)
        expected.append(connect)
        assert found.replace("/>", " />") == str(expected)


async def test_a_question_that_is_repeated(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch) as desk, httpx.AsyncClient() as http:
        form = {"CallSid": "CA1"}
        headers = {"X-Twilio-Signature": signature_of(desk.voice, form.items(), TOKEN)}
        first = await http.post(desk.voice, data=form, headers=headers)
        again = await http.post(desk.voice, data=form, headers=headers)
        assert again.text == first.text  # Twilio did not get the answer: there is still one stream

        ticket = first.text.partition('name="ticket" value="')[2].partition('"')[0]
        phone = TwilioCall(desk.stream, call_sid="CA1", parameters={"ticket": ticket})
        async with phone:
            await desk.call_of(phone)
        replayed = await http.post(desk.voice, data=form, headers=headers)
        assert replayed.status_code == 403
        assert replayed.json()["error"]["code"] == "request_replayed"


# -- tickets of streams


async def test_forged_streams_are_refused(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch) as desk:
        target = await ask_voice(desk.voice, auth_token=TOKEN)
        ticket = target.parameters["ticket"]
        expiry, nonce, mac = ticket.split(".")
        forged: list[dict[str, Any]] = [
            {"parameters": {}},
            {"parameters": {"ticket": ""}},
            {"parameters": {"ticket": "x.y.z"}},
            {"parameters": {"ticket": f"{int(expiry) + 60}.{nonce}.{mac}"}},
            {"parameters": {"ticket": ticket, "route": "other"}},
            {"call_sid": "CA2"},
        ]
        for changed in forged:
            assert await closed_with(await call_by(target, **changed)) == (1008, "invalid_ticket")
        async with await call_by(target) as phone:
            await desk.call_of(phone)
            assert await closed_with(await call_by(target)) == (1008, "ticket_used")
        await until(lambda: not len(desk.gateway.calls))


def test_tickets_expire_and_are_forgotten():
    tickets = Tickets()
    ticket = tickets.answer("signature", "CA1", "play", TOKEN, 1000.0)
    with pytest.raises(Refused, match="known here"):
        tickets.take(ticket, "CA1", "play", TOKEN, 1000.0 + GOOD_FOR)
    with pytest.raises(Refused, match="known here"):
        tickets.take(ticket, "CA1", "play", "another token", 1000.0)
    with pytest.raises(Refused, match="answered before"):
        tickets.answer("signature", "CA1", "play", TOKEN, 1000.0 + GOOD_FOR)
    assert tickets.answer("signature", "CA1", "play", TOKEN, 1001.0 + REMEMBERED_FOR) != ticket
    Tickets().take(ticket, "CA1", "play", TOKEN, 1000.0)  # as another process would


# -- without an auth token


async def test_without_an_auth_token_this_machine_gets_in():
    async with office() as desk:
        target = await ask_voice(desk.voice)
        assert target.parameters == {}
        async with await call_by(target) as phone:
            await desk.call_of(phone)


async def test_without_an_auth_token_nobody_else_gets_in():
    async with office() as desk, httpx.AsyncClient() as http:
        elsewhere = {"X-Forwarded-For": "192.0.2.1"}
        answer = await http.post(desk.voice, data={"CallSid": "CA1"}, headers=elsewhere)
        assert answer.status_code == 403
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(desk.stream, additional_headers=elsewhere)
        assert refused.value.response.status_code == 403


async def test_a_token_that_is_not_there_lets_nobody_in(monkeypatch: pytest.MonkeyPatch):
    async with signed(monkeypatch) as desk:
        monkeypatch.delenv(VARIABLE)
        with pytest.raises(Rejected, match=r"503.*twilio_not_configured"):
            await ask_voice(desk.voice, auth_token=TOKEN)
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(desk.stream)
        assert refused.value.response.status_code == 503


# -- what else is refused


async def test_questions_that_are_none():
    async with office() as desk, httpx.AsyncClient() as http:
        for body, status in [
            ({}, 400),
            ({"CallSid": "C" * 65}, 400),
            ({f"a{n}": "b" for n in range(300)}, 400),
            ({"a": "b" * 70_000}, 413),
        ]:
            assert (await http.post(desk.voice, data=body)).status_code == status
        assert (await http.post(desk.voice, content=b"\xff=\xff")).status_code == 400
        unknown = await http.post(f"{desk.voice}?route=nobody", data={"CallSid": "CA1"})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")


async def test_a_gateway_that_takes_no_calls_is_busy():
    async with office(max_calls=1) as desk, TwilioCall(desk.stream) as phone:
        await desk.call_of(phone)
        with pytest.raises(Rejected, match="busy"):
            await ask_voice(desk.voice)
        assert await closed_with(TwilioCall(desk.stream)) == (1013, "server_overloaded")


async def test_a_stream_of_a_route_that_is_not_there():
    async with office() as desk:
        phone = TwilioCall(desk.stream, parameters={"route": "nobody"})
        assert await closed_with(phone) == (1008, "model_not_found")


async def test_streams_that_say_nothing_are_cut_off():
    async with office() as desk:
        silent = [await websockets.connect(desk.stream) for _ in range(100)]
        with pytest.raises(websockets.InvalidStatus) as refused:
            await websockets.connect(desk.stream)
        assert refused.value.response.status_code == 503
        for socket in silent:
            await socket.wait_closed()
            assert socket.close_code == 1008
        async with TwilioCall(desk.stream) as phone:
            await desk.call_of(phone)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"auth_token": "x"}, "did you mean 'auth_token_env'"),
        ({"public_url": "voice.example"}, "public_url is an address"),
        ({"public_url": "https://voice.example?x=y"}, "public_url is an address"),
        ({"auth_token_env": ""}, "twilio"),
    ],
)
def test_settings_that_do_not_do(table: dict[str, Any], words: str):
    with pytest.raises(ConfigurationError, match=words):
        config({"twilio": table})


def test_the_page_has_every_setting():
    page = (Path(__file__).parents[3] / "docs" / "telephony.md").read_text()
    table = page.partition("| name of `[twilio]` |")[2].partition("\n\n")[0]
    named = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert named == set(TwilioSettings.__struct_fields__)


def test_the_auth_token_is_not_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv(VARIABLE, TOKEN)
    made = config({"twilio": {"auth_token_env": VARIABLE}}, tmp_path)
    assert TOKEN not in repr(made)
    assert made.twilio.auth_token() == TOKEN


# -- messages that are none


ODD = [
    b"",
    b"nonsense",
    b"[]",
    b"null",
    b"{}",
    b'{"event":7}',
    b'{"event":"media"}',
    b'{"event":"media","media":{"payload":"***"}}',
    b'{"event":"media","media":{"payload":"AAA"}}',
    b'{"event":"media","media":{"payload":""}}',
    b'{"event":"media","media":{"payload":7}}',
    b'{"event":"mark","mark":{"name":"999"}}',
    b'{"event":"mark"}',
    b'{"event":"mark","mark":{"name":"\\ud800"}}',
    b'{"event":"dtmf","dtmf":{"digit":"five"}}',
    b'{"event":"dtmf","dtmf":{}}',
    b'{"event":"start"}',
    b'{"event":"clear"}',
    b'{"event":"connected"}',
    b'{"event":"dreams"}',
    b"[" * 5000,
    b'{"event":"media","media":{"track":"outbound","payload":"AAAA"}}',
]


async def test_odd_messages_in_a_call_are_passed_over():
    async with office() as desk, TwilioCall(desk.stream) as phone:
        call = await desk.call_of(phone)
        assert phone._socket is not None
        for message in ODD:
            phone._socket.send_text(message)
        again = {"streamSid": "MZ2", "callSid": "CA2", "mediaFormat": {}}
        phone.send("start", again)
        await phone.say(words("hello"))
        await until(lambda: phone.received)
        assert call.engine.conversation.items[0].text == "hello"


@pytest.mark.parametrize("message", [m for m in ODD if b"connected" not in m and b"media" not in m])
async def test_odd_messages_before_the_start_end_the_stream(message: bytes):
    async with office() as desk, websockets.connect(desk.stream) as socket:
        await socket.send(message.decode())
        await socket.wait_closed()
        assert socket.close_code == 1008


async def test_audio_in_another_form_is_refused():
    async with office() as desk, websockets.connect(desk.stream) as socket:
        start = {
            "streamSid": "MZ1",
            "callSid": "CA1",
            "mediaFormat": {"encoding": "audio/l16", "sampleRate": 16000, "channels": 1},
        }
        await socket.send(json.dumps({"event": "start", "start": start}))
        await socket.wait_closed()
        assert socket.close_code == 1003


async def test_audio_before_the_start_goes_nowhere():
    async with office() as desk, websockets.connect(desk.stream) as socket:
        payload = base64.b64encode(bytes(160)).decode()
        await socket.send(json.dumps({"event": "media", "media": {"payload": payload}}))
        await asyncio.sleep(1)
        assert socket.state == websockets.State.OPEN
        assert len(desk.gateway.calls) == 0
