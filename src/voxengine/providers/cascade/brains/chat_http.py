"""HTTP towards a chat endpoint: requests, waits with a limit, and every way in which they fail as one of our errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from voxengine.errors import ConnectionError, MessageError, MissingDependencyError, ProviderError
from voxengine.providers.cascade.brains.chat_endpoint import ChatEndpoint
from voxengine.providers.cascade.brains.chat_errors import complaint_of, error_of_status
from voxengine.providers.cascade.brains.http_pool import HttpPool

if TYPE_CHECKING:
    import httpx

__all__ = ["ChatHttp", "Wait", "bytes_of"]

#: Bytes that are read of an answer that is an error.
_ERROR_BYTES = 16 * 1024
#: Seconds that the server's own words about an error may take. The error itself is known by then.
_ERROR_WAIT = 1.0


class Wait:
    """Seconds that are left to wait for the server, however the waiting is divided.

    `async with wait.spend():` raises `TimeoutError` when they are gone. The time in which somebody else is busy with
    what came does not count.
    """

    def __init__(self, seconds: float) -> None:
        self.restart(seconds)

    def restart(self, seconds: float) -> None:
        """Something came: from now on, so many seconds for the next."""
        self.limit = self.left = seconds

    @asynccontextmanager
    async def spend(self) -> AsyncIterator[None]:
        """Around every wait."""
        clock = asyncio.get_running_loop().time
        since = clock()
        try:
            async with asyncio.timeout(max(0.0, self.left)):
                yield
        finally:
            self.left -= clock() - since


class ChatHttp:
    """The requests of one brain. Its connections are shared by all sessions of an event loop."""

    def __init__(self, endpoint: ChatEndpoint, model: str) -> None:
        self._endpoint = endpoint
        self._model = model
        self._pool = HttpPool(self._make_client)

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._pool.close()

    async def open(
        self, method: str, path: str, wait: Wait, body: Mapping[str, Any] | None = None
    ) -> httpx.Response:
        """Send a request and wait for the head of its response, which the caller must close.

        A connection that is lost before any of the response is tried once more: one that was kept open may have been
        closed by the server a moment ago, and asking twice does no harm. A server that is down is not: whoever can
        turn to another one should know at once.

        Raises:
            MissingDependencyError: httpx is not installed.
            ProviderError: code refused, closed or timeout.
        """
        client = await self._pool.get()
        import httpx

        where = self._endpoint.shown
        request = client.build_request(method, self._endpoint.url(path), json=body)
        for last in (False, True):
            try:
                async with wait.spend():
                    return await client.send(request, stream=True)
            except TimeoutError:
                raise self._slow("did not answer", wait) from None
            except httpx.ConnectError as e:
                raise ConnectionError(f"{where} cannot be reached: {e}", code="refused") from e
            except httpx.TransportError as e:
                if last:
                    text = f"{where} closed the connection: {type(e).__name__}"
                    raise ConnectionError(text, code="closed") from e
        raise AssertionError("unreachable")

    async def read(
        self, source: AsyncIterator[bytes], wait: Wait, *, complete: bool
    ) -> bytes | None:
        """The next bytes, None at the end. Where the answer is `complete` already, trouble is the end too.

        Raises:
            ProviderError: code closed or timeout.
        """
        import httpx

        try:
            async with wait.spend():
                return await anext(source, None)
        except TimeoutError:
            if complete:
                return None
            raise self._slow("sent nothing more", wait) from None
        except httpx.RemoteProtocolError:
            # Chunked encoding without its end: the stream tells whether anything is missing.
            return None
        except httpx.TransportError as e:
            if complete:
                return None
            text = f"{self._endpoint.shown} was lost: {type(e).__name__}"
            raise ConnectionError(text, code="closed") from e

    async def refusal(self, response: httpx.Response) -> ProviderError:
        """The error that a response stands for, with the server's own words as far as they come."""
        import httpx

        body, wait = b"", Wait(_ERROR_WAIT)
        try:
            async with aclosing(bytes_of(response)) as source:
                while len(body) < _ERROR_BYTES:
                    async with wait.spend():
                        chunk = await anext(source, None)
                    if chunk is None:
                        break
                    body += chunk
        except (TimeoutError, httpx.HTTPError):
            pass
        said = self._endpoint.censor(body[:_ERROR_BYTES].decode("utf-8", "replace"))
        where, complaint, headers = self._endpoint.shown, complaint_of(said), response.headers
        if response.status_code == 200:
            text = f"{where} sent {headers.get('content-type')} instead of a stream: {complaint}"
            return MessageError(text, code="bad_response")
        return error_of_status(
            response.status_code, headers, complaint, where=where, model=self._model
        )

    def _make_client(self) -> httpx.AsyncClient:
        try:
            import httpx
        except ImportError as e:
            raise MissingDependencyError("the openai-chat brain", "chat", str(e)) from e
        return httpx.AsyncClient(
            headers=self._endpoint.headers,
            # Our own waits are finer: they cover a whole step, and tell the first token from the next.
            timeout=None,  # noqa: S113
            # A proxy of the environment cannot reach a server on this machine.
            trust_env=not self._endpoint.local,
        )

    def _slow(self, what: str, wait: Wait) -> ProviderError:
        text = f"{self._endpoint.shown} {what} within {wait.limit:g} s"
        return ProviderError(text, code="timeout", retryable=True)


def bytes_of(response: httpx.Response) -> AsyncGenerator[bytes]:
    """The body of a response, to be closed by the caller."""
    # It is a generator, which must be closed, though its declaration says less.
    source = response.aiter_bytes()
    assert isinstance(source, AsyncGenerator)
    return source
