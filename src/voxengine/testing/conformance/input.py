"""Checks of bad input: it is refused in words, and the session lives on."""

from __future__ import annotations

from typing import Any

from voxengine.audio.formats import MAX_CHUNK_BYTES
from voxengine.errors import AudioError, MessageError
from voxengine.providers.base import BaseProvider, MessageType
from voxengine.testing.conformance.case import Case
from voxengine.testing.conformance.checks import check, expect


async def _lives(case: Case, provider: BaseProvider, after: str) -> None:
    expect(provider.is_connected, f"the connection was lost after {after}")
    if provider.capabilities.text_input:
        await case.still_answers(provider, after)


@check()
async def odd_bytes_are_refused(case: Case) -> None:
    """Audio that is not a whole number of samples is an AudioError."""
    if case.create().get_audio_format().bytes_per_frame == 1:
        case.skip("every number of bytes is whole in its format")
    provider = await case.open()
    await case.refused(provider.send_audio(b"\0\0\0"), "send_audio() of 3 bytes", AudioError)
    await _lives(case, provider, "an odd number of bytes")


@check()
async def containers_are_refused(case: Case) -> None:
    """A WAV file in place of samples is an AudioError."""
    provider = await case.open()
    wav = (
        b"RIFF\x24\x10\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x80\x3e\0\0\0\x7d\0\0\2\0\x10\0data\0\x10\0\0"
        + bytes(4096)
    )
    await case.refused(provider.send_audio(wav), "send_audio() of a WAV file", AudioError)
    await _lives(case, provider, "a WAV file")


@check()
async def too_much_audio_is_refused(case: Case) -> None:
    """More audio in one call than may be is an AudioError."""
    provider = await case.open()
    size = MAX_CHUNK_BYTES + provider.get_audio_format().bytes_per_frame * 2
    size -= size % provider.get_audio_format().bytes_per_frame
    await case.refused(
        provider.send_audio(bytes(size)), f"send_audio() of {size} bytes", AudioError
    )
    await _lives(case, provider, "too much audio")


@check()
async def empty_audio_is_harmless(case: Case) -> None:
    """No audio at all changes nothing."""
    provider = await case.open()
    since = len(case.events)
    for _ in range(3):
        await case.within(provider.send_audio(b""), "send_audio(b'')")
    await case.quiet()
    came = [str(e.type) for e in case.events[since:]]
    expect(not came, f"empty audio gave {', '.join(came)}")
    await _lives(case, provider, "empty audio")


@check()
async def unknown_messages_are_refused(case: Case) -> None:
    """send_message() of an unknown kind, or of one that only comes from a provider, is a MessageError."""
    provider = await case.open()
    for kind in ("no_such_message", MessageType.AUDIO_CHUNK, MessageType.TEXT_CHUNK):
        await case.refused(
            provider.send_message(kind, {}), f"send_message({str(kind)!r})", MessageError
        )
    await _lives(case, provider, "an unknown message")


@check("text_input")
async def messages_by_kind(case: Case) -> None:
    """send_message() does what the method of that kind does."""
    provider = await case.open()
    since = len(case.events)
    item: dict[str, Any] = {
        "role": "user",
        "content": [{"type": "input_text", "text": case.scenario.hello}],
    }
    await case.within(
        provider.send_message(MessageType.CONVERSATION_ITEM_CREATE, {"item": item}),
        "send_message(item)",
    )
    await case.end_of_response(since)
    await case.quiet()
    frame = bytes(provider.get_audio_format().n_bytes(20))
    await case.within(
        provider.send_message(MessageType.AUDIO_BUFFER_APPEND, {"audio": frame}),
        "send_message(audio)",
    )
    await case.within(provider.send_message(MessageType.RESPONSE_CANCEL), "send_message(cancel)")
    await _lives(case, provider, "messages by kind")
