"""How much of a conversation a provider is told, in calls on the mock: caps, limits, money and summaries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from voxengine import (
    ConfigurationError,
    Conversation,
    Item,
    MockProvider,
    VoiceEngine,
    VoiceEngineConfig,
)
from voxengine import events as ev
from voxengine.session.prices import price


def talk(turns: int = 4) -> Conversation:
    """So many turns of a question and an answer."""
    conversation = Conversation("earlier")
    for n in range(1, turns + 1):
        for role in ("user", "assistant"):
            text = f"{'question' if role == 'user' else 'answer'} {n}"
            conversation.add(Item(id=f"{role[0]}{n}", role=role, text=text, status="completed"))
    return conversation


class Calls:
    """Connects engines to the mock with a conversation, and notes what they say of it."""

    def __init__(self) -> None:
        self.warnings: list[ev.SystemWarning] = []
        self.used: list[ev.UsageUpdated] = []

    def engine(self, conversation: Conversation, **settings: Any) -> VoiceEngine:
        capabilities = {"capabilities": settings.pop("can", {})}
        engine = VoiceEngine(
            conversation=conversation,
            **{"provider": "mock", "metadata": capabilities, **settings},
        )
        engine.on("warning", self.warnings.append)
        engine.on("usage_updated", self.used.append)
        return engine

    @property
    def codes(self) -> list[str]:
        return [warning.code for warning in self.warnings]


@pytest.fixture
def calls() -> Calls:
    return Calls()


def told(engine: VoiceEngine) -> list[str]:
    """Texts of the history that the provider at work was given."""
    assert isinstance(engine.provider, MockProvider)
    given = engine.provider.calls("add_conversation_history")
    return [item.text for args in given for item in args[0]]


LAST_TWO = ["question 3", "answer 3", "question 4", "answer 4"]


@pytest.mark.parametrize(
    "settings",
    [
        {"history_max_items": 5},
        {"can": {"history_max_items": 5}},
        {"can": {"history_max_items": 5}, "history_max_items": 7},
        {"can": {"history_max_bytes": 40}},
        {"history_max_tokens": 30},
        {"history_max_items": 5, "can": {"history": "at_start"}},
        {"history_max_items": 5, "can": {"history": "prompt"}},
    ],
)
async def test_what_is_too_much_is_left_out_and_told_of(
    calls: Calls, settings: dict[str, Any]
) -> None:
    async with calls.engine(talk(), **settings) as engine:
        assert told(engine) == LAST_TWO
        assert len(engine.conversation) == 8, "our own log keeps all"
    [warning] = calls.warnings
    assert warning.code == "history_trimmed"
    assert "'mock'" in warning.message
    assert "4 items" in warning.message


async def test_without_limits_all_of_it_is_told(calls: Calls) -> None:
    async with calls.engine(talk()) as engine:
        assert len(told(engine)) == 8
    assert calls.warnings == []


async def test_what_was_left_out_is_not_told_later(calls: Calls) -> None:
    engine = calls.engine(talk(), history_max_items=5)
    async with engine:
        await engine.send_text("question 5")
        await asyncio.sleep(10)
        await engine.switch_provider("mock")
        # A new telling goes by the limits anew: the latest turns, and no second helping of the others.
        assert told(engine) == [*LAST_TWO[2:], "question 5", "You said: question 5"]


async def test_a_conversation_that_was_exported_goes_on_elsewhere(calls: Calls) -> None:
    first = calls.engine(Conversation("mine"))
    async with first:
        await first.send_text("question 1")
        await asyncio.sleep(10)
        text = first.conversation.to_json()
    second = calls.engine(Conversation())
    second.conversation = Conversation.from_json(text)
    async with second:
        assert told(second) == ["question 1", "You said: question 1"]
        await second.send_text("question 2")
        await asyncio.sleep(10)
        with pytest.raises(ConfigurationError, match="before connect"):
            second.conversation = Conversation()
    assert second.conversation.id == "mine"
    said = [item.text for item in second.conversation]
    assert said == ["question 1", "You said: question 1", "question 2", "You said: question 2"]
    with pytest.raises(ConfigurationError, match=r"Conversation\.from_json"):
        second.conversation = text  # type: ignore[assignment]


def test_a_conversation_without_items_is_one_too() -> None:
    conversation = Conversation("empty")
    engine = VoiceEngine(provider="mock", conversation=conversation)
    assert engine.conversation is conversation


# -- money


@pytest.mark.real_clock
async def test_money_limits_by_the_price_of_the_model(calls: Calls) -> None:
    cost = price(ev.UsageUpdated(model="gpt-4o", input_text_tokens=1000))
    assert cost is not None
    thirty = {"history_max_cost": cost.total * 0.0301, "can": {"on_device": False}}
    async with calls.engine(talk(), model="gpt-4o", **thirty) as engine:
        assert told(engine) == LAST_TWO
    assert calls.codes == ["history_trimmed"]
    calls.warnings.clear()
    async with calls.engine(talk(), model="unheard of", **thirty) as engine:
        assert len(told(engine)) == 8
    assert calls.codes == ["history_price_unknown"]
    own = {"prices": {"mock/*": {"input_text_tokens": 1000}}}
    async with calls.engine(
        talk(), **own, history_max_cost=0.03, can={"on_device": False}
    ) as engine:
        assert told(engine) == LAST_TWO, "by the application's own prices"
    calls.warnings.clear()
    async with calls.engine(talk(), model="gpt-4o", history_max_cost=1e-9) as engine:
        assert len(told(engine)) == 8, "what runs on this machine costs nothing"
    assert calls.codes == []


# -- summaries


class Writer:
    """Writes summaries, and notes of what."""

    def __init__(self, seconds: float = 0.0, text: str = "they talked") -> None:
        self.seconds = seconds
        self.text = text
        self.asked: list[list[str]] = []

    async def summarise(self, items: Sequence[Item]) -> str:
        self.asked.append([item.text for item in items])
        await asyncio.sleep(self.seconds)
        return self.text


async def test_a_summary_stands_for_what_is_left_out_and_is_not_in_the_log(calls: Calls) -> None:
    writer = Writer()
    engine = calls.engine(talk(), history_max_items=4, history_summary=writer)
    async with engine:
        assert writer.asked == [[f"{who} {n}" for n in (1, 2, 3) for who in ("question", "answer")]]
        assert told(engine) == [
            "Earlier in this conversation: they talked",
            "question 4",
            "answer 4",
        ]
        assert [item.role for item in engine.conversation] == ["user", "assistant"] * 4
    assert calls.codes == []


async def test_a_summary_is_used_again_as_long_as_what_came_after_it_fits(calls: Calls) -> None:
    writer = Writer()
    engine = calls.engine(talk(), history_max_items=6, history_summary=writer)
    async with engine:
        for n in (5, 6, 7):
            await engine.send_text(f"question {n}")
            await asyncio.sleep(10)
            await engine.switch_provider("mock")
            if n == 5:
                assert len(writer.asked) == 1
                assert told(engine)[0] == "Earlier in this conversation: they talked"
                assert told(engine)[1:3] == ["question 4", "answer 4"]
    # When it does not fit any more, the summary is summed up together with what came after it.
    assert len(writer.asked) == 2
    assert writer.asked[1][:3] == [
        "Earlier in this conversation: they talked",
        "question 4",
        "answer 4",
    ]


def by_function(writer: Writer) -> Callable[[Sequence[Item]], Any]:
    async def write(items: Sequence[Item]) -> str:
        return await writer.summarise(items)

    return write


@pytest.mark.parametrize(
    ("writer", "why"),
    [
        (Writer(seconds=3), "nothing came within 2 s"),
        (Writer(text="  "), "it is empty"),
        (Writer(text=None), "NoneType"),  # type: ignore[arg-type]
    ],
)
async def test_without_a_summary_it_is_trimmed(calls: Calls, writer: Writer, why: str) -> None:
    engine = calls.engine(
        talk(),
        history_max_items=5,
        history_summary=by_function(writer),
        history_summary_timeout=2,
    )
    async with engine:
        assert told(engine) == LAST_TWO
    assert calls.codes == ["history_summary_failed", "history_trimmed"]
    assert why in calls.warnings[0].message


async def test_in_an_outage_nobody_waits_long_for_a_summary(calls: Calls) -> None:
    writer = Writer(seconds=2)
    engine = calls.engine(talk(3), history_max_items=6, history_summary=writer)
    async with engine:
        assert writer.asked == []
        await engine.send_text("question 4")
        await asyncio.sleep(10)
        assert isinstance(engine.provider, MockProvider)
        begin = asyncio.get_running_loop().time()
        engine.provider.emit(ev.ConnectionLost(code="closed", retryable=True))
        restored = engine.events("connection_restored")
        await anext(aiter(restored))
        assert asyncio.get_running_loop().time() - begin <= 1.1
        assert told(engine)[0] == "question 2"
    assert calls.codes == ["history_summary_failed", "history_trimmed"]


async def test_a_brain_writes_the_summary(calls: Calls) -> None:
    rule = {"phrases": ["answer 2"], "say": "They came to the second answer."}
    setting = {"brain": "scripted", "options": {"script": {"rules": [rule], "fallback": "No."}}}
    engine = calls.engine(talk(), history_max_items=4, history_summary=setting)
    async with engine:
        assert told(engine)[0] == ("Earlier in this conversation: They came to the second answer.")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"history_summary": "no-such-brain"}, "no-such-brain"),
        ({"history_summary": {"brain": "scripted", "options": {"nonsense": 1}}}, "nonsense"),
    ],
)
async def test_a_brain_that_cannot_be_made_is_found_out_on_connecting(
    calls: Calls, setting: dict[str, Any], words: str
) -> None:
    engine = calls.engine(talk(), **setting)
    with pytest.raises(ConfigurationError, match=words):
        await engine.connect()


@pytest.mark.parametrize(
    "setting",
    [
        {"history_max_items": 0},
        {"history_max_items": 1.5},
        {"history_max_items": True},
        {"history_max_tokens": -1},
        {"history_max_cost": 0},
        {"history_max_cost": float("nan")},
        {"history_summary": 5},
        {"history_summary": ""},
        {"history_summary": {"model": "x"}},
        {"history_summary": {"brain": "scripted", "modle": "x"}},
        {"history_summary": {"brain": "scripted", "model": 1}},
        {"history_summary": {"brain": "scripted", "options": "x"}},
        {"history_summary_timeout": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        VoiceEngine(provider="mock", **setting)


def test_the_settings_come_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "voice.toml"
    file.write_text(
        'history_max_items = 20\nhistory_summary = {brain = "scripted", options = {api_key = "sk-1"}}'
    )
    config = VoiceEngineConfig.load(file, env={"VOXENGINE_HISTORY_MAX_TOKENS": "300"})
    assert (config.history_max_items, config.history_max_tokens) == (20, 300)
    assert "sk-1" not in repr(config), "a key is never shown"
    env = {
        "VOXENGINE_HISTORY_SUMMARY": '{brain = "openai-chat", model = "llama3.2"}',
        "VOXENGINE_HISTORY_MAX_COST": "0.01",
    }
    config = VoiceEngineConfig.load(env=env)
    assert config.history_summary == {"brain": "openai-chat", "model": "llama3.2"}
    assert config.history_max_cost == 0.01
    env["VOXENGINE_HISTORY_SUMMARY"] = "openai-chat/llama3.2"
    assert VoiceEngineConfig.load(env=env).history_summary == "openai-chat/llama3.2"
