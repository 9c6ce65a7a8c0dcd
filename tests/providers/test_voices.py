"""A voice has a nearest one at every vendor, and nothing is replaced in silence."""

from __future__ import annotations

from itertools import permutations, product
from typing import get_args

import pytest
from openai.types import live

from voxengine.providers.voice_table import TONES, Tone
from voxengine.providers.voices import Mapped, Voice, all_voices, map_voice

VOICES = all_voices()

PAIRS = list(permutations(VOICES, 2))
STRANGERS = list(product(VOICES, ["nobody", "", "voice"]))


def find(vendor: str, wire_name: str) -> Voice:
    (voice,) = [v for v in VOICES[vendor] if v.wire_name == wire_name]
    return voice


# -- the table


def test_names_and_ids_of_a_vendor_are_its_own() -> None:
    for vendor, voices in VOICES.items():
        for of in (lambda v: v.name, lambda v: v.wire_name):
            named = [of(v).casefold() for v in voices]
            assert len(set(named)) == len(named), vendor


def test_voices_of_one_name_are_alike() -> None:
    """A bare name means the first of them; then that has to say enough of the others."""
    by_name: dict[str, set[str]] = {}
    for voices in VOICES.values():
        for voice in voices:
            by_name.setdefault(voice.name.casefold(), set()).add(voice.presentation)
    assert {name: kinds for name, kinds in by_name.items() if len(kinds) > 1} == {}


def test_the_table_has_the_voices_that_the_packages_know() -> None:
    hibari = pytest.importorskip("hibari.voices", reason="the extra 'local' is not installed")
    assert {v.name for v in VOICES["openai-live"]} == set(get_args(live.BuiltInVoice))
    genders = {"female": "feminine", "male": "masculine"}
    assert {v.name: (v.presentation, v.language) for v in VOICES["local"]} == {
        name: (genders[facts["gender"]], facts["language"]) for name, facts in hibari.VOICES.items()
    }


@pytest.mark.parametrize("vendor", ["openai", "azure", "xai"])
def test_the_table_has_the_voices_that_a_provider_offers(vendor: str) -> None:
    from voxengine.providers.openai.dialects import DIALECTS

    offered = DIALECTS[vendor].capabilities.voices
    assert {v.name for v in VOICES[vendor]} == set(offered)
    assert VOICES[vendor][0].name == offered[0], "the default"


def test_every_tone_has_its_place() -> None:
    assert set(TONES) == set(get_args(Tone))


# -- mapping


@pytest.mark.parametrize("vendor", VOICES)
def test_a_voice_that_the_vendor_has_is_taken_as_it_is(vendor: str) -> None:
    for voice in VOICES[vendor]:
        expected = Mapped(voice.wire_name, exact=True)
        for spelling in (voice.name, voice.name.upper(), voice.name.lower(), voice.wire_name):
            assert map_voice(spelling, vendor) == expected
        assert map_voice(f" {voice.name}\n", vendor) == expected


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_every_voice_has_one_of_its_kind_at_every_vendor(source: str, target: str) -> None:
    kinds = {v.presentation for v in VOICES[target]}
    for voice in VOICES[source]:
        mapped = map_voice(voice.wire_name, target)
        chosen = find(target, mapped.voice)
        assert mapped.exact == (not mapped.reason)
        if voice.presentation in kinds:
            assert chosen.presentation == voice.presentation, mapped
        if not mapped.exact:
            assert chosen.name in mapped.reason
            assert voice.wire_name in mapped.reason


@pytest.mark.parametrize(("source", "target"), PAIRS)
def test_going_to_and_fro_settles_at_once(source: str, target: str) -> None:
    """A conversation that is moved back and forth does not wander from voice to voice."""
    for voice in VOICES[source]:
        name = voice.wire_name
        for _ in range(2):
            name = map_voice(map_voice(name, target).voice, source).voice
        there = map_voice(name, target).voice
        assert map_voice(there, source).voice == name
        assert map_voice(name, target).voice == there


@pytest.mark.parametrize(
    ("voice", "target", "expected"),
    [
        ("marin", "xai", "ara"),
        ("rex", "openai", "ash"),
        ("sal", "openai", "alloy"),
        ("cedar", "gemini", "Achird"),
        ("Puck", "openai", "verse"),
        ("coral", "xai", "eve"),
        ("carolina", "openai-live", "bossa"),  # the language before the tone
        ("ambre", "deepgram", "aura-2-agathe-fr"),
        ("alloy", "elevenlabs", "SAz9YHcvj6GT2YYXdXww"),
        ("aura-2-draco-en", "elevenlabs", "JBFqnCBsd6RMkjVDRZzb"),  # both British, warm
        ("verse", "local", "fenrir"),
    ],
)
def test_the_nearest(voice: str, target: str, expected: str) -> None:
    mapped = map_voice(voice, target)
    assert mapped.voice == expected
    assert not mapped.exact


def test_the_reason_says_what_was_asked_what_there_is_and_what_is_used() -> None:
    assert map_voice("marin", "xai").reason == (
        "voice 'marin' is not one of ara, eve, leo, rex, sal; "
        "using 'ara', the nearest to a voice that is feminine, warm"
    )
    assert map_voice("cedar", ["heart"]).reason == (
        "voice 'cedar' is not one of heart; using 'heart', the nearest to a voice that is "
        "masculine, warm, though it is feminine, warm, en-US"
    )
    many = map_voice("nobody", "gemini").reason
    assert "Orus, Zephyr" in many
    assert "and 18 more" in many


def test_names_can_be_given_instead_of_a_vendor() -> None:
    assert map_voice("Marin", ("cedar", "marin")) == Mapped("marin", exact=True)
    assert map_voice("eve", ("marin", "cedar", "coral")).voice == "coral"
    assert map_voice("rex", ("MARIN", "CEDAR")).voice == "CEDAR", "as it is spelt there"
    assert map_voice("Aoede", ["alto", "tenor"]).voice == "alto"
    assert "nothing is known" in map_voice("Aoede", ["alto", "tenor"]).reason


@pytest.mark.parametrize(("vendor", "name"), STRANGERS)
def test_an_unknown_voice_is_the_default_and_it_is_said(vendor: str, name: str) -> None:
    mapped = map_voice(name, vendor)
    assert mapped.voice == VOICES[vendor][0].wire_name
    assert not mapped.exact
    assert repr(name) in mapped.reason
    assert "default" in mapped.reason


@pytest.mark.parametrize("vendor", VOICES)
def test_a_custom_voice_passes_to_openai_alone(vendor: str) -> None:
    mapped = map_voice("voice_1234", vendor)
    if vendor in ("openai", "azure", "openai-live"):
        assert mapped == Mapped("voice_1234", exact=True)
        names = [v.name for v in VOICES[vendor]]
        assert map_voice("voice_1234", names) == mapped
    else:
        assert mapped.voice == VOICES[vendor][0].wire_name
        assert not mapped.exact


def test_a_vendor_that_names_no_voices_is_asked_for_any() -> None:
    assert map_voice("whatever", ()) == Mapped("whatever", exact=True)


def test_a_vendor_of_which_nothing_is_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="'acme', only of openai, "):
        map_voice("marin", "acme")
