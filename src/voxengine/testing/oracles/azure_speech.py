"""The judge of the protocol of Azure's speech client (USP), by its documented shape.

There are no published types of it. The client's messages are as the native client of `azure-cognitiveservices-speech`
1.53 was seen to send them; the server's are those to which that client answers with the results that its documentation
promises. Of the server's messages nothing may be in them but this.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = ["Frame", "SpeechJudge"]

MAX_VIOLATIONS = 100
_REQUEST_ID = re.compile(r"[0-9a-f]{32}")


class Frame(msgspec.Struct, frozen=True):
    """A message: a block of headers, and a body that is JSON, text or bytes."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any] | str | bytes


class _Strict(msgspec.Struct, forbid_unknown_fields=True):
    pass


class _ServiceTag(_Strict):
    serviceTag: str


class _TurnStart(_Strict):
    context: _ServiceTag


class _Place(_Strict):
    Offset: int


class _Hypothesis(_Strict):
    Id: str
    Text: str
    Offset: int
    Duration: int


class _Phrase(_Strict):
    Id: str
    RecognitionStatus: Literal["Success", "NoMatch", "EndOfDictation", "InitialSilenceTimeout"]
    Offset: int
    Duration: int
    DisplayText: str | msgspec.UnsetType = msgspec.UNSET
    clientAudioMetadata: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class _Inline(_Strict):
    type: Literal["inline"]
    streamId: str


class _Response(_Strict):
    context: _ServiceTag
    audio: _Inline


class _BoundaryText(_Strict):
    Text: str
    Length: int
    BoundaryType: Literal["WordBoundary", "PunctuationBoundary", "SentenceBoundary"]


class _Boundary(_Strict):
    Offset: int
    Duration: int
    text: _BoundaryText


class _Metadatum(_Strict):
    Type: Literal["WordBoundary"]
    Data: _Boundary


class _Metadata(_Strict):
    Metadata: list[_Metadatum]


class _Nothing(_Strict):
    pass


class _System(msgspec.Struct):
    name: str
    version: str


class _Context(msgspec.Struct):
    system: _System


class _Config(msgspec.Struct):
    context: _Context


class _Detection(msgspec.Struct):
    mode: str
    language: str | None = None


class _SpeechContext(msgspec.Struct):
    phraseDetection: _Detection


class _Output(msgspec.Struct):
    outputFormat: str


class _Synthesis(msgspec.Struct):
    audio: _Output


class _SynthesisContext(msgspec.Struct):
    synthesis: _Synthesis


_SERVER: Mapping[str, Any] = {
    "turn.start": _TurnStart,
    "turn.end": _Nothing,
    "speech.startDetected": _Place,
    "speech.endDetected": _Place,
    "speech.hypothesis": _Hypothesis,
    "speech.phrase": _Phrase,
    "response": _Response,
    "audio.metadata": _Metadata,
    "audio": bytes,
}
_CLIENT: Mapping[str, Any] = {
    "speech.config": _Config,
    "speech.context": _SpeechContext,
    "synthesis.context": _SynthesisContext,
    "audio": bytes,
    "audio.commit": str,
    "ssml": str,
    "text.piece": str,
    "text.end": str,
    "telemetry": dict,
}
#: Headers that a message has beside its path.
_HEADERS = {
    "audio": ("X-RequestId", "X-StreamId"),
    "audio.commit": ("X-RequestId", "X-Client-Commit-Token"),
    "speech.config": (),
}


class SpeechJudge:
    """Judges the messages of all sessions of an emulator. `violations` are what was wrong."""

    oracle = "documented shape"

    def __init__(self) -> None:
        self.violations: list[str] = []
        self.client_seen: Counter[str] = Counter()
        self.server_seen: Counter[str] = Counter()
        self.server_valid = 0

    def client(self, message: Frame) -> list[str]:
        """What is wrong with a message of the client."""
        self.client_seen[message.path] += 1
        return self._judged("client", _CLIENT, message)

    def server(self, message: Frame) -> list[str]:
        """What is wrong with a message of the server."""
        self.server_seen[message.path] += 1
        problems = self._judged("server", _SERVER, message)
        self.server_valid += not problems
        return problems

    def figures(self) -> dict[str, int | str]:
        """The counts, as a report shows them; `client_events` is the number of different paths that were seen."""
        return {
            "client_events": len(self.client_seen),
            "server_events_sent": self.server_seen.total(),
            "server_events_valid": self.server_valid,
            "violations": len(self.violations),
            "oracle": self.oracle,
        }

    def _judged(self, side: str, shapes: Mapping[str, Any], message: Frame) -> list[str]:
        problems = _problems(shapes, message)
        room = MAX_VIOLATIONS - len(self.violations)
        self.violations += [f"{side} {message.path}: {words}" for words in problems[:room]]
        return problems


def _problems(shapes: Mapping[str, Any], message: Frame) -> list[str]:
    shape = shapes.get(message.path)
    if shape is None:
        return [f"path: {message.path!r} is unknown"]
    wanted = _HEADERS.get(message.path, ("X-RequestId",))
    found = [f"{name}: missing" for name in wanted if not message.headers.get(name)]
    request_id = message.headers.get("X-RequestId")
    if request_id is not None and _REQUEST_ID.fullmatch(request_id) is None:
        found.append(f"X-RequestId: {request_id!r} is not 32 hexadecimal digits")
    try:
        msgspec.convert(message.body, shape, strict=True)
    except msgspec.ValidationError as wrong:
        found.append(str(wrong))
    return found
