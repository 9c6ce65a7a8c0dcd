"""Which reply follows what was said."""

from __future__ import annotations

import re

import pytest

from voxengine.errors import ConfigurationError
from voxengine.providers.mock.script import Reply, Script, ToolUse


def text(script: Script, said: str) -> str:
    return script.reply_to(said).text


def test_exact_before_plain_before_patterns_before_default():
    script = Script(
        {
            "*light*": "pattern",
            "Light on": "plain",
            "LIGHT ON!": "exact",
            "re: ^turn (\\w+)": "turned {1}",
            re.compile("number (?P<n>[0-9]+)"): "it is {1}",
        }
    )
    assert text(script, "LIGHT ON!") == "exact"
    assert text(script, "light on") == "plain"
    assert text(script, "the lights, please") == "pattern"
    assert text(script, "Turn left") == "turned left"
    assert text(script, "number 42") == "it is 42"
    assert text(script, "what?") == "You said: what?"


def test_question_marks_and_brackets_are_not_special():
    script = Script({"What's the weather?": "sunny", "*[sic]? *": "bracket"})
    assert text(script, "What's the weather?") == "sunny"
    assert text(script, "what's the weather") == "sunny"
    assert text(script, "he said [sic]? yes") == "bracket"
    assert text(script, "he said s x") == "You said: he said s x"


@pytest.mark.parametrize("responses", [["a", "b"], {"*": ["a", "b"]}])
def test_a_list_rotates(responses):
    script = Script(responses)
    assert [text(script, "x") for _ in range(5)] == ["a", "b", "a", "b", "a"]


def test_one_reply_for_everything():
    assert text(Script("Yes."), "x") == "Yes."
    assert text(Script(None, default="No."), "x") == "No."
    assert text(Script([]), "x") == "You said: x"


def test_a_reply_of_many_parts():
    script = Script(
        {
            "go": {
                "text": "Going {text}",
                "tool": {"name": "move", "arguments": {"to": "{text}"}},
                "delay_ms": 20,
                "audio": False,
                "then": "Went.",
            }
        }
    )
    assert script.reply_to("go") == Reply(
        text="Going go",
        tools=(ToolUse("move", '{"to": "go"}'),),
        then="Went.",
        delay_ms=20,
        audio=False,
    )


def test_after_tools():
    script = Script()
    assert script.after_tools(None, ["1", "2"]).text == "The result is 1, 2."
    assert script.after_tools({"tool": "next", "then": "x"}, ["1"]).tools == (ToolUse("next"),)
    assert script.after_tools('{"json": "{output}"}', ["1"]).text == '{"json": "1"}'


@pytest.mark.parametrize("responses", [{1: "x"}, {"a": 5}, {"a": [{"b": "c"}]}])
def test_what_is_no_script_is_refused(responses):
    with pytest.raises(ConfigurationError):
        Script(responses)
