from __future__ import annotations

import io
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voxengine.audio import AudioFormat, load_speech, read_wav, write_wav
from voxengine.errors import AudioError

MONO = AudioFormat("pcm16", 16000)


def riff(
    data: bytes, *, tag: int = 1, channels: int = 1, rate: int = 16000, bits: int = 16, extra: bytes = b"",
    told: int | None = None, before: bytes = b"", total: int | None = None,
) -> bytes:  # fmt: skip
    """A WAV file, right or wrong."""
    frame = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits) + extra
    body = b"fmt " + struct.pack("<I", len(fmt)) + fmt + before
    body += b"data" + struct.pack("<I", len(data) if told is None else told) + data
    return b"RIFF" + struct.pack("<I", len(body) + 4 if total is None else total) + b"WAVE" + body


def test_what_the_standard_library_writes(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(bytes(range(8)))
    wanted = (bytes(range(8)), AudioFormat("pcm16", 44100, 2))
    assert read_wav(path) == wanted
    assert read_wav(str(path)) == wanted
    assert read_wav(path.read_bytes()) == wanted
    with path.open("rb") as opened:
        assert read_wav(opened) == wanted


def test_what_we_write_the_standard_library_reads(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.wav"
    write_wav(path, b"\x01\x02" * 1000, MONO)
    with wave.open(str(path)) as file:
        assert file.getparams()[:4] == (1, 2, 16000, 1000)
        assert file.readframes(2000) == b"\x01\x02" * 1000


def test_other_chunks_are_passed_over() -> None:
    # A chunk of odd length has a byte after it that does not count.
    note = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    assert read_wav(riff(b"\1\0", before=note))[0] == b"\1\0"
    assert read_wav(riff(b"\1\0") + note)[0] == b"\1\0"


def test_the_extensible_form_of_plain_pcm() -> None:
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    extra = struct.pack("<HHI", 22, 16, 4) + guid
    assert read_wav(riff(b"\1\0", tag=0xFFFE, extra=extra)) == (b"\1\0", MONO)


@pytest.mark.parametrize(("told", "total"), [(0xFFFFFFFF, 0xFFFFFFFF), (0, 0), (0x7FFFFFFF, None)])
def test_sizes_left_open_by_a_pipe(told: int, total: int | None) -> None:
    assert read_wav(riff(b"\1\0\2\0", told=told, total=total))[0] == b"\1\0\2\0"
    assert read_wav(riff(b"\1\0\2\0\3", told=told, total=total))[0] == b"\1\0\2\0"


FLOAT_GUID = struct.pack("<HHI", 22, 32, 4) + struct.pack("<H", 3) + bytes(14)
BAD: list[tuple[str, bytes, str]] = [
    ("8 bit", riff(b"\x80" * 8, bits=8), "8-bit PCM.*ffmpeg"),
    ("24 bit", riff(bytes(6), bits=24), "24-bit PCM.*ffmpeg"),
    ("float", riff(bytes(8), tag=3, bits=32), "floating point audio of 32 bits.*ffmpeg"),
    ("extensible float", riff(bytes(8), tag=0xFFFE, bits=32, extra=FLOAT_GUID), "floating point"),
    ("ADPCM", riff(bytes(8), tag=0x11, bits=4), "IMA ADPCM.*ffmpeg"),
    ("mu-law", riff(bytes(8), tag=7, bits=8), "G.711 mu-law.*ffmpeg"),
    ("MP3 in WAV", riff(bytes(8), tag=0x55, bits=0), "MP3.*ffmpeg"),
    ("unknown", riff(bytes(8), tag=0x1234), "0x1234"),
    ("truncated", riff(bytes(100), told=200), "truncated: of 200 bytes of audio it holds 100"),
    ("half a sample", riff(bytes(3)), "truncated"),
    ("no data", riff(b"")[:36], "ends before any audio"),
    ("half a header", riff(b"")[:30], "truncated"),
    ("no samples", riff(b""), "holds no audio"),
    ("no bytes", b"", "no bytes"),
    ("no format", b"RIFF\x10\0\0\0WAVEdata\4\0\0\0abcd", "no format chunk"),
    ("short format", b"RIFF\x20\0\0\0WAVEfmt \4\0\0\0abcddata\2\0\0\0ab", "4 bytes instead of 16"),
    ("no channels", riff(b"\0\0", channels=0), "damaged"),
    ("no rate", riff(b"\0\0", rate=0), "damaged"),
    ("MP3", b"ID3\4" + bytes(100), "an MP3 file.*ffmpeg"),
    ("Ogg", b"OggS" + bytes(100), "an Ogg"),
    ("FLAC", b"fLaC" + bytes(100), "a FLAC file"),
    ("M4A", b"\0\0\0\x20ftypM4A " + bytes(100), "M4A"),
    ("text", b"hello, this is text", "is not a WAV file. Convert"),
]


@pytest.mark.parametrize(("data", "says"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_what_is_not_16_bit_pcm_is_named(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=says) as caught:
        read_wav(data)
    assert caught.value.code == "audio_container"
    path = tmp_path / "some file.wav"
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"some file\.wav"):
        read_wav(path)


def test_every_prefix_of_a_file_is_refused_and_none_crashes() -> None:
    whole = riff(bytes(range(100)))
    for n in range(len(whole)):
        with pytest.raises(AudioError):
            read_wav(whole[:n])


def test_a_file_that_is_not_there_is_the_systems_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")


def test_a_file_too_long_for_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voxengine.audio.wav.MAX_FILE_BYTES", 50)
    with pytest.raises(AudioError, match="cut it"):
        read_wav(io.BytesIO(riff(bytes(100))))


def test_speech_is_converted(recording: Callable[[str], Path]) -> None:
    path = recording("go_forward_ten_meters")
    same = load_speech(path, MONO)
    assert same == read_wav(path)[0]
    phone = AudioFormat("g711_ulaw", 8000)
    assert phone.duration_ms(len(load_speech(path, phone))) == MONO.duration_ms(len(same))


def test_two_channels_are_mixed_only_on_request() -> None:
    stereo = riff(struct.pack("<4h", 100, 200, -100, -200), channels=2)
    with pytest.raises(AudioError, match=r"2 channels.*downmix=True") as caught:
        load_speech(stereo, MONO)
    assert caught.value.code == "audio_channels"
    assert load_speech(stereo, MONO, downmix=True) == struct.pack("<2h", 150, -150)


def test_only_pcm_is_written(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="convert it first"):
        write_wav(tmp_path / "a.wav", b"\0", AudioFormat("g711_ulaw", 8000))
    with pytest.raises(AudioError, match="whole number"):
        write_wav(tmp_path / "a.wav", b"\0", MONO)


def test_the_recordings_are_what_they_are_said_to_be(
    recording: Callable[[str], Path], transcripts: dict[str, Any]
) -> None:
    assert len(transcripts) == 4
    for name in transcripts:
        audio, format = read_wav(recording(name.removesuffix(".wav")))
        assert format == MONO
        assert 2000 < format.duration_ms(len(audio)) < 12000
