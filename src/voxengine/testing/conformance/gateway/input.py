"""Checks of what the client's microphone hears: append, commit and clear, and who ends a turn."""

from __future__ import annotations

import re

from voxengine.audio.formats import AudioFormat
from voxengine.audio.level import rms_db, silence
from voxengine.testing.conformance.checks import NotOffered, expect
from voxengine.testing.conformance.gateway.case import GatewayCase, words_of
from voxengine.testing.conformance.gateway.checks import Declined, check

_COMPLETED = "conversation.item.input_audio_transcription.completed"
_WRITTEN = {"model": "whisper-1"}
_BY_HAND = {"input": {"turn_detection": None, "transcription": _WRITTEN}}
#: Seconds in which an answer that nobody asked for would have begun.
_UNASKED = 4.0
#: Why a provider without voice activity cannot be checked for it.
_NOT_TOLD = "the provider does not tell when speech begins and ends, only what was said"
#: Louder than this is speech, in dB below full scale.
_AUDIBLE_DB = -45.0


def _heard(case: GatewayCase, text: str) -> None:
    """Fail unless these are the scenario's words."""
    words = re.findall(r"\w+", text.lower())
    missing = [word for word in case.scenario.words if word not in words]
    expect(not missing, f"{', '.join(missing)} is not in the transcript {text!r}")


@check()
async def speech_is_heard_and_answered(case: GatewayCase) -> None:
    """Appended speech becomes a turn: committed, an item, its words, and one answer, in this order."""
    await case.client.update(audio={"input": {"transcription": _WRITTEN}})
    since = len(case.client.events)
    await case.client.speak(case.speech())
    committed = await case.client.wait("input_audio_buffer.committed", since=since)
    item_id = committed["item_id"]
    response = await case.answer(since)
    written = await case.client.wait(_COMPLETED, since=since, item_id=item_id)
    _heard(case, written["transcript"])
    events = case.client.events[since:]
    ids = {e["item_id"] for e in events if e["type"].startswith("input_audio_buffer.")}
    expect(ids == {item_id}, f"one turn has the items {ids}")
    added = await case.client.wait("conversation.item.added", since=since)
    expect(added["item"]["id"] == item_id, "the turn's item is not the first that was added")
    created = case.client.all("response.created", since=since)
    expect(len(created) == 1, f"the turn was answered {len(created)} times")
    place = events.index
    expect(place(committed) < place(added) < place(created[0]), "the events are out of order")
    expect(response["status"] == "completed", f"the answer is {response['status']}")


@check()
async def beginning_and_end_are_told(case: GatewayCase) -> None:
    """Speech is told as it begins and as it ends, with places in the audio, before the turn is committed."""
    if not case.can.vad_events:
        raise NotOffered(_NOT_TOLD)
    since = len(case.client.events)
    await case.client.speak(case.speech())
    await case.client.wait("input_audio_buffer.committed", since=since)
    events = case.client.events[since:]
    told = [e for e in events if e["type"].startswith("input_audio_buffer.")]
    kinds = [e["type"].partition(".")[2] for e in told]
    expect(kinds == ["speech_started", "speech_stopped", "committed"], f"it was told {kinds}")
    expect(len({e["item_id"] for e in told}) == 1, "the events of one turn have different items")
    begin, end = told[0]["audio_start_ms"], told[1]["audio_end_ms"]
    spoken = case.client.format.duration_ms(len(case.speech()))
    expect(0 <= begin < 300 + spoken / 2, f"it is told to begin at {begin} ms")
    # Silence that ends a turn may count as a part of it.
    expect(spoken / 2 < end - begin < spoken + case.scenario.trailing_ms, f"it ends at {end} ms")


@check("commit", "turn_detection")
async def commit_makes_an_item(case: GatewayCase) -> None:
    """With turn_detection null a commit makes an item with the words, and nothing is answered before it is asked."""
    session = await case.client.update(audio=_BY_HAND)
    expect(session["audio"]["input"]["turn_detection"] is None, "turn_detection is not told back")
    since = len(case.client.events)
    await case.client.speak(case.speech(), pause_ms=200)
    committed = await case.client.ask("input_audio_buffer.commit", "input_audio_buffer.committed")
    added = await case.client.wait("conversation.item.added", since=since)
    expect(added["item"]["id"] == committed["item_id"], "another item was added than committed")
    expect(added["item"]["content"][0]["type"] == "input_audio", "the item is no speech")
    await case.client.quiet(_UNASKED)
    answered = case.client.all("response.created", since=since)
    expect(not answered, "the turn was answered though nobody asked")
    await case.client.send("response.create")
    response = await case.answer(since)
    expect(words_of(response), "the answer has no words")
    written = await case.client.wait(_COMPLETED, since=since, item_id=committed["item_id"])
    _heard(case, written["transcript"])


@check("commit", "turn_detection")
async def clear_throws_away(case: GatewayCase) -> None:
    """What was cleared is in no turn: there is nothing to commit then, and only what follows is heard."""
    await case.client.update(audio=_BY_HAND)
    await case.client.speak(case.speech(), pause_ms=200)
    await case.client.ask("input_audio_buffer.clear", "input_audio_buffer.cleared")
    error = await case.client.error("input_audio_buffer.commit")
    expect(error["code"] == "input_audio_buffer_commit_empty", f"the code is {error['code']!r}")
    since = len(case.client.events)
    await case.client.speak(case.speech(), pause_ms=200)
    committed = await case.client.ask("input_audio_buffer.commit", "input_audio_buffer.committed")
    await case.client.send("response.create")
    await case.answer(since)
    written = await case.client.wait(_COMPLETED, since=since, item_id=committed["item_id"])
    _heard(case, written["transcript"])
    word = case.scenario.words[0]
    found = re.findall(r"\w+", written["transcript"].lower()).count(word)
    expect(found == 1, f"{word!r} was heard {found} times: what was cleared is in the turn")


@check("clear")
async def cleared_speech_is_not_answered(case: GatewayCase) -> None:
    """Where turns are found, speech that is cleared before it ends is not answered."""
    since = len(case.client.events)
    speech = case.speech()
    # A recording may end with a silence that ends the turn: so it is cleared in the middle of the words.
    middle = case.client.format.n_bytes(case.client.format.duration_ms(len(speech)) * 0.6)
    await case.client.stream(speech[:middle])
    await case.client.ask("input_audio_buffer.clear", "input_audio_buffer.cleared")
    await case.client.stream(silence(case.scenario.trailing_ms, case.client.format))
    await case.client.quiet(_UNASKED)
    said = [words_of(e["response"]) for e in case.client.all("response.done", since=since)]
    heard = [word for word in case.scenario.words if any(word in text.lower() for text in said)]
    expect(not heard, f"what was cleared was answered: {said}")


@check()
async def too_little_is_not_committed(case: GatewayCase) -> None:
    """A commit of less than 100 ms is refused as OpenAI refuses it."""
    await case.client.update(audio={"input": {"turn_detection": None}})
    await case.client.stream(silence(40, case.client.format))
    error = await case.client.error("input_audio_buffer.commit")
    expect(error["code"] == "input_audio_buffer_commit_empty", f"the code is {error['code']!r}")
    expect(error["type"] == "invalid_request_error", f"the type is {error['type']!r}")


@check()
async def a_turn_waits_to_be_answered(case: GatewayCase) -> None:
    """With create_response false a turn is found and made, and answered only when that is asked for."""
    vad = {"type": "server_vad", "create_response": False}
    await case.client.update(audio={"input": {"turn_detection": vad}})
    since = len(case.client.events)
    await case.client.speak(case.speech())
    await case.client.wait("input_audio_buffer.committed", since=since)
    await case.client.quiet(_UNASKED)
    expect(not case.client.all("response.created", since=since), "it was answered unasked")
    await case.client.send("response.create")
    response = await case.answer(since)
    expect(response["status"] == "completed", f"the answer is {response['status']}")
    turns = case.client.all("input_audio_buffer.committed", since=since)
    expect(len(turns) == 1, f"one turn was committed {len(turns)} times")


@check("response_on_request")
async def a_waiting_turn_waits_on(case: GatewayCase) -> None:
    """A response outside of the conversation does not let the turn that waits be answered, too."""
    vad = {"type": "server_vad", "create_response": False}
    await case.client.update(audio={"input": {"turn_detection": vad}})
    since = len(case.client.events)
    await case.client.speak(case.speech())
    await case.client.wait("input_audio_buffer.committed", since=since)
    await case.client.send("response.create", response={"conversation": "none"})
    end = await case.client.wait("response.done", "error", since=since)
    await case.client.quiet(_UNASKED)
    created = case.client.all("response.created", since=since)
    said = [item.text for item in case.engine.conversation if item.role == "assistant"]
    expect(not said, f"the turn was answered: {said}")
    if end["type"] == "error":
        expect(not created, "the turn was answered though the request was refused")
        raise Declined(end["error"])
    expect(end["response"]["conversation_id"] is None, "the response joined the conversation")
    expect(len(created) == 1, f"{len(created)} responses came of one that was asked for")


@check()
async def telephones_are_understood(case: GatewayCase) -> None:
    """With audio/pcmu in both directions the speech is understood, and the answer is mu-law speech."""
    form = {"type": "audio/pcmu"}
    session = await case.client.update(
        audio={"input": {"format": form, "transcription": _WRITTEN}, "output": {"format": form}}
    )
    expect(session["audio"]["input"]["format"] == form, "the input's format is not told back")
    expect(session["audio"]["output"]["format"] == form, "the output's format is not told back")
    case.client.format = AudioFormat("g711_ulaw", 8000)
    since = len(case.client.events)
    await case.client.speak(case.speech())
    response = await case.answer(since)
    written = await case.client.wait(_COMPLETED, since=since)
    _heard(case, written["transcript"])
    expect(response["audio"]["output"]["format"] == form, "the response has another format")
    audio = case.audio_of(since)
    expect(len(audio) > 2000, f"only {len(audio)} bytes of speech came")
    level = rms_db(audio, case.client.format)
    expect(_AUDIBLE_DB < level < -3, f"taken for mu-law, the answer is at {level:.0f} dB")
    case.says(audio, words_of(response))


@check()
async def answers_can_be_heard(case: GatewayCase) -> None:
    """The audio of an answer is 24 kHz PCM that says the words of its transcript."""
    since = await case.provoke(case.scenario.hello)
    response = await case.answer(since)
    audio = case.audio_of(since)
    expect(audio, "no audio came")
    expect(rms_db(audio, case.client.format) > _AUDIBLE_DB, "the audio is silent")
    case.says(audio, words_of(response))


@check("auto_response_optional")
async def speech_is_only_written_down(case: GatewayCase) -> None:
    """With intent=transcription speech becomes words, and nothing is ever answered."""
    async with case.another("intent=transcription&model=talk") as client:
        expect(client.events[0]["session"]["type"] == "transcription", "the session is another")
        since = len(client.events)
        await client.speak(case.speech())
        await client.quiet(_UNASKED)
        if client.errors:
            raise Declined(client.errors[0])
        written = await client.wait(_COMPLETED, since=since)
        _heard(case, written["transcript"])
        expect(not client.all("response.created"), "it was answered")
        error = await client.error("response.create")
        expect(error["type"] == "invalid_request_error", f"the error is {error}")
