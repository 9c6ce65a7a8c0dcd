"""The judges of ElevenLabs: of its agents, of Scribe, and of its voices.

Of the agents' messages the vendor publishes a contract and types for TypeScript, none for Python: they are judged by
structs of that shape, and the tests prove that what those accept is valid by the vendor's types, too. The others are
judged by the types of the `elevenlabs` package.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any, get_args

import msgspec

from voxengine.testing.oracles.counting import UNKNOWN_TYPE
from voxengine.testing.oracles.elevenlabs_shapes import CLIENT, SERVER, name_of
from voxengine.testing.oracles.exceptions import Exceptions, ExtraField
from voxengine.testing.oracles.shapes import ShapeJudge
from voxengine.testing.oracles.strict import problems_of
from voxengine.testing.oracles.vendor import vendor_module

__all__ = ["TypesJudge", "agents_judge", "scribe_judge", "speech_judge"]


class TypesJudge(ShapeJudge):
    """Judges by models of the vendor's package, each message by the one of its name."""

    oracle = "vendor types"

    def __init__(self, *, exceptions: Exceptions | None = None, **settings: Any) -> None:
        """`exceptions` is what a client may do beyond the types; the rest is of `ShapeJudge`."""
        super().__init__(**settings)
        self._exceptions = exceptions

    def knows(self, name: str) -> bool:
        """Whether the server has a message of this name."""
        return name in self._server

    def _problems(self, shapes: Mapping[str, Any], message: Any) -> tuple[str, list[str]]:
        if not isinstance(message, Mapping):
            try:
                message = msgspec.json.decode(message)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return "", ["the message: not JSON"]
        name = self._name_of(message) if isinstance(message, Mapping) else None
        if name is None:
            return UNKNOWN_TYPE, ["the message: nothing says what it is"]
        if name not in shapes:
            return name, ["name: unknown"]
        plain = copy.deepcopy(dict(message))
        wrong = self._exceptions.apply(name, plain) if self._exceptions is not None else []
        if issubclass(shapes[name], msgspec.Struct):
            try:
                msgspec.convert(plain, shapes[name], strict=True)
            except msgspec.ValidationError as refusal:
                return name, [*wrong, str(refusal)]
            return name, wrong
        return name, wrong + problems_of(shapes[name], plain)


def agents_judge() -> ShapeJudge:
    """A judge of one agent's conversation."""
    return ShapeJudge(client=CLIENT, server=SERVER, name_of=name_of)


def scribe_judge() -> TypesJudge:
    """A judge of one stream of Scribe's.

    Raises:
        MissingVendorTypesError: the `elevenlabs` package is missing.
    """
    client, server = _scribe()
    return TypesJudge(client=client, server=server, name_of=_by_message_type)


def speech_judge() -> TypesJudge:
    """A judge of connections to a voice, with many contexts or one.

    Raises:
        MissingVendorTypesError: the `elevenlabs` package is missing.
    """
    client, server = _speech()
    return TypesJudge(client=client, server=server, name_of=_of_speech, exceptions=_EXCEPTIONS)


def _by_message_type(message: Mapping[str, Any]) -> str | None:
    kind = message.get("message_type")
    return kind if isinstance(kind, str) else None


def _of_speech(message: Mapping[str, Any]) -> str | None:
    """What the fields of a message on a connection to a voice make it. One that names a context is of many."""
    server = {"audio", "isFinal", "error"} & message.keys()
    if server:
        return _of_server(message)
    if "context_id" in message or "close_socket" in message:
        return _of_multi(message)
    text = message.get("text")
    if text == "":
        return "CloseConnection"
    if text == " " and "flush" not in message:
        return "InitializeConnection"
    return "SendText" if text is not None else None


def _of_multi(message: Mapping[str, Any]) -> str | None:
    text = message.get("text")
    rules: tuple[tuple[bool, str], ...] = (
        ("close_socket" in message, "CloseSocket"),
        ("close_context" in message, "CloseContext"),
        (text == " " and "flush" not in message, "InitializeConnectionMulti"),
        ("voice_settings" in message or "generation_config" in message, "InitialiseContext"),
        ("flush" in message, "FlushContext"),
        (text == "", "KeepContextAlive"),
        (text is not None, "SendTextMulti"),
    )
    return next((name for holds, name in rules if holds), None)


def _of_server(message: Mapping[str, Any]) -> str | None:
    many = "Multi" if "contextId" in message else ""
    if message.get("isFinal"):
        return f"FinalOutput{many}"
    if "audio" in message:
        return f"AudioOutput{many}"
    return "error"


#: The vendor's own client sends what its types have not.
_EXCEPTIONS = Exceptions(
    dialect="elevenlabs",
    fields=(
        ExtraField(
            events=("InitializeConnection",),
            path="try_trigger_generation",
            reason="convert_realtime of the elevenlabs package says it with the first message",
            shape=bool,
        ),
    ),
)


class _SpeechError(msgspec.Struct, forbid_unknown_fields=True):
    """What comes before a connection to a voice is closed: the package has no type of it."""

    message: str
    error: str
    code: int


def _types(module: str, feature: str) -> Any:
    return vendor_module(f"elevenlabs.{module}", package="elevenlabs", feature=feature)


@cache
def _scribe() -> tuple[dict[str, Any], dict[str, Any]]:
    feature = "judging ElevenLabs Scribe"
    types = _types("types", feature)
    folder = "v_1_speech_to_text_realtime.types.receive_transcription"
    union = _types(folder, feature).ReceiveTranscription
    server: dict[str, Any] = {}
    for model in get_args(union):
        for name in _literals(model.model_fields["message_type"].annotation):
            server[name] = model
    return {"input_audio_chunk": types.InputAudioChunkPayload}, server


@cache
def _speech() -> tuple[dict[str, Any], dict[str, Any]]:
    feature = "judging ElevenLabs text to speech"
    client: dict[str, Any] = {}
    server: dict[str, Any] = {"error": _SpeechError}
    for kind, end, name in (("stream_input", "", ""), ("multi_stream_input", "_multi", "Multi")):
        folder = f"v_1_text_to_speech_voice_id_{kind}.types"
        send = getattr(_types(f"{folder}.send_message{end}", feature), f"SendMessage{name}")
        receive = getattr(
            _types(f"{folder}.receive_message{end}", feature), f"ReceiveMessage{name}"
        )
        client |= {model.__name__: model for model in get_args(send)}
        server |= {model.__name__: model for model in get_args(receive)}
    return client, server


def _literals(annotation: Any) -> list[str]:
    """All strings among the literals of a type."""
    found: list[str] = []
    for each in get_args(annotation):
        found += [each] if isinstance(each, str) else _literals(each)
    return found
