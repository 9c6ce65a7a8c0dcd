"""Typed events from dicts."""

from typing import Any

import msgspec

from voxengine.errors import ConfigurationError, VoiceEngineError
from voxengine.events import call as _call  # noqa: F401 - its classes are in the table below
from voxengine.events.types import (
    META,
    AudioOutputChunk,
    ErrorGeneral,
    ProviderEvent,
    RateLimit,
    RateLimitsUpdated,
    TypedEvent,
)

__all__ = ["event_class", "make_event"]


def _all_classes(base: type[TypedEvent]) -> dict[str, type[TypedEvent]]:
    # A field's default is kept in the struct's own table, at the end of the list of fields.
    table = {}
    for cls in base.__subclasses__():
        fields = {f.name: f.default for f in msgspec.structs.fields(cls)}
        table[str(fields["type"])] = cls
    return table


_CLASSES: dict[str, type[TypedEvent]] = _all_classes(TypedEvent)
_FIELDS = {
    name: {cls.data_names.get(f, f): f for f in cls.__struct_fields__ if f not in META}
    for name, cls in _CLASSES.items()
}


def event_class(type: str) -> type[ProviderEvent]:
    """The class of events of this type; `ProviderEvent` itself for a type that is not one of ours."""
    return _CLASSES.get(type, ProviderEvent)


def make_event(type: str, data: dict[str, Any] | None = None, **meta: Any) -> ProviderEvent:
    """Turn a type and a dict into the typed event.

    Keys of `data` that the type has no field for are kept and show in `.data`. `meta` is any of timestamp, provider,
    session_id, error, event_id. A type that is not one of ours gives a plain `ProviderEvent`.

    Raises:
        ConfigurationError: `data` is not a dict, audio is not bytes, or a rate limit is not one.
    """
    if data is not None and not isinstance(data, dict):
        raise ConfigurationError(f"the data of an event is a dict, not {data.__class__.__name__}")
    cls = _CLASSES.get(type)
    if cls is None:
        return ProviderEvent(type=str(type), data=dict(data or {}), **meta)
    known = _FIELDS[type]
    values: dict[str, Any] = {}
    extra: dict[str, Any] = {}
    for key, value in (data or {}).items():
        if key in known:
            values[known[key]] = value
        else:
            extra[key] = value
    if cls is AudioOutputChunk:
        values["audio_data"] = _as_bytes(values.get("audio_data", b""))
    elif cls is ErrorGeneral:
        _explain(values, meta)
    elif cls is RateLimitsUpdated:
        values["limits"] = _as_limits(values.get("limits", ()))
    return cls(data=extra, **values, **meta)


def _as_bytes(audio: Any) -> bytes:
    if isinstance(audio, bytes):
        return audio
    if isinstance(audio, (bytearray, memoryview)):
        return bytes(audio)
    raise ConfigurationError(f"audio_data is bytes, not {type(audio).__name__}")


def _as_limits(limits: Any) -> tuple[RateLimit, ...]:
    try:
        return msgspec.convert(limits, tuple[RateLimit, ...])
    except msgspec.ValidationError as failure:
        raise ConfigurationError(f"the limits of an event: {failure}") from None


def _explain(values: dict[str, Any], meta: dict[str, Any]) -> None:
    """Let an error event hold an exception and its words, whichever of the two it was given."""
    failure = values.get("exception")
    if failure is not None and not isinstance(failure, BaseException):
        failure = VoiceEngineError(str(failure))
        values["exception"] = failure
    meta["error"] = meta.get("error") or str(failure or "unknown error")
    if "code" not in values:
        values["code"] = getattr(failure, "code", "error")
