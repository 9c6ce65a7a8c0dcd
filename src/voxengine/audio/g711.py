"""The two 8-bit laws of the telephone network, ITU-T Recommendation G.711.

Each law is a table of 256 values one way and of 65536 the other; both are made when first used.
Sixteen-bit samples hold the values of the standard left-justified: mu-law is defined on 14 bits
(tables 2a and 2b), A-law on 13 bits (tables 1a and 1b), and the lowest bits are cut off before
encoding, as the ITU-T software tools (G.191) do.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "alaw_to_pcm16",
    "decode",
    "decode_samples",
    "encode",
    "encode_samples",
    "pcm16_to_alaw",
    "pcm16_to_ulaw",
    "ulaw_to_pcm16",
]

_ULAW = "g711_ulaw"
_ALAW = "g711_alaw"


@cache
def _decode_table(law: str) -> NDArray[np.int16]:
    import numpy as np

    # On the wire, mu-law is sent with all bits inverted and A-law with the even ones.
    code = np.arange(256) ^ (0xFF if law == _ULAW else 0x55)
    segment = (code >> 4) & 7
    step = code & 15
    if law == _ULAW:
        # Segment s spans 16 steps of 2**(s+1); the curve is shifted by 33 so that it passes through
        # zero.
        magnitude = (((2 * step + 33) << segment) - 33) << 2
        negative = code >= 128
    else:
        # Segments 0 and 1 have the same step; from there it doubles. Values are the middles of
        # their steps.
        magnitude = (
            np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment - 1, 0)) << 3
        )
        # In A-law a set sign bit means positive.
        negative = code < 128
    return np.where(negative, -magnitude, magnitude).astype(np.int16)


@cache
def _encode_table(law: str) -> NDArray[np.uint8]:
    """The code of every 16-bit sample, indexed by the sample's bits taken as unsigned."""
    import numpy as np

    sample = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    if law == _ULAW:
        value = sample >> 2
        negative = value < 0
        biased = np.minimum(np.abs(value), 8158) + 33
        segment = np.frexp(biased)[1] - 6
        code = (segment << 4) | ((biased >> (segment + 1)) & 15)
        code = np.where(negative, code | 0x80, code) ^ 0xFF
    else:
        value = sample >> 3
        negative = value < 0
        # The negative half mirrors the positive one about -1/2.
        magnitude = np.where(negative, -value - 1, value)
        segment = np.maximum(np.frexp(magnitude)[1] - 5, 0)
        code = (segment << 4) | ((magnitude >> np.maximum(segment, 1)) & 15)
        code = np.where(negative, code, code | 0x80) ^ 0x55
    return np.asarray(code, dtype=np.uint8)


def encode_samples(samples: NDArray[np.int16], law: str) -> NDArray[np.uint8]:
    """Codes [n] of int16 samples [n]. `law` is "g711_ulaw" or "g711_alaw"."""
    codes: NDArray[np.uint8] = _encode_table(law)[samples.view("u2")]
    return codes


def decode_samples(codes: bytes, law: str) -> NDArray[np.int16]:
    """The int16 samples [n] of n bytes of codes. `law` is "g711_ulaw" or "g711_alaw"."""
    import numpy as np

    samples: NDArray[np.int16]
    samples = _decode_table(law)[np.frombuffer(codes, np.uint8)]
    return samples


def encode(pcm16: bytes, law: str) -> bytes:
    """Encode pcm16 bytes [2n] to G.711 [n]. `law` is "g711_ulaw" or "g711_alaw"."""
    import numpy as np

    return encode_samples(np.frombuffer(pcm16, "<i2"), law).tobytes()


def decode(codes: bytes, law: str) -> bytes:
    """Decode G.711 bytes [n] to pcm16 [2n]. `law` is "g711_ulaw" or "g711_alaw"."""
    return decode_samples(codes, law).tobytes()


def pcm16_to_ulaw(pcm16: bytes) -> bytes:
    """mu-law bytes [n] of pcm16 bytes [2n]."""
    return encode(pcm16, _ULAW)


def ulaw_to_pcm16(codes: bytes) -> bytes:
    """pcm16 bytes [2n] of mu-law bytes [n]."""
    return decode(codes, _ULAW)


def pcm16_to_alaw(pcm16: bytes) -> bytes:
    """A-law bytes [n] of pcm16 bytes [2n]."""
    return encode(pcm16, _ALAW)


def alaw_to_pcm16(codes: bytes) -> bytes:
    """pcm16 bytes [2n] of A-law bytes [n]."""
    return decode(codes, _ALAW)
