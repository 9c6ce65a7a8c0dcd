"""Azure's native client: imported when it is needed, configured, and what went wrong in it in our words.

The client has threads of its own, on which it calls back. Whatever it tells is handed to the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable
from typing import Any

from voxengine.errors import MissingDependencyError, ProviderError
from voxengine.lazy import load_module
from voxengine.providers.azure_speech.access import Access
from voxengine.providers.failures import error_of

__all__ = ["CODES", "Handover", "config_of", "failure_of", "let_go", "load_sdk", "misuse_of"]

#: The client's own name of an error.
_ERROR = re.compile(r"SPXERR_\w+")

#: `CancellationErrorCode` of the client, by name: our code.
CODES = {
    "AuthenticationFailure": "auth",
    "BadRequest": "message",
    "TooManyRequests": "rate_limit",
    "Forbidden": "quota",
    "ConnectionFailure": "closed",
    "ServiceTimeout": "timeout",
    "ServiceError": "server",
    "ServiceUnavailable": "server",
}


async def load_sdk(feature: str) -> Any:
    """The module of the native client.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return await load_module("azure.cognitiveservices.speech")
    except (ImportError, OSError) as failure:
        raise MissingDependencyError(feature, "azure-speech", str(failure)) from failure


def config_of(sdk: Any, access: Access, path: str, endpoint_id: str | None = None) -> Any:
    """The client's configuration. `path` is the service's at an address of its own; "" leaves it to the client."""
    if access.endpoint is None:
        config = sdk.SpeechConfig(subscription=access.key, region=access.region)
    elif path:
        address = f"{_websocket(access.endpoint)}{path}"
        config = sdk.SpeechConfig(subscription=access.key, endpoint=address)
    else:
        config = sdk.SpeechConfig(subscription=access.key, host=_websocket(access.endpoint))
    if endpoint_id is not None:
        config.endpoint_id = endpoint_id
    return config


def _websocket(endpoint: str) -> str:
    scheme, _, rest = endpoint.rstrip("/").rpartition("://")
    return f"{'ws' if scheme in ('ws', 'http') else 'wss'}://{rest}"


def failure_of(part: str, details: Any, key: str) -> ProviderError:
    """What the client says when it gives up, as an error: its words without the key."""
    # Of a recogniser it is `code`, of a synthesizer `error_code`.
    found = getattr(details, "code", None) or getattr(details, "error_code", None)
    name = str(getattr(found, "name", ""))
    words = str(details.error_details or name).partition(" SessionId:")[0].replace(key, "***")
    code = CODES.get(name, "server")
    failure = error_of(code, words, part)
    failure.retryable = failure.retryable or code == "closed"
    return failure


def misuse_of(part: str, failure: BaseException, key: str) -> ProviderError:
    """What the client itself complains of, such as an address that is none. Of its call stack nothing is told."""
    found = _ERROR.search(str(failure))
    words = found[0] if found else str(failure).partition("\n")[0]
    return ProviderError(f"{part}: {words.replace(key, '***')}", provider=part, code="message")


class Handover:
    """Gives what the client's threads tell to the event loop, in order, until it is closed."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._open = True

    def __call__(self, call: Callable[..., None], *args: Any) -> None:
        """Call this on the loop. From any thread."""
        if self._open:
            # A loop that is closed meanwhile has nobody to tell.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._run, call, args)

    def close(self) -> None:
        """Nothing more is told."""
        self._open = False

    def _run(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if self._open:
            call(*args)


async def let_go(objects: list[Any], stop: Callable[..., None], seconds: float) -> None:
    """Stop the client's objects and free them, in a thread, for both may take a while; wait so long at most.

    `objects` must be the last to hold them; `stop` is called with them. Its failure is of no interest.
    """

    def work() -> None:
        try:
            stop(*objects)
        finally:
            objects.clear()

    task = asyncio.ensure_future(asyncio.to_thread(work))
    await asyncio.wait([task], timeout=seconds)
    if task.done() and not task.cancelled():
        task.exception()
    else:
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
