"""The judge of Azure Voice Live: the models of the `azure-ai-voicelive` package.

Those models check nothing by themselves: they take any field, and miss none. So a message is compared with what they
declare: the class by its discriminators, then each field by its name on the wire and its annotation. A field is
required where its annotation does not allow None. A text that is declared as "one of these names, or any text" has to
be one of the names.
"""

from __future__ import annotations

import datetime
import enum
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pybase64

from voxengine.testing.oracles.judge import Judge, Message, Vocabulary
from voxengine.testing.oracles.strict import MAX_PROBLEMS
from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["VoiceLiveJudge", "voice_live_judge"]

_PACKAGE = "azure-ai-voicelive"


class VoiceLiveJudge(Judge):
    """A judge of one connection, or of several, by `azure.ai.voicelive.models`."""

    def _problems(
        self, side: str, vocabulary: Vocabulary, kind: str, message: Message
    ) -> list[str]:
        if kind not in vocabulary.models:
            return ["type: unknown"]
        if not isinstance(message, Mapping):
            message = msgspec.json.decode(message)
        return [*_of_model(vocabulary.models[kind], message, "")][:MAX_PROBLEMS]


def voice_live_judge() -> VoiceLiveJudge:
    """A judge of Azure Voice Live.

    Raises:
        MissingVendorTypesError: the `azure-ai-voicelive` package is missing.
    """
    client, server = _vocabularies()
    return VoiceLiveJudge(client=client, server=server)


@cache
def _vocabularies() -> tuple[Vocabulary, Vocabulary]:
    models = vendor_module(
        "azure.ai.voicelive.models", package=_PACKAGE, feature="judging Azure Voice Live"
    )
    return (
        Vocabulary(models=dict(models.ClientEvent.__mapping__)),
        Vocabulary(models=dict(models.ServerEvent.__mapping__)),
    )


# -- what the models declare


@cache
def _fields(model: Any) -> dict[str, Any]:
    """The annotation of each field by its name on the wire."""
    if "_attr_to_rest_field" not in vars(model):
        model.__new__(model)  # which is when the package itself looks
    inner = vendor_module("azure.ai.voicelive.models._models", package=_PACKAGE, feature="judging")
    unions = vendor_module("azure.ai.voicelive._unions", package=_PACKAGE, feature="judging")
    outer = vendor_module("azure.ai.voicelive.models", package=_PACKAGE, feature="judging")
    names = {**vars(inner), "_models": outer, "_unions": unions}
    hints = get_type_hints(model, globalns=names)
    return {field._rest_name: hints[name] for name, field in model._attr_to_rest_field.items()}


@cache
def _unwrapped(annotation: Any) -> Any:
    """What a reference in a union of the package stands for."""
    name = getattr(annotation, "__forward_arg__", None)
    if name is None:
        return annotation
    outer = vendor_module("azure.ai.voicelive.models", package=_PACKAGE, feature="judging")
    return getattr(outer, name.rpartition(".")[2])


def _is_model(annotation: Any) -> bool:
    return hasattr(annotation, "_attr_to_rest_field") or hasattr(annotation, "_deserialize")


def _variant(model: Any, value: Mapping[str, Any]) -> Any:
    """The class that the discriminators of a value name; None where there is no such class."""
    seen = set()
    while (mapping := vars(model).get("__mapping__")) and model not in seen:
        seen.add(model)
        named = next(
            (
                value[field._rest_name]
                for field in (model.__new__(model), model._attr_to_rest_field)[1].values()
                if field._is_discriminator
                and field._rest_name in value
                and value[field._rest_name] in mapping
            ),
            None,
        )
        if named is None:
            return None
        model = mapping[named]
    return model


# -- comparing


def _of_model(model: Any, value: Any, path: str) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"{path or 'the message'}: not an object"
        return
    variant = _variant(model, value)
    if variant is None:
        yield f"{path or 'the message'}: none of the kinds of {model.__name__}"
        return
    fields = _fields(variant)
    for name in value.keys() - fields.keys():
        yield f"{_at(path, name)}: unknown field"
    for name, annotation in fields.items():
        if name in value:
            yield from _of(annotation, value[name], _at(path, name))
        elif not _may_be_none(annotation):
            yield f"{_at(path, name)}: missing"


def _of(annotation: Any, value: Any, path: str) -> Iterator[str]:
    annotation = _unwrapped(annotation)
    origin = get_origin(annotation)
    if annotation is Any:
        return
    if origin in (Union, UnionType):
        yield from _of_union(get_args(annotation), value, path)
    elif origin is Literal:
        allowed = [_plain(each) for each in get_args(annotation)]
        if value not in allowed:
            yield f"{path}: {value!r} is none of {', '.join(map(repr, allowed))}"
    elif origin is list:
        if not isinstance(value, list):
            yield f"{path}: not a list"
        else:
            for index, each in enumerate(value):
                yield from _of(get_args(annotation)[0], each, f"{path}.{index}")
    elif origin is dict:
        if not isinstance(value, Mapping):
            yield f"{path}: not an object"
        else:
            for name, each in value.items():
                yield from _of(get_args(annotation)[1], each, _at(path, name))
    elif _is_model(annotation):
        yield from _of_model(annotation, value, path)
    else:
        yield from _of_plain(annotation, value, path)


def _of_plain(annotation: Any, value: Any, path: str) -> Iterator[str]:
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        allowed = [each.value for each in annotation]
        if value not in allowed:
            yield f"{path}: {value!r} is none of {', '.join(map(repr, allowed))}"
        return
    fits = _FITS.get(annotation)
    if fits is None:
        yield f"{path}: nothing is known of {annotation!r}"
    elif not fits(value):
        yield f"{path}: not {annotation.__name__}"


def _of_union(members: tuple[Any, ...], value: Any, path: str) -> Iterator[str]:
    if value is None and type(None) in members:
        return
    kinds = [_unwrapped(member) for member in members if member is not type(None)]
    if isinstance(value, str) and str in kinds and any(map(_names, kinds)):
        # "One of these, or any text": a text that is none of these is what a test has to notice.
        kinds = [kind for kind in kinds if kind is not str]
    found = [[*_of(kind, value, path)] for kind in kinds]
    if any(not problems for problems in found):
        return
    objects = [
        problems
        for kind, problems in zip(kinds, found, strict=True)
        if isinstance(value, Mapping) and _is_model(kind) and _meant(kind, value)
    ]
    if objects or len(found) == 1:
        yield from (objects or found)[0]
    else:
        yield f"{path}: {value!r} fits none of {', '.join(map(_name, kinds))}"


def _names(annotation: Any) -> bool:
    """Whether it is a set of names."""
    return get_origin(annotation) is Literal or (
        isinstance(annotation, type) and issubclass(annotation, enum.Enum)
    )


def _meant(model: Any, value: Mapping[str, Any]) -> bool:
    variant = _variant(model, value)
    if variant is None:
        return False
    kind = _fields(variant).get("type")
    return kind is None or not [*_of(kind, value.get("type"), "type")]


def _may_be_none(annotation: Any) -> bool:
    return annotation is Any or type(None) in get_args(annotation)


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _name(annotation: Any) -> str:
    return str(getattr(annotation, "__name__", annotation))


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _is_base64(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        pybase64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True


_FITS: Mapping[Any, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    bytes: _is_base64,
    # `expires_at`: Unix seconds, as the package reads it, or a text of RFC 3339.
    datetime.datetime: lambda value: isinstance(value, int | str) and not isinstance(value, bool),
}
