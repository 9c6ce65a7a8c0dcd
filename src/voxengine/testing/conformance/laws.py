"""What must hold of any record of one provider's events, whatever was said."""

from __future__ import annotations

from collections.abc import Sequence

from voxengine.events import (
    AudioOutputChunk,
    ConnectionClosed,
    ProviderEvent,
    ResponseStarted,
    TextOutput,
)
from voxengine.events.types import FunctionInvoked, TranscriptCompleted, TranscriptPartial
from voxengine.providers.capabilities import Capabilities
from voxengine.testing.conformance.case import ENDS, of
from voxengine.testing.conformance.checks import expect

__all__ = ["audio_is_whole", "output_belongs", "partials_extend", "responses_end_once"]

#: No chunk of audio lasts longer: a listener who interrupts should not have to wait for its end.
MAX_CHUNK_S = 2.0


def responses_end_once(events: Sequence[ProviderEvent], *, all_ended: bool = True) -> None:
    """Each response begins once and ends exactly once, and there is one at a time."""
    open_id: str | None = None
    known: set[str | None] = set()
    for event in events:
        if isinstance(event, ResponseStarted):
            expect(event.response_id, "a RESPONSE_STARTED has no response_id")
            expect(event.response_id not in known, f"the response {event.response_id} began twice")
            expect(
                open_id is None,
                f"the response {event.response_id} began while {open_id} was not ended",
            )
            open_id = event.response_id
            known.add(open_id)
        elif isinstance(event, ENDS):
            expect(
                event.response_id in known,
                f"{event.type} of {event.response_id}, which never began",
            )
            expect(
                event.response_id == open_id,
                f"the response {event.response_id} ended twice: {event.type}",
            )
            open_id = None
    expect(not all_ended or open_id is None, f"the response {open_id} never ended")


def output_belongs(events: Sequence[ProviderEvent]) -> None:
    """Text, audio and tool calls come between the beginning and the end of their response, and name their item."""
    open_id: str | None = None
    owner: dict[str, str | None] = {}
    for event in events:
        if isinstance(event, ResponseStarted):
            open_id = event.response_id
        elif isinstance(event, ENDS):
            open_id = None
        elif isinstance(event, (TextOutput, AudioOutputChunk, FunctionInvoked)):
            expect(event.response_id, f"a {event.type} has no response_id")
            expect(
                event.response_id == open_id,
                f"a {event.type} of the response {event.response_id} came outside of it (under way was {open_id})",
            )
            if not isinstance(event, FunctionInvoked):
                expect(event.item_id, f"a {event.type} has no item_id")
                first = owner.setdefault(str(event.item_id), event.response_id)
                expect(
                    first == event.response_id, f"the item {event.item_id} belongs to two responses"
                )


def audio_is_whole(events: Sequence[ProviderEvent], capabilities: Capabilities) -> None:
    """Chunks hold whole samples in one of the formats that the capabilities state, and are not too long."""
    seen = set()
    for chunk in of(events, AudioOutputChunk):
        layout = (chunk.encoding, chunk.sample_rate)
        seen.add(layout)
        stated = {(f.encoding, f.sample_rate): f for f in capabilities.output_formats}
        expect(
            layout in stated,
            f"audio came as {chunk.encoding} at {chunk.sample_rate} Hz, which is not stated",
        )
        format = stated[layout]
        n = len(chunk.audio_data)
        expect(n > 0, "a chunk of audio is empty")
        expect(
            n % format.bytes_per_frame == 0,
            f"a chunk of {n} bytes is not a whole number of samples",
        )
        expect(
            n <= MAX_CHUNK_S * format.bytes_per_second,
            f"a chunk lasts {format.duration_ms(n) / 1000:g} s, more than {MAX_CHUNK_S:g} s",
        )
    expect(len(seen) <= 1, f"audio came in several formats: {sorted(seen)}")


def partials_extend(events: Sequence[ProviderEvent]) -> None:
    """Partial transcripts of an item only get longer, and none comes after the whole one."""
    shown: dict[str | None, str] = {}
    done: set[str | None] = set()
    for event in events:
        if isinstance(event, TranscriptPartial):
            expect(event.item_id not in done, "a partial transcript came after the completed one")
            before = shown.get(event.item_id, "")
            expect(
                event.text.startswith(before),
                f"the partial transcript {before!r} became {event.text!r}",
            )
            shown[event.item_id] = event.text
        elif isinstance(event, TranscriptCompleted):
            done.add(event.item_id)


def nothing_after_closed(events: Sequence[ProviderEvent]) -> None:
    """CONNECTION_CLOSED is the last that is heard of a provider."""
    for i, event in enumerate(events):
        if isinstance(event, ConnectionClosed):
            rest = [str(e.type) for e in events[i + 1 :]]
            expect(not rest, f"after CONNECTION_CLOSED came {', '.join(rest)}")
