"""Templates of what a rule says, and of the arguments that it calls a tool with.

`{name}` is a slot or one of the names below, `{result.position.x}` a field of the tool's result. `{name|text}` has a
text for where the field is missing, `{n:words}` is a number in words, `{slot:said}` the user's own words; `{{` and `}}`
are braces.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from voxengine.providers.cascade.brains.number_words import format_number, in_words

__all__ = ["AFTER_TOOL", "ALWAYS", "MissingFieldError", "Slot", "check", "fill", "render"]

#: Names that every template knows: all that the user said, and what the assistant said last.
ALWAYS = frozenset({"user", "last"})
#: Names that exist once a tool was called: its result (text, or a field of it), and what went wrong.
AFTER_TOOL = frozenset({"result", "error"})

_EXPRESSION = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_INSIDE = re.compile(r"\s*(\w+)((?:\.[\w-]+)*)\s*(?::\s*(\w+)\s*)?(?:\|(.*))?", re.DOTALL)
_FILTERS = ("words", "said")


class MissingFieldError(LookupError):
    """A template names something that is not there this time."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The value of a slot (text, or a number), and the words that it was said with."""

    value: Any
    said: str


def check(template: Any, names: Collection[str]) -> None:
    """Refuse a template that could never be filled. A template may be a text, or a table or list that holds some.

    Raises:
        ValueError: says which part is wrong.
    """
    if isinstance(template, Mapping):
        for value in template.values():
            check(value, names)
    elif isinstance(template, list):
        for value in template:
            check(value, names)
    elif isinstance(template, str):
        for found in _EXPRESSION.finditer(template):
            _check_one(found, template, names)


def _check_one(found: re.Match[str], template: str, names: Collection[str]) -> None:
    if found.group() in ("{{", "}}"):
        return
    inside = _INSIDE.fullmatch(found.group(1) or "")
    if found.group(1) is None or inside is None:
        raise ValueError(
            f"{found.group()!r} is not understood in {template!r} (a brace itself is written twice)"
        )
    name, _, kind, _ = inside.groups()
    if name not in names:
        raise ValueError(f"{template!r} names {name!r}; known here are {', '.join(sorted(names))}")
    if kind and kind not in _FILTERS:
        raise ValueError(
            f"{template!r} uses the unknown filter {kind!r}; there are {', '.join(_FILTERS)}"
        )


def render(template: str, names: Mapping[str, Any]) -> str:
    """The text that the template makes.

    Raises:
        MissingFieldError: something is not there, and the template gives nothing to say instead.
    """

    def replace(found: re.Match[str]) -> str:
        whole = found.group()
        if whole in ("{{", "}}"):
            return whole[0]
        expression, bar, default = found.group(1).partition("|")
        try:
            return _text(expression, names)
        except MissingFieldError:
            if not bar:
                raise
            return default

    return _EXPRESSION.sub(replace, template).strip()


def fill(template: Any, names: Mapping[str, Any]) -> Any:
    """Arguments of a tool: as the template, with every text in it filled in.

    A text that is one slot and nothing else takes the slot's type, so that a number stays a number. An entry of a table
    whose slot is missing is left out.
    """
    if isinstance(template, Mapping):
        filled: dict[str, Any] = {}
        for key, value in template.items():
            try:
                filled[key] = fill(value, names)
            except MissingFieldError:
                continue
        return filled
    if isinstance(template, list):
        return [fill(value, names) for value in template]
    if not isinstance(template, str):
        return template
    found = _EXPRESSION.fullmatch(template)
    if found is None or found.group(1) is None or ":" in template or "|" in template:
        return render(template, names)
    value, _ = _value(found.group(1), names)
    return value.value if isinstance(value, Slot) else value


def _value(expression: str, names: Mapping[str, Any]) -> tuple[Any, str | None]:
    inside = _INSIDE.fullmatch(expression)
    assert inside is not None, "templates are checked when they are loaded"
    name, path, kind, _ = inside.groups()
    value = names.get(name)
    for field in path.split(".")[1:]:
        value = _field(value, field)
    if value is None or (isinstance(value, str) and not value.strip()):
        raise MissingFieldError(expression)
    return value, kind


def _text(expression: str, names: Mapping[str, Any]) -> str:
    value, kind = _value(expression, names)
    if isinstance(value, Slot):
        value = value.said if kind == "said" else value.value
    if isinstance(value, Mapping | list):
        # A whole table is nothing that can be said; another text of the rule may name a field of it.
        raise MissingFieldError(expression)
    return in_words(value) if kind == "words" and _is_number(value) else _as_text(value)


def _field(value: Any, field: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(field)
    if isinstance(value, list) and field.isascii() and field.isdigit():
        return value[int(field)] if int(field) < len(value) else None
    return None


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < float("inf")
    )


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return format_number(value) if _is_number(value) else str(value)
