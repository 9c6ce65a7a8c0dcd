"""The whole server: real sockets, OpenAI's own client, signals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from openai import AsyncOpenAI

from tests.gateway.gateways import config, until
from voxengine.errors import ConfigurationError
from voxengine.gateway.app import create_app
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.reloading import Signals
from voxengine.gateway.server import Front
from voxengine.gateway.serving import make_front, serve
from voxengine.testing.oracles.openai_realtime import realtime_judge

pytestmark = pytest.mark.real_clock


class Served:
    """A gateway that is being served."""

    def __init__(self, gateway: Gateway, front: Front, task: asyncio.Task[bool]) -> None:
        self.gateway = gateway
        self.front = front
        self.task = task

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    def socket(self, query: str = "model=play", path: str = "/v1/realtime", **options: Any) -> Any:
        url = f"ws://127.0.0.1:{self.front.port}{path}?{query}"
        return websockets.connect(url, **options)


@asynccontextmanager
async def served(gateway: Gateway | None = None, **options: Any) -> AsyncIterator[Served]:
    made = gateway or Gateway(config(port=0, **options))
    front = make_front(made)
    ready = asyncio.Event()
    signals = Signals(made)
    task = asyncio.create_task(serve(made, front, ready=lambda _: ready.set(), signals=signals))
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield Served(made, front, task)
    finally:
        signals.stop.set()
        signals.hurry.set()
        await task


async def receive(socket: Any) -> dict[str, Any]:
    event = json.loads(await asyncio.wait_for(socket.recv(), 10))
    assert isinstance(event, dict)
    return event


async def status_of(connecting: Any) -> tuple[int, dict[str, Any]]:
    """The status and the body of a handshake that is refused."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        await connecting
    body = json.loads(refused.value.response.body)
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return refused.value.response.status_code, body["error"]


# -- HTTP


async def test_health_and_the_end_of_the_path():
    async with served() as server, httpx.AsyncClient(base_url=server.http) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        assert (await http.get("/readyz")).json() == {"status": "ready"}

        missing = await http.get("/v1/nothing")
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "not_found"
        wrong = await http.post("/healthz")
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (405, "method_not_allowed")

        schema = (await http.get("/openapi.json")).json()
        assert schema["info"]["title"] == "VoxEngine gateway"
        assert {"/healthz", "/readyz", "/v1/realtime/client_secrets"} <= set(schema["paths"])
        assert (await http.get("/")).headers["content-type"].startswith("text/html")


async def test_not_ready_while_it_drains():
    async with served() as server, httpx.AsyncClient(base_url=server.http) as http:
        server.gateway.draining = True

        answer = await http.get("/readyz")

        assert answer.status_code == 503
        assert answer.json() == {"status": "not_ready", "why": ["draining"]}
        assert (await http.get("/healthz")).status_code == 200


# -- calls


async def test_openais_client_talks_to_it():
    async with served() as server:
        client = AsyncOpenAI(api_key="anything", base_url=f"{server.http}/v1")
        async with client, client.realtime.connect(model="play") as connection:
            created = await asyncio.wait_for(connection.recv(), 10)
            assert created.type == "session.created"
            await connection.session.update(
                session={"type": "realtime", "output_modalities": ["text"]}
            )
            await connection.conversation.item.create(
                item={
                    "type": "message",
                    "role": "user",
                    "content": [{"type": "input_text", "text": "Hello"}],
                }
            )
            await connection.response.create()
            text = ""
            judge = realtime_judge()
            async with asyncio.timeout(20):
                async for event in connection:
                    assert judge.server(event.to_dict()) == []
                    if event.type == "response.output_text.done":
                        text = event.text
                    if event.type == "response.done":
                        break
            assert text == "You said: Hello"
            assert len(server.gateway.calls) == 1


@pytest.mark.parametrize("path", ["/v1/realtime", "/openai/v1/realtime"])
async def test_the_handshake_names_the_call(path: str):
    protocols = ["realtime", "openai-insecure-api-key.anything"]
    async with (
        served() as server,
        server.socket(path=path, subprotocols=protocols) as socket,
    ):
        assert socket.subprotocol == "realtime"
        call_id = socket.response.headers["x-voxengine-call-id"]
        call = server.gateway.calls.get(call_id)
        assert call is not None
        created = await receive(socket)
        assert created["session"]["id"] == call.session_id
        assert call.attached


async def test_a_deployment_of_azures_clients():
    async with served() as server, server.socket("deployment=play&api-version=1") as socket:
        assert (await receive(socket))["type"] == "session.created"


REFUSED = [
    ("model=nobody", 404, "model_not_found"),
    ("resume=sess_nothing", 404, "session_not_found"),
    ("call_id=rtc_1", 404, "call_not_found"),
    ("model=play&intent=singing", 400, "invalid_value"),
]


@pytest.mark.parametrize(("query", "status", "code"), REFUSED)
async def test_what_is_refused(query: str, status: int, code: str):
    async with served() as server:
        found, error = await status_of(server.socket(query))

        assert (found, error["code"]) == (status, code)
        assert len(server.gateway.calls) == 0


async def test_a_client_that_lost_its_connection_comes_back():
    async with served() as server:
        async with server.socket() as socket:
            session_id = (await receive(socket))["session"]["id"]
            socket.transport.abort()
        call = server.gateway.calls.by_session(session_id)
        assert call is not None
        await until(lambda: not call.attached)

        async with server.socket(f"resume={session_id}") as socket:
            assert (await receive(socket))["session"]["id"] == session_id
            assert socket.response.headers["x-voxengine-call-id"] == call.id
            assert call.attached
            assert len(server.gateway.calls) == 1
        # It has closed its connection by itself now.
        await asyncio.wait_for(call.ended.wait(), 10)


async def test_a_transcription():
    async with served() as server, server.socket("intent=transcription") as socket:
        created = await receive(socket)
        assert created["session"]["type"] == "transcription"


async def test_the_application_under_another_server():
    gateway = Gateway(config())
    settings = uvicorn.Config(
        create_app(gateway), port=0, log_config=None, ws="websockets-sansio", lifespan="on"
    )
    server = uvicorn.Server(settings)
    serving = asyncio.create_task(server._serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with websockets.connect(f"ws://127.0.0.1:{port}/v1/realtime?model=play") as socket:
            assert (await receive(socket))["type"] == "session.created"
            assert len(gateway.calls) == 1
        assert (await status_of(websockets.connect(f"ws://127.0.0.1:{port}/v1/realtime?model=no")))[
            0
        ] == 404
    finally:
        server.should_exit = True
        await serving
    assert not gateway.started


# -- where it listens


async def test_without_a_key_only_this_machine(tmp_path: Path):
    gateway = Gateway(config(folder=tmp_path, host="0.0.0.0"))
    try:
        with pytest.raises(ConfigurationError, match="keys create"):
            make_front(gateway)
    finally:
        await gateway.close()


async def test_a_certificate_that_does_not_do(tmp_path: Path):
    gateway = Gateway(config(folder=tmp_path, tls_certificate="a.pem", tls_key="b.pem"))
    try:
        with pytest.raises(ConfigurationError, match=r"a\.pem"):
            make_front(gateway)
    finally:
        await gateway.close()


async def test_a_port_that_is_taken():
    async with served() as server:
        other = Gateway(config(port=server.front.port))
        with pytest.raises(OSError, match="in use"):
            await serve(other, make_front(other))
        assert not other.started


# -- signals


async def test_the_first_signal_drains_and_the_second_hurries():
    async with served(drain_timeout=3600) as server, server.socket() as socket:
        await receive(socket)
        os.kill(os.getpid(), signal.SIGTERM)
        async with httpx.AsyncClient(base_url=server.http) as http:
            await until(lambda: server.gateway.draining)
            assert (await http.get("/readyz")).status_code == 503
        status, error = await status_of(server.socket())
        assert (status, error["code"]) == (503, "server_draining")
        assert not server.task.done()

        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(asyncio.shield(server.task), 10) is False
        with pytest.raises(websockets.ConnectionClosed):
            await receive(socket)
        assert socket.close_code == 1001


async def test_a_drain_is_over_when_the_last_call_is():
    async with served(drain_timeout=3600) as server:
        async with server.socket() as socket:
            created = await receive(socket)
            os.kill(os.getpid(), signal.SIGINT)
            call = server.gateway.calls.by_session(created["session"]["id"])
            assert call is not None
            await asyncio.sleep(0.1)
            await call.end("enough")
        assert await asyncio.wait_for(asyncio.shield(server.task), 10) is True


async def test_hangup_reads_the_configuration_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "voxengine.toml"
    top = '[gateway]\nstore = "memory"\nport = 0\n'
    path.write_text(f'{top}[routes.old]\nproviders = ["mock"]\n')
    async with served(Gateway(file=path)) as server, server.socket("model=old") as socket:
        await receive(socket)
        path.write_text(f'{top}[routes.new]\nproviders = ["mock"]\n')
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "anew" in caplog.text)

        async with server.socket("model=new") as other:
            await receive(other)
        assert (await status_of(server.socket("model=old")))[0] == 404

        path.write_text("[gatway]\n")
        os.kill(os.getpid(), signal.SIGHUP)
        await until(lambda: "did you mean 'gateway'" in caplog.text)
        async with server.socket("model=new") as other:
            await receive(other)
        # The call of the first configuration goes on all the while.
        await socket.send(json.dumps({"type": "response.create"}))
        assert (await receive(socket))["type"] != "error"
