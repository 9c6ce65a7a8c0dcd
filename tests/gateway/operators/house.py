"""A gateway with keys behind its real port, and clients of its REST."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.gateway.auth.conftest import id_of
from voxengine.gateway.call import Call
from voxengine.gateway.config import GatewayConfig
from voxengine.gateway.gateway import Gateway
from voxengine.gateway.grants import Grant, Scope
from voxengine.gateway.serving import make_front

ROUTES = {
    "play": {"providers": ["mock"], "description": "The usual one"},
    "quiet": {"providers": ["mock"]},
    "keyless": {"providers": ["far"]},
}
PROVIDERS = {"far": {"provider": "openai", "api_key_env": "A_KEY_THAT_IS_NOT_SET"}}


class House:
    def __init__(self, gateway: Gateway, url: str) -> None:
        self.gateway = gateway
        self.url = url

    @asynccontextmanager
    async def client(self, key: str | None = None) -> AsyncIterator[httpx.AsyncClient]:
        self.gateway.gatekeeper.reload()  # a key may have been made since
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False) as http:
            yield http

    async def call(self, key: str | None = None, route: str = "play", **settings: Any) -> Call:
        """A call of whoever holds this key."""
        grant = Grant(
            key_id="anyone" if key is None else id_of(key), scopes=frozenset({Scope.TALK})
        )
        return await self.gateway.open_call(
            wire="websocket", model=route, grant=grant, settings=settings
        )


@asynccontextmanager
async def house(
    folder: Path, routes: Mapping[str, Any] | None = None, **gateway: Any
) -> AsyncIterator[House]:
    own = {"port": 0, "store": "memory", "max_loop_lag_ms": 60_000.0, **gateway}
    content = {
        "gateway": own,
        "keys": {"file": "keys.json"},
        "providers": PROVIDERS,
        "routes": routes or ROUTES,
    }
    made = Gateway(GatewayConfig.from_dict(content, folder=folder))
    front = make_front(made)
    await front.start()
    try:
        yield House(made, f"http://127.0.0.1:{front.port}")
    finally:
        await front.close(1.0)


def code_of(answer: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal, which has OpenAI's form."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return answer.status_code, error["code"]
