"""llama.cpp in this process, through the bindings `xllamacpp` (MIT)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

from voxengine.errors import MissingDependencyError, ProviderError

__all__ = ["LlamaEngine"]


class LlamaEngine:
    """A loaded model. It blocks: use it from a worker thread.

    Args:
        path: a GGUF file.
        alias: the model's name in answers.
        context: tokens of the longest conversation with its answer.
        threads: of the computation. More than there are free cores makes it slower by far, because they spin.

    Raises:
        MissingDependencyError: `xllamacpp` is not installed.
        ProviderError: the file cannot be loaded (code model).
    """

    def __init__(self, path: Path, *, alias: str, context: int, threads: int) -> None:
        try:
            import xllamacpp
        except ImportError as e:
            raise MissingDependencyError("the smollm2 brain", "smollm2", str(e)) from e
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.model_alias = {alias}
        params.n_ctx = context
        params.n_gpu_layers = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.verbosity = -1
        # The bindings open llama.cpp's web server on a port of this machine whether it is used or not: a key that
        # nobody knows shuts it. Calls from this process do not pass through it.
        params.api_keys = [secrets.token_hex(32)]
        params.ui = params.endpoint_slots = params.endpoint_props = False
        try:
            self._server = xllamacpp.Server(params)
        except RuntimeError as e:
            raise ProviderError(f"llama.cpp cannot load {path}: {e}", code="model") from e

    def chat(self, request: str, on_chunk: Callable[[str], bool]) -> None:
        """Answer a streaming chat-completions request (JSON text). Each chunk is JSON text as well.

        It stops at the chunk for which `on_chunk` returns True. What the engine has to complain about is a chunk too.
        """
        self._server.handle_chat_completions(request, on_chunk)
