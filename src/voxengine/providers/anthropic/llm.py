"""Claude as a brain of a cascade, through the vendor's own client (extra `anthropic`)."""

from __future__ import annotations

import asyncio
import importlib.util
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, cast

from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingDependencyError,
    ProviderError,
    VoiceEngineError,
)
from voxengine.lazy import load_module
from voxengine.providers.anthropic.answer import Answer
from voxengine.providers.anthropic.failures import error_of, is_stale, refuses_temperature
from voxengine.providers.anthropic.request import (
    Thoughts,
    cached,
    messages_of,
    system_of,
    tools_of,
)
from voxengine.providers.cascade.brains.http_pool import HttpPool
from voxengine.providers.cascade.brains.options import check_names, number, text
from voxengine.providers.cascade.parts import BrainEvent, Message, ToolSpec
from voxengine.providers.endpoints import need_key

__all__ = ["DEFAULT_MODEL", "AnthropicBrain"]

DEFAULT_MODEL = "claude-haiku-5-5"
KEY_VARIABLES = ("ANTHROPIC_API_KEY",)
#: Tokens of an answer, where it is not said otherwise. The API insists on a number; nobody speaks longer than that.
MAX_TOKENS = 1024
#: Seconds for which a connection is kept that nobody uses: users think.
KEEP_S = 120.0

_OPTIONS = (
    "api_key",
    "api_key_env",
    "base_url",
    "cache",
    "effort",
    "extra",
    "max_tokens",
    "temperature",
    "thinking",
    "timeout_s",
    "token_timeout_s",
    "warm_up",
)
#: What `extra` may not hold: the brain says it itself.
_TAKEN = frozenset({"max_tokens", "messages", "model", "stream", "system", "tools"})


class AnthropicBrain:
    """Answers through `POST /v1/messages`, streaming. One serves all sessions with the same options.

    Args:
        model: "claude-haiku-5-5" and the like.
        options: see docs/providers/anthropic.md.

    Raises:
        ConfigurationError: an option is wrong or missing.
    """

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        check_names("anthropic", options, _OPTIONS)
        self.name = "anthropic"
        self.model = model or DEFAULT_MODEL
        named = text("anthropic", options, "api_key_env")
        variables = (named,) if named else KEY_VARIABLES
        self._key = need_key("anthropic", text("anthropic", options, "api_key"), variables)
        self._base_url = text("anthropic", options, "base_url")
        self._first_s = number("anthropic", options, "timeout_s", 10, above=True)
        self._next_s = number("anthropic", options, "token_timeout_s", self._first_s, above=True)
        self._cache = bool(options.get("cache", True))
        self._warm_up = bool(options.get("warm_up", True))
        self._fixed = _fixed_fields(self.model, options)
        #: More fields of the request, which the client's types do not have.
        self._extra = _extra_fields(options)
        #: Whether this model takes `temperature`, as far as is known.
        self._cool = True
        self._thoughts = Thoughts()
        self._pool = HttpPool(cast("Any", self._make_client))
        #: Sessions that have loaded it and not closed it, and answers that are under way, by their event loop.
        self._users: dict[asyncio.AbstractEventLoop, int] = {}
        self._asked: Counter[asyncio.AbstractEventLoop] = Counter()

    def __repr__(self) -> str:
        return f"AnthropicBrain(model={self.model!r})"

    async def load(self) -> None:
        """Open a connection, so that the first turn does not pay for it. `warm_up = false` leaves it out.

        Raises:
            MissingDependencyError: the vendor's client is not installed.
            ProviderError: it cannot be reached (refused), or does not accept the key (auth).
        """
        loop = asyncio.get_running_loop()
        self._users = {each: n for each, n in self._users.items() if not each.is_closed()}
        self._users[loop] = self._users.get(loop, 0) + 1
        client = await self._client()
        if self._warm_up:
            await self._look(client)

    async def close(self) -> None:
        """A session has ended: with the last of them, the connections of the running event loop are closed."""
        loop = asyncio.get_running_loop()
        left = self._users[loop] = max(0, self._users.get(loop, 0) - 1)
        if not left and loop not in self._asked:
            await self._pool.close()

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncGenerator[BrainEvent]:
        """Answer the conversation. Closing the iterator closes the request, on which the vendor stops to generate.

        Raises:
            MissingDependencyError: the vendor's client is not installed.
            ProviderError: code refused, closed, timeout, bad_response, auth, rate_limit, quota, model_not_found,
                context_length, bad_request, content_filter, overloaded or server_error.
        """
        body: dict[str, Any] = {"messages": messages_of(messages, self._thoughts), **self._fixed}
        if system := system_of(messages):
            body["system"] = system
        if tools:
            body["tools"] = tools_of(tools)
        if self._cache:
            body = cached(body)
        extra = dict(self._extra)
        if temperature is not None:
            extra["temperature"] = temperature
        loop = asyncio.get_running_loop()
        self._asked[loop] += 1
        try:
            stream = await self._ask(body, extra)
            answer, wait = Answer(self.model, self._thoughts), self._first_s
            async with aclosing(stream.response), aclosing(aiter(stream)) as events:
                while (event := await self._next(events, wait)) is not None:
                    wait = self._next_s
                    for said in answer.feed(event):
                        yield said
                for said in answer.end():
                    yield said
        finally:
            self._asked[loop] -= 1
            self._asked = +self._asked

    async def _ask(self, body: dict[str, Any], extra: dict[str, Any]) -> Any:
        """The stream of a request that the vendor has accepted."""
        client = await self._client()
        asked_again = False
        while True:
            sent = {n: v for n, v in extra.items() if self._cool or n != "temperature"}
            try:
                async with asyncio.timeout(self._first_s):
                    return await client.messages.create(**body, stream=True, extra_body=sent)
            except TimeoutError:
                error: VoiceEngineError = self._slow("did not answer", self._first_s)
            except Exception as failure:
                if "temperature" in sent and refuses_temperature(failure):
                    self._cool = False
                    continue
                if not asked_again and is_stale(failure):
                    asked_again = True
                    continue
                error = error_of(failure, self.model, self._key)
            raise error

    async def _next(self, events: Any, wait: float) -> Any:
        try:
            async with asyncio.timeout(wait):
                return await anext(events, None)
        except TimeoutError:
            error: VoiceEngineError = self._slow("sent nothing more", wait)
        except Exception as failure:
            error = error_of(failure, self.model, self._key)
        # Not from in there: with the client's own error, its half-read response would live on.
        raise error

    async def _client(self) -> Any:
        """The vendor's client of the running event loop."""
        try:
            await load_module("anthropic")
            await load_module("httpx2")
        except ImportError as failure:
            raise MissingDependencyError(
                "the anthropic brain", "anthropic", str(failure)
            ) from failure
        found: Any = await self._pool.get()
        return found.client

    async def _look(self, client: Any) -> None:
        """Ask for something small: that opens a connection, and shows whether the key is accepted."""
        try:
            async with asyncio.timeout(self._first_s):
                await client.models.list(limit=1)
            return
        except TimeoutError:
            return  # a list of models that is slow says nothing about the answers
        except Exception as failure:
            error = error_of(failure, self.model, self._key)
        refused = isinstance(error, ProviderError) and error.code in ("refused", "closed")
        if refused or isinstance(error, AuthenticationError):
            raise error

    def _make_client(self) -> _Client:
        import anthropic
        import httpx2

        http = anthropic.DefaultAsyncHttpxClient(
            limits=httpx2.Limits(keepalive_expiry=KEEP_S),
            # With it, all sessions go over one connection.
            http2=importlib.util.find_spec("h2") is not None,
        )
        # Our own waits are finer, and a session decides itself what is tried again.
        return _Client(
            anthropic.AsyncAnthropic(
                api_key=self._key,
                base_url=self._base_url,
                http_client=http,
                max_retries=0,
                timeout=None,
            )
        )

    def _slow(self, what: str, seconds: float) -> ProviderError:
        return ProviderError(
            f"Anthropic {what} within {seconds:g} s", code="timeout", retryable=True
        )


class _Client:
    """The vendor's client, closed as the pool closes."""

    def __init__(self, client: Any) -> None:
        self.client = client

    async def aclose(self) -> None:
        """Close its connections."""
        await self.client.close()


def _fixed_fields(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the request that is the same for every answer."""
    most = number("anthropic", options, "max_tokens", MAX_TOKENS, least=1)
    body: dict[str, Any] = {"model": model, "max_tokens": int(most)}
    thinking = options.get("thinking")
    if isinstance(thinking, str):
        thinking = {"type": thinking}
    if thinking is not None:
        if not isinstance(thinking, Mapping) or "type" not in thinking:
            raise ConfigurationError(
                "option 'thinking' of the anthropic brain is a type ('adaptive', 'disabled') or a table with one"
            )
        body["thinking"] = dict(thinking)
    effort = text("anthropic", options, "effort")
    if effort is not None:
        body["output_config"] = {"effort": effort}
    return body


def _extra_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    extra = options.get("extra") or {}
    if not isinstance(extra, Mapping):
        raise ConfigurationError("option 'extra' of the anthropic brain is a table of fields")
    if taken := sorted(_TAKEN & set(extra)):
        raise ConfigurationError(
            f"option 'extra' of the anthropic brain cannot set {', '.join(taken)}"
        )
    fields = dict(extra)
    if options.get("temperature") is not None:
        fields["temperature"] = number("anthropic", options, "temperature", 0)
    return fields
