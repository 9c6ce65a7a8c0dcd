"""WAV files: read what we can use, and say clearly what a file is that we cannot.

The layout is that of Microsoft's RIFF WAVE: chunks of a four-letter name, a 32-bit size and an even
number of bytes. Numbers of formats are from Microsoft's mmreg.h (RFC 2361).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO, NoReturn, TypeAlias

from voxengine.audio.formats import AudioFormat, check_audio
from voxengine.audio.record import StereoRecorder, WavWriter
from voxengine.errors import AudioError

__all__ = ["StereoRecorder", "WavWriter", "load_speech", "read_wav", "write_wav"]

#: A path, the bytes of a file, or a file opened for reading bytes.
Source: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO"

#: The longest file that is read, 45 minutes of stereo at 48 kHz. A longer one does not belong in
#: memory.
MAX_FILE_BYTES = 512 * 1024 * 1024

#: Sizes from here on are what programs write that cannot go back to the header: "until the end of
#: the file".
_OPEN_END = 0x7FFF0000

_EXTENSIBLE = 0xFFFE
_FORMATS = {
    2: "Microsoft ADPCM",
    3: "floating point",
    6: "G.711 A-law",
    7: "G.711 mu-law",
    0x11: "IMA ADPCM",
    0x31: "GSM 6.10",
    0x50: "MPEG layer 2",
    0x55: "MP3",
}
_MAGIC = (
    (b"ID3", "an MP3 file"),
    (b"\xff\xfb", "an MP3 file"),
    (b"OggS", "an Ogg (Vorbis or Opus) file"),
    (b"fLaC", "a FLAC file"),
    (b"FORM", "an AIFF file"),
    (b"RIFX", "a big-endian WAV (RIFX) file"),
    (b"RF64", "an RF64 file"),
    (b"\x1aE\xdf\xa3", "a WebM or Matroska file"),
    (b"caff", "a Core Audio file"),
    (b"#!AMR", "an AMR file"),
    (b".snd", "a Sun audio file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"PK\x03\x04", "a ZIP file"),
)


def read_wav(source: Source) -> tuple[bytes, AudioFormat]:
    """Read a WAV file of 16-bit PCM. Returns its samples, channels interleaved, and their format.

    Raises:
        AudioError: the file is not that; the message says what it is, and how to convert it.
        OSError: the file cannot be opened.
    """
    data, name = _load(source)
    chunks = _chunks(data, name)
    if b"fmt " not in chunks:
        _refuse(f"{name} has no format chunk; it is damaged", name)
    if b"data" not in chunks:
        _refuse(f"{name} is truncated: it ends before any audio", name)
    format = _format(bytes(chunks[b"fmt "][0]), name)
    audio, missing = chunks[b"data"]
    if missing or len(audio) % format.bytes_per_frame:
        held, told = len(audio), len(audio) + missing
        _refuse(
            f"{name} is truncated: of {told} bytes of audio it holds {held}. Copy it again",
            name,
            convert=False,
        )
    if not audio:
        _refuse(f"{name} is empty: it holds no audio", name, convert=False)
    return bytes(audio), format


def load_speech(source: Source, target: AudioFormat, *, downmix: bool = False) -> bytes:
    """Read a WAV file and convert it to `target`.

    Several channels are made one only with `downmix=True`: in a recording of a call they are the
    two speakers.

    Raises:
        AudioError: the file is not 16-bit PCM, or has several channels and `downmix` is False.
        ConfigurationError: `target` is not mono.
        OSError: the file cannot be opened.
    """
    from voxengine.audio.resample import converter_for

    audio, format = read_wav(source)
    if format.channels > 1 and not downmix:
        name = _name_of(source)
        raise AudioError(
            f"{name} has {format.channels} channels, and speech is mono. Pass downmix=True to mix "
            "them, or take one with: "
            f"sox {name} mono.wav remix 1",
            code="audio_channels",
        )
    converter = converter_for(format, target)
    if converter is None:
        return audio
    # In pieces, because one call takes only so much.
    step = format.bytes_per_second * 10
    parts = [converter.process(audio[i : i + step]) for i in range(0, len(audio), step)]
    return b"".join(parts) + converter.flush()


def write_wav(path: str | os.PathLike[str], audio: bytes, format: AudioFormat) -> None:
    """Write a WAV file of 16-bit PCM.

    Raises:
        AudioError: `format` is not pcm16, or `audio` is not a whole number of samples, or is longer
            than a WAV can be.
        OSError: the file cannot be written.
    """
    with WavWriter(path, format) as writer:
        step = format.bytes_per_second * 10
        for i in range(0, len(audio), step):
            piece = audio[i : i + step]
            check_audio(piece, format)
            writer.write(piece)


def _name_of(source: Source) -> str:
    return (
        "the audio" if isinstance(source, bytes) or hasattr(source, "read") else os.fspath(source)
    )


def _load(source: Source) -> tuple[bytes, str]:
    """The bytes of a file, at most one more than may be, and a name for messages."""
    name = _name_of(source)
    if isinstance(source, bytes):
        data = source
    elif isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    else:
        data = source.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise AudioError(
            f"{name} has more than {MAX_FILE_BYTES >> 20} MB; cut it into parts",
            code="audio_too_large",
        )
    return data, name


def _chunks(data: bytes, name: str) -> dict[bytes, tuple[memoryview, int]]:
    """The first chunk of each name: its bytes, and how many of those that its header tells of are missing."""
    if not data:
        _refuse(f"{name} is empty: it has no bytes", name, convert=False)
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        _refuse(f"{name} is not a WAV file{_guess(data)}", name)
    chunks: dict[bytes, tuple[memoryview, int]] = {}
    view = memoryview(data)
    # A program that writes to a pipe leaves the sizes at zero, or at their largest.
    open_end = struct.unpack_from("<I", data, 4)[0] in (0, 0xFFFFFFFF)
    at = 12
    while at + 8 <= len(data):
        key, size = struct.unpack_from("<4sI", data, at)
        rest = len(data) - at - 8
        if key == b"data" and ((size > rest and size >= _OPEN_END) or (size == 0 and open_end)):
            # A last sample that was cut is not worth an error here: the writer was stopped.
            size = rest - rest % 2
        body = view[at + 8 : at + 8 + size]
        chunks.setdefault(key, (body, size - len(body)))
        at += 8 + size + size % 2
    return chunks


def _guess(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return " but an MP4 or M4A file"
    return next((f" but {what}" for magic, what in _MAGIC if data.startswith(magic)), "")


def _format(fmt: bytes, name: str) -> AudioFormat:
    if len(fmt) < 16:
        _refuse(f"{name} is truncated: its format chunk has {len(fmt)} bytes instead of 16", name)
    tag, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == _EXTENSIBLE and len(fmt) >= 26:
        # The true format is in the first two bytes of the sub-format's GUID.
        tag = struct.unpack_from("<H", fmt, 24)[0]
    if tag != 1:
        what = _FORMATS.get(tag, f"unknown (format {tag:#06x})")
        _refuse(f"{name} holds {what} audio of {bits} bits, not 16-bit PCM", name)
    if bits != 16:
        _refuse(f"{name} holds {bits}-bit PCM audio, not 16-bit", name)
    if not channels or not 4000 <= rate <= 192000:
        _refuse(
            f"{name} claims {channels} channels at {rate} Hz; it is damaged", name, convert=False
        )
    return AudioFormat("pcm16", rate, channels)


def _refuse(what: str, name: str, *, convert: bool = True) -> NoReturn:
    given = "input.wav" if name == "the audio" else name
    hint = f". Convert it with: ffmpeg -i {given} -c:a pcm_s16le output.wav" if convert else ""
    raise AudioError(what + hint, code="audio_container")
