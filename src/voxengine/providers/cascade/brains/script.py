"""The script of the scripted brain: read from TOML, JSON or a mapping, and checked as a whole before it is used.

The format is described in docs/brains.md.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.brains.phrases import compile_phrase
from voxengine.providers.cascade.brains.templates import AFTER_TOOL, ALWAYS, Slot, check
from voxengine.providers.cascade.brains.utterance import Utterance

__all__ = ["Rule", "Script", "load_script"]

Texts: TypeAlias = str | list[str]

_DEFAULT = "default_script.toml"
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class _RuleFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rule as it is written."""

    name: str = ""
    phrases: Texts = []
    regex: Texts = []
    whole: bool = False
    say: Texts = []
    tool: str = ""
    arguments: dict[str, Any] = {}
    then: Texts = []
    error: Texts = []
    otherwise: Texts = []
    only_with_tool: bool = False
    values: dict[str, dict[str, Texts]] = {}
    defaults: dict[str, str | int | float] = {}


class _ScriptFile(msgspec.Struct, forbid_unknown_fields=True):
    """A script as it is written."""

    rules: list[_RuleFile]
    fallback: Texts
    opening: Texts = []


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that has been checked. The texts are templates; several are said in turn."""

    name: str
    patterns: tuple[re.Pattern[str], ...] = ()
    say: tuple[str, ...] = ()
    tool: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    then: tuple[str, ...] = ()
    error: tuple[str, ...] = ()
    otherwise: tuple[str, ...] = ()
    only_with_tool: bool = False
    #: For a slot with listed values: the normal form of each spelling, and the value that it stands for.
    spellings: dict[str, dict[str, str]] = field(default_factory=dict)
    defaults: dict[str, str | int | float] = field(default_factory=dict)

    def match(self, utterance: Utterance) -> dict[str, Slot] | None:
        """The slots, if this rule is for what was said."""
        for pattern in self.patterns:
            # Phrases are compiled for words that each end with a space.
            if (found := pattern.search(utterance.text + " ")) is not None:
                slots = {name: Slot(value, str(value)) for name, value in self.defaults.items()}
                for name, text in found.groupdict().items():
                    if text is not None and text.strip():
                        said = utterance.said(*found.span(name))
                        slots[name] = Slot(self._value(name, text.strip(), said), said)
                return slots
        return None

    def _value(self, name: str, text: str, said: str) -> Any:
        if name in self.spellings:
            return self.spellings[name].get(text, said)
        if _NUMBER.fullmatch(text):
            return float(text) if "." in text else int(text)
        return said


@dataclass(frozen=True, slots=True)
class Script:
    """Rules in the order in which they are tried, and what is said when none fits."""

    rules: tuple[Rule, ...]
    fallback: Rule
    #: What is said when the assistant is to speak first.
    opening: Rule


def load_script(source: str | Path | Mapping[str, Any] | None) -> Script:
    """Read a script from a file (TOML, or JSON by its name), from a mapping of the same shape, or the built-in one.

    Raises:
        ConfigurationError: names the file, the line or the rule, and what is wrong with it.
    """
    if isinstance(source, Mapping):
        return _build(source, "the script", {})
    if source is None:
        text, where = resources.files(__package__).joinpath(_DEFAULT).read_text("utf-8"), _DEFAULT
    else:
        where = str(source)
        try:
            text = Path(source).expanduser().read_text("utf-8")
        except OSError as e:
            raise ConfigurationError(f"the script {where} cannot be read: {e.strerror or e}") from e
        except UnicodeDecodeError as e:
            raise ConfigurationError(
                f"the script {where} is not UTF-8 text: {e.reason} at byte {e.start}"
            ) from e
    try:
        data = json.loads(text) if where.lower().endswith(".json") else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, RecursionError) as e:
        kind = "JSON" if where.lower().endswith(".json") else "TOML"
        raise ConfigurationError(f"the script {where} is not valid {kind}: {e}") from e
    return _build(data, where, _rule_lines(text))


def _rule_lines(toml: str) -> dict[int, int]:
    """The line on which each rule of a TOML file begins, both counted from 1."""
    heads = [
        n
        for n, line in enumerate(toml.splitlines(), 1)
        if re.match(r"\s*\[\[\s*rules\s*\]\]", line)
    ]
    return dict(enumerate(heads, 1))


def _build(data: Any, where: str, lines: Mapping[int, int]) -> Script:
    try:
        raw = msgspec.convert(data, _ScriptFile)
    except msgspec.ValidationError as e:
        text = str(e)
        found = re.search(r"\$\.rules\[(\d+)\]", text)
        place = _place(where, int(found[1]) + 1, "", lines) if found else where
        raise ConfigurationError(
            f"{place}: {text.replace(' - at `$', ' (at ').replace('`)', ')').rstrip('`')}"
        ) from e
    rules = []
    for number, rule in enumerate(raw.rules, 1):
        try:
            rules.append(_rule(rule, number))
        except (ValueError, re.error) as e:
            raise ConfigurationError(f"{_place(where, number, rule.name, lines)}: {e}") from e
    try:
        fallback, opening = (
            _rule_of_texts("fallback", raw.fallback),
            _rule_of_texts("opening", raw.opening),
        )
    except ValueError as e:
        raise ConfigurationError(f"{where}: {e}") from e
    if not fallback.say:
        raise ConfigurationError(f"{where}: 'fallback' holds nothing to say")
    return Script(tuple(rules), fallback, opening)


def _place(where: str, number: int, name: str, lines: Mapping[int, int]) -> str:
    line = f", line {lines[number]}" if number in lines else ""
    return f"{where}{line}, rule {number}" + (f" ({name})" if name else "")


def _rule_of_texts(name: str, texts: Texts) -> Rule:
    say = _texts(texts)
    check(list(say), ALWAYS)
    return Rule(name, say=say)


def _texts(value: Texts) -> tuple[str, ...]:
    texts = (value,) if isinstance(value, str) else tuple(value)
    if not all(t.strip() for t in texts):
        raise ValueError("a text that is blank cannot be said or matched")
    return texts


def _rule(raw: _RuleFile, number: int) -> Rule:
    spellings = {slot: _spellings(slot, table) for slot, table in raw.values.items()}
    patterns = tuple(
        [
            compile_phrase(p, {s: list(t) for s, t in spellings.items()}, whole=raw.whole)
            for p in _texts(raw.phrases)
        ]
        + [re.compile(rf"^(?:{p})\s*$" if raw.whole else p) for p in _texts(raw.regex)]
    )
    if not patterns:
        raise ValueError("a rule has 'phrases' or a 'regex', else it is never used")
    names = ALWAYS | set(raw.defaults) | {name for p in patterns for name in p.groupindex}
    if unused := set(raw.values) - names:
        raise ValueError(
            f"'values' are given for {', '.join(sorted(unused))}, which no phrase has as a slot"
        )
    rule = Rule(
        name=raw.name or f"rule {number}",
        patterns=patterns,
        say=_texts(raw.say),
        tool=raw.tool,
        arguments=raw.arguments,
        then=_texts(raw.then),
        error=_texts(raw.error),
        otherwise=_texts(raw.otherwise),
        only_with_tool=raw.only_with_tool,
        spellings=spellings,
        defaults=raw.defaults,
    )
    _check_rule(rule, names)
    return rule


def _check_rule(rule: Rule, names: frozenset[str]) -> None:
    if not rule.tool:
        given = [k for k in ("arguments", "then", "error", "only_with_tool") if getattr(rule, k)]
        if given:
            raise ValueError(f"{' and '.join(map(repr, given))} need a 'tool'")
        if not rule.say:
            raise ValueError("a rule has something to 'say', or a 'tool' to call")
    check([*rule.say, *rule.otherwise], names)
    check(rule.arguments, names)
    check([*rule.then, *rule.error], names | AFTER_TOOL)


def _spellings(slot: str, table: Mapping[str, Texts]) -> dict[str, str]:
    spellings: dict[str, str] = {}
    for value, others in table.items():
        for spelling in (value, *_texts(others)):
            text = Utterance(spelling).text
            if spellings.setdefault(text, value) != value:
                raise ValueError(
                    f"{spelling!r} stands for both {spellings[text]!r} and {value!r} in the slot {slot!r}"
                )
    if not spellings:
        raise ValueError(f"'values' of the slot {slot!r} are empty")
    return spellings
