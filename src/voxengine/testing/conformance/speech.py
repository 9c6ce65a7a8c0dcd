"""Checks of hearing: voice activity, turns, transcripts."""

from __future__ import annotations

from itertools import pairwise

from voxengine.audio.level import silence
from voxengine.events import (
    AudioOutputChunk,
    ProviderEvent,
    ResponseCompleted,
    ResponseStarted,
    TranscriptCompleted,
    TranscriptPartial,
    TurnDetected,
    VadSpeechEnded,
    VadSpeechStarted,
)
from voxengine.testing.conformance.case import Case, of
from voxengine.testing.conformance.checks import check, expect
from voxengine.testing.conformance.laws import partials_extend, responses_end_once

_HEARD = (VadSpeechStarted, VadSpeechEnded, TurnDetected, TranscriptPartial, TranscriptCompleted)


def _turn_of(events: list[ProviderEvent]) -> TurnDetected:
    turns = of(events, TurnDetected)
    expect(turns, "speech was not taken for a turn")
    return turns[-1]


@check("turn_detection")
async def speech_is_a_turn(case: Case) -> None:
    """What the user says becomes a turn, which has an id."""
    provider = await case.open(transcription=True, partials=True, vad_events=True)
    events = await case.speak(provider)
    expect(_turn_of(events).item_id, "the turn has no item_id")


@check("turn_detection", "vad_events")
async def speech_begins_and_ends(case: Case) -> None:
    """Voice activity is told: begun, ended, then the turn; with places in the audio that make sense."""
    provider = await case.open(transcription=True, vad_events=True)
    events = await case.speak(provider)
    turn = _turn_of(events)
    begun, ended = of(events, VadSpeechStarted), of(events, VadSpeechEnded)
    expect(
        len(begun) == len(ended), f"speech began {len(begun)} times and ended {len(ended)} times"
    )
    expect(begun, "no VAD_SPEECH_STARTED came")
    marks = [e for e in events if isinstance(e, (VadSpeechStarted, VadSpeechEnded))]
    expect(
        all(type(a) is not type(b) for a, b in pairwise(marks)),
        "speech began or ended twice",
    )
    expect(
        events.index(begun[0]) < events.index(ended[-1]) <= events.index(turn),
        "the turn came before the end of speech",
    )
    sent_ms = 300 + case.scenario.trailing_ms
    format = provider.get_audio_format()
    sent_ms += format.duration_ms(len(case.scenario.audio(format)))
    for event in marks:
        at = event.audio_ms
        expect(at is None or 0 <= at <= sent_ms, f"{event.type} at {at} of {sent_ms:g} ms of audio")
    for end in ended:
        expect(0 <= end.lag_ms < 10_000, f"a VAD_SPEECH_ENDED lags {end.lag_ms} ms")


@check("turn_detection", "input_transcription")
async def speech_is_written_down(case: Case) -> None:
    """The turn gets a transcript, under its own id, with the words that were said."""
    provider = await case.open(transcription=True, partials=True)
    events = await case.speak(provider)
    transcripts = of(events, TranscriptCompleted)
    expect(transcripts, "no TRANSCRIPT_COMPLETED came")
    turns = {turn.item_id for turn in of(events, TurnDetected)}
    for transcript in transcripts:
        expect(
            transcript.item_id in turns,
            f"a transcript is of {transcript.item_id}, which is no turn",
        )
    said = " ".join(t.text for t in transcripts).lower()
    missing = [word for word in case.scenario.words if word not in said]
    expect(not missing, f"the transcript {said!r} lacks {', '.join(missing)}")


@check("turn_detection", "partial_transcripts")
async def partial_transcripts_extend(case: Case) -> None:
    """Partial transcripts come while the user speaks; words once shown do not change."""
    provider = await case.open(transcription=True, partials=True)
    events = await case.speak(provider)
    expect(of(events, TranscriptPartial), "no TRANSCRIPT_PARTIAL came")
    partials_extend(events)


@check("turn_detection")
async def tells_only_what_is_wanted(case: Case) -> None:
    """With transcription, partials and vad_events switched off, none of these events comes."""
    provider = await case.open(transcription=False, partials=False, vad_events=False)
    events = await case.speak(provider)
    unwanted = (TranscriptPartial, TranscriptCompleted, VadSpeechStarted, VadSpeechEnded)
    got = {str(e.type) for e in events if isinstance(e, unwanted)}
    expect(not got, f"not wanted, but told: {', '.join(sorted(got))}")


@check("turn_detection", "auto_response")
async def turn_is_answered(case: Case) -> None:
    """A provider that answers by itself answers a turn once."""
    provider = await case.open()
    events = await case.speak(provider)
    if not of(case.events, ResponseCompleted):
        await case.wait_for(ResponseCompleted)
    turns, answers = of(events, TurnDetected), of(case.events, ResponseStarted)
    expect(0 < len(answers) <= len(turns), f"{len(turns)} turn(s) got {len(answers)} responses")
    responses_end_once(case.events)
    if provider.capabilities.audio_output:
        expect(of(case.events, AudioOutputChunk), "the answer to a spoken turn was not spoken")


@check("turn_detection", lacks=("auto_response",))
async def turn_waits_for_a_request(case: Case) -> None:
    """A provider that does not answer by itself answers a turn when it is asked to."""
    provider = await case.open()
    await case.speak(provider)
    await case.quiet(2.0)
    expect(not of(case.events, ResponseStarted), "a response began that nobody asked for")
    await case.or_skip(provider.create_response(), "create_response()")
    await case.end_of_response()


@check("turn_detection")
async def silence_is_no_turn(case: Case) -> None:
    """Silence is neither speech, nor a turn, nor answered."""
    provider = await case.open(transcription=True, partials=True, vad_events=True)
    since = len(case.events)
    await case.stream(provider, silence(4000, provider.get_audio_format()))
    await case.quiet()
    events = case.events[since:]
    heard = {str(e.type) for e in events if isinstance(e, (*_HEARD, ResponseStarted))}
    expect(not heard, f"silence gave {', '.join(sorted(heard))}")


@check("commit", "turn_detection")
async def committed_audio_is_a_turn(case: Case) -> None:
    """With turn_detection "none", audio is a turn when it is committed, and not before."""
    provider = await case.open(turn_detection="none", transcription=True)
    format = provider.get_audio_format()
    await case.stream(
        provider, case.scenario.audio(format) + silence(case.scenario.trailing_ms, format)
    )
    await case.quiet()
    expect(not of(case.events, TurnDetected), "a turn was detected though turn_detection is none")
    await case.within(provider.commit_audio(), "commit_audio()")
    turn = await case.wait_for(TurnDetected)
    if provider.capabilities.input_transcription:
        transcript = await case.wait_for(TranscriptCompleted)
        expect(transcript.item_id == turn.item_id, "the transcript is not of the committed turn")


@check("commit", "turn_detection")
async def committing_nothing_is_refused(case: Case) -> None:
    """commit_audio() without audio is refused."""
    provider = await case.open(turn_detection="none")
    await case.refused_now_or_later(provider.commit_audio(), "commit_audio() without audio")
    expect(provider.is_connected, "the connection was lost")


@check("clear", "commit", "turn_detection")
async def cleared_audio_is_forgotten(case: Case) -> None:
    """clear_audio() throws away what was not committed: there is nothing to commit then."""
    provider = await case.open(turn_detection="none")
    await case.stream(provider, case.scenario.audio(provider.get_audio_format()))
    await case.within(provider.clear_audio(), "clear_audio()")
    await case.refused_now_or_later(provider.commit_audio(), "commit_audio() after clear_audio()")
