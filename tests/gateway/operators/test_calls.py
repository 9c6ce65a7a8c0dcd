"""Live calls by HTTP: who may look at them and change them, what is shown, what is done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.gateway.auth.conftest import Doors
from tests.gateway.operators.house import code_of, house
from voxengine.conversation import Conversation
from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.refusal import Refused

ACTIONS = {
    "inject": {"text": "a note"},
    "switch": {"to": "quiet"},
    "say": {"text": "Hello there"},
    "interrupt": None,
    "hangup": {"reason": "enough"},
}


# -- looking


async def test_a_live_call_is_shown(doors: Doors, tmp_path: Path) -> None:
    talker, watcher = doors.key(), doors.key(scopes=["observe"])
    async with house(tmp_path) as there, there.client(watcher) as http:
        call = await there.call(talker)
        await call.engine.send_text("hello")
        await asyncio.sleep(0.5)
        shown = (await http.get(f"/v1/calls/{call.id}")).json()
        assert (shown["state"], shown["speaker"]) == ("speaking", "assistant")
        await asyncio.sleep(5)
        shown = (await http.get(f"/v1/calls/{call.id}")).json()
        assert (shown["id"], shown["object"]) == (call.id, "call")
        assert (shown["route"], shown["provider"], shown["wire"]) == ("play", "mock", "websocket")
        assert (shown["state"], shown["speaker"], shown["attached"]) == ("idle", None, False)
        assert (shown["items"], shown["responses"], shown["errors"]) == (2, 1, 0)
        assert shown["duration_s"] == pytest.approx(5.5, abs=0.2)
        assert shown["latency"]["first_audio_ms"]["max"] == 0.0
        assert shown["cost"] == 0.0
        assert call.session_id not in str(shown)

        transcript = f"/v1/calls/{call.id}/transcript"
        assert (await http.get(transcript)).text.splitlines()[0] == "user: hello"
        plain = (await http.get(transcript, params={"format": "json"})).json()
        assert Conversation.from_dict(plain).items == call.engine.conversation.items
        cost = (await http.get(f"/v1/calls/{call.id}/cost")).json()
        assert (cost["cost"], cost["currency"], cost["legs"][0]["provider"]) == (0.0, "USD", "mock")
        await call.end()
        assert code_of(await http.get(f"/v1/calls/{call.id}")) == (404, "call_not_found")


async def test_the_list_is_filtered(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key(scopes=["observe"])) as http:
        first, second = await there.call(), await there.call(route="quiet")

        async def ids(**query: str) -> list[str]:
            answer = await http.get("/v1/calls", params=query)
            assert answer.status_code == 200, answer.text
            return [call["id"] for call in answer.json()["data"]]

        assert await ids() == [first.id, second.id]
        assert await ids(route="quiet") == [second.id]
        assert await ids(provider="mock", state="idle") == [first.id, second.id]
        assert await ids(provider="openai") == []
        assert await ids(state="speaking") == []
        assert await ids(session=second.session_id) == [second.id]
        assert await ids(session="sess_unknown") == []
        assert code_of(await http.get("/v1/calls?state=odd")) == (400, "invalid_value")


async def test_a_caller_finds_its_own_call_and_no_other(doors: Doors, tmp_path: Path) -> None:
    mine, other = doors.key(), doors.key()
    async with house(tmp_path) as there, there.client(mine) as http:
        own, foreign = await there.call(mine), await there.call(other)
        found = await http.get("/v1/calls", params={"session": own.session_id})
        assert [call["id"] for call in found.json()["data"]] == [own.id]
        found = await http.get("/v1/calls", params={"session": foreign.session_id})
        assert found.json()["data"] == []
        assert code_of(await http.get("/v1/calls")) == (403, "insufficient_scope")
        assert (await http.get(f"/v1/calls/{own.id}")).status_code == 200
        for path in ("", "/transcript", "/cost", "/events"):
            answer = await http.get(f"/v1/calls/{foreign.id}{path}")
            assert code_of(answer) == (404, "call_not_found"), path
        for action, body in ACTIONS.items():
            answer = await http.post(f"/v1/calls/{foreign.id}/{action}", json=body)
            assert code_of(answer) == (404, "call_not_found"), action
        assert not foreign.ending


async def test_a_client_secret_has_the_calls_of_its_own_alone(doors: Doors, tmp_path: Path) -> None:
    key = doors.key()
    async with house(tmp_path) as there:
        secrets = []
        async with there.client(key) as http:
            for _ in range(2):
                answer = await http.post("/v1/realtime/client_secrets", json={})
                secrets.append(answer.json()["value"])
        keeper = there.gateway.gatekeeper
        grants = [keeper.admit({"authorization": f"Bearer {s}"}) for s in secrets]
        call = await there.gateway.open_call(wire="websocket", model="play", grant=grants[0])
        for secret, status in ((secrets[0], 200), (secrets[1], 404), (key, 200)):
            async with there.client(secret) as http:
                assert (await http.get(f"/v1/calls/{call.id}")).status_code == status


async def test_scopes(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there:
        call = await there.call(doors.key())
        async with there.client(doors.key(scopes=["observe"])) as http:
            for action, body in ACTIONS.items():
                answer = await http.post(f"/v1/calls/{call.id}/{action}", json=body)
                assert code_of(answer) == (403, "insufficient_scope"), action
            assert code_of(await http.post("/v1/drain")) == (403, "insufficient_scope")
            assert code_of(await http.delete("/v1/drain")) == (403, "insufficient_scope")
        async with there.client(doors.key(scopes=["operate"])) as http:
            assert code_of(await http.get(f"/v1/calls/{call.id}")) == (403, "insufficient_scope")
            assert (await http.post(f"/v1/calls/{call.id}/interrupt")).status_code == 200
        async with there.client() as http:
            for path in ("/v1/calls", f"/v1/calls/{call.id}", "/v1/models"):
                assert code_of(await http.get(path)) == (401, "invalid_api_key"), path
        assert not call.ending


# -- doing


async def test_a_note_is_put_in(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key(scopes=["operate"])) as http:
        call = await there.call()
        inject = f"/v1/calls/{call.id}/inject"
        made = (await http.post(inject, json={"text": "The shop closes at 6."})).json()
        assert (made["status"], made["object"]) == ("applied", "call.injection")
        item = call.engine.conversation.get(made["item_id"])
        assert item is not None
        assert (item.role, item.text) == ("system", "The shop closes at 6.")

        waiting = {"text": "Later.", "when": "next_turn", "key": "k", "ttl": 60, "priority": 3}
        made = (await http.post(inject, json=waiting)).json()
        assert (made["status"], made["item_id"]) == ("queued", None)
        for wrong in (
            {},
            {"text": " "},
            {"text": "x" * 20_001},
            {"text": "x", "when": "never"},
            {"text": "x", "priority": 10**9},
            {"text": "x", "ttl": -1},
            {"text": "x", "ttl": "inf"},
            {"text": "x", "unknown": 1},
        ):
            assert code_of(await http.post(inject, json=wrong)) == (400, "invalid_value"), wrong
        broken = await http.post(inject, content=b"{", headers={"content-type": "application/json"})
        assert broken.status_code == 400
        lone = b'{"text": "\\ud800"}'
        answer = await http.post(inject, content=lone, headers={"content-type": "application/json"})
        assert answer.status_code == 400


async def test_its_own_caller_switches_within_its_routes(doors: Doors, tmp_path: Path) -> None:
    key = doors.key(routes=["play", "quiet"])
    async with house(tmp_path) as there, there.client(key) as http:
        call = await there.call(key)
        await call.engine.send_text("hello")
        await asyncio.sleep(5)
        switch = f"/v1/calls/{call.id}/switch"
        done = (await http.post(switch, json={"to": "quiet", "when": "after_turn"})).json()
        assert (done["route"], done["provider"], done["previous"]) == ("quiet", "mock", "mock")
        assert call.route.name == "quiet"
        assert len(call.engine.conversation) == 2
        assert (await http.get(f"/v1/calls/{call.id}")).json()["switches"] == 1
        refused = await http.post(switch, json={"to": "mock"})
        assert code_of(refused) == (403, "route_not_allowed")
        assert code_of(await http.post(switch, json={"to": "none"})) == (404, "model_not_found")
        assert call.route.name == "quiet"


async def test_a_provider_that_cannot_be_had_changes_nothing(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key(scopes=["operate"])) as http:
        call = await there.call()
        answer = await http.post(f"/v1/calls/{call.id}/switch", json={"to": "keyless"})
        assert code_of(answer) == (503, "provider_not_configured")
        assert call.route.name == "play"
        assert call.engine.is_connected()


async def test_it_says_stops_and_hangs_up(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key(scopes=["operate"])) as http:
        call = await there.call()
        path = f"/v1/calls/{call.id}"
        said = await http.post(f"{path}/say", json={"text": "One moment please, thank you."})
        assert said.json() == {"id": call.id, "object": "call", "status": "ok"}
        await asyncio.sleep(0.5)
        assert call.engine.state == "speaking"
        assert (await http.post(f"{path}/interrupt")).status_code == 200
        assert call.engine.state == "idle"
        assert call.engine.conversation[-1].interrupted
        ended = await http.post(f"{path}/hangup", json={"reason": "ü" * 100})
        assert ended.json()["status"] == "ended"
        assert call.ended.is_set()
        assert call.reason == "ü" * 60  # what fits into a close frame
        assert code_of(await http.post(f"{path}/hangup")) == (404, "call_not_found")


async def test_drain_and_back(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key(scopes=["operate"])) as http:
        call = await there.call()
        drained = {"object": "gateway", "draining": True, "calls": 1}
        assert (await http.post("/v1/drain")).json() == drained
        ready = await http.get("/readyz")
        assert (ready.status_code, ready.json()["why"]) == (503, ["draining"])
        with pytest.raises(Refused) as refused:
            await there.call()
        assert refused.value.code == "server_draining"
        assert not call.ending

        assert (await http.delete("/v1/drain")).json()["draining"] is False
        assert (await http.get("/readyz")).status_code == 200
        await (await there.call()).end()

        there.gateway.draining = True  # the process is to end: no operator changes that
        assert code_of(await http.delete("/v1/drain")) == (409, "server_draining")


# -- models


async def test_models(doors: Doors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "AZURE_API_KEY", "AZURE_OPENAI_API_KEY", "XAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XAI_API_KEY", "xai-some-key")
    async with house(tmp_path) as there:
        async with there.client(doors.key()) as http:
            listed = (await http.get("/v1/models")).json()
            owners = {model["id"]: model["owned_by"] for model in listed["data"]}
            assert owners.pop("local", "local") == "local"
            assert owners == {
                "play": "voxengine",
                "quiet": "voxengine",
                "mock": "mock",
                "xai": "xai",
            }
            assert (await http.get("/v1/models/play")).json()["object"] == "model"
            for unknown in ("keyless", "no/such"):
                answer = await http.get(f"/v1/models/{unknown}")
                assert code_of(answer) == (404, "model_not_found")
        async with there.client(doors.key(routes=["quiet"])) as http:
            listed = (await http.get("/v1/models")).json()
            assert [model["id"] for model in listed["data"]] == ["quiet"]


async def test_a_grant_of_no_key_is_not_that_of_a_key(doors: Doors, tmp_path: Path) -> None:
    async with house(tmp_path) as there, there.client(doors.key()) as http:
        call = await there.gateway.open_call(
            wire="websocket",
            model="play",
            grant=Grant(key_id="anyone", scopes=frozenset({Scope.TALK})),
        )
        assert code_of(await http.get(f"/v1/calls/{call.id}")) == (404, "call_not_found")
