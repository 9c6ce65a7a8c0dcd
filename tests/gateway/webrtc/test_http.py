"""`POST /v1/realtime/calls`: what is refused, and what is left behind then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from aiortc import RTCSessionDescription

import voxengine.gateway.http.calls
from tests.gateway.gateways import until
from tests.gateway.webrtc.calling import Caller, Served, calling, serving
from voxengine.gateway.auth import Key, KeyFile, new_identity, new_key

pytestmark = pytest.mark.real_clock

SDP = {"content-type": "application/sdp"}
CALLS = "/v1/realtime/calls"


async def post(served: Served, path: str = CALLS, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(base_url=served.http) as http:
        return await http.post(path, **options)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


BODIES: list[tuple[dict[str, Any], int, str]] = [
    ({"content": b"v=0\r\n", "headers": SDP}, 400, "invalid_offer"),
    ({"content": b"\xff\xfe", "headers": SDP}, 400, "invalid_value"),
    ({"content": b"x" * 70_000, "headers": SDP}, 413, "offer_too_large"),
    ({"content": b"x" * 300_000, "headers": SDP}, 413, "request_too_large"),
    ({"json": {"sdp": "v=0"}}, 415, "unsupported_media_type"),
    ({"files": {"session": (None, "{}")}}, 400, "missing_required_parameter"),
    ({"files": {"sdp": (None, "v=0"), "session": (None, "{")}}, 400, "invalid_json"),
    ({"files": {"sdp": (None, "v=0"), "session": (None, "[]")}}, 400, "invalid_value"),
    (
        {"files": {"sdp": (None, "v=0"), "session": (None, '{"type": "realtime", "x": 1}')}},
        400,
        "unknown_parameter",
    ),
    (
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data; boundary=y"}},
        400,
        "invalid_form",
    ),
    (
        {"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}},
        400,
        "invalid_form",
    ),
]


@pytest.mark.parametrize(("options", "status", "code"), BODIES)
async def test_a_body_that_is_none(options: dict[str, Any], status: int, code: str):
    async with serving() as served:
        assert code_of(await post(served, **options)) == (status, code)
        assert len(served.gateway.calls) == 0


async def broken_offer(served: Served, old: str, new: str) -> tuple[int, str]:
    caller = Caller(served)
    offer = await caller.offer()
    assert old in offer
    await caller.hang_up()
    return code_of(await post(served, content=offer.replace(old, new), headers=SDP))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("opus/48000/2", "speex/16000"),
        ("a=rtcp-mux", "a=nothing"),
        ("a=ice-ufrag", "a=ice-fruag"),
        ("m=audio", "m=video"),
        ("a=fingerprint:", "a=footprint:"),
    ],
)
async def test_an_offer_that_cannot_be_answered(old: str, new: str):
    async with serving() as served:
        assert await broken_offer(served, old, new) == (400, "invalid_offer")
        assert len(served.gateway.calls) == 0


async def test_a_route_that_there_is_not():
    async with serving() as served:
        caller = Caller(served)
        offer = await caller.offer()
        answer = await post(served, f"{CALLS}?model=nobody", content=offer, headers=SDP)
        assert code_of(answer) == (404, "model_not_found")
        await caller.hang_up()


async def test_the_offer_alone_with_the_session_of_a_client_secret():
    async with serving() as served:
        session = {"type": "realtime", "model": "play", "instructions": "Be brief."}
        secret = await served.client.realtime.client_secrets.create(session=session)  # type: ignore[arg-type]
        caller = Caller(served)
        answer = await post(
            served,
            "/openai/v1/realtime/calls",
            content=await caller.offer(),
            headers={**SDP, "authorization": f"Bearer {secret.value}"},
        )
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "application/sdp"
        assert answer.headers["location"].startswith("/openai/v1/realtime/calls/rtc_")
        await caller.peer.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
        created = await caller.told("session.created")
        assert created["session"]["instructions"] == "Be brief."
        [call] = served.gateway.calls
        assert call.wire == "webrtc"
        assert call.route.name == "play"
        await caller.hang_up()


async def test_a_page_elsewhere_may_look_at_the_answer():
    async with serving(origins=["https://app.example"]) as served:
        headers = {
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        async with httpx.AsyncClient(base_url=served.http) as http:
            asked = await http.options(CALLS, headers=headers)
            assert asked.status_code == 200
            assert asked.headers["access-control-allow-origin"] == "*"
            assert "authorization" in asked.headers["access-control-allow-headers"]
            bad = await http.post(CALLS, headers={**SDP, "origin": headers["origin"]}, content="x")
            assert code_of(bad) == (400, "invalid_offer")
            assert "location" in bad.headers["access-control-expose-headers"]
            other = {**SDP, "origin": "https://evil.example"}
            assert code_of(await http.post(CALLS, headers=other, content="x")) == (
                403,
                "origin_not_allowed",
            )
            elsewhere = await http.get("/healthz", headers={"origin": "https://app.example"})
            assert "access-control-allow-origin" not in elsewhere.headers


async def test_without_the_extra_it_is_said_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voxengine.gateway.http.calls, "find_spec", lambda name: None)
    async with serving() as served:
        answer = await post(served, content="v=0", headers=SDP)
        assert code_of(answer) == (501, "webrtc_not_installed")


async def test_who_may_hang_up(tmp_path: Path):
    keys: list[str] = []
    with KeyFile(tmp_path / "voxengine-keys.json").changing() as found:
        for _ in range(2):
            identity = new_identity(found)
            hashed, shown = new_key(identity)
            found[identity] = msgspec.convert({"id": identity, "hash": hashed}, Key)
            keys.append(shown)
    async with serving(folder=tmp_path) as served:
        served.client.api_key = keys[0]
        async with calling(served) as caller:
            path = f"{CALLS}/{caller.call_id}/hangup"
            theirs = await post(served, path, headers={"authorization": f"Bearer {keys[1]}"})
            assert code_of(theirs) == (404, "call_not_found")
            assert code_of(await post(served, path))[0] == 401
            call, channel = caller.call, caller.channel
            assert call.attached
            assert channel is not None

            await served.client.realtime.calls.hangup(caller.call_id)

            assert call.ended.is_set()
            await until(lambda: channel.readyState == "closed")
            assert caller.all("error") == []
            again = await post(served, path, headers={"authorization": f"Bearer {keys[0]}"})
            assert code_of(again) == (404, "call_not_found")
            await asyncio.sleep(0)
