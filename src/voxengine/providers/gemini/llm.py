"""Gemini's text models as a brain of a cascade, through the vendor's own client (extra `google`)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any, cast
from urllib.parse import urlsplit

from voxengine.errors import (
    AuthenticationError,
    ConfigurationError,
    ConnectionError,
    MessageError,
    MissingDependencyError,
    ProviderError,
    RateLimitError,
    VoiceEngineError,
)
from voxengine.providers.cascade.brains.http_pool import HttpPool
from voxengine.providers.cascade.brains.options import check_names, number, text
from voxengine.providers.cascade.parts import BrainEvent, Message, ToolSpec
from voxengine.providers.endpoints import need_key
from voxengine.providers.gemini.contents import (
    Signatures,
    Stream,
    contents_of,
    instruction_of,
    tools_of,
)
from voxengine.providers.gemini.place import KEY_VARIABLES

__all__ = ["DEFAULT_MODEL", "GeminiBrain"]

DEFAULT_MODEL = "gemini-3.8-flash"

_OPTIONS = (
    "api_key",
    "api_key_env",
    "base_url",
    "config",
    "location",
    "max_tokens",
    "project",
    "temperature",
    "timeout_s",
    "token_timeout_s",
    "vertex",
)
#: What `config` may not hold: the brain says it itself.
_TAKEN = frozenset({"tools", "system_instruction", "automatic_function_calling", "http_options"})


#: Where HTTP responses are noted that are opened in this context.
_opened: ContextVar[list[Any]] = ContextVar("gemini_responses")


async def _remember(response: Any) -> None:
    _opened.get([]).append(response)


class GeminiBrain:
    """Answers through `streamGenerateContent`.

    Options: `api_key` (or GEMINI_API_KEY), `api_key_env` (the name of another variable), `base_url`; `vertex` with
    `project` and `location`, where Google's library finds the credentials; `temperature`, `max_tokens`; `timeout_s` to
    the first token and `token_timeout_s` to the next; `config`: fields of the vendor's GenerateContentConfig.

    Raises:
        ConfigurationError: an option is wrong or missing.
    """

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        check_names("gemini", options, _OPTIONS)
        self.name = "gemini"
        self.model = model or DEFAULT_MODEL
        self._first_s = number("gemini", options, "timeout_s", 10, above=True)
        self._next_s = number("gemini", options, "token_timeout_s", self._first_s, above=True)
        self._base_url = text("gemini", options, "base_url")
        self._client_settings = _client_settings(options)
        self._fixed = _fixed_fields(options)
        self._signatures = Signatures()
        # It closes what has `aclose`, as the vendor's client does.
        self._pool = HttpPool(cast("Any", self._make_client))

    def __repr__(self) -> str:
        return f"GeminiBrain(model={self.model!r})"

    async def load(self) -> None:
        """Look whether the vendor's client is there; nothing is connected.

        Raises:
            MissingDependencyError: it is not installed.
        """
        await self._pool.get()

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._pool.close()

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncGenerator[BrainEvent]:
        """Answer the conversation. Closing the iterator closes the request.

        Raises:
            MissingDependencyError: the vendor's client is not installed.
            ProviderError: code refused, closed, timeout, bad_response, auth, rate_limit, quota, model_not_found,
                bad_request, content_filter or server_error.
        """
        client: Any = await self._pool.get()
        config = dict(self._fixed)
        if temperature is not None:
            config["temperature"] = temperature
        instruction = instruction_of(messages)
        if instruction is not None:
            config["system_instruction"] = instruction
        if tools:
            config["tools"] = tools_of(tools)
        contents = contents_of(messages, self._signatures)
        stream = Stream(self.model, self._signatures)
        # Beginning it sends nothing yet; that is done with the first step.
        responses = await client.google.aio.models.generate_content_stream(
            model=self.model, contents=contents, config=config
        )
        opened: list[Any] = []
        try:
            async with aclosing(responses) as source:
                wait = self._first_s
                while (response := await self._next(source, wait, opened)) is not None:
                    wait = self._next_s
                    for event in stream.feed(response):
                        yield event
        finally:
            # The vendor's client leaves the request open when nobody reads on.
            for each in opened:
                await each.aclose()
        for event in stream.end():
            yield event

    async def _next(self, source: AsyncGenerator[Any], wait: float, opened: list[Any]) -> Any:
        """The next piece, None at the end. HTTP responses that are opened for it are added to `opened`."""
        token = _opened.set(opened)
        try:
            async with asyncio.timeout(wait):
                return await anext(source, None)
        except TimeoutError:
            words = f"Gemini sent nothing within {wait:g} s"
            raise ProviderError(words, code="timeout", retryable=True) from None
        except Exception as failure:
            # Without its frames, which hold the whole response.
            raise self._error(failure) from failure.with_traceback(None)
        finally:
            _opened.reset(token)

    def _make_client(self) -> Any:
        try:
            import httpx2
            from google import genai
        except ImportError as failure:
            raise MissingDependencyError("the gemini brain", "google", str(failure)) from failure
        # Its own choice would be aiohttp, where that is installed. Our waits are finer than a timeout of all.
        connections = httpx2.AsyncClient(
            timeout=None,
            trust_env=not self._local,
            event_hooks={"response": [_remember]},
        )
        http: dict[str, Any] = {
            "retry_options": {"attempts": 1},
            "httpx_async_client": connections,
        }
        if self._base_url is not None:
            http["base_url"] = self._base_url
        client = genai.Client(**self._client_settings, http_options=cast("Any", http))
        return _Client(client, connections)

    @property
    def _local(self) -> bool:
        """Whether it is on this machine, where a proxy of the environment cannot reach it."""
        host = urlsplit(self._base_url or "").hostname
        return host in ("localhost", "127.0.0.1", "::1")

    def _error(self, failure: Exception) -> VoiceEngineError:
        """What the vendor's client raises, as one of our errors."""
        if isinstance(failure, VoiceEngineError):
            return failure
        from google.genai import errors

        if isinstance(failure, errors.APIError):
            failure.response = None  # it holds on to the connection
            return _refusal(failure, self.model)
        kind = type(failure)
        if kind.__name__ in ("ConnectError", "ConnectTimeout"):
            return ConnectionError(f"Gemini cannot be reached: {failure}", code="refused")
        if kind.__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "aiohttp"):
            return ConnectionError(f"Gemini was lost: {kind.__name__}", code="closed")
        return MessageError(f"Gemini sent garbage: {kind.__name__}", code="bad_response")


class _Client:
    """The vendor's client, with the connections that it was given and does not close."""

    def __init__(self, google: Any, connections: Any) -> None:
        self.google = google
        self._connections = connections

    async def aclose(self) -> None:
        """Close both."""
        await self.google.aio.aclose()
        self.google.close()
        await self._connections.aclose()


def _refusal(failure: Any, model: str) -> ProviderError:
    status, words = int(failure.code or 0), str(failure.message or failure.status or "")
    told = f"Gemini answered {status}: {words}"
    # A key that is not valid is a bad request, by its status.
    if status in (401, 403) or "api key" in words.lower():
        return AuthenticationError(told)
    if status == 404:
        return ProviderError(f"{told} (the model is {model!r})", code="model_not_found")
    if status == 429:
        quota = "quota" in words.lower() and "billing" in words.lower()
        return RateLimitError(told, code="quota" if quota else "rate_limit", retryable=not quota)
    if status in (408, 504):
        return ProviderError(told, code="timeout", retryable=True)
    if status >= 500:
        return ProviderError(told, code="server_error", retryable=True)
    return MessageError(told, code="bad_request")


def _client_settings(options: Mapping[str, Any]) -> dict[str, Any]:
    if options.get("vertex"):
        project = options.get("project") or os.environ.get("GOOGLE_CLOUD_PROJECT")
        if not project:
            raise ConfigurationError("the gemini brain on Vertex AI needs the option 'project'")
        return {
            "vertexai": True,
            "project": project,
            "location": options.get("location") or "global",
        }
    named = options.get("api_key_env")
    variables = (str(named),) if named else KEY_VARIABLES
    key = need_key("gemini", text("gemini", options, "api_key"), variables)
    return {"api_key": key, "vertexai": False}


def _fixed_fields(options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the request that is the same for every answer."""
    config = options.get("config") or {}
    if not isinstance(config, Mapping):
        raise ConfigurationError("option 'config' of the gemini brain is a table")
    if taken := sorted(_TAKEN & set(config)):
        raise ConfigurationError(
            f"option 'config' of the gemini brain cannot set {', '.join(taken)}"
        )
    fixed: dict[str, Any] = {"automatic_function_calling": {"disable": True}, **config}
    if options.get("temperature") is not None:
        fixed["temperature"] = number("gemini", options, "temperature", 0)
    if options.get("max_tokens") is not None:
        fixed["max_output_tokens"] = int(number("gemini", options, "max_tokens", 1, least=1))
    return fixed
