"""Another provider takes over where the present one fails: how soon, with what, and who remembers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.engine.caller import LATENCY, SCRIPT, Caller
from tests.engine.desk import Desk, desk
from voxengine import (
    ConnectionError,
    ProvidersExhaustedError,
    RateLimitError,
    VoiceEngine,
    register_provider,
)
from voxengine import events as ev
from voxengine.providers.mock import Drop, ErrorOnce, FaultPlan, Flap, MockProvider, Refuse, Stall

BUDGET = 0.8


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture(autouse=True)
def backups() -> None:
    for name in ("backup", "third"):
        register_provider(name, lambda config: MockProvider(config))


def backup(name: str = "backup", **metadata: Any) -> dict[str, Any]:
    return {
        "provider": name,
        "metadata": {"latency_ms": LATENCY, "mock_responses": SCRIPT, **metadata},
    }


def caller(*faults: Any, fallback: Any = None, metadata: Any = None, **config: Any) -> Caller:
    entries = [backup()] if fallback is None else fallback
    return Caller(*faults, config={"fallback": entries, **config}, **(metadata or {}))


def lose_for_good(call: Caller) -> None:
    """The connection breaks, and the vendor is down from now on."""
    call.plan.add(Refuse(times=0))
    call.lose()


def switched(call: Caller) -> ev.ProviderSwitched:
    (event,) = call.of(ev.ProviderSwitched)
    assert isinstance(event, ev.ProviderSwitched)
    return event


# -- at the beginning of a call


async def test_a_call_begins_with_the_first_that_can_be_reached() -> None:
    async with caller(Refuse(times=0)) as call:
        assert call.engine.config.provider == "backup"
        event = switched(call)
        assert (event.previous, event.provider, event.reason) == ("mock", "backup", "failover")
        assert event.code == "refused"
        assert call.of(ev.ConnectionFailed)[0].provider == "mock"
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.engine.conversation[-1].text == "yes i am"


async def test_the_second_call_of_the_process_does_not_pay_again() -> None:
    async with caller(Refuse(times=0)) as first:
        assert first.engine.config.provider == "backup"
        async with caller() as second:  # though it would be there again
            assert second.engine.config.provider == "backup"
            assert not second.of(ev.ConnectionFailed)
        await asyncio.sleep(20)
        async with caller() as third:
            assert third.engine.config.provider == "mock"


async def test_one_probe_at_a_time() -> None:
    async with caller(Refuse(times=0)):
        await asyncio.sleep(20)
        async with caller() as probe, caller() as other:
            assert probe.engine.config.provider == "mock"
            assert other.engine.config.provider == "backup"
            await probe.engine.send_text("are you there")
            await probe.quiet()
            async with caller() as later:
                assert later.engine.config.provider == "mock"


async def test_another_key_is_another_matter() -> None:
    async with (
        caller(Refuse("auth", times=0), api_key="old") as first,
        caller(api_key="new") as second,
    ):
        assert first.engine.config.provider == "backup"
        assert second.engine.config.provider == "mock"


async def test_when_none_can_be_reached_the_error_names_them_all() -> None:
    entries = [backup(faults="refuse:auth"), backup("third", faults="refuse:quota")]
    call = caller(Refuse("rate_limit", times=0), fallback=entries)
    with pytest.raises(RateLimitError) as caught:
        await call.engine.connect()
    assert (caught.value.provider, caught.value.code) == ("mock", "rate_limit")
    notes = " ".join(caught.value.__notes__)
    assert "backup" in notes
    assert "third" in notes


async def test_a_single_provider_is_tried_although_it_has_just_failed() -> None:
    call = Caller(Refuse())
    with pytest.raises(ConnectionError):
        await call.engine.connect()
    async with call:
        assert call.engine.is_connected


# -- in the middle of one


@pytest.mark.parametrize("moment", ["idle", "listening", "thinking", "speaking"])
async def test_one_that_is_down_is_left(moment: str) -> None:
    async with caller() as call:
        if moment != "idle":
            seconds = call.say("tell me")
            after = {"listening": 0.3, "thinking": seconds + 0.6, "speaking": seconds + 2}
            await asyncio.sleep(after[moment])
        began = now()
        lose_for_good(call)
        event = await call.until(ev.ProviderSwitched)
        assert now() - began < BUDGET
        assert (event.previous, event.provider, event.reason) == ("mock", "backup", "failover")
        restored = call.of(ev.ConnectionRestored)[0]
        assert restored.outage_ms == event.outage_ms
        await call.quiet()
        if moment != "idle":
            (turn,) = [i for i in call.engine.conversation if i.role == "user"]
            assert turn.text == "tell me"
            assert call.answers(turn.id) == ["one two three four five six"]
        call.check_log()
        assert not [e for e in call.of(ev.ErrorGeneral) if not e.recoverable]


async def test_one_that_comes_back_at_once_is_kept() -> None:
    async with caller() as call:
        call.lose()
        await call.until(ev.ConnectionRestored)
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.engine.config.provider == "mock"
        assert not call.of(ev.ProviderSwitched)


async def test_one_that_accepts_and_drops_is_left_within_the_budget() -> None:
    async with caller() as call:
        call.say("tell me")
        await asyncio.sleep(0.5)
        for n in range(2, 9):
            call.plan.add(Flap(connect=n))
        began = now()
        call.lose()
        event = await call.until(ev.ProviderSwitched)
        assert now() - began < BUDGET
        assert event.code == "flapping"
        await call.quiet()
        assert call.engine.conversation[-1].text == "one two three four five six"
        async with caller() as second:
            assert second.engine.config.provider == "backup"


async def test_one_that_does_not_answer_the_phone_is_left_after_the_budget() -> None:
    slow = {"latency_ms": {**LATENCY, "connect": 60_000}}
    async with caller() as call:
        provider = call.engine.provider
        assert isinstance(provider, MockProvider)
        await call.engine.send_text("are you there")
        await call.quiet()
        call.engine.config.metadata.update(slow)
        began = now()
        call.lose()
        await call.until(ev.ProviderSwitched)
        assert now() - began == pytest.approx(BUDGET, abs=0.1)


@pytest.mark.parametrize("code", ["auth", "quota"])
async def test_one_that_refuses_for_good_is_not_tried_again(code: str) -> None:
    async with caller() as call:
        call.plan.add(Refuse(code, times=0))
        began = now()
        call.lose(code)
        event = await call.until(ev.ProviderSwitched)
        assert now() - began < 0.3
        assert event.code == code


@pytest.mark.parametrize("reconnect_timeout", [0, 10])
@pytest.mark.parametrize("code", ["closed", "protocol", "policy"])
async def test_a_loss_that_is_final_is_that_of_one_provider(
    code: str, reconnect_timeout: float
) -> None:
    drop = Drop(after_s=1.0, code=code, retryable=False)
    async with caller(drop, reconnect_timeout=reconnect_timeout) as call:
        await asyncio.sleep(3)
        assert switched(call).provider == "backup"
        assert call.plan.connects == 1
        assert not call.of(ev.ErrorGeneral)


async def test_one_that_has_just_failed_another_call_is_better_than_none() -> None:
    plan = FaultPlan([Drop(after_s=1.0, retryable=False)])
    other = VoiceEngine(
        **backup(faults=plan), apology=None, fallback=["third"], reconnect_timeout=0
    )
    async with other:
        await asyncio.sleep(3)  # and now all calls of this process leave the backup alone
        assert other.config.provider == "third"
        async with caller(Drop(after_s=2.0, retryable=False)) as call:
            await asyncio.sleep(5)
            assert call.engine.config.provider == "backup"
            await call.engine.send_text("are you there")
            await call.quiet()
            assert call.engine.conversation[-1].text == "yes i am"


async def test_what_the_call_has_brought_about_is_not_given_to_another() -> None:
    drop = Drop(after_s=1.0, code="content_filter", retryable=False)
    async with caller(drop) as call:
        call.hang_up_microphone()
        await asyncio.sleep(3)
        assert call.engine.config.provider == "mock"
        assert not call.engine.is_connected
        (error,) = call.of(ev.ErrorGeneral)
        assert (error.code, error.recoverable) == ("content_filter", False)
        assert isinstance(error.exception, ConnectionError)
        async with caller() as next_call:  # the provider did nothing wrong
            assert next_call.engine.config.provider == "mock"


async def test_one_that_shows_no_sign_of_an_answer_is_left() -> None:
    register_provider("mute", desk())
    async with VoiceEngine(provider="mute", fallback=[backup()]) as engine:
        began = now()
        switches: list[float] = []
        engine.on(ev.ProviderSwitched, lambda e: switches.append(now() - began))
        await engine.send_text("tell me")
        await asyncio.sleep(5)
        assert switches == [pytest.approx(BUDGET + LATENCY["connect"] / 1000, abs=0.01)]
        assert [(i.text, i.provider) for i in engine.conversation] == [
            ("tell me", "mute"),
            ("one two three four five six", "backup"),
        ]


async def test_any_sign_of_life_is_waited_for() -> None:
    async def think(p: Desk, *_: Any) -> None:
        for _n in range(5):
            await asyncio.sleep(0.7)
            p.emit(ev.RawEvent(name="thinking", payload={}, **p.meta()))
        p.answer("forty-two")

    register_provider("slow", desk(send_text=think))
    async with VoiceEngine(provider="slow", fallback=[backup()]) as engine:
        await engine.send_text("tell me")
        await asyncio.sleep(5)
        assert engine.conversation[-1].text == "forty-two"


async def test_one_that_stops_in_mid_answer_is_left() -> None:
    async with caller(Stall(response=1, after_chunks=3)) as call:
        call.say("tell me")
        event = await call.until(ev.ProviderSwitched)
        assert event.code == "stalled"
        await call.quiet()
        call.check_log()
        (turn,) = [i for i in call.engine.conversation if i.role == "user"]
        assert call.answers(turn.id) == ["one two three four five six"]


@pytest.mark.parametrize("code", ["rate_limit", "quota", "server_error"])
async def test_one_that_fails_to_answer_is_left_if_the_next_would_fail_too(code: str) -> None:
    async with caller(ErrorOnce(code=code, response=1, after_chunks=0)) as call:
        call.say("tell me")
        await call.until(ev.ResponseError)
        await call.quiet()
        left = code != "server_error"  # which the mock calls by the vendor's name
        assert bool(call.of(ev.ProviderSwitched)) is left
        (turn,) = [i for i in call.engine.conversation if i.role == "user"]
        assert call.answers(turn.id) == (["one two three four five six"] if left else [])


async def test_where_there_is_nobody_else_the_wait_is_as_long_as_ever() -> None:
    """The other has just failed: then it is not gone over to for a silence that may end."""
    async with (
        caller(fallback=[backup(faults="refuse:times=0")]) as first,
        caller(
            Stall(1.5, response=1, after_chunks=0), fallback=[backup(faults="refuse:times=0")]
        ) as call,
    ):
        first.hang_up_microphone()
        lose_for_good(first)
        await first.until(ev.ConnectionFailed)
        call.say("tell me")
        await call.quiet()
        assert not call.of(ev.ProviderSwitched)
        assert call.engine.conversation[-1].text == "one two three four five six"


async def test_a_tool_that_runs_meanwhile_is_answered_to_the_other() -> None:
    async with caller() as call:
        call.tool_seconds = 3
        call.say("look it up")
        await call.until(ev.FunctionInvoked)
        lose_for_good(call)
        event = await call.until(ev.ProviderSwitched)
        assert event.pending_calls == 1
        await call.quiet()
        assert call.looked == ["look"]
        assert call.engine.conversation[-1].text.startswith("found")
        call.check_log()


async def test_the_whole_chain_is_gone_through() -> None:
    entries = [backup(faults="refuse:times=0"), backup("third")]
    async with caller(fallback=entries) as call:
        lose_for_good(call)
        event = await call.until(ev.ProviderSwitched)
        assert (event.previous, event.provider) == ("mock", "third")
        # And from there to the beginning again.
        call.plan.clear()
        await asyncio.sleep(30)
        call.lose()
        call.plan.add(Refuse(times=0))
        await asyncio.sleep(5)
        assert call.engine.is_connected


# -- when nobody is left


async def test_when_nobody_is_left_the_caller_is_told_and_the_session_can_be_resumed() -> None:
    call = caller(fallback=[backup(faults="refuse:times=0")])
    async with call:
        await call.engine.send_text("are you there")
        await call.quiet()
        lose_for_good(call)
        call.hang_up_microphone()
        failed = await call.until(ev.ConnectionFailed)
        assert failed.code == "exhausted"
        with pytest.raises(ConnectionError):
            await call.engine.send_text("tell me")
        call.plan.clear()
        await call.engine.connect()
        await call.engine.send_text("tell me")
        await call.quiet()
        assert [i.text for i in call.engine.conversation] == [
            "are you there",
            "yes i am",
            "tell me",
            "one two three four five six",
        ]


async def test_commands_wait_for_the_outcome_and_get_the_typed_error() -> None:
    async with caller(fallback=[backup(faults="refuse:times=0")]) as call:
        lose_for_good(call)
        call.hang_up_microphone()
        await asyncio.sleep(0.01)
        with pytest.raises(ProvidersExhaustedError, match="no provider is left"):
            await call.engine.send_text("tell me")


# -- kept ready


async def test_a_standby_takes_over_at_once() -> None:
    async with caller(warm_standby=True) as call:
        await asyncio.sleep(1)
        await call.engine.send_text("are you there")
        await call.quiet()
        call.say("tell me")
        await asyncio.sleep(0.5)
        began = now()
        call.lose()
        event = call.of(ev.ProviderSwitched) or [await call.until(ev.ProviderSwitched)]
        assert now() == began
        assert event[0].outage_ms == 0.0
        assert event[0].items == 2
        await call.quiet()
        assert call.engine.conversation[-1].text == "one two three four five six"
        assert call.engine.config.provider == "backup"
        call.check_log()


async def test_a_standby_that_is_lost_is_replaced_and_nobody_hears_of_it() -> None:
    made: list[MockProvider] = []

    def make(config: Any) -> MockProvider:
        made.append(MockProvider(config))
        return made[-1]

    register_provider("backup", make)
    async with caller(warm_standby=True) as call:
        await asyncio.sleep(1)
        assert [bool(p.is_connected) for p in made] == [True]
        made[0].simulate_error("closed")
        await asyncio.sleep(10)
        assert [bool(p.is_connected) for p in made] == [False, True]
        assert not call.of(ev.ConnectionLost)
    assert not made[1].is_connected


class Told(MockProvider):
    """Keeps the settings that it is told."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.told: list[dict[str, Any]] = []

    async def update_session(self, **kwargs: Any) -> None:
        self.told.append(kwargs)
        await super().update_session(**kwargs)


def told(**capabilities: Any) -> list[Told]:
    made: list[Told] = []

    def make(config: Any) -> Told:
        made.append(Told(config))
        made[-1].capabilities = replace(made[-1].capabilities, **capabilities)
        return made[-1]

    register_provider("backup", make)
    return made


async def test_a_standby_knows_what_was_changed_since_it_was_opened() -> None:
    made = told()
    async with caller(warm_standby=True) as call:

        async def another() -> str:
            """Something else."""
            return ""

        await asyncio.sleep(1)
        await call.engine.update_session(instructions="Speak like a pirate.", temperature=0.5)
        await call.engine.update_session(tools=[another])
        await asyncio.sleep(1)
        call.lose()
        await asyncio.sleep(1)
        assert call.engine.provider is made[0]
        assert len(made[0].told) == 1
        given = made[0].told[0]
        assert given["instructions"] == "Speak like a pirate."
        assert given["temperature"] == 0.5
        assert [tool["name"] for tool in given["tools"]] == ["another"]
        assert call.engine.config.instructions == "Speak like a pirate."


async def test_a_standby_that_knows_everything_is_told_nothing() -> None:
    made = told()
    async with caller(warm_standby=True, instructions="Be brief.", voice="ada") as call:
        await asyncio.sleep(1)
        call.lose()
        await asyncio.sleep(1)
        assert call.engine.provider is made[0]
        assert made[0].told == []


async def test_instructions_of_its_own_are_kept() -> None:
    made = told()
    entry = {**backup(), "instructions": "Be the backup."}
    async with caller(warm_standby=True, fallback=[entry]) as call:
        await asyncio.sleep(1)
        await call.engine.update_session(instructions="Speak like a pirate.")
        call.lose()
        await asyncio.sleep(1)
        assert call.engine.provider is made[0]
        assert made[0].told == []
        assert call.engine.config.instructions == "Be the backup."


async def test_a_standby_that_cannot_be_told_is_opened_anew() -> None:
    made = told(instructions_updatable=False)
    async with caller(warm_standby=True) as call:
        await asyncio.sleep(1)
        await call.engine.update_session(temperature=0.5)
        await asyncio.sleep(1)
        assert len(made) == 1
        await call.engine.update_session(instructions="Speak like a pirate.")
        await asyncio.sleep(1)
        assert [bool(p.is_connected) for p in made] == [False, True]
        call.lose()
        await asyncio.sleep(1)
        assert call.engine.provider is made[1]
        assert made[1].config.instructions == "Speak like a pirate."


# -- back again


async def test_it_goes_back_to_the_first_choice_in_a_quiet_moment() -> None:
    async with caller(return_to_primary=True) as call:
        lose_for_good(call)
        await call.until(ev.ProviderSwitched)
        call.plan.clear()
        event = await call.until(ev.ProviderSwitched, 60)
        assert (event.previous, event.provider, event.reason) == ("backup", "mock", "return")
        await call.engine.send_text("are you there")
        await call.quiet()
        assert call.engine.conversation[-1].provider == "mock"


# -- planned limits


async def test_a_vendor_that_warns_is_left_in_a_quiet_moment_before_its_end() -> None:
    async with Caller() as call:
        call.say("tell me")
        await call.until(ev.ResponseStarted)
        provider = call.engine.provider
        assert isinstance(provider, MockProvider)
        provider.emit_expiring(50, "the session is too long")
        restored = await call.until(ev.ConnectionRestored)
        assert restored.reason == "rotation"
        await call.quiet()
        assert len(call.of(ev.ResponseStarted)) == 1
        assert call.engine.conversation[-1].status == "completed"
        call.check_log()


async def test_a_warning_that_leaves_no_quiet_moment() -> None:
    metadata = {"mock_responses": {"tell me": "word " * 100}}
    async with Caller(**metadata) as call:
        call.say("tell me")
        await call.until(ev.ResponseStarted)
        provider = call.engine.provider
        assert isinstance(provider, MockProvider)
        began = now()
        provider.emit_expiring(20)
        await call.until(ev.ConnectionRestored, 60)
        assert now() - began < 20


# -- the settings


@pytest.mark.parametrize(
    "fallback", ["azure", [1], [{"model": "x"}], [{"provider": "azure", "modle": "x"}], [""]]
)
def test_a_chain_that_is_none_is_refused(fallback: Any) -> None:
    with pytest.raises(ValueError, match="fallback"):
        VoiceEngine(provider="mock", fallback=fallback)


async def test_a_drop_in_mid_answer_with_a_chain_of_names() -> None:
    async with caller(Drop(response=1, after_chunks=4), fallback=["backup/some-model"]) as call:
        call.plan.add(Refuse(connect=2, times=0))
        call.say("tell me")
        await call.until(ev.ProviderSwitched)
        assert call.engine.config.model == "some-model"
