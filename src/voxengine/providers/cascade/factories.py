"""Makes the built-in parts from a spec's rest and a mapping of options. Imports each part when it is asked for."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from voxengine.errors import ConfigurationError

if TYPE_CHECKING:
    from voxengine.providers.cascade.energy import EnergyVAD
    from voxengine.providers.cascade.local.hibari import HibariTTS
    from voxengine.providers.cascade.local.silero import SileroVAD
    from voxengine.providers.cascade.local.whisper import WhisperSTT
    from voxengine.providers.cascade.turns import AdaptiveTurnDetector

__all__ = ["adaptive", "energy", "hibari", "silero", "whisper"]

T = TypeVar("T")


def silero(model: str, options: Mapping[str, Any]) -> SileroVAD:
    """`silero`."""
    from voxengine.providers.cascade.local.silero import SileroVAD

    return _build("silero", SileroVAD, model, options)


def energy(model: str, options: Mapping[str, Any]) -> EnergyVAD:
    """`energy`; its options are those of `EnergyVAD`."""
    from voxengine.providers.cascade.energy import EnergyVAD

    return _build("energy", EnergyVAD, model, options)


def adaptive(model: str, options: Mapping[str, Any]) -> AdaptiveTurnDetector:
    """`adaptive`; its options are those of `AdaptiveTurnDetector`."""
    from voxengine.providers.cascade.turns import AdaptiveTurnDetector

    return _build("adaptive", AdaptiveTurnDetector, model, options)


def whisper(model: str, options: Mapping[str, Any]) -> WhisperSTT:
    """`whisper/MODEL`; its options are those of `WhisperSTT`, and `guards` may be a mapping."""
    import msgspec

    from voxengine.providers.cascade.local.decoding import Guards
    from voxengine.providers.cascade.local.whisper import WhisperSTT

    given = dict(options)
    if isinstance(given.get("guards"), Mapping):
        _check_names("whisper guards", Guards.__struct_fields__, given["guards"])
        try:
            given["guards"] = msgspec.convert(given["guards"], Guards)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"whisper: guards: {error}") from error
    return _build("whisper", WhisperSTT, model, given, takes="model")


def hibari(model: str, options: Mapping[str, Any]) -> HibariTTS:
    """`hibari/VOICE`; its options are those of `HibariTTS`."""
    from voxengine.providers.cascade.local.hibari import HibariTTS

    return _build("hibari", HibariTTS, model, options, takes="voice")


def _build(
    name: str, part: type[T], model: str, options: Mapping[str, Any], *, takes: str = ""
) -> T:
    """Call `part` with the options, and with the spec's rest as the argument `takes`.

    Raises:
        ConfigurationError: an option is unknown, or the part takes nothing behind the "/".
    """
    if model and not takes:
        raise ConfigurationError(f"{name} takes nothing behind a '/': {name}/{model}")
    allowed = [parameter for parameter in inspect.signature(part).parameters if parameter != takes]
    _check_names(name, allowed, options)
    arguments = {takes: model} if model else {}
    try:
        return part(**arguments, **options)
    except TypeError as error:  # a text where a number belongs
        raise ConfigurationError(f"{name}: {error}") from error


def _check_names(
    name: str, allowed: list[str] | tuple[str, ...], options: Mapping[str, Any]
) -> None:
    if unknown := sorted(set(options) - set(allowed)):
        raise ConfigurationError(
            f"{name} has no option {', '.join(map(repr, unknown))}; it has {', '.join(allowed) or 'none'}"
        )
