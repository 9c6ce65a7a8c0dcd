"""Checks of answers: what they are made of, and in which order it comes."""

from __future__ import annotations

from voxengine.audio.level import rms_db
from voxengine.events import (
    AudioOutputChunk,
    ConnectionEstablished,
    EventType,
    ProviderEvent,
    ResponseCompleted,
    ResponseStarted,
    TextOutput,
)
from voxengine.providers.base import AudioFormat
from voxengine.testing.conformance.case import Case, of
from voxengine.testing.conformance.checks import check, expect
from voxengine.testing.conformance.laws import (
    audio_is_whole,
    output_belongs,
    responses_end_once,
)


@check("text_input")
async def text_is_answered_once(case: Case) -> None:
    """A text of the user's gets one response: one beginning, words, one end."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    started = len(of(events, ResponseStarted))
    expect(started == 1, f"one text began {started} responses")
    responses_end_once(events)
    completed = of(events, ResponseCompleted)
    expect(len(completed) == 1, "the response did not end with RESPONSE_COMPLETED")
    expect(completed[0].status in ("completed", "incomplete"), f"status {completed[0].status!r}")
    said = "".join(e.text for e in of(events, TextOutput))
    expect(said.strip(), "the response has no TEXT_OUTPUT with words in it")


@check("text_input")
async def output_is_in_its_response(case: Case) -> None:
    """Text and audio come within their response, and name it and their item."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    events += await case.ask(provider, case.scenario.hello)
    output_belongs(events)
    for event in of(events, TextOutput):
        if not event.is_partial:
            later = [e for e in events[events.index(event) + 1 :] if isinstance(e, TextOutput)]
            more = [e.text for e in later if e.item_id == event.item_id and e.text]
            expect(not more, f"after the last words of an item (is_partial False) came {more}")


@check("text_input")
async def responses_follow_each_other(case: Case) -> None:
    """Two texts, the second sent during the answer to the first: no two responses at once, each ends once."""
    provider = await case.open()
    await case.within(provider.send_text(case.scenario.long), "send_text()")
    await case.wait_for(TextOutput)
    await case.within(provider.send_text(case.scenario.hello), "send_text() during a response")
    await case.quiet(max(2.0, case.scenario.quiet))
    responses_end_once(case.events)
    output_belongs(case.events)


@check("text_input", "audio_output")
async def audio_is_well_formed(case: Case) -> None:
    """Audio is whole samples in a stated format, in chunks of bounded size, and can be heard."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    chunks = of(events, AudioOutputChunk)
    expect(chunks, "the response was not spoken")
    audio_is_whole(events, provider.capabilities)
    format = AudioFormat(chunks[0].encoding, chunks[0].sample_rate)
    loudness = rms_db(b"".join(c.audio_data for c in chunks), format)
    expect(loudness > -60, f"the speech is silence ({loudness:.0f} dBFS)")


@check("text_input", "audio_output")
async def speaks_in_the_wished_format(case: Case) -> None:
    """A stated output format that is asked for is what comes."""
    wish = case.create().capabilities.output_formats[-1]
    provider = await case.open(output_format=wish)
    events = await case.ask(provider, case.scenario.hello)
    got = {(c.encoding, c.sample_rate) for c in of(events, AudioOutputChunk)}
    expect(got == {(wish.encoding, wish.sample_rate)}, f"asked for {wish}, got {sorted(got)}")


@check("text_input", "audio_output")
async def words_are_where_they_are_said_to_be(case: Case) -> None:
    """Positions of words in the audio, where they are given, go forward and lie within the audio."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    placed = [e for e in of(events, TextOutput) if e.audio_start_ms is not None]
    if not placed:
        case.skip("it does not say where in the audio its words are")
    length = 0.0
    for chunk in of(events, AudioOutputChunk):
        length += AudioFormat(chunk.encoding, chunk.sample_rate).duration_ms(len(chunk.audio_data))
    at = 0.0
    for event in placed:
        start, end = event.audio_start_ms or 0.0, event.audio_end_ms
        expect(
            start >= at, f"the words {event.text!r} at {start:g} ms come before those at {at:g} ms"
        )
        expect(
            end is None or start <= end <= length + 50,
            f"{event.text!r}: {start:g} to {end} of {length:g} ms",
        )
        at = start


@check("text_input")
async def any_script_is_answered(case: Case) -> None:
    """Texts of emoji or of Chinese alone are answered like others, and do no harm."""
    provider = await case.open()
    for text in ("🙂🎉", "你好，世界", "e\u0301\u200d\ud7ff"):
        events = await case.ask(provider, text)
        responses_end_once(events)
    await case.still_answers(provider, "texts of emoji and Chinese")


@check()
async def events_say_where_they_come_from(case: Case) -> None:
    """Every event has the provider's name and a time that never steps back; after connecting, the session's id."""
    provider = await case.open()
    if provider.capabilities.text_input:
        await case.ask(provider, case.scenario.hello)
    await case.within(provider.disconnect(), "disconnect()")
    time = 0.0
    open_ = False
    for event in case.events:
        _check_origin(event, provider.name)
        expect(
            event.timestamp >= time,
            f"{event.type} is {time - event.timestamp:g} s older than the one before",
        )
        time = event.timestamp
        open_ = open_ or isinstance(event, ConnectionEstablished)
        expect(
            not open_ or event.session_id == provider.session_id,
            f"{event.type} is of session {event.session_id!r}, not {provider.session_id!r}",
        )


def _check_origin(event: ProviderEvent, name: str) -> None:
    expect(
        event.provider == name,
        f"{event.type} says that it is of provider {event.provider!r}, not {name!r}",
    )
    expect(
        event.timestamp > 1e9,
        f"{event.type} has the timestamp {event.timestamp}, which is no Unix time",
    )
    known = set(EventType) | {EventType.RAW}
    if event.type in known:
        expect(type(event) is not ProviderEvent, f"{event.type} is not of its class")


@check("text_input", "text_output")
async def answers_in_text_alone(case: Case) -> None:
    """A session with modalities ["text"] has no audio."""
    provider = await case.open(modalities=["text"])
    events = await case.ask(provider, case.scenario.hello)
    expect(not of(events, AudioOutputChunk), "a text session was spoken to")
    expect("".join(e.text for e in of(events, TextOutput)).strip(), "the response has no words")


@check("text_input")
async def response_on_request(case: Case) -> None:
    """create_response() begins a response; while it is under way another is refused, or waits for its end."""
    provider = await case.open()
    await case.ask(provider, case.scenario.hello)
    since = len(case.events)
    await case.or_skip(provider.create_response(), "create_response()")
    await case.wait_for(ResponseStarted, since=since)
    try:
        await case.within(provider.create_response(), "create_response() during a response")
    except Exception as error:
        expect(
            getattr(error, "code", None), f"create_response() during a response raised {error!r}"
        )
    await case.quiet(max(2.0, case.scenario.quiet))
    responses_end_once(case.events)
    expect(provider.is_connected, "the connection was lost")
