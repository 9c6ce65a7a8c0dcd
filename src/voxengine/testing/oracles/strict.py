"""Validates a message against one of a vendor's pydantic models, without the leniency of the vendor's own client.

Three things that `model_validate` lets through are problems here. A value of another type that could be converted ("5"
for 5): validation is strict. A field that the model does not have: vendors' models keep those aside, so the result is
walked. And a value outside the literals of a field that is declared as "one of these literals, or anything".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

if TYPE_CHECKING:
    from types import UnionType

    from pydantic import BaseModel
else:
    from types import UnionType

__all__ = ["MAX_PROBLEMS", "problems_of"]

#: No more than this many problems of one message are told. A message with more is hardly of that type.
MAX_PROBLEMS = 12

#: The fields by which a union's members are told apart: a member whose literal differs there was not meant.
_DISCRIMINATORS = ("type", "role")


def problems_of(model: type[BaseModel], value: Any) -> list[str]:
    """What is wrong with a message, each problem with the path of the field. Nothing is wrong if the list is empty.

    `value` is the message as JSON (bytes or text) or as the object that the JSON means.
    """
    from pydantic import ValidationError

    try:
        if isinstance(value, str | bytes | bytearray):
            message = model.model_validate_json(value, strict=True)
        else:
            message = model.model_validate(value, strict=True)
    except ValidationError as refusal:
        return _told(refusal.errors(include_url=False, include_input=False), value)[:MAX_PROBLEMS]
    return [*_of_model(message, ())][:MAX_PROBLEMS]


# ------------------------------------------------------------------------------ what the model kept

_Path = tuple[str | int, ...]
_PLAIN = (str, int, float, type(None))


def _name(path: _Path) -> str:
    return ".".join(map(str, path)) or "the message"


def _of_model(model: BaseModel, path: _Path) -> Iterator[str]:
    for extra in model.model_extra or ():
        yield f"{_name((*path, extra))}: unknown field"
    kind = type(model)
    closed = _closed_fields(kind)
    for name, value in model.__dict__.items():
        if name in closed:
            yield from _of_closed(closed[name], value, (*path, _on_the_wire(kind, name)))
        if not isinstance(value, _PLAIN):
            yield from _of_value(value, (*path, _on_the_wire(kind, name)))


def _of_value(value: Any, path: _Path) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _of_value(each, (*path, key))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _of_value(each, (*path, index))
    elif hasattr(type(value), "model_fields"):
        yield from _of_model(value, path)


def _on_the_wire(kind: type[BaseModel], name: str) -> str:
    return kind.model_fields[name].alias or name


@cache
def _closed_fields(kind: type[BaseModel]) -> dict[str, Any]:
    """The fields in whose type literals stand beside Any: the literals are what the vendor means."""
    return {
        name: field.annotation
        for name, field in kind.model_fields.items()
        if _has_open_literals(field.annotation)
    }


def _has_open_literals(annotation: Any) -> bool:
    members = get_args(annotation)
    if get_origin(annotation) in (Union, UnionType) and Any in members:
        return any(get_origin(member) is Literal for member in members)
    return any(map(_has_open_literals, members)) if get_origin(annotation) is not Literal else False


def _of_closed(annotation: Any, value: Any, path: _Path) -> Iterator[str]:
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _of_closed(members[0], value, path)
    elif origin in (Union, UnionType):
        allowed = [
            each for member in members if get_origin(member) is Literal for each in get_args(member)
        ]
        if Any not in members or not allowed:
            for member in members:
                yield from _of_closed(member, value, path)
        elif isinstance(value, str | int | float | bool) and value not in allowed:
            yield f"{_name(path)}: {value!r} is none of {', '.join(map(repr, allowed))}"
    elif isinstance(value, list | tuple) and members:
        for index, each in enumerate(value):
            yield from _of_closed(members[0], each, (*path, index))
    elif isinstance(value, Mapping) and len(members) == 2:
        for key, each in value.items():
            yield from _of_closed(members[1], each, (*path, key))


# ------------------------------------------------------------------------ what the model complained of


class _Complaint(NamedTuple):
    """One error of pydantic. `unions` says through which member of which unions it was reached."""

    path: _Path
    text: str
    other_literal: bool
    unions: tuple[tuple[_Path, str], ...]


def _told(errors: Sequence[Any], value: Any) -> list[str]:
    if isinstance(value, str | bytes | bytearray):
        try:
            value = json.loads(value)
        except ValueError:
            return ["the message: not JSON"]
    complaints = [_complaint(error, value) for error in errors]
    return list(dict.fromkeys(_lines(complaints, 0)))


def _complaint(error: Mapping[str, Any], value: Any) -> _Complaint:
    path: list[str | int] = []
    unions: list[tuple[_Path, str]] = []
    steps = error["loc"]
    for index, step in enumerate(steps):
        missing = error["type"] == "missing" and index == len(steps) - 1
        inside = _step(value, step)
        if missing or inside is not None:
            path.append(step)
            value = inside[0] if inside else None
        else:  # not a part of the message, so the name of a union's member
            unions.append((tuple(path), str(step)))
    literal = error["type"] == "literal_error"
    return _Complaint(tuple(path), error["msg"], literal, tuple(unions))


def _step(value: Any, step: str | int) -> tuple[Any] | None:
    if isinstance(value, Mapping):
        return (value[step],) if step in value else None
    if isinstance(value, list | tuple) and isinstance(step, int):
        return (value[step],) if step < len(value) else None
    return None


def _lines(complaints: Sequence[_Complaint], depth: int) -> Iterator[str]:
    """One line for each complaint that helps: not those of members of a union that were evidently not meant."""
    unions: dict[_Path, dict[str, list[_Complaint]]] = {}
    for complaint in complaints:
        if len(complaint.unions) > depth:
            path, member = complaint.unions[depth]
            unions.setdefault(path, {}).setdefault(member, []).append(complaint)
        else:
            yield f"{_name(complaint.path)}: {complaint.text}"
    for path, members in unions.items():
        meant = [within for within in members.values() if not _was_not_meant(within, path)]
        if not meant:
            yield f"{_name(path)}: fits none of {', '.join(members)}"
        for within in meant:
            yield from _lines(within, depth + 1)


def _was_not_meant(complaints: Sequence[_Complaint], path: _Path) -> bool:
    marks = {(*path, name) for name in _DISCRIMINATORS}
    return any(complaint.other_literal and complaint.path in marks for complaint in complaints)
