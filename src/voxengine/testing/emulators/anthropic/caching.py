"""The prompt cache of the emulated vendor: beginnings of requests that it was told to remember."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from voxengine.testing.emulators.metering import text_tokens

__all__ = ["Input", "PromptCache"]

#: Beginnings that are remembered; the oldest go first.
_MOST = 1000
#: Blocks before a mark among which an earlier beginning is found.
_LOOKBACK = 20


class Input(NamedTuple):
    """Tokens of a request: read anew, written into the cache, read from it."""

    fresh: int
    written: int
    read: int


class PromptCache:
    """What was marked is remembered, with all that stands before it."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, None] = OrderedDict()

    def read(self, body: Mapping[str, Any], minimum: int) -> Input:
        """Count a request, and remember what it marks if that has so many tokens."""
        digest = hashlib.sha256(str(body.get("model")).encode())
        tokens, prefixes, marks = 0, [], []
        for index, block in enumerate(_blocks(body)):
            plain = {name: value for name, value in block.items() if name != "cache_control"}
            text = json.dumps(plain, sort_keys=True)
            digest.update(text.encode())
            tokens += text_tokens(text)
            prefixes.append((digest.hexdigest(), tokens))
            if "cache_control" in block:
                marks.append(index)
        read = max((self._found(prefixes, mark) for mark in marks), default=0)
        kept = [mark for mark in marks if prefixes[mark][1] >= minimum]
        for mark in kept:
            self._known[prefixes[mark][0]] = None
        while len(self._known) > _MOST:
            self._known.popitem(last=False)
        last = max((prefixes[mark][1] for mark in kept), default=read)
        return Input(tokens - max(last, read), max(0, last - read), read)

    def _found(self, prefixes: list[tuple[str, int]], mark: int) -> int:
        """Tokens of the longest beginning up to this mark that is known."""
        for name, tokens in reversed(prefixes[max(0, mark - _LOOKBACK) : mark + 1]):
            if name in self._known:
                return tokens
        return 0


def _blocks(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """All that the model reads, in its order: tools, instructions, messages."""
    yield from body.get("tools") or ()
    system = body.get("system") or []
    yield from [{"system": system}] if isinstance(system, str) else system
    for message in body["messages"]:
        content = message["content"]
        if isinstance(content, str):
            content = [{"type": "text", "text": content}]
        for block in content:
            yield {"role": message["role"], **block}
