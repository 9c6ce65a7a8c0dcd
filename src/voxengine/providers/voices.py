"""The nearest voice of another vendor: who sounds how is in `voice_table`.

A conversation that moves to another provider should not change from a man's voice to a woman's because the names
differ. Nothing is ever replaced in silence: the result says whether the voice is the one that was asked for, and if
not, why, in words to show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec

from voxengine.providers.manifest import load, vendors
from voxengine.providers.voice_table import TONES, VOICES, Voice

__all__ = ["Mapped", "Voice", "all_voices", "map_voice"]

#: How the ids of OpenAI's custom voices begin; on its wire they are `{"id": "voice_..."}`.
_CUSTOM = "voice_"
#: A warning names no more voices than these.
_SHOWN = 12
_OPENAI_NAMES = frozenset(voice.name for voice in VOICES["openai-live"])


@cache
def all_voices() -> Mapping[str, tuple[Voice, ...]]:
    """The voices of all vendors: by the name of a provider, or of a part of a cascade ("tts.cartesia").

    Where two have a voice of the same name, the first is the one that a bare name means.
    """
    own = {
        name: load(place) for vendor in vendors().values() for name, place in vendor.voices.items()
    }
    return {**VOICES, **own}


@cache
def _known() -> Mapping[str, Voice]:
    index: dict[str, Voice] = {}
    for voices in all_voices().values():
        for voice in voices:
            index.setdefault(voice.name.casefold(), voice)
            index.setdefault(voice.wire_name.casefold(), voice)
    return index


class Mapped(msgspec.Struct, frozen=True):
    """The voice to ask the vendor for, whether it is the one that was wanted, and if not, why."""

    voice: str
    exact: bool
    #: A sentence for a warning; empty if `exact`.
    reason: str = ""


def map_voice(voice: str, target: str | Sequence[str | Voice]) -> Mapped:
    """The voice of the target that is `voice`, or is nearest to it.

    One that the target has is taken as it is, in any case of letters and by name or id. Else it is the nearest by
    presentation, then language, then tone, then the target's own order, of a name that any vendor has; of another name,
    the target's first. An id of a custom voice of OpenAI passes where OpenAI's voices are. A target that
    names no voices takes any.

    Args:
        voice: a name, of any vendor.
        target: a vendor in `all_voices`, or voices or names of voices, the default first.

    Raises:
        ValueError: `target` is a string and no vendor of the table.
    """
    offered = _offered(target)
    wanted = voice.strip()
    if not offered or (_takes_custom(offered) and wanted.startswith(_CUSTOM)):
        return Mapped(wanted, exact=True)
    for here in offered:
        if wanted.casefold() in (here.name.casefold(), here.wire_name.casefold()):
            return Mapped(here.wire_name, exact=True)
    there = _known().get(wanted.casefold())
    if there is None:
        chosen = offered[0]
        why = "the default: nothing is known of the one asked for"
    else:
        chosen = min(offered, key=lambda here: _distance(there, here))
        why = f"the nearest to a voice that is {_traits(there)}"
        if chosen.presentation == "neutral" and chosen.name.casefold() not in _known():
            why = f"the default: nothing is known of those to choose from for one that is {_traits(there)}"
        elif chosen.presentation != there.presentation:
            why += f", though it is {_traits(chosen)}"
    return Mapped(
        chosen.wire_name,
        exact=False,
        reason=f"voice {voice!r} is not one of {_names(offered)}; using {chosen.name!r}, {why}",
    )


def _offered(target: str | Sequence[str | Voice]) -> tuple[Voice, ...]:
    """The voices to choose from. Of a name that no vendor has, nothing is known."""
    if isinstance(target, str):
        try:
            return all_voices()[target]
        except KeyError:
            known = ", ".join(all_voices())
            raise ValueError(
                f"no voices are known of {target!r}, only of {known}; pass the names of its voices"
            ) from None
    return tuple(each if isinstance(each, Voice) else _named(each) for each in target)


def _named(name: str) -> Voice:
    """The voice of this name with the spelling that the target gave it."""
    known = _known().get(name.casefold())
    if known is None:
        return Voice(name, "neutral", "clear")
    return Voice(name, known.presentation, known.tone, known.language)


def _names(offered: tuple[Voice, ...]) -> str:
    shown = ", ".join(here.name for here in offered[:_SHOWN])
    return shown if len(offered) <= _SHOWN else f"{shown} and {len(offered) - _SHOWN} more"


def _takes_custom(offered: tuple[Voice, ...]) -> bool:
    return all(here.name in _OPENAI_NAMES for here in offered)


def _distance(one: Voice, other: Voice) -> tuple[int, int, int]:
    """How unlike two voices are; the same in both directions."""
    if one.presentation == other.presentation:
        presentation = 0
    else:
        presentation = 1 if "neutral" in (one.presentation, other.presentation) else 2
    tone = abs(TONES.index(one.tone) - TONES.index(other.tone))
    return presentation, _apart(one.language, other.language), tone


def _apart(one: str | None, other: str | None) -> int:
    """0 for the same locale, 1 for the same language, 2 for another. One that names none is of plain English."""
    if one == other:
        return 0
    same = (one or "en")[:2] == (other or "en")[:2]
    return 1 if same else 2


def _traits(voice: Voice) -> str:
    words: list[str] = [voice.presentation, voice.tone]
    if voice.language is not None:
        words.append(voice.language)
    return ", ".join(words)
