"""The judge of Gemini Live: two sets of the vendor's own types, for neither knows all.

A, `google.genai.types.LiveClientMessage` and `LiveServerMessage`, has the newest fields and refuses what it does not
know; but its setup lacks `realtimeInputConfig` and `translationConfig`, which are judged by their own types. B, the
protocol buffers of `google.ai.generativelanguage`, refuses wrong values that A lets pass (of enums, say), and several
of what may be only one; but it lacks the newest fields. So a message is valid if A takes it, and B takes it without
the fields that it does not know. Those are counted in `only_a`.

The text models are judged in the same way: `generate_judge`.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec

from voxengine.testing.oracles.judge import UNKNOWN_TYPE, Judge, Message, Vocabulary
from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["GeminiJudge", "gemini_judge", "generate_problems"]

#: Fields of the setup that A lacks, and the types that judge them.
_LACKING = {
    "realtimeInputConfig": "RealtimeInputConfig",
    "translationConfig": "TranslationConfig",
}
#: What may stand beside the one field that says what a message of the server is.
_BESIDE = frozenset({"usageMetadata"})
_NONE = Vocabulary(models={})


class GeminiJudge(Judge):
    """Judges by both. `only_a`: fields that B does not know, by their path, and how often each came."""

    oracle = "google.genai types and google.ai.generativelanguage protocol buffers"

    def __init__(self, *, kept: int = 100) -> None:
        super().__init__(client=_NONE, server=_NONE, kept=kept)
        self.only_a: Counter[str] = Counter()

    def _judge(
        self, side: str, rules: Vocabulary, seen: Counter[str], message: Message
    ) -> list[str]:
        plain = _object(message)
        if plain is None:
            kind, problems = UNKNOWN_TYPE, ["the message: not a JSON object"]
        else:
            kind, problems = self._problems_of(side, _in_camel(plain))
        seen[kind] += 1
        return self._keep(side, kind, problems)

    def _problems_of(self, side: str, message: dict[str, Any]) -> tuple[str, list[str]]:
        a, b = _types(side)
        known = {field.alias or name for name, field in a.model_fields.items()}
        kinds = [name for name in message if name not in _BESIDE]
        unknown = [name for name in kinds if name not in known]
        if unknown:
            return UNKNOWN_TYPE, [f"{unknown[0]}: unknown field"]
        kind = kinds[0] if kinds else next(iter(message), UNKNOWN_TYPE)
        problems = (
            [] if len(kinds) == 1 or (not kinds and message) else ["the message: not one field"]
        )
        problems += _by_a(a, message)
        if not problems:
            problems = _by_b(b, _without_unknown(message, b.DESCRIPTOR, "", self.only_a))
        return kind, problems


def gemini_judge() -> GeminiJudge:
    """A judge of one connection.

    Raises:
        MissingVendorTypesError: `google-genai` or `google-ai-generativelanguage` is missing.
    """
    _types("client")
    return GeminiJudge()


def generate_problems(side: str, message: Mapping[str, Any]) -> list[str]:
    """What is wrong with a request of `generateContent`, or with a response, by the protocol buffers and the types.

    Raises:
        MissingVendorTypesError: the vendor's packages are missing.
    """
    a, b = _types(f"generate {side}")
    plain = _in_camel(_object(message) or {})
    problems = _strictly(a, plain) if side == "server" else []
    return problems or _by_b(b, _without_unknown(plain, b.DESCRIPTOR, "", Counter()))


@cache
def _types(what: str) -> tuple[Any, Any]:
    for_what = "judging Gemini"
    genai = vendor_module("google.genai.types", package="google-genai", feature=for_what)
    package = "google-ai-generativelanguage"
    proto = vendor_module("google.ai.generativelanguage_v1beta", package=package, feature=for_what)
    a, b = {
        "client": ("LiveClientMessage", "BidiGenerateContentClientMessage"),
        "server": ("LiveServerMessage", "BidiGenerateContentServerMessage"),
        "generate client": ("GenerateContentConfig", "GenerateContentRequest"),
        "generate server": ("GenerateContentResponse", "GenerateContentResponse"),
    }[what]
    return getattr(genai, a), getattr(proto, b).pb()


def _object(message: Message) -> dict[str, Any] | None:
    try:
        raw = msgspec.json.encode(message) if isinstance(message, Mapping) else message
        found = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
        return None
    return found if isinstance(found, dict) else None


def _by_a(model: Any, message: dict[str, Any]) -> list[str]:
    genai = vendor_module("google.genai.types", package="google-genai", feature="judging Gemini")
    setup = message.get("setup")
    problems: list[str] = []
    if isinstance(setup, dict):
        own = {name: setup[name] for name in _LACKING if name in setup}
        message = {"setup": {name: value for name, value in setup.items() if name not in own}}
        for name, value in own.items():
            found = _strictly(getattr(genai, _LACKING[name]), value)
            problems += [f"setup.{name}.{problem}" for problem in found]
    return problems + _strictly(model, message)


def _strictly(model: Any, value: Any) -> list[str]:
    """The problems by one of A's types. A value that an enum does not have, they take with a warning.

    Types are converted here, for strictly these models refuse all base64; B does not convert them.
    """
    from pydantic import ValidationError

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            model.model_validate_json(msgspec.json.encode(value))
        except ValidationError as refusal:
            found = refusal.errors(include_url=False, include_input=False)
            return [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in found]
    return [str(each.message) for each in told if "is not a valid" in str(each.message)]


def _by_b(kind: Any, message: dict[str, Any]) -> list[str]:
    json_format = vendor_module(
        "google.protobuf.json_format", package="protobuf", feature="judging Gemini"
    )
    try:
        json_format.ParseDict(message, kind())
    except (json_format.ParseError, ValueError, TypeError) as refusal:
        return [str(refusal)]
    return []


def _without_unknown(value: Any, descriptor: Any, path: str, dropped: Counter[str]) -> Any:
    """A message without the fields that a protocol buffer does not have."""
    if isinstance(value, list):
        return [_without_unknown(each, descriptor, path, dropped) for each in value]
    if not isinstance(value, dict) or descriptor.full_name.startswith("google.protobuf."):
        return value
    fields = {field.json_name: field for field in descriptor.fields}
    kept: dict[str, Any] = {}
    for name, each in value.items():
        where = f"{path}.{name}" if path else name
        field = fields.get(name)
        if field is None:
            dropped[where] += 1
        elif field.message_type is None or field.message_type.GetOptions().map_entry:
            kept[name] = each
        else:
            kept[name] = _without_unknown(each, field.message_type, where, dropped)
    return kept


#: Below these names the application's own begin.
_OWN = frozenset({"args", "response", "parameters", "parametersJsonSchema", "labels"})


def _in_camel(value: Any) -> Any:
    """Names in snake_case as the same in camelCase: to protocol buffers they are one."""
    if isinstance(value, list):
        return [_in_camel(each) for each in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, each in value.items():
        head, *rest = key.split("_")
        name = head + "".join(word.capitalize() for word in rest)
        result[name] = each if name in _OWN else _in_camel(each)
    return result
