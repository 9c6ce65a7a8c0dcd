from __future__ import annotations

import importlib
import struct
import warnings
from typing import Any

import pytest

from voxengine.audio import g711

ALL_SAMPLES = struct.pack("<65536h", *range(-32768, 32768))
ALL_CODES = bytes(range(256))


@pytest.fixture(scope="module")
def audioop() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return importlib.import_module("audioop")
        except ImportError:
            pytest.skip("audioop left the standard library with Python 3.13")


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_every_sample_is_encoded_as_the_standard_library_does(law: str, audioop: Any) -> None:
    expected = getattr(audioop, f"lin2{law}")(ALL_SAMPLES, 2)
    assert g711.encode(ALL_SAMPLES, f"g711_{law}") == expected


@pytest.mark.parametrize("law", ["ulaw", "alaw"])
def test_every_code_is_decoded_as_the_standard_library_does(law: str, audioop: Any) -> None:
    expected = getattr(audioop, f"{law}2lin")(ALL_CODES, 2)
    assert g711.decode(ALL_CODES, f"g711_{law}") == expected


@pytest.mark.parametrize("law", ["g711_ulaw", "g711_alaw"])
def test_decoding_and_encoding_gives_the_same_code(law: str) -> None:
    back = g711.encode(g711.decode(ALL_CODES, law), law)
    # mu-law has two zeros; the negative one (0x7f) becomes the positive one.
    assert back == ALL_CODES.replace(b"\x7f", b"\xff" if law == "g711_ulaw" else b"\x7f")


def test_the_named_functions_are_the_two_laws() -> None:
    assert g711.ulaw_to_pcm16(b"\x00\xff") == struct.pack("<2h", -32124, 0)
    assert g711.alaw_to_pcm16(b"\x55\xd5") == struct.pack("<2h", -8, 8)
    assert g711.pcm16_to_ulaw(struct.pack("<2h", 32767, -32768)) == b"\x80\x00"
    assert g711.pcm16_to_alaw(struct.pack("<2h", 32767, -32768)) == b"\xaa\x2a"
