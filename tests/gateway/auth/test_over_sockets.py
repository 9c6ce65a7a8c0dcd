"""The whole gateway on a socket: who gets in, as unmodified clients see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import openai
import pytest
import websockets
from websockets.asyncio.client import connect

from tests.gateway.auth.conftest import Doors, id_of
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.serving import make_front


class House:
    """A gateway that listens, with the routes `support` and `sales`."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self.gateway = gateway
        self.netloc = f"127.0.0.1:{port}"

    def client(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(api_key=key, base_url=f"http://{self.netloc}/v1", max_retries=0)

    async def status(self, path: str = "/v1/realtime?model=support", **options) -> int:
        """The status with which a WebSocket is answered: 101, if it is opened."""
        try:
            async with connect(f"ws://{self.netloc}{path}", proxy=None, **options):
                return 101
        except websockets.InvalidStatus as refusal:
            return refusal.response.status_code


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    content = {
        "gateway": {"port": 0, "store": "memory"},
        "keys": {"file": "keys.json"},
        "routes": {"support": {"providers": ["mock"]}, "sales": {"providers": ["mock"]}},
    }
    gateway = Gateway(GatewayConfig.from_dict(content, folder=folder))
    front = make_front(gateway)
    await front.start()
    try:
        yield House(gateway, front.port)
    finally:
        await front.close(1.0)


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def test_keys_and_client_secrets_of_the_official_client(doors: Doors, tmp_path: Path) -> None:
    key = doors.key(routes=["support", "sales"])
    async with house(tmp_path) as there:
        async with there.client(key) as client:
            made = await client.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 60},
                session={"type": "realtime", "model": "support"},
                extra_body={"voxengine": {"concurrency": 1}},
            )
        async with there.client(made.value) as client:
            async with client.realtime.connect(model="support") as connection:
                event = await connection.recv()
                assert event.type == "session.created"
                [call] = there.gateway.calls
                assert (call.grant.key_id, call.grant.secret_id is None) == (id_of(key), False)
                assert await there.status(additional_headers=bearer(made.value)) == 429
            with pytest.raises(openai.PermissionDeniedError):
                await client.realtime.client_secrets.create()
        async with there.client("vox_0123456789_" + "0" * 48) as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                await client.realtime.client_secrets.create()
            assert caught.value.code == "invalid_api_key"


async def test_what_a_handshake_is_answered(doors: Doors, tmp_path: Path) -> None:
    key = doors.key(routes=["support"])
    name = f"openai-insecure-api-key.{key}"
    async with house(tmp_path) as there:
        assert await there.status(additional_headers=bearer(key)) == 101
        assert await there.status(additional_headers={"api-key": key}) == 101
        assert await there.status(subprotocols=["realtime", name]) == 101
        assert await there.status() == 401
        assert await there.status(f"/v1/realtime?model=support&api-key={key}") == 401
        assert await there.status(additional_headers=bearer(key + "0")) == 401
        twice = [("api-key", key), ("api-key", key[:-1] + "x")]
        assert await there.status(additional_headers=twice) in (400, 401)
        assert await there.status("/v1/realtime?model=sales", additional_headers=bearer(key)) == 403
        evil = {"origin": "https://evil.example"}
        assert await there.status(additional_headers=bearer(key) | evil) == 403
        # Nothing that was refused holds a place, or reached a provider.
        assert all(call.grant.key_id == id_of(key) for call in there.gateway.calls)


async def test_without_keys_a_page_of_another_name_does_not_get_in(tmp_path: Path) -> None:
    async with house(tmp_path) as there, httpx.AsyncClient(trust_env=False) as http:
        url = f"http://{there.netloc}/v1/realtime/client_secrets"
        assert (await http.post(url)).status_code == 200
        rebound = await http.post(url, headers={"host": "evil.example"})
        assert rebound.status_code == 403
        assert rebound.json()["error"]["code"] == "local_only"
        assert (await http.post(url, headers={"origin": "https://evil.example"})).status_code == 403
        assert await there.status(additional_headers={"origin": "https://evil.example"}) == 403
        assert await there.status() == 101


async def test_many_wrong_keys_disturb_nobody(doors: Doors, tmp_path: Path) -> None:
    key = doors.key()
    async with house(tmp_path) as there, httpx.AsyncClient(trust_env=False) as http:
        url = f"http://{there.netloc}/v1/realtime/client_secrets"
        statuses = [
            (await http.post(url, headers=bearer(f"vox_{n:010x}_{n:048x}"))).status_code
            for n in range(60)
        ]
        assert set(statuses) == {401, 429}
        assert statuses[-1] == 429
        assert await there.status(additional_headers=bearer(key)) == 101
