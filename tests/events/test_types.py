"""The vocabulary: one class for each type, and dicts that become events and come back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from voxengine import EventType as PublicEventType
from voxengine import events as ev
from voxengine.errors import AudioError, ConfigurationError, VoiceEngineError
from voxengine.events import (
    AudioOutputChunk,
    ErrorGeneral,
    EventType,
    ProviderEvent,
    TextOutput,
    TypedEvent,
    event_class,
    make_event,
)

CLASSES = TypedEvent.__subclasses__()
META: dict[str, Any] = {
    "timestamp": 12.5,
    "provider": "p",
    "session_id": "s",
    "error": "went wrong",
    "event_id": "e1",
}


def own_fields(cls: type[ProviderEvent]) -> dict[str, Any]:
    """A value that is not the default, for each field that the class adds."""
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(cls):
        if field.name in ProviderEvent.__struct_fields__:
            continue
        kind = str(field.type)
        if field.name == "audio_data":
            values[field.name] = b"\x01\x02"
        elif field.name == "exception":
            values[field.name] = RuntimeError("boom")
        elif field.name == "limits":
            values[field.name] = (ev.RateLimit(name="requests", limit=10, remaining=7),)
        elif "dict" in kind:
            values[field.name] = {"a": 1}
        elif "bool" in kind:
            values[field.name] = not field.default
        elif "int" in kind and "str" not in kind:
            values[field.name] = 7
        elif "float" in kind:
            values[field.name] = 7.5
        else:
            values[field.name] = "value"
    return values


@pytest.mark.parametrize("kind", EventType)
def test_every_type_has_a_class_of_its_own(kind: EventType) -> None:
    cls = event_class(kind)
    assert issubclass(cls, TypedEvent)
    assert cls is not TypedEvent
    assert cls().type == kind  # type: ignore[call-arg]


def test_every_class_has_a_type_of_its_own() -> None:
    kinds = [cls().type for cls in CLASSES]  # type: ignore[call-arg]
    assert sorted(kinds) == sorted(EventType)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_is_public(cls: type[TypedEvent]) -> None:
    assert getattr(ev, cls.__name__) is cls
    assert cls.__name__ in ev.__all__


@pytest.mark.parametrize("cls", CLASSES)
def test_dict_and_class_say_the_same(cls: type[TypedEvent]) -> None:
    fields = own_fields(cls)
    event = cls(**fields, **META)
    names = cls.data_names
    assert event.data == {names.get(k, k): v for k, v in fields.items()}
    assert make_event(event.type, event.data, **META) == event
    assert type(make_event(str(event.type), event.data)) is cls


@pytest.mark.parametrize("cls", CLASSES)
def test_events_are_frozen_and_slotted(cls: type[TypedEvent]) -> None:
    event = cls()  # type: ignore[call-arg]
    assert not hasattr(event, "__dict__")
    with pytest.raises(AttributeError):
        event.type = "else"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        event.anything = 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("cls", CLASSES)
def test_every_class_says_what_it_means(cls: type[TypedEvent]) -> None:
    assert len((cls.__doc__ or "").split()) >= 4


def test_the_names_of_types_may_be_used_as_strings() -> None:
    event = make_event(EventType.TEXT_OUTPUT, {"text": "hello"})
    assert event.type == "text_chunk"
    assert event.type == EventType.TEXT_OUTPUT
    for kind, name in (
        (EventType.AUDIO_OUTPUT_CHUNK, "audio_chunk"),
        (EventType.ERROR_GENERAL, "error"),
        (EventType.CONNECTION_ESTABLISHED, "connection_established"),
    ):
        assert kind == name
    assert PublicEventType is EventType
    assert f"{event.type}" == "text_chunk"


def test_the_type_of_an_event_is_a_member_also_when_it_was_a_string() -> None:
    assert isinstance(make_event("text_chunk").type, EventType)


def test_what_the_type_has_no_field_for_is_kept() -> None:
    event = make_event("text_chunk", {"text": "hi", "logprob": -1.5, "provider": "azure"})
    assert isinstance(event, TextOutput)
    assert event.data["logprob"] == -1.5
    assert event.data["provider"] == "azure"
    assert event.provider == ""
    assert event.data["text"] == "hi"


def test_what_is_kept_does_not_leak_into_other_events() -> None:
    make_event("text_chunk", {"surprise": 1}).data["more"] = 2
    assert TextOutput().data == make_event("text_chunk").data
    assert "surprise" not in TextOutput().data


def test_a_type_of_ones_own_is_a_plain_event() -> None:
    event = make_event("mood_detected", {"emotion": "joy"}, provider="mine")
    assert type(event) is ProviderEvent
    assert event.data == {"emotion": "joy"}
    assert event.provider == "mine"


def test_the_dict_given_is_not_held() -> None:
    data = {"emotion": "joy"}
    event = make_event("mood_detected", data)
    data["emotion"] = "sorrow"
    assert event.data == {"emotion": "joy"}


def test_error_events_hold_the_exception_and_its_words() -> None:
    failure = Exception("no more tokens")
    event = make_event(EventType.ERROR_GENERAL, {"error": failure, "recoverable": False})
    assert isinstance(event, ErrorGeneral)
    assert event.data["error"] is failure
    assert event.exception is failure
    assert event.error == "no more tokens"
    assert event.is_error
    assert event.recoverable is False


def test_error_events_take_the_code_of_the_exception() -> None:
    event = make_event("error", {"error": AudioError("odd", code="audio_odd_bytes")})
    assert event.data["code"] == "audio_odd_bytes"


def test_words_instead_of_an_exception_become_one() -> None:
    event = make_event("error", {"error": "it broke"})
    assert isinstance(event.data["error"], VoiceEngineError)
    assert event.error == str(event.data["error"]) == "it broke"


def test_an_error_without_anything_still_says_something() -> None:
    event = make_event("error", {})
    assert event.error
    assert event.is_error


@pytest.mark.parametrize("kind", [bytearray, memoryview, bytes])
def test_audio_is_made_bytes(kind: Any) -> None:
    event = make_event("audio_chunk", {"audio_data": kind(b"\x01\x00")})
    assert isinstance(event, AudioOutputChunk)
    assert type(event.audio_data) is bytes
    assert event.audio_data == b"\x01\x00"


@pytest.mark.parametrize("audio", ["AQA=", None, [1, 2], 7])
def test_audio_that_is_not_bytes_is_refused(audio: Any) -> None:
    with pytest.raises(ConfigurationError, match="audio_data is bytes"):
        make_event("audio_chunk", {"audio_data": audio})


@pytest.mark.parametrize("data", ["text", [("text", "x")], 5])
def test_data_that_is_not_a_dict_is_refused(data: Any) -> None:
    with pytest.raises(ConfigurationError, match="dict"):
        make_event("text_chunk", data)


def test_a_typed_event_is_made_in_one_place_for_class_and_dict() -> None:
    assert make_event("text_chunk", {"text": "a"}, timestamp=3.0) == TextOutput(
        text="a", timestamp=3.0
    )
