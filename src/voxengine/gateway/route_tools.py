"""The tools of routes that the gateway runs: a request to a service of the operator's, or a Python function."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from voxengine.errors import ConfigurationError, ToolError
from voxengine.gateway.route_settings import ToolSettings
from voxengine.gateway.routes import Route, Routes
from voxengine.session import Tool

if TYPE_CHECKING:
    import httpx

__all__ = ["RouteTools"]

#: Bytes of an answer that are read.
MAX_ANSWER = 256 * 1024


class RouteTools:
    """Makes tools of the configuration. The connections of all calls' requests are shared."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    def check(self, routes: Routes) -> None:
        """Raise, if a tool cannot be made.

        Raises:
            ConfigurationError: a function is not there, or cannot be described.
        """
        for route in routes:
            try:
                self.of(route)
            except ToolError as failure:
                raise ConfigurationError(f"[routes.{route.name}] {failure}") from None

    def of(self, route: Route) -> tuple[Tool, ...]:
        """The tools of a route that the gateway runs; those of the client are not among them.

        Raises:
            ConfigurationError, ToolError: one cannot be made.
        """
        return tuple(self._make(tool) for tool in route.tools if not tool.is_clients)

    async def close(self) -> None:
        """Close the connections. It can be used again."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def _make(self, tool: ToolSettings) -> Tool:
        if tool.function is not None:
            return Tool(
                _function(tool.function),
                name=tool.name,
                description=tool.description or None,
                parameters=tool.parameters,
                timeout=tool.timeout,
            )
        return Tool(
            self._request(tool),
            name=tool.name,
            description=tool.description,
            parameters=tool.schema()["parameters"],
            timeout=tool.timeout,
        )

    def _request(self, tool: ToolSettings) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def request(**arguments: Any) -> Any:
            headers = {
                name: value
                for name, variable in tool.headers_env.items()
                if (value := os.environ.get(variable))
            }
            headers["content-type"] = "application/json"
            body = msgspec.json.encode(arguments)
            return await self._post(str(tool.url), body, headers)

        return request

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> Any:
        import httpx

        if self._client is None:
            self._client = _make_client()
        try:
            async with self._client.stream("POST", url, content=body, headers=headers) as answer:
                text = await _read(answer)
        except httpx.HTTPError as failure:
            # Its text may hold the address, which is not the model's to know.
            raise ToolError(f"the service did not answer ({type(failure).__name__})") from None
        if not answer.is_success:
            raise ToolError(f"the service answered with status {answer.status_code}")
        try:
            return msgspec.json.decode(text) if text else None
        except msgspec.DecodeError:
            return text.decode("utf-8", "replace")


async def _read(answer: httpx.Response) -> bytes:
    read = bytearray()
    async for chunk in answer.aiter_bytes():
        read += chunk
        if len(read) > MAX_ANSWER:
            raise ToolError(f"the service's answer is longer than {MAX_ANSWER} bytes")
    return bytes(read)


def _make_client() -> httpx.AsyncClient:
    import httpx

    # The time that a call may take as a whole is the tool's.
    return httpx.AsyncClient(
        timeout=httpx.Timeout(None, connect=10.0),
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=20),
        follow_redirects=False,
    )


def _function(reference: str) -> Callable[..., Any]:
    module, _, name = reference.partition(":")
    try:
        function: Any = importlib.import_module(module)
        for part in name.split("."):
            function = getattr(function, part)
    except (ImportError, AttributeError) as failure:
        raise ConfigurationError(f"function {reference!r} is not there: {failure}") from None
    if not callable(function):
        raise ConfigurationError(f"{reference!r} is not a function")
    return function  # type: ignore[no-any-return]
