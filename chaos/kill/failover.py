"""How long it takes until another vendor answers when one is killed; and whether anything of the call is lost by it.

The vendor is killed while the user speaks, while the user waits for the answer, or while it answers. Of the time from
there to the first audio frame of the successor's answer, as the application gets it, some is not the engine's:

- the thinking of the successor: from when it begins a response to when it sends the first sound, by its own word;
- where the turn was not over, what the user still said of it, and the silence that the successor waits for after that.

All else is: hearing of the loss, trying the vendor once more, connecting to the next (unless one stands by), telling it
the conversation, and the audio of the turn; and also what the kernel takes to end a process, and the successor to read
all that and to write its answer.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from chaos.kill.caller import FRAME_MS, Caller
from chaos.kill.vendor import Vendor
from chaos.plan import MS_PER_WORD
from voxengine import events as ev
from voxengine.audio.signal import timeline

__all__ = ["MOMENTS", "Kill", "Moment", "kill", "kills", "vendors"]

Moment: TypeAlias = Literal["speaking", "waiting", "answering"]
MOMENTS: tuple[Moment, ...] = get_args(Moment)

#: What the user says last ends with so much silence.
_TAIL_MS = MS_PER_WORD - (timeline("w0000")[0].end_ms - timeline("w0000")[0].start_ms)
#: When a vendor is killed: so many seconds before the user has said all, in the middle of the second of three words; so
#: many after the end of the turn, while its words are not known; so many after the first audio of the answer.
_BEFORE_END, _AFTER_TURN, _AFTER_AUDIO = 0.3, 0.1, 0.2
#: Silence after which all vendors here take a turn for over; the vendors' default.
SILENCE_MS = 500.0
#: Calls of each kind for which vendors are started together, and seconds between the kinds.
_ROUNDS = 2
_APART = 0.08
#: How an emulated vendor has to be for its moment: to be killed before its answer, it must not be quick.
_VICTIMS: dict[Moment, dict[str, Any]] = {
    "speaking": {},
    "waiting": {"latency_ms": 20_000, "transcript_delay_ms": 20_000},
    "answering": {"latency_ms": 20, "transcript_delay_ms": 0, "pace": 1},
}
_SUCCESSOR: dict[str, Any] = {"latency_ms": 50, "transcript_delay_ms": 20, "pace": 4}


class Kill(msgspec.Struct, frozen=True):
    """One vendor that was killed. All times but `noticed_ms` are given in the order of what they are part of."""

    moment: Moment
    warm: bool
    #: From the kill to the first audio frame of the successor's answer, and the parts of it (see above).
    total_ms: float
    thinking_ms: float
    speaking_ms: float
    own_ms: float
    #: From the kill to the engine's word of the loss, and to that of the other vendor at work.
    noticed_ms: float
    switched_ms: float
    #: What does not hold of the call, by kind.
    violations: dict[str, list[str]]


async def kill(victim: Vendor, successor: Vendor, moment: Moment, warm: bool, words: str) -> Kill:
    """Hold a call with a vendor that is killed in it; `words` are the user's."""
    began = asyncio.get_running_loop().time()
    call = Caller(**victim.settings, fallback=[successor.settings], warm_standby=warm)
    async with call:
        if warm:
            await _stands_by(successor, began)
        call.say(words)
        await _come(call, moment)
        killed = victim.kill()
        noticed, _ = await call.until(ev.ConnectionLost, killed)
        switched, _ = await call.until(ev.ProviderSwitched, killed)
        first = (await call.until(ev.AudioOutputChunk, switched))[0]
        await call.rest()
        # The vendor tells of it by another way, which need not be as quick.
        thinking = await successor.until(lambda: successor.thinking(killed))
        verdict = call.verdict()
    # What was said last ends with a little of the silence already.
    over = max(killed, call.silence[math.ceil((SILENCE_MS - _TAIL_MS) / FRAME_MS) - 1])
    speaking = over - killed if moment == "speaking" else 0.0
    total = first - killed
    return Kill(
        moment,
        warm,
        total_ms=_ms(total),
        thinking_ms=_ms(thinking),
        speaking_ms=_ms(speaking),
        own_ms=_ms(total - thinking - speaking),
        noticed_ms=_ms(noticed - killed),
        switched_ms=_ms(switched - killed),
        violations=verdict.violations,
    )


async def _stands_by(successor: Vendor, since: float) -> None:
    """Wait until the successor is connected, by its own word, and the engine has read that."""
    await successor.until(lambda: successor.first("session.updated", since))
    await asyncio.sleep(0.1)


async def _come(call: Caller, moment: Moment) -> None:
    """Wait until a vendor is to be killed."""
    if moment == "speaking":
        await call.until_left(_BEFORE_END)
    elif moment == "waiting":
        await call.until(ev.TurnDetected)
        await asyncio.sleep(_AFTER_TURN)
    else:
        await call.until(ev.AudioOutputChunk)
        await asyncio.sleep(_AFTER_AUDIO)


def vendors(moment: Moment) -> tuple[Vendor, Vendor]:
    """One that is to be killed at that moment, and its successor. They are not started."""
    return Vendor("openai", **_VICTIMS[moment]), Vendor("azure", **_SUCCESSOR)


async def kills(runs: int, done: Callable[[int], None] = lambda _: None) -> list[Kill]:
    """Kill a vendor so often at each moment, with a successor that stands by and with one that does not.

    The six kinds of calls are held side by side, a little apart, and each has a successor of its own. While processes
    are started nothing is measured, nor in a first call of each kind, in which this process loads what it needs
    later. `done` is told how many more are over.
    """
    kinds = [(moment, warm) for moment in MOMENTS for warm in (True, False)]
    found: list[Kill] = []
    async with AsyncExitStack() as stack:
        successors = [await stack.enter_async_context(vendors(m)[1]) for m, _ in kinds]
        await _round(kinds, successors, range(1))
        for first in range(0, runs, _ROUNDS):
            numbers = range(first, min(first + _ROUNDS, runs))
            found += await _round(kinds, successors, numbers)
            done(len(numbers) * len(kinds))
    return found


async def _round(
    kinds: Sequence[tuple[Moment, bool]], successors: Sequence[Vendor], numbers: Sequence[int]
) -> list[Kill]:
    victims = [[vendors(moment)[0] for _ in numbers] for moment, _ in kinds]
    async with AsyncExitStack() as started:
        every = [victim for own in victims for victim in own]
        await asyncio.gather(*map(started.enter_async_context, every))
        calls = [
            _one_after_the_other(kinds[k], victims[k], successors[k], numbers, k * _APART)
            for k in range(len(kinds))
        ]
        return [kill for kills in await asyncio.gather(*calls) for kill in kills]


async def _one_after_the_other(
    kind: tuple[Moment, bool],
    victims: Sequence[Vendor],
    successor: Vendor,
    numbers: Sequence[int],
    wait: float,
) -> list[Kill]:
    await asyncio.sleep(wait)
    moment, warm = kind
    return [
        await kill(victim, successor, moment, warm, _sentence(number))
        for victim, number in zip(victims, numbers, strict=True)
    ]


def _sentence(number: int) -> str:
    return " ".join(f"w{(3 * number + k) % 10_000:04}" for k in range(3))


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
