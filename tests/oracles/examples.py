"""Messages built from a vendor's models: valid ones, and ones that are wrong in one place."""

from __future__ import annotations

import copy
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel

Path = tuple[str | int, ...]

#: Models refer to each other; an example stops there with what is required.
DEPTH = 6


def example(model: type[BaseModel], *, full: bool, depth: int = 0) -> dict[str, Any]:
    """A message with what is required, or with every field (the first member of each union)."""
    return {
        field.alias or name: value(field.annotation, full=full, depth=depth + 1)
        for name, field in model.model_fields.items()
        if field.is_required() or (full and depth < DEPTH)
    }


def value(annotation: Any, *, full: bool, depth: int) -> Any:
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return value(members[0], full=full, depth=depth)
    if origin in (Union, types.UnionType):
        return value(members[0], full=full, depth=depth)
    if origin is Literal:
        return members[0]
    if origin is list:
        return [value(members[0], full=full, depth=depth)]
    if origin is dict:
        return {"key": value(members[1], full=full, depth=depth)}
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return example(annotation, full=full, depth=depth)
    plain: dict[Any, Any] = {
        str: "text",
        int: 1,
        float: 0.5,
        bool: True,
        object: "anything",
        types.NoneType: None,
    }
    return plain[annotation]


class Place(NamedTuple):
    """A place in an example that holds a model, with that model."""

    path: Path
    model: type[BaseModel]


def places(model: type[BaseModel], message: Any, path: Path = ()) -> Iterator[Place]:
    """Every place of an example where a model is, the message itself first."""
    yield Place(path, model)
    for name, field in model.model_fields.items():
        key = field.alias or name
        if key in message:
            yield from _within(field.annotation, message[key], (*path, key))


def _within(annotation: Any, found: Any, path: Path) -> Iterator[Place]:
    origin, members = get_origin(annotation), get_args(annotation)
    if origin in (Annotated, Union, types.UnionType):
        yield from _within(members[0], found, path)
    elif origin is list:
        yield from _within(members[0], found[0], (*path, 0))
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from places(annotation, found, path)


def changed(
    message: dict[str, Any],
    path: Path,
    *,
    put: Mapping[str, Any] | None = None,
    drop: str | None = None,
) -> dict[str, Any]:
    """A copy in which the object at `path` has other fields."""
    result = copy.deepcopy(message)
    at: Any = result
    for step in path:
        at = at[step]
    at.update(put or {})
    if drop is not None:
        del at[drop]
    return result


def wrong_of_its_kind(annotation: Any) -> Any:
    """A value that no field of that type takes, None where every value is right."""
    origin, members = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return wrong_of_its_kind(members[0])
    if origin is Literal:
        return "no such literal"
    if annotation is str:
        return 5
    if annotation in (int, float):
        return "5"
    if annotation is bool:
        return "true"
    if origin is list:
        return "not a list"
    return None
