"""What the suite says to a provider, and what it has to be configured with for that."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias

import msgspec

from voxengine.audio.formats import AudioFormat

__all__ = ["Scenario", "Speech", "Vendor", "scenario_for"]

#: A recording (the path of a WAV file), words to be said with `voxengine.audio.signal`, or a function that makes audio.
Speech: TypeAlias = "str | os.PathLike[str] | Callable[[AudioFormat], bytes]"

LONG = " ".join(
    f"Part {part} of the story tells how they went on over hills and rivers until night fell."
    for part in ("one", "two", "three", "four", "five", "six")
)

WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The city."}},
        "required": ["city"],
    },
}


class Vendor(Protocol):
    """What stands in for the vendor: a service on this machine that speaks its wire, and judges what it is told."""

    def open(self) -> AbstractAsyncContextManager[Mapping[str, Any]]:
        """Start it, on the running loop; gives the settings with which the provider finds it."""

    def figures(self) -> dict[str, Any]:
        """What was said to it and by it so far, and how much of that its judge found valid."""


class Scenario(msgspec.Struct, kw_only=True):
    """The words of the suite. A provider that needs other words for the same effect has a scenario of its own."""

    #: Settings that the provider needs, beside those that it is checked with.
    config: dict[str, Any] = {}
    #: What the provider is connected to, started anew for each check; None: nothing, or the vendor itself.
    vendor: Vendor | None = None
    #: Messages in the vendor's own words that it has to take, where the provider lets them through.
    own_words: tuple[dict[str, Any], ...] = ()
    #: A text that gets a short spoken answer.
    hello: str = "Hello there"
    #: A text that gets an answer of at least 10 seconds.
    long: str = "Tell me a long story"
    #: A text that makes it call one of `tools`, and one that makes it call two at a time (None: not checked).
    tool: str | None = "What is the weather in Paris?"
    two_tools: str | None = "Compare the weather in Paris and Rome."
    tools: list[dict[str, Any]] = msgspec.field(default_factory=lambda: [WEATHER])
    tool_output: str = '{"weather": "sunny", "celsius": 21}'
    #: What the user says, and the words that have to be in its transcript.
    speech: Speech = "go forward ten meters"
    words: tuple[str, ...] = ("forward", "ten", "meters")
    #: Milliseconds of silence after it that surely end a turn.
    trailing_ms: float = 2000.0
    #: Seconds that anything may take, and after which nothing more is expected to come.
    patience: float = 20.0
    quiet: float = 0.5
    #: Run it on the virtual clock; not for a provider that waits for a real network, or for threads of its own.
    virtual: bool = True

    def audio(self, format: AudioFormat) -> bytes:
        """The user's speech, with nothing before or after it."""
        if callable(self.speech):
            return self.speech(format)
        name = os.fspath(self.speech)
        if name.lower().endswith(".wav"):
            from voxengine.audio.wav import load_speech

            return load_speech(name, format, downmix=True)
        from voxengine.audio.signal import speak

        return speak(name, format)


def scenario_for(name: str) -> Scenario:
    """The scenario of a built-in provider, the general one for all others."""
    if name == "mock":
        return Scenario(config=_mock_config(), own_words=({"type": "mock.note"},))
    if name in ("local", "cascade"):
        return _local()
    from voxengine.testing.conformance.vendors import emulated

    return emulated(name) or Scenario(virtual=False)


def _mock_config() -> dict[str, Any]:
    return {"mock_responses": scripted_answers()}


def scripted_answers() -> dict[str, Any]:
    """What a scripted vendor answers to the general scenario, in the form of the mock's script."""
    paris = {"name": "get_weather", "arguments": {"city": "Paris"}}
    rome = {"name": "get_weather", "arguments": {"city": "Rome"}}
    default = Scenario()
    assert default.tool is not None
    assert default.two_tools is not None
    return {
        default.hello: "Hi there! How can I help?",
        default.long: LONG,
        default.tool: {"tool": paris, "then": "In Paris: {output}"},
        default.two_tools: {"tools": [paris, rome], "then": "Compared: {output}"},
    }


def _local() -> Scenario:
    """The built-in script of the scripted brain, and a human voice."""
    from voxengine.data import speech_path

    direction = {"type": "string"}
    move = {
        "name": "move",
        "description": "Drive in a direction.",
        "parameters": {
            "type": "object",
            "properties": {
                "direction": direction,
                "distance": {"type": "number"},
                "unit": {"type": "string"},
            },
            "required": ["direction", "distance"],
        },
    }
    return Scenario(
        hello="Hello",
        long="Tell me a story",
        tool="Go forward three meters",
        two_tools=None,
        tools=[move],
        tool_output='{"message": "Done."}',
        speech=str(speech_path("go_forward_ten_meters")),
        words=("forward", "meters"),
        virtual=False,
    )
