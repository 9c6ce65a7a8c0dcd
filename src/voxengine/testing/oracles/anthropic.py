"""The judge of Anthropic's Messages API: the types of the `anthropic` package, of a request and of its answer.

A request is declared there as a `TypedDict`, which says nothing about fields that it does not have, and leaves the
items of an `Iterable` unread until somebody wants them. So the same types are made again here, closed and with lists,
and judge strictly. Named exceptions: `temperature`, `top_p` and `top_k`, which models before 2026 take and the types
do not have any more; and the event `ping`, which the client passes over and for which there is no type.
"""

from __future__ import annotations

import collections.abc
from collections.abc import Mapping
from functools import cache
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, Never, Union, get_args, get_origin, get_type_hints

import msgspec

from voxengine.testing.oracles.judge import Judge, Message, Vocabulary
from voxengine.testing.oracles.strict import problems_of
from voxengine.testing.oracles.vendor import models_by_type, vendor_module

__all__ = ["AnthropicJudge", "anthropic_judge"]

#: Fields of a request that the types have lost, and what they may be.
_LOST = {"temperature": float, "top_p": float, "top_k": int}
#: What a request is called in counts and reports, and where it is put for that.
_REQUEST, _BODY = "request", "body"
_REQUESTS = Vocabulary(models={_REQUEST: type(None)})  # type: ignore[dict-item]  # judged by what no model is
_FEATURE = "judging Anthropic"
#: Problems of one message that are told.
_MOST = 12
_LONG = 60


class AnthropicJudge(Judge):
    """Judges requests and what comes back: events of an answer, whole answers, errors, and models that are listed."""

    oracle = "anthropic.types"

    def __init__(self, *, kept: int = 100) -> None:
        super().__init__(client=_REQUESTS, server=Vocabulary(models=_answers()), kept=kept)

    def client(self, message: Message) -> list[str]:
        """What is wrong with a request: its body, which has no type."""
        try:
            raw = msgspec.json.encode(message) if isinstance(message, Mapping) else message
            plain = msgspec.json.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            plain = None
        # Put in for the judging alone.
        return super().client({"type": _REQUEST, _BODY: plain})

    def _problems(
        self, side: str, vocabulary: Vocabulary, kind: str, message: Message
    ) -> list[str]:
        if side == "client":
            assert isinstance(message, Mapping)
            body = message[_BODY]
            return _of_request(body) if isinstance(body, dict) else ["the body: no JSON object"]
        if kind == "ping":
            return []
        model = vocabulary.models.get(kind)
        if model is None:
            return ["type: unknown"]
        # As JSON: there, a time is a text even where it is judged strictly.
        raw = msgspec.json.encode(message) if isinstance(message, Mapping) else _bytes_of(message)
        return problems_of(model, raw)


def _bytes_of(message: bytes | bytearray | memoryview | str) -> bytes:
    """A message of the wire as bytes."""
    return message.encode() if isinstance(message, str) else bytes(message)


def anthropic_judge() -> AnthropicJudge:
    """A judge of one endpoint.

    Raises:
        MissingVendorTypesError: the `anthropic` package is missing.
    """
    return AnthropicJudge()


@cache
def _answers() -> Mapping[str, Any]:
    types = _types("types")
    shared = _types("types.shared.error_response")
    events = models_by_type(types.RawMessageStreamEvent)
    whole = {"message": types.Message, "error": shared.ErrorResponse, "model": types.ModelInfo}
    return {**events, **whole}


def _types(name: str) -> Any:
    return vendor_module(f"anthropic.{name}", package="anthropic", feature=_FEATURE)


def _of_request(request: Mapping[str, Any]) -> list[str]:
    from pydantic import ValidationError

    problems = []
    for name, kind in _LOST.items():
        value = request.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | kind)):
            problems.append(f"{name}: no {kind.__name__}")
    known = {name: value for name, value in request.items() if name not in _LOST}
    try:
        _request(bool(request.get("stream"))).validate_python(known)
    except ValidationError as refusal:
        for error in refusal.errors(include_url=False, include_input=False):
            # The names of unions' members are steps of the path, too; those of whole unions are too long to read.
            path = ".".join(step for step in map(str, error["loc"]) if len(step) < _LONG)
            problems.append(f"{path}: {error['msg']}")
    return problems[:_MOST]


@cache
def _request(streamed: bool) -> Any:
    """The judge of a request that is answered by a stream, or as a whole."""
    from pydantic import TypeAdapter

    params = _types("types.message_create_params")
    kind = "MessageCreateParamsStreaming" if streamed else "MessageCreateParamsNonStreaming"
    return TypeAdapter(_closed(getattr(params, kind)))


def _closed(kind: Any) -> Any:
    """A type of a request without any leniency: it has no fields but its own, and lists are read at once."""
    origin, inside = get_origin(kind), get_args(kind)
    if _is_typed_dict(kind):
        return _closed_dict(kind)
    if origin is Literal or not inside:
        # What is not spelled out: an object of any kind.
        return Any if kind is object else kind
    if origin is Annotated:
        return _closed(inside[0])
    if origin in (Union, UnionType):
        # Answers of the client may be given back as they are; on the wire they are objects as any others.
        members = [_closed(each) for each in inside if not hasattr(each, "model_fields")]
        members = [each for each in members if each is not Never]
        return Union[tuple(members)] if members else Never  # noqa: UP007 - made of values
    listed = origin in (collections.abc.Iterable, collections.abc.Sequence, list)
    if listed or "NotStr" in str(kind):
        return GenericAlias(list, (_closed(inside[0]),))
    if origin in (dict, collections.abc.Mapping):
        return GenericAlias(dict, (inside[0], _closed(inside[1])))
    return _closed(inside[0])  # Required, NotRequired


@cache
def _closed_dict(kind: Any) -> Any:
    from typing import NotRequired, Required

    from pydantic import ConfigDict, with_config
    from typing_extensions import TypedDict

    # `__required_keys__` is not to be believed where annotations are text. All that is required says so.
    fields = {
        name: (Required if get_origin(field) is Required else NotRequired)[_closed(field)]
        for name, field in get_type_hints(kind, include_extras=True).items()
    }
    if kind.__name__ == "ToolParam":  # its schema may hold whatever JSON schema has
        fields["input_schema"] = Required[dict[str, Any]]
    make: Any = TypedDict
    made = make(kind.__name__, fields)
    return with_config(ConfigDict(extra="forbid", strict=True))(made)


def _is_typed_dict(kind: Any) -> bool:
    return isinstance(kind, type) and hasattr(kind, "__required_keys__") and kind is not NoneType
