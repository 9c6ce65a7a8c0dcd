"""The history by HTTP, over a real socket: who may see it, what it shows, and how it is removed."""

from __future__ import annotations

import asyncio
import io
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.auth.conftest import Doors
from voxengine.conversation import Conversation
from voxengine.gateway.call import Call
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.grants import Grant
from voxengine.gateway.serving import make_front

ROUTES = {
    "play": {"providers": ["mock"], "recording": "wav"},
    "quiet": {"providers": ["mock"]},
}


@pytest.fixture
def doors(tmp_path: Path) -> Doors:
    return Doors(tmp_path)


def wavs(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.wav")]


class House:
    def __init__(self, gateway: Gateway, http: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.http = http

    async def hold(self, words: str = "hello", route: str = "play") -> Call:
        """A call in which something was said, and which is over."""
        call = await self.begin(route)
        await call.engine.send_text(words)
        await asyncio.sleep(5)
        await call.end("hung up")
        return call

    async def begin(self, route: str = "play") -> Call:
        return await self.gateway.open_call(
            wire="websocket", model=route, grant=Grant(key_id="key_a")
        )

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self.http.get(f"/v1/history{path}", params=query)

    async def json(self, path: str, **query: Any) -> Any:
        answer = await self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def house(folder: Path, key: str) -> AsyncIterator[House]:
    content = {
        "gateway": {"port": 0, "store": "calls.db"},
        "keys": {"file": "keys.json"},
        "routes": ROUTES,
    }
    gateway = Gateway(GatewayConfig.from_dict(content, folder=folder))
    front = make_front(gateway)
    await front.start()
    headers = {"authorization": f"Bearer {key}"}
    url = f"http://127.0.0.1:{front.port}"
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
            yield House(gateway, http)
    finally:
        await front.close(1.0)


async def test_a_call_and_all_that_was_said_in_it(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, doors.key(scopes=["observe"])) as there:
        call = await there.hold("hello")
        shown = await there.json(f"/calls/{call.id}")
        assert shown["route"] == "play"
        assert shown["provider"] == "mock"
        assert (shown["status"], shown["reason"]) == ("ended", "hung up")
        assert shown["key_id"] == "key_a"
        assert shown["usage"][0]["provider"] == "mock"
        assert Conversation.from_dict(shown["conversation"]).items == call.engine.conversation.items
        lines = (await there.get(f"/calls/{call.id}/transcript")).text.splitlines()
        assert lines[0] == "user: hello"
        assert lines[1].startswith("assistant: ")
        plain = await there.json(f"/calls/{call.id}/transcript", format="json")
        assert plain == shown["conversation"]
        everything = str(shown) + str(await there.json("/calls"))
        assert call.session_id not in everything
        assert "session_hash" not in everything


async def test_the_list_goes_by_page(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, doors.key(scopes=["observe"])) as there:
        calls = [await there.hold(route=route) for route in ("play", "quiet", "quiet")]
        live = await there.begin("quiet")
        first = await there.json("/calls", limit=3)
        assert [c["id"] for c in first["data"]] == [live.id, calls[2].id, calls[1].id]
        rest = await there.json("/calls", limit=3, cursor=first["next"])
        assert [c["id"] for c in rest["data"]] == [calls[0].id]
        assert rest["next"] is None
        assert [c["id"] for c in (await there.json("/calls", status="live"))["data"]] == [live.id]
        assert [c["id"] for c in (await there.json("/calls", route="play"))["data"]] == [
            calls[0].id
        ]
        for query in ({"limit": 0}, {"limit": 1000}, {"cursor": "'"}, {"status": "odd"}):
            assert (await there.get("/calls", **query)).status_code == 400, query
        await live.end()


async def test_events_go_by_page(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, doors.key(scopes=["observe"])) as there:
        call = await there.hold()
        found: list[dict[str, Any]] = []
        after: int | None = 0
        while after is not None:
            page = await there.json(f"/calls/{call.id}/events", after=after, limit=2)
            found += page["data"]
            after = page["next"]
        assert [e["seq"] for e in found] == list(range(1, len(found) + 1))
        assert "response_completed" in [e["type"] for e in found]


async def test_the_recording_can_be_downloaded(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, doors.key(scopes=["observe"])) as there:
        call, silent = await there.hold(), await there.hold(route="quiet")
        (listed,) = (await there.json(f"/calls/{call.id}"))["recordings"]
        answer = await there.get(f"/calls/{call.id}/recording")
        assert answer.headers["content-type"] == "audio/wav"
        assert answer.headers["cache-control"] == "no-store"
        assert f'filename="{call.id}.1.wav"' in answer.headers["content-disposition"]
        assert len(answer.content) == listed["bytes"]
        with wave.open(io.BytesIO(answer.content)) as file:
            assert file.getnchannels() == 2
            assert any(file.readframes(file.getnframes()))
        assert (await there.get(f"/calls/{call.id}/recording", part=2)).status_code == 404
        assert (await there.get(f"/calls/{silent.id}/recording")).status_code == 404


async def test_a_call_is_removed_with_its_recording(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, doors.key(scopes=["observe", "operate"])) as there:
        call, other = await there.hold(), await there.hold()
        live = await there.begin()
        assert (await there.http.delete(f"/v1/history/calls/{live.id}")).status_code == 409
        answer = await there.http.delete(f"/v1/history/calls/{call.id}")
        assert answer.json() == {"id": call.id, "object": "call.deleted", "deleted": True}
        for path in ("", "/events", "/transcript", "/recording"):
            assert (await there.get(f"/calls/{call.id}{path}")).status_code == 404
        assert (await there.http.delete(f"/v1/history/calls/{call.id}")).status_code == 404
        names = wavs(tmp_path)
        assert f"{call.id}.1.wav" not in names
        assert f"{other.id}.1.wav" in names
        await live.end()


@pytest.mark.parametrize(
    ("scopes", "seen", "removed"),
    [(["talk"], 403, 403), (["observe"], 200, 403), (["operate"], 403, 200), (None, 401, 401)],
)
async def test_who_may_see_and_who_may_remove(
    doors: Doors, tmp_path: Path, scopes: list[str] | None, seen: int, removed: int
) -> None:
    key = doors.key(scopes=scopes or ["observe"])
    async with house(tmp_path, key if scopes else key[:-1] + "_") as there:
        call = await there.hold()
        for path in (
            "/calls",
            *(f"/calls/{call.id}{p}" for p in ("", "/events", "/transcript", "/recording")),
        ):
            assert (await there.get(path)).status_code == seen, path
        assert (await there.http.delete(f"/v1/history/calls/{call.id}")).status_code == removed


@pytest.mark.parametrize(
    "call_id", ["call_0", "..%2F..%2Fkeys.json", "%00", "*", "x" * 3000, "%ED%A0%80"]
)
async def test_strange_ids_are_of_no_call(doors: Doors, tmp_path: Path, call_id: str) -> None:
    async with house(tmp_path, doors.key(scopes=["observe", "operate"])) as there:
        for path in ("", "/events", "/transcript", "/recording"):
            assert (await there.get(f"/calls/{call_id}{path}")).status_code == 404
        assert (await there.http.delete(f"/v1/history/calls/{call_id}")).status_code == 404


async def test_a_broken_store_is_503(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path, doors.key(scopes=["observe"])) as there:
        await there.gateway.store.close()
        answer = await there.get("/calls")
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "closed"
