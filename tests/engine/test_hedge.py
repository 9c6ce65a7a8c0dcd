"""The same turn goes to two providers: the first to answer is heard, and both know what was said."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.caller import LATENCY, SCRIPT, Caller
from voxengine import events as ev
from voxengine import register_provider
from voxengine.audio.signal import speak
from voxengine.providers.mock import FaultPlan, MockProvider, Refuse
from voxengine.testing.clock import run

ANSWER = "one two three four five six"
SLOW = {**LATENCY, "first": 900}
QUICK = {**LATENCY, "first": 150}


class Made(list[MockProvider]):
    """All that were made of the second provider."""

    def __call__(self, config: Any) -> MockProvider:
        self.append(MockProvider(config))
        return self[-1]


@pytest.fixture
def made() -> Made:
    made = Made()
    register_provider("second", made)
    return made


def caller(
    *faults: Any,
    first: Any = LATENCY,
    second: Any = SLOW,
    able: Any = None,
    plan: Any = None,
    config: Any = None,
    others: Any = None,
    **metadata: Any,
) -> Caller:
    other: dict[str, Any] = {
        "latency_ms": second,
        "mock_responses": SCRIPT,
        **metadata,
        **(others or {}),
    }
    other |= {"capabilities": able} if able else {}
    other |= {"faults": plan} if plan is not None else {}
    hedge = {"provider": "second", "metadata": other}
    return Caller(*faults, config={"hedge": hedge, **(config or {})}, latency_ms=first, **metadata)


async def ready() -> None:
    """Wait until the second one has been opened, and hears."""
    await asyncio.sleep(1)


def providers(call: Caller, made: Made) -> tuple[MockProvider, MockProvider]:
    """The first choice, and the one that hears as well."""
    first = call.providers[0] if call.providers else call.engine.provider
    assert isinstance(first, MockProvider)
    return first, made[-1]


def set_first(provider: MockProvider, ms: float) -> None:
    """From now on its answers begin after so many milliseconds."""
    settings = provider.settings
    settings.latency_ms = msgspec.structs.replace(settings.latency_ms, first=ms)


def calls(provider: MockProvider) -> list[str]:
    """The methods that were called, in order."""
    return [call.method for call in provider.history]


def told(provider: MockProvider) -> list[tuple[str, str]]:
    """What it knows of the conversation."""
    messages = [m for m in provider.get_message_history() if m["kind"] == "message"]
    return [(m["role"], m.get("text", "")) for m in messages]


def log(call: Caller) -> list[tuple[str, str]]:
    return [(i.role, i.text) for i in call.engine.conversation.messages]


def check(call: Caller, *speakers: str) -> None:
    """The log is what was heard, each turn has one answer, and these gave them."""
    call.check_log()
    turns = [i.id for i in call.engine.conversation.messages if i.role == "user"]
    assert [len(call.answers(turn)) for turn in turns] == [1] * len(turns)
    answers = [i.provider for i in call.engine.conversation.messages if i.role == "assistant"]
    assert answers == list(speakers)
    assert call.engine.state == "idle"


async def ask(call: Caller, words: str = "tell me") -> None:
    call.say(words)
    await call.quiet()


# -- who is first


async def test_the_one_at_work_is_first(made: Made) -> None:
    async with caller() as call:
        await ready()
        await ask(call)
        check(call, "mock")
        first, second = providers(call, made)
        assert not call.of(ev.ProviderSwitched)
        assert log(call) == [("user", "tell me"), ("assistant", ANSWER)]
        assert told(first) == told(second) == log(call)
        assert second.is_connected
        assert len(call.of(ev.TurnDetected)) == len(call.of(ev.VadSpeechStarted)) == 1
        assert len(call.of(ev.TranscriptCompleted)) == 1


async def test_the_second_is_first(made: Made) -> None:
    async with caller(first=SLOW, second=QUICK) as call:
        await ready()
        await ask(call)
        check(call, "second")
        first, second = providers(call, made)
        (switched,) = call.of(ev.ProviderSwitched)
        assert (switched.previous, switched.provider, switched.reason) == (
            "mock",
            "second",
            "hedge",
        )
        assert call.engine.config.provider == "second"
        assert log(call) == [("user", "tell me"), ("assistant", ANSWER)]
        assert told(first) == told(second) == log(call)
        for kind in (ev.VadSpeechStarted, ev.TurnDetected, ev.TranscriptCompleted):
            assert len(call.of(kind)) == 1, kind
        assert not call.of(ev.ConnectionLost)
        assert first.is_connected
    assert not first.is_connected
    assert not second.is_connected


@pytest.mark.parametrize("spoken", [True, False])
async def test_in_turns(made: Made, spoken: bool) -> None:
    """Each time the other one is slow."""
    async with caller(second=LATENCY) as call:
        await ready()
        first, second = providers(call, made)
        speakers = []
        for n in range(10):
            slow, quick = (first, second) if n % 2 else (second, first)
            set_first(slow, 900)
            set_first(quick, 200)
            words = f"this is number {n}"
            if spoken:
                await ask(call, words)
            else:
                await call.engine.send_text(words)
                await call.quiet()
            speakers.append("second" if quick is second else "mock")
            check(call, *speakers)
        assert len(call.of(ev.ProviderSwitched)) == 9
        expected = [
            line
            for n in range(10)
            for line in (
                ("user", f"this is number {n}"),
                ("assistant", f"You said: this is number {n}"),
            )
        ]
        assert log(call) == told(first) == told(second) == expected
        if spoken:
            assert len(call.of(ev.TurnDetected)) == len(call.of(ev.TranscriptCompleted)) == 10


@pytest.mark.parametrize("delays", [(0, 1500), (1500, 0), (1500, 1800)])
async def test_what_was_said_is_told_once_whoever_writes_it_down(
    made: Made, delays: tuple[int, int]
) -> None:
    first, second = delays
    others = {"transcript_delay_ms": second}
    slow, quick = {**LATENCY, "first": 2500}, LATENCY
    async with caller(first=slow, second=quick, others=others, transcript_delay_ms=first) as call:
        await ready()
        await ask(call)
        await asyncio.sleep(3)
        check(call, "second")
        assert [t.text for t in call.of(ev.TranscriptCompleted)] == ["tell me"]
        assert not call.of(ev.TranscriptFailed)


# -- nothing of the slower one is heard


@pytest.mark.parametrize("quick", ["mock", "second"])
async def test_the_slower_one_is_called_off_and_its_cost_booked(made: Made, quick: str) -> None:
    latency = {"mock": (LATENCY, SLOW), "second": (SLOW, LATENCY)}[quick]
    async with caller(first=latency[0], second=latency[1]) as call:
        await ready()
        await ask(call)
        first, second = providers(call, made)
        slow = second if quick == "mock" else first
        assert "interrupt" in calls(slow)
        assert len(call.of(ev.ResponseCompleted)) == 1
        assert {e.item_id for e in call.of(ev.AudioOutputChunk)} == {
            i.id for i in call.engine.conversation if i.role == "assistant"
        }
        usage = await call.engine.get_usage()
        heard = {leg["provider"]: leg["responses"] for leg in usage["legs"]}
        assert heard == {"mock": 1, "second": 1}


@pytest.mark.parametrize("apart", [1, 10, 19, 21, 40])
@pytest.mark.parametrize("ahead", ["mock", "second"])
async def test_nearly_at_the_same_time(made: Made, apart: int, ahead: str) -> None:
    """What crosses on the way from the slower one is not heard, and not remembered."""
    late = {**LATENCY, "first": LATENCY["first"] + apart}
    order = (LATENCY, late) if ahead == "mock" else (late, LATENCY)
    async with caller(first=order[0], second=order[1]) as call:
        await ready()
        for _ in range(2):
            await ask(call)
        first, second = providers(call, made)
        assert log(call) == told(first) == told(second)
        check(call, ahead, ahead)
        assert bytes(call.played[call.engine.conversation[1].id])


async def test_a_response_that_was_begun_and_not_heard_is_told_as_hedged(made: Made) -> None:
    async with caller(first=SLOW) as call:
        await ready()
        _, second = providers(call, made)
        set_first(second, 100)
        await ask(call)
        cancelled = call.of(ev.ResponseCancelled)
        assert [c.reason for c in cancelled] == ["hedged"]
        assert len(call.of(ev.ResponseStarted)) == 2
        check(call, "second")


# -- tools


@pytest.mark.parametrize("quick", ["mock", "second"])
async def test_only_the_first_to_call_a_tool_is_given_its_result(made: Made, quick: str) -> None:
    order = (LATENCY, SLOW) if quick == "mock" else (SLOW, LATENCY)
    async with caller(first=order[0], second=order[1]) as call:
        await ready()
        await ask(call, "look it up")
        assert call.looked == ["look"]
        check(call, quick)
        assert log(call)[-1] == ("assistant", "found it")
        first, second = providers(call, made)
        kinds = [i.kind for i in call.engine.conversation]
        assert kinds == ["message", "function_call", "function_output", "message"]
        for provider in (first, second):
            assert [m["kind"] for m in provider.get_message_history()] == kinds
        results = [calls(p).count("send_tool_result") for p in (first, second)]
        assert results == ([1, 0] if quick == "mock" else [0, 1])
        await ask(call, "are you there")
        check(call, quick, quick)


# -- the user speaks on


async def test_barge_in_while_it_is_undecided(made: Made) -> None:
    async with caller(first=SLOW, second=SLOW) as call:
        await ready()
        await asyncio.sleep(call.say("tell me") + 0.8)
        assert call.engine.state == "thinking"
        await ask(call, "are you there")
        first, second = providers(call, made)
        assert [line for line in log(call) if line[0] == "assistant"] == [("assistant", "yes i am")]
        assert told(first) == told(second) == log(call)
        call.check_log()


@pytest.mark.parametrize("quick", ["mock", "second"])
async def test_barge_in_while_one_speaks(made: Made, quick: str) -> None:
    order = (LATENCY, SLOW) if quick == "mock" else (SLOW, LATENCY)
    async with caller(first=order[0], second=order[1]) as call:
        await ready()
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        await asyncio.sleep(0.8)
        await ask(call, "are you there")
        first, second = providers(call, made)
        call.check_log()
        cut = log(call)[1]
        assert 1 <= len(cut[1].split()) < 6
        assert told(first) == told(second) == log(call)
        assert log(call)[-1] == ("assistant", "yes i am")


@pytest.mark.parametrize("moment", [0.1, 0.6, 1.1])
async def test_interrupt(made: Made, moment: float) -> None:
    """While one hears, both think, one speaks."""
    async with caller() as call:
        await ready()
        await call.engine.send_text("tell me")
        await asyncio.sleep(moment)
        await call.engine.interrupt()
        await asyncio.sleep(3)
        first, second = providers(call, made)
        assert call.engine.state == "idle"
        assert told(first) == told(second) == log(call)
        await call.engine.say("good bye")
        await call.quiet()
        assert log(call)[-1] == ("assistant", "good bye")
        assert told(second) == log(call)
        assert not call.of(ev.ProviderSwitched)


# -- the two do not hear alike


@pytest.mark.parametrize("order", [(0, 300), (300, 0)])
@pytest.mark.parametrize("quick", ["mock", "second"])
async def test_one_is_far_away(made: Made, order: tuple[int, int], quick: str) -> None:
    """All that it tells comes a third of a second later, the end of the turn too."""
    latencies = [{**LATENCY, "network": n} for n in order]
    latencies[quick == "mock"]["first"] = 1500
    async with caller(first=latencies[0], second=latencies[1]) as call:
        await ready()
        for n in range(3):
            await ask(call)
            check(call, *[quick] * (n + 1))
        first, second = providers(call, made)
        await asyncio.sleep(2)
        assert log(call) == told(first) == told(second)
        assert len(call.of(ev.TranscriptCompleted)) == 3
        assert len(call.of(ev.TurnDetected)) == 3


async def test_the_second_hears_the_end_of_the_turn_much_earlier(made: Made) -> None:
    """Its answer waits for the one at work to tell of the turn, but not for long."""
    settings: dict[str, Any] = {"second": LATENCY, "others": {"silence_ms": 300}}
    async with caller(silence_ms=2500, **settings) as call:
        await ready()
        seconds = call.say("tell me")
        await asyncio.sleep(seconds + 0.3 + 0.4 + 0.8 + 0.2)
        assert call.engine.config.provider == "second"
        await call.quiet()
        check(call, "second")
        assert len(call.of(ev.VadSpeechStarted)) == len(call.of(ev.TurnDetected)) == 1
        assert [t.text for t in call.of(ev.TranscriptCompleted)] == ["tell me"]
        await asyncio.sleep(3)
        first, second = providers(call, made)
        assert log(call) == told(first) == told(second)


async def test_what_only_the_second_takes_for_speech_is_not_answered_into_an_answer(
    made: Made,
) -> None:
    async with caller(first=LATENCY, second=LATENCY) as call:
        await ready()
        first, second = providers(call, made)
        call.say("tell me")
        await call.until(ev.AudioOutputStarted)
        noise = speak("humming", call.engine.config.input_format)
        for n in range(0, len(noise) + 40_000, 960):
            await second.send_audio(noise[n : n + 960].ljust(960, b"\0"))
        await call.quiet()
        await asyncio.sleep(2)
        check(call, "mock")
        await ask(call, "are you there")
        check(call, "mock", "mock")
        assert log(call) == told(first) == told(second)


# -- both are told the same


async def test_what_the_application_puts_in_is_known_to_both(made: Made) -> None:
    async with caller(second=LATENCY) as call:
        await ready()
        first, second = providers(call, made)
        await call.engine.inject("the caller is a friend")
        await call.engine.send_text("speak slowly", "system")
        await call.engine.update_session(instructions="Be kind.")
        await asyncio.sleep(0.2)
        for provider in (first, second):
            assert sorted(told(provider)) == [
                ("system", "speak slowly"),
                ("system", "the caller is a friend"),
            ]
            assert provider.config.instructions == "Be kind."
        set_first(first, 900)
        await ask(call)
        assert call.engine.config.provider == "second"
        assert call.engine.config.instructions == "Be kind."
        assert sorted(told(first)) == sorted(told(second)) == sorted(log(call))
        assert len(log(call)) == 4


@pytest.mark.parametrize("quick", ["mock", "second"])
async def test_turns_that_the_application_ends(made: Made, quick: str) -> None:
    order = (LATENCY, SLOW) if quick == "mock" else (SLOW, LATENCY)
    async with caller(first=order[0], second=order[1], config={"turn_detection": "none"}) as call:
        call.engine.config  # noqa: B018
        await ready()
        for n in range(2):
            await asyncio.sleep(call.say("tell me") + 0.2)
            await call.engine.commit_audio()
            await call.engine.create_response()
            await call.quiet()
            check(call, *[quick] * (n + 1))
        first, second = providers(call, made)
        assert told(first) == told(second) == log(call)


# -- the second one is in trouble


async def test_a_second_one_that_is_refused_troubles_nobody(made: Made) -> None:
    plan = FaultPlan([Refuse(times=2)])
    async with caller(plan=plan, first=SLOW, second=LATENCY) as call:
        await ask(call)
        check(call, "mock")
        warnings = call.of(ev.SystemWarning)
        assert {w.code for w in warnings} == {"no_hedge"}
        assert not call.of(ev.ConnectionFailed)
        await asyncio.sleep(20)
        await ask(call)
        check(call, "mock", "second")


async def test_a_second_one_that_is_lost_is_opened_anew(made: Made) -> None:
    async with caller(first=SLOW, second=LATENCY) as call:
        await ready()
        call.say("tell me")
        await asyncio.sleep(0.5)
        made[0].simulate_error("closed")
        await call.quiet()
        check(call, "mock")
        assert not call.of(ev.ConnectionLost)
        await asyncio.sleep(20)
        await ask(call, "are you there")
        check(call, "mock", "second")
        first, second = providers(call, made)
        assert len(made) == 2
        assert told(first) == told(second) == log(call)


@pytest.mark.parametrize(
    ("able", "words"),
    [
        ({"history": "none"}, "be told"),
        ({"history": "at_start"}, "be told"),
        ({"audio_output": False}, "both speak"),
        ({"answers": False}, "answer"),
    ],
)
async def test_where_it_makes_no_sense_it_is_said(made: Made, able: Any, words: str) -> None:
    async with caller(able=able) as call:
        await ready()
        (warning,) = call.of(ev.SystemWarning)
        assert warning.code == "no_hedge"
        assert words in warning.message
        await ask(call)
        check(call, "mock")
        assert not any(p.is_connected for p in made)


# -- the one at work is in trouble


@pytest.mark.parametrize("moment", [0.0, 0.4, 1.2, 1.5, 2.0, 3.0])
async def test_the_second_goes_on_when_the_first_is_lost(made: Made, moment: float) -> None:
    """Idle, while the user speaks, while both think, and while the first one answers."""
    async with caller(second=LATENCY) as call:
        await ready()
        if moment:
            call.say("tell me")
            await asyncio.sleep(moment)
        call.plan.add(Refuse(times=0))
        began = asyncio.get_running_loop().time()
        call.lose()
        if not call.of(ev.ProviderSwitched):
            await call.until(ev.ProviderSwitched)
        assert asyncio.get_running_loop().time() - began < 0.05
        if moment == 0.4:
            assert call.engine.state == "listening"
        (switched,) = call.of(ev.ProviderSwitched)
        assert (switched.reason, switched.code) == ("failover", "closed")
        await call.quiet()
        if moment:
            (turn,) = [i for i in call.engine.conversation if i.role == "user"]
            assert turn.text == "tell me"
            assert len(call.answers(turn.id)) == 1
        call.check_log()
        await ask(call, "are you there")
        assert log(call)[-1] == ("assistant", "yes i am")
        assert told(made[-1]) == log(call)
        assert not [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]


@pytest.mark.parametrize("connect", [100, 700])
async def test_one_that_does_not_hear_yet_goes_on_as_a_standby_does(
    made: Made, connect: int
) -> None:
    """It is open, or comes to be, in the middle of a turn: that is replayed to it."""
    async with caller(second={**LATENCY, "connect": connect}) as call:
        call.say("tell me")
        await asyncio.sleep(0.5)
        call.plan.add(Refuse(times=0))
        call.lose()
        await call.quiet()
        (switched,) = call.of(ev.ProviderSwitched)
        assert (switched.reason, switched.provider) == ("failover", "second")
        assert switched.audio_ms > 0
        assert switched.outage_ms == pytest.approx(max(0, connect - 500), abs=20)
        check(call, "second")


async def test_both_are_lost(made: Made) -> None:
    async with caller(second=LATENCY) as call:
        await ready()
        await ask(call)
        first, second = providers(call, made)
        second.simulate_error("closed")
        first.simulate_error("closed")
        await call.until(ev.ConnectionRestored)
        await asyncio.sleep(10)
        await ask(call, "are you there")
        check(call, "mock", "mock")
        assert told(made[-1]) == log(call)


async def test_nobody_is_left(made: Made) -> None:
    plan = FaultPlan([])
    async with caller(plan=plan) as call:
        await ready()
        call.hang_up_microphone()
        for faults in (plan, call.plan):
            faults.add(Refuse(times=0))
        made[-1].simulate_error("closed")
        call.lose()
        await call.until(ev.ConnectionFailed)
        for faults in (plan, call.plan):
            faults.clear()
        await asyncio.sleep(200)
        assert not call.engine.is_connected
        await call.engine.connect()
        await ready()
        await call.engine.send_text("tell me")
        await call.quiet()
        assert told(made[-1]) == log(call)


async def test_a_change_of_the_turn_detection_holds_for_both(made: Made) -> None:
    async with caller(first=SLOW, second=LATENCY) as call:
        await ready()
        await call.engine.update_session(turn_detection="none")
        await asyncio.sleep(call.say("tell me") + 0.2)
        await call.engine.commit_audio()
        await call.engine.create_response()
        await call.quiet()
        check(call, "second")
        await call.engine.update_session(turn_detection="server_vad")
        await ask(call, "are you there")
        check(call, "second", "second")


async def test_one_that_fails_to_answer_is_replaced_by_the_other(made: Made) -> None:
    async with caller() as call:
        await ready()
        call.say("tell me")
        await call.until(ev.ResponseStarted)
        call.engine.provider.simulate_error("server_error")  # type: ignore[union-attr]
        await call.quiet()
        check(call, "second")
        assert len(call.of(ev.ResponseError)) == 1


async def test_switching_goes_on_with_the_second_one_of_the_configuration(made: Made) -> None:
    register_provider("third", lambda config: MockProvider(config))
    async with caller(first=SLOW, second=QUICK) as call:
        await ready()
        await ask(call)
        metadata = {"latency_ms": SLOW, "mock_responses": SCRIPT}
        config = call.engine.config.with_changes(provider="third", metadata=metadata)
        await call.engine.switch_provider("third", config)
        await ready()
        await ask(call, "are you there")
        check(call, "second", "second")
        assert [e.reason for e in call.of(ev.ProviderSwitched)] == ["hedge", "request", "hedge"]


# -- the end


@pytest.mark.parametrize("moment", [0.0, 0.05, 0.15, 0.5, 1.0, 1.4, 1.8, 2.2, 3.5])
@pytest.mark.parametrize("quick", ["mock", "second"])
async def test_disconnecting_at_any_moment(made: Made, moment: float, quick: str) -> None:
    order = (LATENCY, SLOW) if quick == "mock" else (SLOW, LATENCY)
    async with caller(first=order[0], second=order[1]) as call:
        call.say("tell me")
        await asyncio.sleep(moment)
        provider = call.engine.provider
        call.hang_up_microphone()
        await call.engine.disconnect()
        assert provider is not None
        assert not provider.is_connected
        assert not any(p.is_connected for p in made)
        assert len(call.of(ev.ConversationEnded)) == 1


# -- whatever comes


_STEPS = st.sampled_from(
    ["tell me", "are you there", "look it up", "text", "interrupt", "lose", "lose second", "swap"]
)


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(plan=st.lists(st.tuples(_STEPS, st.sampled_from([0.1, 0.7, 1.4, 2.0, 4.0])), max_size=4))
def test_the_log_is_what_was_heard(made: Made, plan: list[tuple[str, float]]) -> None:
    made.clear()
    run(_play(made, plan))


async def _play(made: Made, plan: list[tuple[str, float]]) -> None:
    async with caller(second={**LATENCY, "first": 420}) as call:
        await ready()
        for step, seconds in plan:
            await _take(call, made, step)
            await asyncio.sleep(seconds)
        await asyncio.sleep(20)
        await call.quiet()
        await ask(call, "are you there")
        assert log(call)[-1] == ("assistant", "yes i am")
        call.check_log()
        for turn in [i.id for i in call.engine.conversation.messages if i.role == "user"]:
            assert len(call.answers(turn)) <= 1


async def _take(call: Caller, made: Made, step: str) -> None:
    provider = call.engine.provider
    assert isinstance(provider, MockProvider)
    if step == "text":
        await call.engine.send_text("tell me")
    elif step == "interrupt":
        await call.engine.interrupt()
    elif step == "lose":
        call.lose()
    elif step == "lose second":
        hidden = [p for p in (*made, *call.providers) if p is not provider and p.is_connected]
        if hidden and isinstance(hidden[0], MockProvider):
            hidden[0].simulate_error("closed")
    elif step == "swap":
        set_first(provider, 900)
    else:
        call.say(step)
