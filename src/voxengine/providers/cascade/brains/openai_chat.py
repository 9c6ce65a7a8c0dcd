"""A brain behind any OpenAI-compatible chat-completions endpoint: OpenAI, Ollama, llama.cpp, vLLM and others."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from voxengine.errors import ConfigurationError, MessageError, ProviderError
from voxengine.providers.cascade.brains.chat_endpoint import ChatEndpoint
from voxengine.providers.cascade.brains.chat_http import ChatHttp, Wait, bytes_of
from voxengine.providers.cascade.brains.chat_request import (
    adapt,
    chat_messages,
    chat_tools,
    refused_feature,
)
from voxengine.providers.cascade.brains.chat_stream import ChatStream
from voxengine.providers.cascade.brains.options import check_names, number
from voxengine.providers.cascade.brains.sse import EventDecoder
from voxengine.providers.cascade.parts import BrainEvent, Message, ToolSpec

if TYPE_CHECKING:
    import httpx

__all__ = ["OpenAIChatBrain"]

_OPTIONS = (
    "base_url",
    "api_key",
    "api_key_env",
    "headers",
    "timeout_s",
    "token_timeout_s",
    "temperature",
    "max_tokens",
    "extra",
    "usage",
    "warm_up",
)
#: Seconds that the usage may take after the answer is complete. Nobody waits for it but the ledger.
_USAGE_WAIT = 1.0
#: Seconds that the end of the response may take after the last event. It nearly always comes with it.
_END_WAIT = 0.02


class OpenAIChatBrain:
    """Answers through `POST {base_url}/chat/completions`, streaming.

    Args:
        model: the model's name at the endpoint.
        options: see docs/brains.md.
        name: what the brain is called.

    Raises:
        ConfigurationError: an option is wrong or missing.
    """

    def __init__(
        self, model: str, options: Mapping[str, Any], *, name: str = "openai-chat"
    ) -> None:
        check_names(name, options, _OPTIONS)
        if not model:
            raise ConfigurationError(f"the {name} brain needs the name of a model")
        self.name = name
        self.model = model
        self._endpoint = ChatEndpoint(options)
        self._first_s = number("openai-chat", options, "timeout_s", 10, above=True)
        self._next_s = number("openai-chat", options, "token_timeout_s", self._first_s, above=True)
        self._usage_s = min(_USAGE_WAIT, self._next_s)
        self._warm_up = bool(options.get("warm_up", True))
        self._fixed = _fixed_fields(model, options)
        #: Optional fields that this server has refused.
        self._refused: set[str] = set()
        self._http = ChatHttp(self._endpoint, model)

    def __repr__(self) -> str:
        return f"OpenAIChatBrain(model={self.model!r}, endpoint={self._endpoint.shown!r})"

    async def load(self) -> None:
        """Open a connection, so that the first turn does not pay for it. `warm_up = false` leaves it out.

        Raises:
            MissingDependencyError: httpx is not installed.
            ProviderError: the endpoint is down (refused), or does not accept the key (auth).
        """
        if not self._warm_up:
            return
        wait = Wait(self._first_s)
        try:
            response = await self._http.open("GET", "models", wait)
        except ProviderError as e:
            # A list of models that is slow says nothing about the answers.
            if e.code == "timeout":
                return
            raise
        try:
            # Read to its end, so that the connection can be used again.
            error = await self._http.refusal(response)
            if response.status_code == 401:
                raise error
        finally:
            await response.aclose()

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._http.close()

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncGenerator[BrainEvent]:
        """Answer the conversation. Closing the iterator closes the request, on which servers stop to generate.

        Raises:
            MissingDependencyError: httpx is not installed.
            ProviderError: code refused, closed, timeout, bad_response, auth, rate_limit, quota, model_not_found,
                context_length, bad_request, content_filter or server_error.
        """
        body: dict[str, Any] = {"messages": chat_messages(messages), **self._fixed}
        if tools:
            body["tools"] = chat_tools(tools)
        if temperature is not None:
            body["temperature"] = temperature
        wait = Wait(self._first_s)
        response = await self._ask(body, wait)
        stream, decoder = ChatStream(model=self.model, where=self._endpoint.shown), EventDecoder()
        try:
            async with aclosing(bytes_of(response)) as source:
                more = True
                while more and not stream.done:
                    chunk = await self._http.read(source, wait, complete=stream.finished)
                    more = chunk is not None
                    for data in self._decode(decoder, chunk):
                        for event in stream.feed(data):
                            yield event
                        if stream.progress:
                            wait.restart(self._usage_s if stream.finished else self._next_s)
                for event in stream.end():
                    yield event
                # The connection can be used again only if the response was read to its end.
                wait.restart(_END_WAIT)
                while more and await self._http.read(source, wait, complete=True) is not None:
                    pass
        finally:
            await response.aclose()

    async def _ask(self, body: dict[str, Any], wait: Wait) -> httpx.Response:
        """The response of a request that the server accepted: status 200, a stream of events."""
        while True:
            sent = adapt(body, self._refused)
            response = await self._http.open("POST", "chat/completions", wait, sent)
            try:
                kind = response.headers.get("content-type", "text/event-stream")
                if response.status_code == 200 and kind.lower().startswith("text/event-stream"):
                    return response
                error = await self._http.refusal(response)
            except BaseException:
                await response.aclose()
                raise
            await response.aclose()
            status = response.status_code
            feature = refused_feature(sent, str(error)) if status in (400, 422) else None
            if feature is None:
                raise error
            self._refused.add(feature)

    def _decode(self, decoder: EventDecoder, chunk: bytes | None) -> list[str]:
        try:
            return decoder.end() if chunk is None else decoder.feed(chunk)
        except ValueError as e:
            text = f"{self._endpoint.shown} sent garbage: {e}"
            raise MessageError(text, code="bad_response") from e


def _fixed_fields(model: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the request that is the same for every answer."""
    body: dict[str, Any] = {"model": model, "stream": True}
    if options.get("usage", True):
        body["stream_options"] = {"include_usage": True}
    if options.get("temperature") is not None:
        body["temperature"] = number("openai-chat", options, "temperature", 0)
    if options.get("max_tokens") is not None:
        body["max_tokens"] = int(number("openai-chat", options, "max_tokens", 1, least=1))
    extra = options.get("extra") or {}
    if not isinstance(extra, Mapping):
        raise ConfigurationError(
            "option 'extra' of the openai-chat brain is a table of fields of the request"
        )
    if taken := sorted({"messages", "model", "stream", "tools"} & set(extra)):
        raise ConfigurationError(
            f"option 'extra' of the openai-chat brain cannot set {', '.join(taken)}"
        )
    return {**body, **extra}
