"""What one number stands for: the providers of a call, what the user does, what goes wrong and when.

Everything is drawn from one generator, so that the number is enough to have the same call again. All words are five
letters long and said at one pace, so that estimates of where a word is by its letters are right; `w0301` is the first
word of the third turn, and of no other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

__all__ = [
    "ANSWERS",
    "MS_PER_WORD",
    "PROFILES",
    "Deed",
    "Line",
    "Plan",
    "Turn",
    "draw",
]

#: How long a word of the user, or of an answer, lasts: the shortest time in which five letters can be said.
MS_PER_WORD = 200.0

TurnKind = Literal["ask", "long", "tool", "typed"]
DeedKind = Literal[
    "interrupt", "note", "inject", "switch", "strike", "late_audio", "outage", "update"
]
Wait = Literal["quiet", "answer", "none"]

_LONG = " ".join(f"x{n:04}" for n in range(20))
#: What every provider answers: the words of the turn come back in the answer, or in the result of the tool.
ANSWERS: Mapping[str, Any] = {
    r"re:check (\w+)": {
        "tool": {"name": "look", "arguments": {"what": "{1}"}},
        "then": "found {output} today",
    },
    "re:speak .*": f"reply {{text}} {_LONG}",
    "re:.*": "reply {text} today",
}

#: Kinds of providers that a mock can be: what differs from one that can do everything.
PROFILES: Mapping[str, Mapping[str, Any]] = {
    "everything": {},
    "like a vendor of items": {"say": False, "usage_unit": "tokens"},
    "like a vendor of streams": {
        "cancel": False,
        "truncate": False,
        "commit": False,
        "clear": False,
        "delete": False,
        "say": False,
        "system_messages": False,
        "text_output": False,
        "history": "before_audio",
        "input_formats": ["pcm16@16000"],
    },
    "answers on request": {"auto_response": False},
    "is interrupted by message": {"self_interrupting": False},
    "tells of no speech": {"vad_events": False, "self_interrupting": True},
    "shows no partials": {"partial_transcripts": False},
    "telephone": {
        "input_formats": ["g711_ulaw@8000", "g711_alaw@8000"],
        "output_formats": ["g711_ulaw@8000", "pcm16@8000"],
    },
    "one tool at a time, on request": {"parallel_tools": False, "continues_after_tool": False},
    "takes no history": {"history": "none"},
    "takes history in the prompt": {"history": "prompt"},
    "can be resumed": {"resume": "handle"},
}


class Line(msgspec.Struct, frozen=True):
    """One provider: `kind` is "mock" or a dialect of the emulator. `faults` are written as in a configuration."""

    kind: str
    profile: str
    faults: tuple[str, ...]
    #: Milliseconds from a request to the first words, and of the way; how much faster than it plays audio is sent.
    latency_ms: float
    network_ms: float
    pace: float
    transcript_delay_ms: float


class Turn(msgspec.Struct, frozen=True):
    """What the user says or types. `wait` is what follows: silence until all is quiet, the first audio, or nothing."""

    number: int
    kind: TurnKind
    words: str
    wait: Wait
    #: Seconds of silence after that.
    pause: float

    @property
    def own(self) -> tuple[str, ...]:
        """The words that only this turn has."""
        return tuple(word for word in self.words.split() if word[0] == "w")


class Deed(msgspec.Struct, frozen=True):
    """Something that is done, or that happens, so many seconds after a turn began."""

    turn: int
    after: float
    kind: DeedKind
    value: str = ""


class Plan(msgspec.Struct, frozen=True):
    """One call. `config` are settings of the engine; `frame_ms` how much audio the microphone gives at a time."""

    seed: int
    lines: tuple[Line, ...]
    config: dict[str, Any]
    #: Whether the lines after the first take over where one fails.
    chain: bool
    frame_ms: int
    tool_seconds: float
    turns: tuple[Turn, ...]
    deeds: tuple[Deed, ...]
    #: Whether the user hangs up in the middle of whatever goes on, or when all is quiet.
    abrupt: bool

    @property
    def emulated(self) -> bool:
        """Whether a vendor is emulated, over real sockets."""
        return any(line.kind != "mock" for line in self.lines)


def draw(seed: int, emulated: float = 0.25) -> Plan:
    """The call of this number. `emulated` is the part of the calls that go to emulated vendors."""
    chance = random.Random(seed)  # noqa: S311 - chosen to be repeatable
    wire = chance.random() < emulated
    count = chance.choice((1, 1, 2, 2, 3))
    chain = count > 1 and chance.random() < 0.7
    lines = tuple(_line(chance, wire, chain and n == 0) for n in range(count))
    turns = tuple(_turn(chance, number) for number in range(1, chance.randint(4, 8) + 1))
    deeds = tuple(
        deed
        for turn in turns
        if chance.random() < 0.55
        for deed in (_deed(chance, turn.number, lines),)
    )
    config: dict[str, Any] = {
        "chunking": chance.choice(("latency", "latency", "density")),
        "output_latency_ms": 0.0,
        "reconnect_timeout": chance.choice((4.0, 10.0, 30.0)),
        # What they say is a recording, of which no listener of synthetic words understands any.
        "apology": None,
        "goodbye": None,
    }
    if chain:
        config["failover_after"] = chance.choice((0.8, 2.0, 5.0))
        config["warm_standby"] = chance.random() < 0.3
        config["return_to_primary"] = chance.random() < 0.3
    return Plan(
        seed=seed,
        lines=lines,
        config=config,
        chain=chain,
        frame_ms=chance.choice((20, 40, 100)),
        tool_seconds=chance.choice((0.05, 0.5, 2.0)),
        turns=turns,
        deeds=deeds,
        abrupt=chance.random() < 0.2,
    )


def _line(chance: random.Random, wire: bool, followed: bool) -> Line:
    faults = [_fault(chance, wire) for _ in range(chance.choice((0, 1, 1, 2, 2, 3)))]
    if followed and chance.random() < 0.3:
        # It falls silent for ever, which only another can put right. A shorter silence in the same response would end
        # that one, and what was to be sent in between would be missing.
        faults = [fault for fault in faults if not fault.startswith("stall")]
        faults.append(
            f"stall:inf,response={chance.randint(1, 5)},after_chunks={chance.randint(0, 4)}"
        )
    return Line(
        kind=chance.choice(("openai", "openai", "xai", "azure")) if wire else "mock",
        profile="" if wire else chance.choice(tuple(PROFILES)),
        faults=tuple(faults),
        latency_ms=chance.choice((0.0, 50.0, 300.0, 1200.0)),
        network_ms=chance.choice((0.0, 20.0, 200.0)),
        pace=chance.choice((1.5, 4.0, 50.0)),
        transcript_delay_ms=chance.choice((0.0, 50.0, 400.0)),
    )


_KINDS_OF_TURNS: tuple[TurnKind, ...] = ("ask", "ask", "ask", "long", "long", "tool", "typed")
_WAITS: tuple[Wait, ...] = ("quiet", "quiet", "quiet", "answer", "none")


def _turn(chance: random.Random, number: int) -> Turn:
    kind = chance.choice(_KINDS_OF_TURNS)
    own = [f"w{number:02}{n:02}" for n in range(1, chance.randint(2, 4) + 1)]
    opening = {"long": ["speak"], "tool": ["check"]}.get(kind, [])
    return Turn(
        number=number,
        kind=kind,
        words=" ".join([*opening, *own]),
        wait=chance.choice(_WAITS),
        pause=round(chance.choice((0.0, 0.2, chance.uniform(0.0, 2.5))), 3),
    )


#: Events that may come twice, and such as may come late or after others.
_TWICE = (
    "transcript_completed",
    "conversation_turn_detected",
    "response_started",
    "response_completed",
    "function_invoked",
    "text_chunk",
    "audio_chunk",
    "vad_speech_started",
)
_WIRE_TWICE = (
    "response.created",
    "response.done",
    "response.output_audio.delta",
    "response.function_call_arguments.done",
    "conversation.item.input_audio_transcription.completed",
    "input_audio_buffer.committed",
)
_WRITTEN = "conversation.item.input_audio_transcription.completed"


def _fault(chance: random.Random, wire: bool) -> str:
    """One fault of the menu: on opening a connection, in a response, at a time, or in the order of events."""
    connect, response = chance.randint(1, 3), chance.randint(1, 6)
    after = f"response={response},after_chunks={chance.randint(0, 8)}"
    at = f"after_s={chance.uniform(0.0, 15.0):.3f}"
    written = _WRITTEN if wire else "transcript_completed"
    menu = [
        f"refuse:{chance.choice(('refused', 'auth', 'rate_limit', 'quota'))},connect={connect}",
        f"flap:times={chance.randint(1, 3)},connect={connect}",
        f"drop:close_code=1011,{after}",
        f"drop:close_code=1006,{after}",
        f"drop:close_code=1011,{at}",
        f"drop:close_code=1006,{at}",
        f"stall:{chance.uniform(0.2, 4.0):.3f},{after}",
        f"stall:{chance.uniform(0.2, 4.0):.3f},{at}",
        f"slow:{chance.choice((2.0, 6.0))},{after}",
        f"error:{chance.choice(('server_error', 'rate_limit'))},{after}",
        f"late:{written},by={chance.uniform(0.1, 4.0):.3f}",
        f"out_of_order:{written},behind={chance.randint(1, 6)}",
        f"duplicate:{chance.choice(_WIRE_TWICE if wire else _TWICE)},times={chance.randint(1, 3)}",
        f"expire:{at}" if wire else f"drop:code=session_expired,close_code=1000,{at}",
    ]
    if wire:
        menu += [
            f"unknown_event:{at}",
            f"lag:{chance.uniform(0.05, 0.8):.3f},{at}",
            "late_audio:after_s=0",
        ]
    return chance.choice(menu)


_DEEDS: tuple[DeedKind, ...] = (
    "interrupt",
    "note",
    "inject",
    "switch",
    "switch",
    "strike",
    "strike",
    "late_audio",
    "outage",
    "update",
)


def _deed(chance: random.Random, turn: int, lines: tuple[Line, ...]) -> Deed:
    kind = chance.choice(_DEEDS)
    value = ""
    match kind:
        case "switch":
            moment = chance.choice(("now", "after_response", "after_turn"))
            value = f"{chance.randrange(len(lines))} {moment}"
        case "inject":
            value = chance.choice(
                ("now", "next_turn", "before_response", "after_response", "on_silence")
            )
        case "strike":
            value = chance.choice(
                (
                    "drop 1011",
                    "drop 1006",
                    "drop 1012",
                    "expire",
                    "stall 0.7",
                    "stall 2.5",
                    "unknown",
                )
            )
        case "outage":
            value = f"{chance.uniform(0.1, 3.0):.3f}"
    return Deed(turn, round(chance.uniform(0.0, 4.0), 3), kind, value)
