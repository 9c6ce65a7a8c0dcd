"""What a provider can do, as data.

The session asks these fields; it never asks which provider it talks to. The same data draws the provider table.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from voxengine.audio.formats import AudioFormat

__all__ = ["Capabilities", "HistoryMode", "ResumeKind", "TurnDetection", "UsageUnit"]

TurnDetection = Literal["none", "server_vad", "semantic_vad", "client"]
HistoryMode = Literal["none", "items", "before_audio", "at_start", "prompt"]
ResumeKind = Literal["none", "handle", "server"]
UsageUnit = Literal["none", "tokens", "seconds", "characters"]


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's abilities. The defaults are those of a provider that can do nothing special."""

    #: Formats that it takes, and that it gives, the preferred one first.
    input_formats: tuple[AudioFormat, ...] = (AudioFormat(),)
    output_formats: tuple[AudioFormat, ...] = (AudioFormat(),)
    #: Whether it answers at all; else it only writes down what it hears.
    answers: bool = True
    #: Whether it speaks, and whether it can answer in text alone.
    audio_output: bool = True
    text_output: bool = False
    #: Whether it takes text from the user.
    text_input: bool = True
    voices: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    #: The ways in which it finds the end of a turn by itself; empty when the application has to say so.
    turn_detection: tuple[TurnDetection, ...] = ()
    #: It tells when speech starts and ends.
    vad_events: bool = False
    #: It answers by itself after a turn that it detected.
    auto_response: bool = False
    #: It stops its own response when it hears the user begin to speak.
    self_interrupting: bool = False
    #: Either can be turned off, also in mid-conversation (`ProviderConfig.auto_response`, `interruptions`).
    auto_response_optional: bool = False
    interruptions_optional: bool = False
    #: The settings of its turn detection that `ProviderConfig.turn_options` may hold, in OpenAI's names.
    turn_options: tuple[str, ...] = ()
    #: It writes down what the user says, finally and while it is being said.
    input_transcription: bool = False
    partial_transcripts: bool = False
    #: It listens for words and phrases that it is given (`ProviderConfig.vocabulary`).
    vocabulary: bool = False
    #: It tells how the user sounds (`EmotionDetected`), where `ProviderConfig.emotion` is not False.
    emotion: bool = False

    #: A response can be called off by message.
    cancel: bool = False
    #: Calling off takes back what was asked for and has not begun, too: of that nothing is told. Otherwise it begins
    #: all the same, and its end is told.
    cancel_requested: bool = False
    #: It can be told how much of an item was heard, and forgets the rest.
    truncate: bool = False
    #: Input audio can be declared a turn, and what is not yet one can be thrown away.
    commit: bool = False
    clear: bool = False
    #: A single item can be removed from its history.
    delete: bool = False
    #: It can be made to speak a given text word for word.
    say: bool = False

    #: It can call functions; whether several at a time; whether it goes on by itself when it has the results.
    tools: bool = False
    parallel_tools: bool = False
    continues_after_tool: bool = False
    #: Though it goes on by itself, it does not after a tool whose schema says `responds: False`.
    silent_results: bool = False

    #: How an earlier conversation is given to it: as items at any time, as items before the first audio only, with
    #: the connection, or only as a part of the prompt.
    history: HistoryMode = "none"
    history_max_bytes: int | None = None
    history_max_items: int | None = None
    #: It takes notes from the application (role "system") in mid-conversation.
    system_messages: bool = False
    #: Its instructions can be changed in mid-conversation.
    instructions_updatable: bool = False
    #: Items may be put between others (`add_conversation_history` with `after`).
    history_places: bool = False
    #: Settings beyond those of every provider that may change in mid-conversation, in OpenAI's names: `tool_choice`,
    #: `speed`, `noise_reduction`, ...; and `temperature`, which is one of every provider and does nothing at some.
    session_options: tuple[str, ...] = ()
    #: A response can be asked for, also when nobody has said anything.
    response_on_request: bool = True
    #: Settings that a response may be asked for with, for it alone (`create_response` with `overrides`).
    response_overrides: tuple[str, ...] = ()

    resume: ResumeKind = "none"
    #: Seconds after which it ends every connection, None where it does not.
    max_connection_seconds: int | None = None
    usage_unit: UsageUnit = "none"
    #: It works without any network.
    on_device: bool = False

    def supports(self, feature: str) -> bool:
        """Whether a feature, named as the field here, is there at all (a list that is not empty, a kind not "none")."""
        value = getattr(self, feature.lower(), None)
        if isinstance(value, str):
            return value != "none"
        return bool(value)

    def as_dict(self) -> dict[str, Any]:
        """Plain dicts, lists, strings and numbers, as `json` can write them."""
        result: dict[str, Any] = msgspec.to_builtins(self)
        return result
