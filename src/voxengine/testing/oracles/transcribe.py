"""The judge of Amazon Transcribe's messages: the types of `aws_sdk_transcribe_streaming`, field by field.

The library that has these types leaves out what it does not know, so it is no judge by itself. Here its schemas are
walked: a member that they lack, and a value of another kind, are problems.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import msgspec

from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["TranscribeJudge", "transcribe_judge"]

_PACKAGE = "aws-sdk-transcribe-streaming"
_MODULE = "aws_sdk_transcribe_streaming"
#: The prefix of the headers in which the request says what it wants.
_HEADERS = "x-amzn-transcribe-"


def transcribe_judge() -> TranscribeJudge:
    """A judge of one stream.

    Raises:
        MissingVendorTypesError: the library is not there; it needs Python 3.12.
    """
    return TranscribeJudge()


class TranscribeJudge:
    """Judges requests and events, and counts. It has what the emulators ask of a judge."""

    oracle = "vendor types"

    def __init__(self) -> None:
        self._models, self._schemas = _library()
        self.violations: list[str] = []
        self.seen: Counter[str] = Counter()

    def request(self, headers: Mapping[str, str]) -> list[str]:
        """What is wrong with the headers of a request."""
        members = {
            trait.document_value: (name, member)
            for name, member in self._schemas.START_STREAM_TRANSCRIPTION_INPUT.members.items()
            for trait in member.traits.values()
            if "httpHeader" in str(trait.id)
        }
        problems = []
        for name, value in headers.items():
            if name.startswith(_HEADERS):
                if name not in members:
                    problems.append(f"{name}: unknown header")
                else:
                    problems += self._header(*members[name], value)
        needed = ("language-code", "sample-rate", "media-encoding")
        problems += [f"{_HEADERS}{n}: missing" for n in needed if f"{_HEADERS}{n}" not in headers]
        return self._keep("client request", problems)

    def client(self, message: Any) -> list[str]:
        """What is wrong with a message of the client: it sends audio alone, which is no message."""
        return self._keep("client", [f"a message that is no audio: {message!r}"])

    def server(self, message: Any) -> list[str]:
        """What is wrong with a transcript event."""
        plain = message if isinstance(message, Mapping) else msgspec.json.decode(message)
        return self._keep("server", [*self._walk(self._schemas.TRANSCRIPT_EVENT, plain, "event")])

    def _keep(self, side: str, problems: list[str]) -> list[str]:
        self.seen[side] += 1
        self.violations += [f"{side}: {problem}" for problem in problems]
        return problems

    def _header(self, name: str, schema: Any, value: str) -> list[str]:
        kind = schema.shape_type.name
        match kind:
            case "INTEGER":
                good = value.isdecimal()
            case "BOOLEAN":
                good = value in ("true", "false")
            case "ENUM":
                good = value in self._values(schema)
            case _:
                good = True
        return [] if good else [f"{name}: {value!r} is no {kind.lower()} of it"]

    def _walk(self, schema: Any, value: Any, path: str) -> Iterator[str]:
        kind = schema.shape_type.name
        if kind == "STRUCTURE":
            if not isinstance(value, Mapping):
                yield f"{path}: no object"
                return
            for name, each in value.items():
                if name in schema.members:
                    yield from self._walk(schema.members[name], each, f"{path}.{name}")
                else:
                    yield f"{path}.{name}: unknown field"
        elif kind == "LIST":
            if not isinstance(value, list):
                yield f"{path}: no list"
                return
            for index, each in enumerate(value):
                yield from self._walk(schema.members["member"], each, f"{path}.{index}")
        elif kind == "ENUM":
            if value not in self._values(schema):
                yield f"{path}: {value!r} is none of its values"
        elif not _fits(kind, value):
            yield f"{path}: {value!r} is no {kind.lower()}"

    def _values(self, schema: Any) -> set[str]:
        target = schema.member_target or schema
        return {str(each) for each in getattr(self._models, target.id.name)}


def _fits(kind: str, value: Any) -> bool:
    match kind:
        case "STRING":
            return isinstance(value, str)
        case "BOOLEAN":
            return isinstance(value, bool)
        case "DOUBLE" | "FLOAT":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "INTEGER" | "LONG":
            return isinstance(value, int) and not isinstance(value, bool)
    return True


@cache
def _library() -> tuple[Any, Any]:
    feature = "judging Amazon Transcribe"
    models, schemas = (
        vendor_module(f"{_MODULE}.{name}", package=_PACKAGE, feature=feature)
        for name in ("models", "_private.schemas")
    )
    return models, schemas
