"""What the mock answers: replies by what it was told.

A reply is a text, or a dict with any of: `text`; `tool` ({"name", "arguments"}, or a list of them); `then` (the reply
when the tools have returned); `delay_ms`; `audio` (False: text alone); `error` (the response fails with this code). A
list of replies is used in rotation. In texts `{text}` is what was said, `{output}` what the tool returned, `{1}` the
first group of a pattern.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from voxengine.errors import ConfigurationError

__all__ = ["Reply", "Responses", "Script", "ToolUse"]

#: Replies by what was said, in rotation, or one for everything.
Responses: TypeAlias = "Mapping[Any, Any] | list[Any] | str"

DEFAULT_REPLY = "You said: {text}"
DEFAULT_AFTER_TOOL = "The result is {output}."

_FIELDS = frozenset({"text", "tool", "tools", "then", "delay_ms", "audio", "error"})


class ToolUse(msgspec.Struct, frozen=True):
    """A call of a tool. `arguments` is the JSON text of one object."""

    name: str
    arguments: str = "{}"


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `then` is the script's form of the reply that follows the tools' results."""

    text: str = ""
    tools: tuple[ToolUse, ...] = ()
    then: Any = None
    delay_ms: float = 0.0
    audio: bool = True
    error: str | None = None


class Script:
    """Finds the reply to a text.

    A key of the mapping is compared as it is, then without regard to case, punctuation and spaces. Then the patterns
    are tried in their order: a key with `*` in it, a text that begins with "re:", or a compiled pattern.
    """

    def __init__(self, responses: Responses | None = None, default: Any = DEFAULT_REPLY) -> None:
        self._exact: dict[str, Any] = {}
        self._plain: dict[str, Any] = {}
        self._patterns: list[tuple[Callable[[str], re.Match[str] | None], Any]] = []
        self._turns: dict[int, int] = {}
        self._default = default
        if isinstance(responses, (list, tuple, str)):
            self._default = responses or default
        else:
            for key, reply in (responses or {}).items():
                self._add(key, reply)

    def _add(self, key: Any, reply: Any) -> None:
        _check(reply)
        if isinstance(key, re.Pattern):
            self._patterns.append((key.search, reply))
        elif not isinstance(key, str):
            raise ConfigurationError(f"what is said is text or a pattern, not {type(key).__name__}")
        elif key.startswith("re:"):
            self._patterns.append((re.compile(key[3:].strip(), re.IGNORECASE).search, reply))
        elif "*" in key:
            # Only the star is special: a question mark is one.
            glob = fnmatch.translate(key.replace("[", "[[]").replace("?", "[?]"))
            self._patterns.append((re.compile(glob, re.IGNORECASE).match, reply))
        else:
            self._exact[key] = reply
            self._plain.setdefault(_plain(key), reply)

    def reply_to(self, text: str) -> Reply:
        """The reply to what the user said."""
        found = self.find(text)
        return self._made(self._default, {"text": text}) if found is None else found

    def find(self, text: str) -> Reply | None:
        """The reply that the script has for just this; None if only the default is left."""
        values = {"text": text}
        for table, key in ((self._exact, text), (self._plain, _plain(text))):
            if key in table and key:
                return self._made(table[key], values)
        for match_of, reply in self._patterns:
            match = match_of(text)
            if match is not None:
                groups = {str(i): g or "" for i, g in enumerate(match.groups(), 1)}
                return self._made(reply, {**values, "0": match.group(), **groups})
        return None

    def after_tools(self, then: Any, outputs: list[str]) -> Reply:
        """The reply when tools have returned; several outputs are joined by commas."""
        return self._made(
            DEFAULT_AFTER_TOOL if then is None else then, {"output": ", ".join(outputs)}
        )

    def _made(self, reply: Any, values: dict[str, str]) -> Reply:
        while isinstance(reply, (list, tuple)):
            turn = self._turns.get(id(reply), 0)
            self._turns[id(reply)] = turn + 1
            reply = reply[turn % len(reply)] if reply else ""
        if not isinstance(reply, Mapping):
            return Reply(text=_filled(str(reply), values))
        tools = reply.get("tools", reply.get("tool")) or ()
        tools = (tools,) if isinstance(tools, (Mapping, str)) else tools
        return Reply(
            text=_filled(reply.get("text") or "", values),
            tools=tuple(_tool(t, values) for t in tools),
            then=reply.get("then"),
            delay_ms=float(reply.get("delay_ms", 0)),
            audio=bool(reply.get("audio", True)),
            error=reply.get("error"),
        )


def _check(reply: Any) -> None:
    if isinstance(reply, (list, tuple)):
        for one in reply:
            _check(one)
    elif isinstance(reply, Mapping):
        unknown = set(reply) - _FIELDS
        if unknown:
            raise ConfigurationError(
                f"a reply of the mock has {', '.join(sorted(_FIELDS))}; not {', '.join(map(str, unknown))}"
            )
    elif not isinstance(reply, str):
        raise ConfigurationError(
            f"a reply of the mock is text, a dict or a list of them, not {type(reply).__name__}"
        )


def _tool(tool: Any, values: dict[str, str]) -> ToolUse:
    if isinstance(tool, str):
        return ToolUse(tool)
    arguments = tool.get("arguments", {})
    # Arguments that are text already are passed as they are, also if they are wrong: that is worth a test, too.
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return ToolUse(str(tool["name"]), _filled(text, values))


def _filled(text: str, values: dict[str, str]) -> str:
    # Not str.format: braces are common in what a script holds.
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1], m[0]), text)


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[^\w\s]", "", text.casefold()).split())
