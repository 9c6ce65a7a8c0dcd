"""The scripted brain: rules from a file, no model. The default, and what a test can rely on.

It keeps nothing between two answers: all is derived from the conversation that it is given, so that a switch of
provider or a restart in the middle of a call changes nothing.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.brains.options import check_names, number
from voxengine.providers.cascade.brains.script import Rule, load_script
from voxengine.providers.cascade.brains.templates import MissingFieldError, Slot, fill, render
from voxengine.providers.cascade.brains.utterance import Utterance
from voxengine.providers.cascade.parts import (
    BrainEvent,
    BrainText,
    BrainToolCall,
    Message,
    ToolCall,
    ToolSpec,
)

__all__ = ["ScriptedBrain"]

_NO_TOOL = "I would need the tool {tool} for that, and this application has not given me one."
_DONE = "Done."
_FAILED = "Sorry, that did not work."
_NOTHING = "Sorry, I did not catch that."


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is being answered: the user's words, and the calls that they led to so far."""

    user: str
    #: Index of the message; the turns before it decide which of several texts is next.
    at: int
    calls: tuple[ToolCall, ...] = ()


class ScriptedBrain:
    """Answers by rules. See docs/brains.md for the format of a script.

    Args:
        model: "" or "default" for the built-in script, else the path of a script (.toml or .json).
        options: `script` (path or mapping, instead of `model`), `delay_ms` before the first word, `token_ms` between
            two words (both 0).

    Raises:
        ConfigurationError: an option or the script is wrong.
    """

    def __init__(self, model: str, options: Mapping[str, Any]) -> None:
        check_names("scripted", options, ("script", "delay_ms", "token_ms"))
        self.name = "scripted"
        self.model = model or "default"
        self._delay = number("scripted", options, "delay_ms", 0) / 1000
        self._token = number("scripted", options, "token_ms", 0) / 1000
        source = options.get("script")
        if source is None and self.model not in ("default", "scripted"):
            source = self.model
        if source is not None and not isinstance(source, str | Path | Mapping):
            raise ConfigurationError(
                f"option 'script' is a path or a table, not a {type(source).__name__}"
            )
        self._script = load_script(source)
        # Every answer looks at the earlier turns again.
        self._match = functools.lru_cache(maxsize=1024)(self._match_text)

    async def load(self) -> None:
        """Nothing to load: the script was read when the brain was made."""

    async def reply(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        *,
        session: str,
        temperature: float | None = None,
    ) -> AsyncGenerator[BrainEvent]:
        """Answer the last turn, word by word. `temperature` means nothing here."""
        text, call = self._answer(messages, {t.name: t for t in tools}, session)
        if self._delay:
            await asyncio.sleep(self._delay)
        for i, word in enumerate(re.findall(r"\s*\S+(?:\s+\Z)?", text)):
            if i and self._token:
                await asyncio.sleep(self._token)
            yield BrainText(word)
        if call is not None:
            yield BrainToolCall(call)

    def _answer(
        self, messages: Sequence[Message], tools: Mapping[str, ToolSpec], session: str
    ) -> tuple[str, ToolCall | None]:
        turn = _last_turn(messages)
        if turn is None:
            return self._say(self._script.opening.say, {}, 0) or "", None
        known = frozenset(tools)
        if not turn.calls and self._rule(turn.user, known)[0] is self._script.fallback:
            turn = _with_unanswered(messages, turn)
        rule, slots = self._rule(turn.user, known)
        names: dict[str, Any] = {
            **slots,
            "user": turn.user.rstrip(". "),
            "last": _last_said(messages, turn.at),
        }
        nth = self._times_before(rule, messages[: turn.at], known)
        if turn.calls:
            return self._after_tool(rule, names, messages, turn, nth), None
        if not rule.tool:
            return self._first_of(
                (rule.say, rule.otherwise, self._script.fallback.say, (_NOTHING,)), names, nth
            ), None
        spec = tools.get(rule.tool)
        if spec is None:
            missing = _NO_TOOL.format(tool=rule.tool.replace("_", " "))
            return self._say(rule.otherwise, names, nth) or missing, None
        arguments = _for_schema(fill(rule.arguments, names), spec)
        call = ToolCall(
            _call_id(session, messages), spec.name, json.dumps(arguments, ensure_ascii=False)
        )
        return self._say(rule.say, names, nth) or "", call

    def _after_tool(
        self, rule: Rule, names: dict[str, Any], messages: Sequence[Message], turn: _Turn, nth: int
    ) -> str:
        """What is said once the tools have been called: the first failure, else the last result."""
        results = {m.call_id: m.text for m in messages if m.role == "tool"}
        values = [_parse(results.get(c.call_id)) for c in turn.calls]
        failed = [e for e in map(_error_of, values) if e is not None]
        if failed:
            return self._first_of((rule.error, (_FAILED,)), {**names, "error": failed[0]}, nth)
        return self._first_of((rule.then, (_DONE,)), {**names, "result": values[-1]}, nth)

    def _rule(self, text: str, tools: frozenset[str]) -> tuple[Rule, dict[str, Slot]]:
        rule, slots = self._match(text, tools)
        return rule, dict(slots)

    def _match_text(self, text: str, tools: frozenset[str]) -> tuple[Rule, dict[str, Slot]]:
        utterance = Utterance(text)
        for rule in self._script.rules:
            if rule.only_with_tool and rule.tool not in tools:
                continue
            if (slots := rule.match(utterance)) is not None:
                return rule, slots
        return self._script.fallback, {}

    def _times_before(self, rule: Rule, messages: Sequence[Message], tools: frozenset[str]) -> int:
        return sum(self._match(m.text, tools)[0] is rule for m in messages if m.role == "user")

    def _first_of(
        self, choices: Sequence[tuple[str, ...]], names: Mapping[str, Any], nth: int
    ) -> str:
        return next((said for texts in choices if (said := self._say(texts, names, nth))), "")

    def _say(self, templates: tuple[str, ...], names: Mapping[str, Any], nth: int) -> str | None:
        """The `nth` of the texts that can be said now, in turn; None if none can."""
        sayable = []
        for template in templates:
            try:
                sayable.append(render(template, names))
            except MissingFieldError:
                continue
        return sayable[nth % len(sayable)] if sayable else None


def _last_turn(messages: Sequence[Message]) -> _Turn | None:
    """The turn to answer, None if no user has spoken."""
    users = [i for i, m in enumerate(messages) if m.role == "user"]
    if not users:
        return None
    at = users[-1]
    calls = tuple(c for m in messages[at:] for c in m.tool_calls)
    if (
        not calls
        and messages[-1].role == "tool"
        and any(m.role == "assistant" for m in messages[at:])
    ):
        # The result of an earlier turn's call, come late: the last turn has been answered already.
        owner = next((i for i, m in enumerate(messages) if _asks(m, messages[-1].call_id)), None)
        if owner is not None and (before := [i for i in users if i < owner]):
            return _Turn(messages[before[-1]].text, before[-1], messages[owner].tool_calls)
    return _Turn(messages[at].text, at, calls)


def _asks(message: Message, call_id: str | None) -> bool:
    return any(c.call_id == call_id for c in message.tool_calls)


def _with_unanswered(messages: Sequence[Message], turn: _Turn) -> _Turn:
    """The turn together with the user's words right before it that got no answer: a sentence said in two breaths."""
    start = turn.at
    while start and messages[start - 1].role in ("user", "system"):
        start -= 1
    words = [m.text for m in messages[start : turn.at + 1] if m.role == "user" and m.text.strip()]
    return _Turn(" ".join(words), turn.at) if len(words) > 1 else turn


def _last_said(messages: Sequence[Message], before: int) -> str:
    said = (m.text for m in reversed(messages[:before]) if m.role == "assistant" and m.text.strip())
    return next(said, "")


def _parse(result: str | None) -> Any:
    """A tool's result: what its JSON holds, or its text."""
    if result is None:
        return {"error": "the tool gave no result"}
    try:
        return json.loads(result)
    except (ValueError, RecursionError):
        return result


def _error_of(result: Any) -> str | None:
    """What went wrong, if the result is a table that has an `error`."""
    error = result.get("error") if isinstance(result, Mapping) else None
    if not error:
        return None
    message = error.get("message") if isinstance(error, Mapping) else error
    return message if isinstance(message, str) else json.dumps(error, ensure_ascii=False)


def _for_schema(arguments: dict[str, Any], spec: ToolSpec) -> dict[str, Any]:
    """Without arguments that the application's tool does not have (a script may know more than the tool takes)."""
    properties = spec.parameters.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return arguments
    return {k: v for k, v in arguments.items() if k in properties}


def _call_id(session: str, messages: Sequence[Message]) -> str:
    """An id that is the same for the same place in the same conversation, and for no other."""
    digest = hashlib.blake2s(
        repr((session, tuple(messages))).encode("utf-8", "replace"), digest_size=9
    )
    return f"call_{digest.hexdigest()}"
