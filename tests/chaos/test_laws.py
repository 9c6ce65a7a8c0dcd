"""Each law of the chaos runs is broken on purpose, and that is found; a call in which nothing is wrong breaks none."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import msgspec
import pytest

from chaos.far_side import ChaosMock
from chaos.listener import Listener
from chaos.many import figures, run_many
from chaos.plan import Line, Plan, Turn, TurnKind, draw
from chaos.run import run
from voxengine import events as ev
from voxengine.audio.formats import AudioFormat
from voxengine.audio.signal import speak
from voxengine.events import ProviderEvent


def calm(*kinds: TurnKind, profile: str = "everything") -> Plan:
    """A call on one mock, in which nothing goes wrong and the user always waits."""
    words = {"long": "speak ", "tool": "check "}
    turns = tuple(
        Turn(n, kind, f"{words.get(kind, '')}w{n:02}01 w{n:02}02", "quiet", 0.0)
        for n, kind in enumerate(kinds, 1)
    )
    line = Line("mock", profile, (), 50.0, 20.0, 4.0, 0.0)
    return msgspec.structs.replace(
        draw(1), lines=(line,), chain=False, turns=turns, deeds=(), abrupt=False
    )


class Deaf(ChaosMock):
    """Hears nothing but silence."""

    async def send_audio(self, audio_data: bytes) -> None:
        await super().send_audio(bytes(len(audio_data)))


class Forgets(ChaosMock):
    """Writes down something else than what was said."""

    def emit(self, event: ProviderEvent) -> None:
        if isinstance(event, (ev.TranscriptPartial, ev.TranscriptCompleted)):
            event = msgspec.structs.replace(event, text="never mind")
        super().emit(event)


class Stutters(ChaosMock):
    """Writes down everything twice."""

    def emit(self, event: ProviderEvent) -> None:
        if isinstance(event, ev.TranscriptCompleted):
            event = msgspec.structs.replace(event, text=f"{event.text} {event.text}")
        super().emit(event)


class Silent(ChaosMock):
    """Writes down what it hears, and nothing else comes of it."""

    def emit(self, event: ProviderEvent) -> None:
        if not isinstance(event, (ev.TurnDetected, ev.ResponseStarted, ev.TextOutput)) and (
            not isinstance(event, (ev.AudioOutputChunk, ev.ResponseCompleted))
        ):
            super().emit(event)


class AnswersTwice(ChaosMock):
    """Answers every turn twice."""

    def _begin(self, prefix: str) -> None:
        super()._begin(prefix)
        vendor: Any = self._vendor
        answer = vendor.answer

        def twice(*args: Any) -> None:
            answer(*args)
            answer(*args)

        vendor.answer = twice


class CallsTwice(ChaosMock):
    """Asks for everything twice in one answer, as if it were two things."""

    def emit(self, event: ProviderEvent) -> None:
        super().emit(event)
        if isinstance(event, ev.FunctionInvoked):
            super().emit(
                msgspec.structs.replace(event, call_id="again", event_id=None, item_id=None)
            )


class NeverDone(ChaosMock):
    """Believes that the user speaks on and on."""

    def emit(self, event: ProviderEvent) -> None:
        if not isinstance(event, (ev.VadSpeechEnded, ev.TurnDetected, ev.TranscriptCompleted)):
            super().emit(event)


class Fails(ChaosMock):
    """Something fails where nobody sees it."""

    async def connect(self) -> bool:
        asyncio.get_running_loop().call_soon(lambda: [][0])
        return await super().connect()


class LeavesTask(ChaosMock):
    """Leaves a task and a timer behind."""

    async def connect(self) -> bool:
        self.task = asyncio.get_running_loop().create_task(asyncio.sleep(10**6))
        return await super().connect()


class LeavesSocket(ChaosMock):
    """Leaves a socket behind."""

    left: list[socket.socket] = []  # noqa: RUF012 - emptied by the test

    async def connect(self) -> bool:
        pair = socket.socketpair()
        self.left.extend(pair)
        asyncio.get_running_loop().add_reader(pair[0], lambda: None)
        return await super().connect()


class HearsNothing(Listener):
    """Nothing that is played reaches it."""

    def play(self, item_id: str, audio: bytes, now: float) -> None:
        pass


def kinds(plan: Plan, **other: Any) -> set[str]:
    return set(run(plan, **other).violations)


def test_one_that_hears_nothing_is_told_of():
    outcome = run(calm("ask"), mock=Deaf)
    assert not outcome.violations
    assert outcome.told["turns_not_heard"] == 1


@pytest.mark.parametrize(
    "profile", ["everything", "answers on request", "tells of no speech", "takes no history"]
)
def test_a_calm_call_breaks_no_law(profile: str):
    outcome = run(calm("ask", "long", "tool", "typed", profile=profile))
    assert outcome.violations == {}
    assert outcome.told == {}
    assert outcome.turns == 4


@pytest.mark.parametrize(
    ("mock", "turn", "law"),
    [
        (Forgets, "ask", "turns_lost"),
        (Stutters, "ask", "turns_doubled"),
        (Silent, "ask", "turns_unanswered"),
        (AnswersTwice, "ask", "answered_twice"),
        (CallsTwice, "tool", "tools_run_twice"),
        (NeverDone, "ask", "hung"),
        (Fails, "ask", "crashed"),
        (LeavesTask, "ask", "leaked_tasks"),
        (LeavesTask, "ask", "leaked_timers"),
    ],
)
def test_a_planted_mistake_is_found(mock: type[ChaosMock], turn: TurnKind, law: str):
    assert law not in kinds(calm(turn))
    assert law in kinds(calm(turn), mock=mock)


def test_a_socket_that_is_left_is_found():
    try:
        assert "leaked_sockets" in kinds(calm("ask"), mock=LeavesSocket)
    finally:
        for each in LeavesSocket.left:
            each.close()
        LeavesSocket.left.clear()


def test_a_word_that_nobody_heard_is_found():
    assert kinds(calm("ask"), listener=HearsNothing) == {"unheard_words"}


def test_a_listener_hears_what_has_sounded_before_it_was_stopped():
    format, ear = AudioFormat(), Listener(AudioFormat())
    ear.play("a", speak("alpha bravo", format, ms_per_word=200), 1.0)
    ear.play("b", speak("delta", format, ms_per_word=200), 1.0)
    ear.stop(1.25)
    assert (ear.words("a"), ear.words("b")) == (["alpha"], [])
    assert ear.ms("a") == 250
    ear.play("b", speak("delta", format, ms_per_word=200), 1.25)
    assert ear.words("b") == ["delta"]


@pytest.mark.parametrize(
    ("seed", "emulated"), [(3, 0.0), (5, 0.0), (8, 0.0), (13, 0.0), (206, 1.0), (215, 1.0)]
)
def test_a_number_gives_the_same_call_again(seed: int, emulated: float):
    plan = draw(seed, emulated)
    assert draw(seed, emulated) == plan
    assert plan.emulated == bool(emulated)
    first, second = run(plan, trace=True), run(plan, trace=True)
    assert first.trace == second.trace
    assert len(first.trace) > 50


def test_numbers_differ():
    plans = [draw(seed) for seed in range(40)]
    assert {p.emulated for p in plans} == {True, False}
    assert {p.chain for p in plans} == {True, False}
    assert len({p.turns for p in plans}) == 40


def test_figures_of_many_calls():
    outcomes = run_many(range(3), emulated=0.0, processes=1)
    assert [o.seed for o in outcomes] == [0, 1, 2]
    outcomes[1].violations = {"turns_lost": ["turn 1: w0101", "turn 2: w0201"]}
    outcomes[0].violations, outcomes[2].violations = {}, {}
    found = figures(outcomes, began=0.0)
    assert (found["runs"], found["failing_seeds"]) == (3, [1])
    assert found["violations"]["turns_lost"] == 2
    assert sum(found["violations"].values()) == 2
