"""Providers that are wrong in one way each, and the check that must notice.

Each is the mock with one change: `emitting` changes what it tells, the other classes what it does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.events import ProviderEvent
from voxengine.providers.mock import MockProvider

from .profiles import NO_TURNS

Change = Callable[[Any], Iterable[ProviderEvent]]


def emitting(**changes: Change) -> type[MockProvider]:
    """A mock that tells something else in place of events of these classes."""
    by_class = {getattr(ev, name): change for name, change in changes.items()}

    class Emits(MockProvider):
        def emit(self, event: ProviderEvent) -> None:
            change = by_class.get(type(event))
            for told in (event,) if change is None else change(event):
                super().emit(told)

    return Emits


def altered(event: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(event, **fields)


def nothing(_: Any) -> list[ProviderEvent]:
    return []


def twice(event: Any) -> list[ProviderEvent]:
    return [event, event]


def change(**fields: Any) -> Change:
    return lambda event: [altered(event, **fields)]


def ignoring(method: str) -> type[MockProvider]:
    """A mock of which one method does nothing."""

    async def does_nothing(self: MockProvider, *_: Any, **__: Any) -> None:
        return None

    return type(f"Ignores_{method}", (MockProvider,), {method: does_nothing})


def raising(method: str, error: Callable[[], Exception]) -> type[MockProvider]:
    """A mock of which one method always fails."""

    async def fails(self: MockProvider, *_: Any, **__: Any) -> None:
        raise error()

    return type(f"Raises_in_{method}", (MockProvider,), {method: fails})


class SendsAnything(MockProvider):
    """Takes whatever it is given as audio."""

    def check_audio(self, audio: bytes) -> None:
        pass

    async def send_audio(self, audio_data: bytes) -> None:
        if len(audio_data) < 1_000_000:
            await super().send_audio(audio_data[: len(audio_data) & ~1])


class ConnectsToNothing(MockProvider):
    async def connect(self) -> bool:
        await super().connect()
        return False


class AcceptsBeforeConnect(MockProvider):
    async def send_text(self, text: str, role: str = "user") -> None:
        if self.is_connected:
            await super().send_text(text, role)


class DisconnectsOnce(MockProvider):
    async def disconnect(self) -> None:
        if self._closed:
            raise RuntimeError("already closed")
        await super().disconnect()


class TalksOn(MockProvider):
    async def disconnect(self) -> None:
        await super().disconnect()
        asyncio.get_running_loop().call_later(0.3, self.emit, ev.SystemWarning(**self.meta()))


class LeavesATask(MockProvider):
    async def connect(self) -> bool:
        self.keepalive = asyncio.ensure_future(asyncio.sleep(600))
        return await super().connect()


class UsesTheSameIds(MockProvider):
    def _begin(self, prefix: str) -> None:
        super()._begin("same")


class StartsAnother(MockProvider):
    """Answers a text at once, also during a response."""

    async def send_text(self, text: str, role: str = "user") -> None:
        if self._open:
            self.tell(ev.ResponseStarted, response_id="another")
            self.tell(ev.ResponseCompleted, response_id="another")
        else:
            await super().send_text(text, role)


class ChokesOnScripts(MockProvider):
    async def send_text(self, text: str, role: str = "user") -> None:
        text.encode("ascii")
        await super().send_text(text, role)


class LosesTrackOfTime(MockProvider):
    def meta(self) -> dict[str, Any]:
        self.back = getattr(self, "back", 0) + 1
        return {**super().meta(), "timestamp": super().wall() - self.back}


class RequestsOverlap(MockProvider):
    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        if self._open:
            self.tell(ev.ResponseStarted, response_id="another")
        else:
            await super().create_response(modalities, instructions=instructions)


class SpeaksAlways(MockProvider):
    """Does not care what the session is made of."""

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.config.modalities = None


class SpeaksOneFormat(MockProvider):
    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.config.output_format = None


class TalksOnAfterInterrupt(MockProvider):
    async def interrupt(self) -> None:
        chunk = ev.AudioOutputChunk(
            response_id=next(iter(self._open), None), item_id="i", audio_data=b"\0\0"
        )
        await super().interrupt()
        asyncio.get_running_loop().call_later(0.2, self.emit, altered(chunk, **self.meta()))


class CancelsNothing(MockProvider):
    async def interrupt(self) -> None:
        if not self._open:
            self.tell(ev.ResponseCancelled, response_id="none")
        await super().interrupt()


class ForgetsWhatWasAsked(MockProvider):
    """An interrupt right after a text leaves the response without an end."""

    async def interrupt(self) -> None:
        if self._vendor is not None and self._vendor.player.active is not None and not self._open:
            self._vendor.player.active = None
        else:
            await super().interrupt()


class HearsInSilence(MockProvider):
    async def send_audio(self, audio_data: bytes) -> None:
        if not self.received_audio and audio_data:
            self.emit_turn("item_of_silence")
        await super().send_audio(audio_data)


class DetectsAlways(MockProvider):
    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.config.turn_detection = None


class AnswersTwice(MockProvider):
    async def send_audio(self, audio_data: bytes) -> None:
        assert self._vendor is not None
        before = len(self.memory)
        await super().send_audio(audio_data)
        if len(self.memory) > before:
            self._vendor.say("And again.")


class AnswersUnasked(MockProvider):
    async def send_audio(self, audio_data: bytes) -> None:
        before = len(self.memory)
        await super().send_audio(audio_data)
        if len(self.memory) > before:
            await self.create_response()


class StaysSilentAfterTools(MockProvider):
    async def send_tool_result(self, call_id: str, output: str) -> None:
        assert self._vendor is not None
        self._vendor._calls.pop(call_id)


class AnswersEachResult(MockProvider):
    async def send_tool_result(self, call_id: str, output: str) -> None:
        assert self._vendor is not None
        call = self._vendor._calls[call_id]
        call.group[:] = [call]
        await super().send_tool_result(call_id, output)


class DiesOfLateResults(MockProvider):
    async def interrupt(self) -> None:
        assert self._vendor is not None
        if self._vendor._calls:
            self._lose("closed", 1007, "invalid", True)
        else:
            await super().interrupt()


class TakesAnyCall(MockProvider):
    async def send_tool_result(self, call_id: str, output: str) -> None:
        assert self._vendor is not None
        if call_id in self._vendor._calls:
            await super().send_tool_result(call_id, output)


class AnswersHistory(MockProvider):
    async def add_conversation_history(
        self, items: Sequence[Any], *, after: str | None = None
    ) -> None:
        await super().add_conversation_history(items, after=after)
        if items:
            await self.create_response()


class AnswersNotes(MockProvider):
    async def send_text(self, text: str, role: str = "user") -> None:
        await super().send_text(text, "user" if role == "system" else role)


class Paraphrases(MockProvider):
    async def generate_tts(self, text: str) -> None:
        await super().generate_tts(f"He said: {text}")


class UpdatesInSilence(MockProvider):
    async def configure_session(self, config: Mapping[str, Any]) -> None:
        self.config.update(**config)


class RefusesEmptyAudio(MockProvider):
    async def send_audio(self, audio_data: bytes) -> None:
        if not audio_data:
            self.tell(ev.SystemWarning, message="no audio")
        await super().send_audio(audio_data)


class TakesAnyMessage(MockProvider):
    async def send_message(self, message_type: Any, data: Mapping[str, Any] | None = None) -> None:
        if message_type == "conversation_item_create":
            await super().send_message(message_type, data)


class LosesMessages(MockProvider):
    async def send_message(self, message_type: Any, data: Mapping[str, Any] | None = None) -> None:
        if message_type != "conversation_item_create":
            await super().send_message(message_type, data)


class Contradicts(MockProvider):
    def __init__(self, config: Any = None) -> None:
        super().__init__(config)
        self.capabilities = msgspec.structs.replace(self.capabilities, tools=False)


class TakesAnotherFormat(MockProvider):
    def get_audio_format(self) -> AudioFormat:
        return AudioFormat(sample_rate=48000)


class CountsInWords(MockProvider):
    async def estimate_cost(self) -> Any:
        return "cheap"


class LogsItsKey(MockProvider):
    async def connect(self) -> bool:
        logging.getLogger("broken").debug("connecting with %s", self.config.api_key)
        return await super().connect()


class ShowsItsKey(MockProvider):
    def __repr__(self) -> str:
        return f"<Broken {self.config.api_key}>"


def without(*features: str) -> dict[str, Any]:
    """A configuration of a mock that lacks these."""
    off: dict[str, Any] = {"history": "none"}
    return {"capabilities": {f: off.get(f, False) for f in features}}


#: The check that must fail, the provider that must fail it, and the configuration.
MUTANTS: list[tuple[str, type[MockProvider], dict[str, Any]]] = [
    ("connects_once", emitting(ConnectionEstablished=twice), {}),
    ("connects_once", ConnectsToNothing, {}),
    ("refuses_before_connect", AcceptsBeforeConnect, {}),
    ("disconnects_at_any_time", DisconnectsOnce, {}),
    ("disconnects_at_any_time", emitting(ConnectionClosed=twice), {}),
    ("silent_after_disconnect", TalksOn, {}),
    ("stream_of_events_ends", emitting(ConnectionClosed=nothing), {}),
    ("leaves_no_tasks", LeavesATask, {}),
    ("two_do_not_mix", UsesTheSameIds, {}),
    ("text_is_answered_once", emitting(ResponseCompleted=twice), {}),
    ("text_is_answered_once", emitting(ResponseCompleted=nothing), {}),
    ("text_is_answered_once", emitting(ResponseStarted=nothing), {}),
    ("text_is_answered_once", emitting(TextOutput=nothing), {}),
    ("output_is_in_its_response", emitting(TextOutput=change(response_id="other")), {}),
    ("output_is_in_its_response", emitting(AudioOutputChunk=change(item_id=None)), {}),
    ("output_is_in_its_response", emitting(TextOutput=change(is_partial=False)), {}),
    ("responses_follow_each_other", StartsAnother, {}),
    ("audio_is_well_formed", emitting(AudioOutputChunk=nothing), {}),
    (
        "audio_is_well_formed",
        emitting(AudioOutputChunk=lambda e: [altered(e, audio_data=e.audio_data[1:])]),
        {},
    ),
    ("audio_is_well_formed", emitting(AudioOutputChunk=change(sample_rate=44100)), {}),
    (
        "audio_is_well_formed",
        emitting(AudioOutputChunk=lambda e: [altered(e, audio_data=bytes(4800))]),
        {},
    ),
    ("audio_is_well_formed", MockProvider, {"chunk_ms": 60_000}),
    ("speaks_in_the_wished_format", SpeaksOneFormat, {}),
    (
        "words_are_where_they_are_said_to_be",
        emitting(TextOutput=lambda e: [altered(e, audio_end_ms=1e6)]),
        {},
    ),
    ("any_script_is_answered", ChokesOnScripts, {}),
    ("events_say_where_they_come_from", LosesTrackOfTime, {}),
    ("events_say_where_they_come_from", emitting(TextOutput=change(provider="")), {}),
    ("events_say_where_they_come_from", emitting(TextOutput=change(session_id=None)), {}),
    ("answers_in_text_alone", SpeaksAlways, {}),
    ("response_on_request", RequestsOverlap, {}),
    ("interrupt_stops_the_response", ignoring("interrupt"), {}),
    ("interrupt_stops_the_response", TalksOnAfterInterrupt, {}),
    ("interrupt_stops_the_response", emitting(ResponseCancelled=twice), {}),
    ("interrupt_without_response_is_harmless", CancelsNothing, {}),
    ("interrupt_before_the_first_word", ForgetsWhatWasAsked, {}),
    ("interrupt_is_refused_where_it_cannot_work", ignoring("interrupt"), without("cancel")),
    ("speech_stops_the_response", emitting(ResponseCancelled=nothing), {}),
    ("speech_is_a_turn", emitting(TurnDetected=nothing), {}),
    ("speech_is_a_turn", emitting(TurnDetected=change(item_id=None)), {}),
    ("speech_begins_and_ends", emitting(VadSpeechEnded=nothing), {}),
    ("speech_begins_and_ends", emitting(VadSpeechEnded=change(audio_ms=1e9)), {}),
    ("speech_is_written_down", emitting(TranscriptCompleted=change(text="something else")), {}),
    ("speech_is_written_down", emitting(TranscriptCompleted=change(item_id="other")), {}),
    (
        "partial_transcripts_extend",
        emitting(TranscriptPartial=lambda e: [e, altered(e, text="no")]),
        {},
    ),
    (
        "tells_only_what_is_wanted",
        emitting(TurnDetected=lambda e: [e, ev.TranscriptPartial(item_id=e.item_id)]),
        {},
    ),
    ("turn_is_answered", AnswersTwice, {}),
    ("turn_waits_for_a_request", AnswersUnasked, without("auto_response")),
    ("silence_is_no_turn", HearsInSilence, {}),
    ("committed_audio_is_a_turn", DetectsAlways, {}),
    ("committing_nothing_is_refused", ignoring("commit_audio"), {}),
    ("cleared_audio_is_forgotten", ignoring("clear_audio"), {}),
    ("tool_call_is_well_formed", emitting(FunctionInvoked=change(arguments="[1]")), {}),
    ("tool_call_is_well_formed", emitting(FunctionInvoked=change(name="launch")), {}),
    ("tool_result_is_answered", StaysSilentAfterTools, {}),
    ("tools_in_parallel", AnswersEachResult, {}),
    ("unknown_tool_call_is_refused", TakesAnyCall, {}),
    ("interrupt_during_a_tool_call", DiesOfLateResults, {}),
    ("settings_are_acknowledged", UpdatesInSilence, {}),
    ("history_is_taken", AnswersHistory, {}),
    ("notes_are_not_answered", AnswersNotes, {}),
    ("items_can_be_truncated", ignoring("truncate_item"), {}),
    ("items_can_be_deleted", ignoring("delete_item"), {}),
    ("says_word_for_word", Paraphrases, {}),
    ("usage_is_told", emitting(UsageUpdated=nothing), {}),
    ("usage_is_told", emitting(UsageUpdated=change(output_audio_seconds=-1.0)), {}),
    ("odd_bytes_are_refused", SendsAnything, {}),
    ("odd_bytes_are_refused", raising("send_audio", lambda: ValueError("odd")), {}),
    ("containers_are_refused", SendsAnything, {}),
    ("too_much_audio_is_refused", SendsAnything, {}),
    ("empty_audio_is_harmless", RefusesEmptyAudio, {}),
    ("unknown_messages_are_refused", TakesAnyMessage, {}),
    ("messages_by_kind", LosesMessages, {}),
    (
        "refuses_tools",
        ignoring("send_tool_result"),
        without("tools", "parallel_tools", "continues_after_tool"),
    ),
    ("refuses_truncation", ignoring("truncate_item"), without("truncate")),
    ("refuses_commit", ignoring("commit_audio"), without("commit")),
    ("refuses_clear", ignoring("clear_audio"), without("clear")),
    ("refuses_deletion", ignoring("delete_item"), without("delete")),
    ("refuses_to_say", ignoring("generate_tts"), without("say")),
    ("refuses_history", ignoring("add_conversation_history"), without("history")),
    ("refuses_notes", ignoring("send_text"), without("system_messages")),
    ("refuses_text", ignoring("send_text"), without("text_input")),
    ("refuses_text_alone", ignoring("create_response"), without("text_output")),
    ("capabilities_make_sense", Contradicts, {}),
    (
        "capabilities_make_sense",
        MockProvider,
        {"capabilities": {**NO_TURNS, "auto_response": True}},
    ),
    ("audio_format_is_stated", TakesAnotherFormat, {}),
    ("usage_and_cost_have_types", CountsInWords, {}),
    ("takes_the_vendors_own_words", raising("send_event", lambda: RuntimeError("no")), {}),
    ("refuses_what_is_no_message", ignoring("send_event"), {}),
    ("secrets_stay_secret", LogsItsKey, {}),
    ("secrets_stay_secret", ShowsItsKey, {}),
]
