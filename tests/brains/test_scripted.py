"""The scripted brain: the built-in script that the demo speaks, and scripts of one's own."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import ClassVar

import pytest

from tests.brains.helpers import MOVE, ask, calls_of, first_call, text_of, users, with_result
from voxengine.errors import ConfigurationError
from voxengine.providers.cascade.brains.scripted import ScriptedBrain
from voxengine.providers.cascade.parts import (
    Brain,
    BrainText,
    BrainToolCall,
    Message,
    ToolCall,
    ToolSpec,
)
from voxengine.providers.cascade.sentences import SentenceSplitter

CLOCK = ToolSpec("get_time", "The time.", {"type": "object", "properties": {}})


@pytest.fixture
def brain():
    return ScriptedBrain("", {})


def scripted(*rules, fallback="What?", **more):
    return ScriptedBrain("", {"script": {"rules": list(rules), "fallback": fallback, **more}})


async def answer(brain, *texts, tools=()):
    """What is said to the last of several turns, each of them answered."""
    messages = []
    for text in texts[:-1]:
        messages += [Message("user", text), Message("assistant", "Something.")]
    return text_of(await ask(brain, [*messages, Message("user", texts[-1])], tools))


class TestMove:
    @pytest.mark.parametrize(
        ("said", "direction", "distance", "unit"),
        [
            ("go forward ten meters", "forward", 10, "meters"),
            ("Go forward 10 meters.", "forward", 10, "meters"),
            ("Go forward, 10 metres!", "forward", 10, "meters"),
            ("Could you please move backwards by two and a half feet?", "backward", 2.5, "feet"),
            ("turn left ninety degrees", "left", 90, "degrees"),
            ("walk three steps to the right", "right", 3, "steps"),
            ("drive straight ahead 2 km", "forward", 2, "kilometers"),
            ("go right five", "right", 5, "meters"),
            ("go forward a meter", "forward", 1, "meters"),
            ("Forward 1,000 yards", "forward", 1000, "yards"),
        ],
    )
    async def test_call(self, brain, said, direction, distance, unit):
        events = await ask(brain, users(said), [MOVE])
        assert calls_of(events) == [
            ("move", {"direction": direction, "distance": distance, "unit": unit})
        ]
        assert type(json.loads(first_call(events).arguments)["distance"]) is type(distance)

    async def test_after_the_result(self, brain):
        turn = users("Go forward ten meters.")
        call = first_call(await ask(brain, turn, [MOVE]))

        async def then(result):
            return text_of(await ask(brain, with_result(turn, call, result), [MOVE]))

        assert await then('{"ok": true}') == "Going forward ten meters."
        assert (
            await then('{"message": "The way is free."}')
            == "Going forward ten meters. The way is free."
        )
        assert await then("gone") == "Going forward ten meters."
        assert await then("null") == "Going forward ten meters."
        assert (
            await then('{"error": "The wheels are stuck."}')
            == "I cannot go forward now. The wheels are stuck."
        )
        assert (
            await then('{"error": {"message": "No power."}}')
            == "I cannot go forward now. No power."
        )
        assert await then('{"error": null}') == "Going forward ten meters."

    async def test_a_call_without_a_result_failed(self, brain):
        messages = [
            *users("go forward ten meters"),
            Message("assistant", tool_calls=(ToolCall("c", "move", "{}"),)),
        ]
        assert text_of(await ask(brain, messages, [MOVE])).startswith("I cannot go forward now.")

    async def test_without_the_tool(self, brain):
        said = await answer(brain, "go forward ten meters")
        assert said.startswith("I would go forward ten meters")

    async def test_a_tool_that_takes_less(self, brain):
        tool = ToolSpec(
            "move", "", {"type": "object", "properties": {"distance": {"type": "number"}}}
        )
        events = await ask(brain, users("go forward ten meters"), [tool])
        assert calls_of(events) == [("move", {"distance": 10})]

    async def test_how_far(self, brain):
        assert await answer(brain, "go left", tools=[MOVE]) == "How far left shall I go?"

    async def test_the_call_has_an_id_of_its_own(self, brain):
        async def call_id(messages, session="s"):
            return [e async for e in brain.reply(messages, [MOVE], session=session)][
                -1
            ].call.call_id

        turn = users("go forward ten meters")
        again = [*turn, Message("assistant", "Going."), *turn]
        ids = [await call_id(turn), await call_id(again), await call_id(turn, "other")]
        assert len(set(ids)) == 3
        assert await call_id(turn) == ids[0]


class TestDefaultScript:
    @pytest.mark.parametrize(
        ("said", "holds"),
        [
            ("He was not an ill disposed young man.", "Sense and Sensibility"),
            ("he was not an ill-disposed young man", "Sense and Sensibility"),
            ("He was not an indisposed young man.", "Sense and Sensibility"),
            ("and Mr. John Dashwood had then leisure to consider", "John Dashwood"),
            ("And so my fellow Americans, ask not what your country can do for you", "Kennedy"),
            ("Hello!", "What can I do for you?"),
            ("What can you do?", "ten meters"),
            ("repeat after me Hello World", "Hello World"),
            ("What did you say?", "I have not said anything yet."),
            ("Thank you very much.", "You are welcome."),
            ("goodbye", "Goodbye!"),
            ("Can you hear me?", "Yes, I hear you."),
            ("stop", "All right."),
            ("What time is it?", "no clock"),
            ("the fruit of the loom", "I heard: the fruit of the loom."),
            ("天气怎么样", "I heard: 天气怎么样."),
            ("", "I did not catch that"),
        ],
    )
    async def test_replies(self, brain, said, holds):
        assert holds in await answer(brain, said)

    @pytest.mark.parametrize("nth", [0, 1])
    async def test_the_story_is_long_enough_to_be_interrupted(self, brain, nth):
        story = await answer(brain, *["Tell me a long story."] * (nth + 1))
        # A voice says about 15 characters a second.
        assert len(story) / 15 > 40
        splitter = SentenceSplitter()
        assert len(splitter.feed(story) + splitter.flush()) >= 9

    async def test_time(self, brain):
        turn = users("what time is it")
        call = first_call(await ask(brain, turn, [CLOCK]))
        assert call.name == "get_time"
        for result in ('{"time": "half past nine"}', "half past nine", '"half past nine"'):
            messages = with_result(turn, call, result)
            assert text_of(await ask(brain, messages, [CLOCK])) == "It is half past nine."
        messages = with_result(turn, call, '{"hour": 9}')
        assert text_of(await ask(brain, messages, [CLOCK])) == "Done."

    async def test_repeat(self, brain):
        messages = [
            *users("Hello"),
            Message("assistant", "Good day to you."),
            *users("say that again"),
        ]
        assert text_of(await ask(brain, messages)) == "Good day to you."

    async def test_variants_go_round(self, brain):
        said = [await answer(brain, *["hello"] * n) for n in (1, 2, 3)]
        assert said[0] == said[2] != said[1]

    async def test_who_speaks_first(self, brain):
        assert text_of(await ask(brain, [])).startswith("Hello!")
        assert text_of(await ask(brain, [Message("system", "Be nice.")])).startswith("Hello!")


class TestTurns:
    RULE: ClassVar = {"phrases": "go [ahead] {n:number}", "say": "{n:words} of {n}, {n:said}"}

    async def test_a_turn_in_two_breaths(self):
        brain = scripted(self.RULE)
        assert text_of(await ask(brain, users("go", "Twenty"))) == "twenty of 20, Twenty"

    async def test_two_turns_that_each_mean_something(self):
        brain = scripted({"phrases": "one", "say": "1"}, {"phrases": "two", "say": "2"})
        assert text_of(await ask(brain, users("one", "two"))) == "2"

    async def test_a_late_result_is_spoken_of_after_the_next_turn(self):
        rule = {"phrases": "go", "tool": "move", "then": "Arrived at {result.place}."}
        brain = scripted(rule)
        call = ToolCall("c1", "move", "{}")
        messages = [
            *users("go"),
            Message("assistant", tool_calls=(call,)),
            *users("blah"),
            Message("assistant", "What?"),
            Message("tool", '{"place": "home"}', call_id="c1"),
        ]
        assert text_of(await ask(brain, messages)) == "Arrived at home."
        # Not before the next turn has been answered.
        assert text_of(await ask(brain, [*messages[:3], messages[4]])) == "What?"

    async def test_system_messages_do_not_matter(self):
        brain = scripted({"phrases": "hi", "say": "Hi."})
        assert text_of(await ask(brain, [*users("hi"), Message("system", "It rains.")])) == "Hi."

    async def test_only_with_tool(self):
        brain = scripted(
            {"phrases": "go", "tool": "move", "only_with_tool": True},
            {"phrases": "go", "say": "No."},
        )
        assert await answer(brain, "go") == "No."
        assert calls_of(await ask(brain, users("go"), [MOVE])) == [("move", {})]

    async def test_something_is_said_before_the_call(self):
        brain = scripted({"phrases": "go", "say": "One moment.", "tool": "move"})
        events = await ask(brain, users("go"), [MOVE])
        assert [type(e) for e in events] == [BrainText, BrainText, BrainToolCall]

    async def test_arguments_keep_their_types(self):
        arguments = {
            "n": "{n}",
            "text": "<{n}>",
            "nested": {"list": ["{n}", 1.5, True]},
            "missing": "{who}",
            "default": "{side}",
            "braces": "{{n}}",
        }
        rule = {
            "phrases": ["go {n:number}", "go {who}"],
            "tool": "t",
            "arguments": arguments,
            "defaults": {"side": 3},
        }
        tool = ToolSpec("t", "", {"type": "object"})
        (_, given), *_ = calls_of(await ask(scripted(rule), users("go 5"), [tool]))
        assert given == {
            "n": 5,
            "text": "<5>",
            "nested": {"list": [5, 1.5, True]},
            "default": 3,
            "braces": "{n}",
        }

    async def test_regex_with_groups(self):
        rule = {"regex": r"table for (?P<n>\d+) at (?P<place>\w+)", "say": "{n:words} at {place}."}
        assert (
            await answer(scripted(rule), "A table for four at Luigi's, please")
            == "four at Luigi's."
        )

    async def test_fields_of_a_result(self):
        rule = {
            "phrases": "go",
            "tool": "move",
            "then": "{result.at.0.x} {result.ok} {result.none|nothing} {result.f}",
        }
        messages = with_result(
            users("go"), ToolCall("c", "move", "{}"), '{"at": [{"x": 1.0}], "ok": true, "f": 0.5}'
        )
        assert text_of(await ask(scripted(rule), messages)) == "1 yes nothing 0.5"


class TestStream:
    async def test_word_by_word(self, brain):
        assert isinstance(brain, Brain)
        events = await ask(brain, users("can you hear me"))
        assert events == [BrainText(w) for w in ("Yes,", " I", " hear", " you.")]

    async def test_times(self):
        brain = ScriptedBrain("", {"delay_ms": 200, "token_ms": 50})
        clock = asyncio.get_running_loop().time
        start = clock()
        events = brain.reply(users("can you hear me"), [], session="s")
        assert [round(clock() - start, 6) async for _ in events] == [0.2, 0.25, 0.3, 0.35]

    async def test_it_can_be_closed_in_the_middle(self, brain):
        events = brain.reply(users("tell me a story"), [], session="s")
        await anext(events)
        await events.aclose()


RULE = {"phrases": "hi", "say": "Hi."}
WRONG = [
    ({"rules": [RULE]}, "fallback"),
    ({"rules": [RULE], "fallback": []}, "fallback"),
    ({"rules": [RULE], "fallback": "{n}"}, "names 'n'"),
    ({"rules": [RULE, {**RULE, "sya": "x"}], "fallback": "?"}, r"rule 2: .*sya"),
    ({"rules": [{**RULE, "say": 3}], "fallback": "?"}, r"rule 1: .*say"),
    ({"rules": [{"say": "x"}], "fallback": "?"}, "'phrases' or a 'regex'"),
    (
        {"rules": [{"name": "greet", "phrases": "hi"}], "fallback": "?"},
        r"rule 1 \(greet\): .*'say'",
    ),
    ({"rules": [{**RULE, "say": ""}], "fallback": "?"}, "blank"),
    ({"rules": [{**RULE, "say": "{who}"}], "fallback": "?"}, "names 'who'"),
    ({"rules": [{**RULE, "say": "{result}"}], "fallback": "?"}, "names 'result'"),
    ({"rules": [{**RULE, "say": "a } b"}], "fallback": "?"}, "not understood"),
    ({"rules": [{**RULE, "say": "{user:loud}"}], "fallback": "?"}, "unknown filter"),
    ({"rules": [{**RULE, "then": "x"}], "fallback": "?"}, "'then' need a 'tool'"),
    ({"rules": [{**RULE, "phrases": "(hi"}], "fallback": "?"}, "never closed"),
    ({"rules": [{"regex": "(", "say": "x"}], "fallback": "?"}, "rule 1: missing"),
    ({"rules": [{"regex": "", "say": "x"}], "fallback": "?"}, "blank"),
    ({"rules": [{"phrases": "{a} {a}", "say": "x"}], "fallback": "?"}, "redefinition"),
    ({"rules": [{**RULE, "values": {"x": {"a": []}}}], "fallback": "?"}, "no phrase has as a slot"),
    (
        {"rules": [{"phrases": "{x}", "say": "y", "values": {"x": {}}}], "fallback": "?"},
        "are empty",
    ),
    (
        {
            "rules": [{"phrases": "{x}", "say": "y", "values": {"x": {"a": ["c"], "b": ["c"]}}}],
            "fallback": "?",
        },
        "stands for both",
    ),
    ({"rules": "none", "fallback": "?"}, "rules"),
]


@pytest.mark.parametrize(("script", "why"), WRONG)
def test_scripts_that_are_wrong(script, why):
    with pytest.raises(ConfigurationError, match=why):
        ScriptedBrain("", {"script": script})


class TestFiles:
    TOML = """\
fallback = "?"

[[rules]]
phrases = "hi"
say = "Hi."

[[rules]]
name = "b"
phrases = "x"
say = "{y}"
"""

    def write(self, folder: Path, name: str, text: str) -> str:
        (folder / name).write_text(text, "utf-8")
        return str(folder / name)

    async def test_toml_json_and_model_name(self, tmp_path):
        good = self.TOML.replace("{y}", "y")
        as_json = json.dumps({"rules": [RULE], "fallback": "?"})
        for brain in (
            ScriptedBrain("", {"script": self.write(tmp_path, "a.toml", good)}),
            ScriptedBrain(self.write(tmp_path, "b.toml", good), {}),
            ScriptedBrain("default", {"script": Path(self.write(tmp_path, "c.json", as_json))}),
        ):
            assert await answer(brain, "hi") == "Hi."
            assert await answer(brain, "nothing known") == "?"

    def test_the_error_says_where(self, tmp_path):
        path = self.write(tmp_path, "a.toml", self.TOML)
        with pytest.raises(ConfigurationError) as caught:
            ScriptedBrain(path, {})
        assert str(caught.value).startswith(f"{path}, line 7, rule 2 (b): ")

    @pytest.mark.parametrize(
        ("name", "text", "why"),
        [
            ("a.toml", 'fallback = "?\n', "not valid TOML.*line 1"),
            ("a.json", '{"rules": [,]}', "not valid JSON.*line 1"),
            ("a.json", "[1]", "object"),
        ],
    )
    def test_files_that_are_wrong(self, tmp_path, name, text, why):
        with pytest.raises(ConfigurationError, match=why):
            ScriptedBrain(self.write(tmp_path, name, text), {})

    def test_files_that_cannot_be_read(self, tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            ScriptedBrain(str(tmp_path / "missing.toml"), {})
        (tmp_path / "latin.toml").write_bytes(b'fallback = "\xe9"')
        with pytest.raises(ConfigurationError, match="UTF-8"):
            ScriptedBrain(str(tmp_path / "latin.toml"), {})

    @pytest.mark.parametrize(
        "options", [{"scrypt": "x"}, {"delay_ms": -1}, {"token_ms": "1"}, {"script": 3}]
    )
    def test_options_that_are_wrong(self, options):
        with pytest.raises(ConfigurationError, match=str(next(iter(options)))):
            ScriptedBrain("", options)
