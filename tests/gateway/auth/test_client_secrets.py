"""Client secrets: made over HTTP, in OpenAI's form, and what they open."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from fastapi import FastAPI, Request
from openai.types.realtime.client_secret_create_response import ClientSecretCreateResponse
from starlette.responses import JSONResponse

from tests.gateway.auth.conftest import Doors, bearer, id_of
from voxengine.clock import Clock
from voxengine.gateway.auth import client_secrets as module
from voxengine.gateway.auth.client_secrets import Terms
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.grants import Scope
from voxengine.gateway.http.client_secrets import client_secrets_router
from voxengine.gateway.refusal import Refused
from voxengine.gateway.routes import Routes
from voxengine.testing import advance

PATH = "/v1/realtime/client_secrets"
AWAY = "203.0.113.7"


class Server:
    """The route alone, with a gatekeeper and two routes of calls."""

    def __init__(self, doors: Doors) -> None:
        self.doors = doors
        routes = {"support": {"providers": ["mock"]}, "sales": {"providers": ["mock"]}}
        self.keeper = doors.keeper(kept=True)
        gateway: Any = SimpleNamespace(
            gatekeeper=self.keeper, routes=Routes(GatewayConfig.from_dict({"routes": routes}))
        )
        app = FastAPI()
        app.include_router(client_secrets_router(gateway))

        @app.exception_handler(Refused)
        async def refused(_: Request, refusal: Refused) -> JSONResponse:
            return JSONResponse(refusal.body, refusal.status, refusal.headers)

        transport = httpx.ASGITransport(app, client=(AWAY, 1234))
        self.http = httpx.AsyncClient(transport=transport, base_url="http://voice.example")

    async def post(
        self, key: str, body: Any = None, path: str = PATH, **more: Any
    ) -> httpx.Response:
        if body is not None:
            more["json"] = body
        return await self.http.post(path, headers={"authorization": f"Bearer {key}"}, **more)

    async def secret(self, key: str, body: Any = None) -> str:
        answer = await self.post(key, body)
        assert answer.status_code == 200, answer.text
        value: str = answer.json()["value"]
        return value


@pytest.fixture
async def server(doors: Doors) -> AsyncIterator[Server]:
    made = Server(doors)
    yield made
    await made.http.aclose()


async def test_the_answer_is_openais(server: Server) -> None:
    key = server.doors.key()
    session = {
        "type": "realtime",
        "model": "support",
        "instructions": "Be kind.",
        "audio": {"output": {"voice": "marin"}},
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}}],
    }
    for body, seconds in (
        (None, 600),
        ({}, 600),
        ({"expires_after": {"anchor": "created_at", "seconds": 10}}, 10),
        ({"session": session}, 600),
        ({"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": "whisper-1"}}}}}, 600),
    ):  # fmt: skip
        answer = await server.post(key, body)
        assert answer.status_code == 200, answer.text
        made = ClientSecretCreateResponse.model_validate(answer.json(), strict=True)
        assert made.value.startswith("ek_")
        assert made.expires_at == int(Clock().wall() + seconds)
        assert answer.headers["cache-control"] == "no-store"
    told = (await server.post(key, {"session": session})).json()["session"]
    assert {name: told[name] for name in session} == session
    assert told["object"] == "realtime.session"
    assert told["id"].startswith("sess_")


async def test_it_grants_what_it_was_made_for(server: Server) -> None:
    key = server.doors.key(scopes=["talk", "observe", "operate"])
    secret = await server.secret(
        key,
        {
            "session": {"type": "realtime", "model": "support"},
            "voxengine": {"max_cost": 0.5, "max_duration": 120, "concurrency": 1},
        },
    )
    grant = server.keeper.admit(
        {}, subprotocols=["realtime", f"openai-insecure-api-key.{secret}"], address=AWAY
    )
    assert grant.key_id == id_of(key)
    assert grant.routes == ("support",)
    assert grant.scopes == {Scope.TALK}
    assert (grant.max_cost, grant.max_duration) == (0.5, 120)
    assert grant.session == {"type": "realtime", "model": "support"}
    assert grant.secret_id is not None
    assert grant.secret_id not in secret


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        '"text"',
        "{",
        b"\xff\xfe",
        {"expires_after": {"seconds": 9}},
        {"expires_after": {"seconds": 7201}},
        {"expires_after": {"seconds": "60"}},
        {"expires_after": {"anchor": "last_active_at"}},
        {"unknown": 1},
        {"session": []},
        {"session": {"type": "other"}},
        {"session": {"type": []}},
        {"session": {"model": "support"}},
        {"session": {"type": "realtime", "voice": "marin"}},
        {"session": {"type": "realtime", "instructions": 5}},
        {"voxengine": {"max_cost": 0}},
        {"voxengine": {"max_cost": "1"}},
        {"voxengine": {"scopes": ["operate"]}},
    ],
)
async def test_a_body_that_does_not_fit_is_400(server: Server, body: Any) -> None:
    key = server.doors.key()
    more = {"content": body} if isinstance(body, str | bytes) else {"json": body}
    answer = await server.post(key, **more)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["code"]


async def test_a_body_that_is_too_long_is_refused(server: Server) -> None:
    key = server.doors.key()
    assert (await server.post(key, content=b" " * 300_000)).status_code == 413
    long = {"session": {"type": "realtime", "instructions": "x" * 200_000}}
    answer = await server.post(key, long)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "session_too_long"


async def test_who_may_make_one(server: Server) -> None:
    talk, watch = server.doors.key(routes=["support"]), server.doors.key(scopes=["observe"])
    server.keeper.reload()
    secret = await server.secret(talk)

    statuses = {
        "wrong": (await server.post("vox_wrong")).status_code,
        "none": (await server.http.post(PATH)).status_code,
        "in the address": (await server.http.post(f"{PATH}?api_key={talk}")).status_code,
        "watch": (await server.post(watch)).status_code,
        "secret": (await server.post(secret)).status_code,
        "other route": (await server.post(talk, {"session": {"type": "realtime", "model": "sales"}})).status_code,
        "no route": (await server.post(talk, {"session": {"type": "realtime", "model": "nowhere"}})).status_code,
    }  # fmt: skip
    assert statuses == {
        "wrong": 401, "none": 401, "in the address": 401, "watch": 403, "secret": 403, "other route": 403,
        "no route": 404,
    }  # fmt: skip


async def test_one_for_a_route_opens_no_other(server: Server) -> None:
    key = server.doors.key(routes=["support", "sales"])
    secret = await server.secret(key, {"session": {"type": "realtime", "model": "support"}})
    grant = server.keeper.admit(bearer(secret), address=AWAY)
    grant.need_route("support")
    with pytest.raises(Refused) as caught:
        grant.need_route("sales")
    assert caught.value.status == 403

    # A route that the key loses, its secrets lose too.
    server.doors.change(key, routes=("sales",))
    server.keeper.reload()
    assert server.keeper.admit(bearer(secret), address=AWAY).routes == ()


async def test_one_without_a_route_opens_those_of_its_key(server: Server) -> None:
    key = server.doors.key(routes=["support"])
    secret = await server.secret(key)
    assert server.keeper.admit(bearer(secret), address=AWAY).routes == ("support",)


async def test_it_expires(server: Server) -> None:
    key = server.doors.key()
    secret = await server.secret(key, {"expires_after": {"seconds": 10}})
    await advance(9.9)
    server.keeper.admit(bearer(secret), address=AWAY)
    await advance(0.2)
    assert refused(server, secret).status == 401


async def test_it_ends_with_its_key(server: Server) -> None:
    key = server.doors.key()
    secret = await server.secret(key)
    server.keeper.admit(bearer(secret), address=AWAY)
    server.doors.change(key, disabled=True)
    server.keeper.reload()
    refusal = refused(server, secret)
    assert refusal.status == 401
    assert secret not in str(refusal)


async def test_it_is_as_good_after_a_restart_and_in_another_process(server: Server) -> None:
    key = server.doors.key()
    secret = await server.secret(key)
    other = server.doors.keeper(kept=True)
    assert other.admit(bearer(secret), address=AWAY).key_id == id_of(key)

    state = b"".join(path.read_bytes() for path in server.doors.state.iterdir())
    assert secret.encode() not in state
    assert secret[3:].encode() not in state
    assert all(path.stat().st_mode & 0o077 == 0 for path in server.doors.state.iterdir())


async def test_its_budget_is_for_all_its_calls(server: Server) -> None:
    key = server.doors.key(budget={"usd": 10.0})
    secret = await server.secret(key, {"voxengine": {"max_cost": 1.0}})
    other = await server.secret(key, {"voxengine": {"max_cost": 1.0}})

    first = server.keeper.begin(server.keeper.admit(bearer(secret), address=AWAY))
    assert first.spend(0.6)
    first.end(0.7)
    grant = server.keeper.admit(bearer(secret), address=AWAY)
    assert grant.max_cost == pytest.approx(0.3)
    second = server.keeper.begin(grant)
    assert not second.spend(0.3)
    second.end(0.3)

    with pytest.raises(Refused) as caught:
        server.keeper.begin(server.keeper.admit(bearer(secret), address=AWAY))
    assert (caught.value.status, caught.value.code) == (429, "insufficient_quota")
    assert server.keeper.admit(bearer(other), address=AWAY).max_cost == 1.0
    assert server.keeper.admit(bearer(key), address=AWAY).max_cost == pytest.approx(9.0)


async def test_its_calls_at_the_same_time_are_its_own_and_its_keys(server: Server) -> None:
    key = server.doors.key(concurrency=2)
    secret = await server.secret(key, {"voxengine": {"concurrency": 1}})

    def begin(token: str):
        return server.keeper.begin(server.keeper.admit(bearer(token), address=AWAY))

    lease = begin(secret)
    with pytest.raises(Refused):
        begin(secret)
    second = begin(key)
    with pytest.raises(Refused):
        begin(key)
    lease.end()
    begin(secret).end()
    second.end()


async def test_without_keys_they_bind_all_the_same(server: Server) -> None:
    keeper = server.keeper
    assert keeper.open
    local = keeper.admit({"host": "localhost"}, address="127.0.0.1")
    value, _ = keeper.secrets.create(local, Terms(routes=("support",)), 60)

    assert keeper.admit(bearer(value), address="127.0.0.1").routes == ("support",)
    with pytest.raises(Refused) as caught:
        keeper.admit(bearer("ek_" + "0" * 48), address="127.0.0.1")
    assert caught.value.status == 401
    # Nobody holds on to what was given away before there were keys.
    server.doors.key()
    keeper.reload()
    assert refused(server, value).status == 401


async def test_they_are_bounded_and_those_that_expired_go_first(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SECRETS", 3)
    key = server.doors.key()
    short = {"expires_after": {"seconds": 10}}
    made = [await server.secret(key, short if n == 0 else None) for n in range(3)]
    answer = await server.post(key)
    assert answer.status_code == 429
    assert answer.headers["retry-after"] == "10"

    await advance(11)
    await server.secret(key)
    assert (await server.post(key)).status_code == 429
    for secret in made[1:]:
        server.keeper.admit(bearer(secret), address=AWAY)


async def test_headers_of_limits_and_429(server: Server) -> None:
    key = server.doors.key(requests_per_minute=2)
    answers = [await server.post(key) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    left = [answer.headers["x-ratelimit-remaining-requests"] for answer in answers]
    assert left == ["1", "0", "0"]
    assert int(answers[2].headers["retry-after"]) == 30


async def test_no_secret_is_in_a_log_or_a_repr(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    key = server.doors.key()
    with caplog.at_level(logging.DEBUG, "voxengine"):
        secret = await server.secret(key)
        grant = server.keeper.admit(bearer(secret), address=AWAY)
        refusal = refused(server, secret[:-1] + "x")
    shown = [repr(grant), str(msgspec.to_builtins(grant)), str(refusal), caplog.text]
    assert caplog.records
    assert all(secret[3:20] not in text for text in shown)


def refused(server: Server, secret: str) -> Refused:
    with pytest.raises(Refused) as caught:
        server.keeper.admit(bearer(secret), address=AWAY)
    return caught.value
