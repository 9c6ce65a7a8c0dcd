from __future__ import annotations

import json
import sys

import pytest

from voxengine.config import ProviderConfig
from voxengine.conversation.items import Item
from voxengine.errors import ConfigurationError, MissingDependencyError
from voxengine.providers.nova import NovaProvider, shape
from voxengine.providers.registry import get_provider


def said(*lines: tuple[str, str]) -> list[Item]:
    return [
        Item(id=f"i{n}", role=role, text=text, status="completed")  # type: ignore[arg-type]
        for n, (role, text) in enumerate(lines)
    ]


def test_a_history_begins_with_the_user():
    items = said(("assistant", "Hello."), ("user", "Hi."))
    assert shape.history_of(items) == [
        ("USER", shape.NOBODY),
        ("ASSISTANT", "Hello."),
        ("USER", "Hi."),
    ]
    assert shape.history_of([]) == []


def test_of_a_long_history_the_end_is_told():
    items = said(*((("user", "assistant")[n % 2], f"{n} " + "x" * 1000) for n in range(100)))
    told = shape.history_of(items)
    assert told[0][0] == "USER"
    assert told[-1][1].startswith("99 ")
    size = sum(len(text.encode()) for _, text in told)
    assert 38_000 < size <= shape.MAX_HISTORY_BYTES


def test_tools_are_told_in_words_and_notes_with_the_instructions():
    items = [
        *said(("user", "What time is it?"), ("system", "The user is in Rome.")),
        Item(
            id="c",
            kind="function_call",
            role="assistant",
            name="clock",
            call_id="1",
            arguments='{"in":"Rome"}',
        ),
        Item(id="o", kind="function_output", role="tool", call_id="1", output='{"time":"ten"}'),
    ]
    told = shape.history_of(items)
    assert told[1:] == [
        ("ASSISTANT", '(I called clock with {"in":"Rome"}.)'),
        ("ASSISTANT", '(clock returned {"time":"ten"}.)'),
    ]
    config = ProviderConfig(instructions="Be brief.")
    assert shape.instructions_of(config, items) == "Be brief.\n\nThe user is in Rome."


def test_the_schema_of_a_tool_is_json_in_a_string():
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    config = ProviderConfig(tools=[{"name": "look", "parameters": schema}])
    (tool,) = shape.tools_of(config)
    assert json.loads(tool["toolSpec"]["inputSchema"]["json"]) == schema


def test_the_first_model_takes_no_text():
    first = NovaProvider({"model": shape.FIRST_MODEL, "turn_options": {"eagerness": "high"}})
    assert not first.capabilities.text_input
    assert shape.sensitivity_of(first.config) is None
    assert [code for code, _ in shape.notes_of(first.config)] == ["eagerness_ignored"]
    second = NovaProvider({"turn_options": {"eagerness": "low"}})
    assert second.capabilities.text_input
    assert shape.sensitivity_of(second.config) == "LOW"


def test_a_voice_of_another_vendor_becomes_the_nearest():
    config = ProviderConfig(voice="cedar")
    assert shape.voice_of(config) == "matthew"
    assert [code for code, _ in shape.notes_of(config)] == ["voice_mapped"]
    assert shape.voice_of(ProviderConfig(voice="Lupe")) == "lupe"
    assert shape.voice_of(ProviderConfig()) == "tiffany"


@pytest.mark.parametrize(
    "settings",
    [
        {"turn_detection": "none"},
        {"modalities": ["text"]},
        {"input_format": "pcm16"},
        {"turn_options": {"eagerness": "very"}},
    ],
)
def test_what_it_cannot_be_is_refused_before_it_is_connected(settings: dict[str, object]):
    with pytest.raises(ConfigurationError):
        NovaProvider(settings)


def test_its_abilities_can_be_read_without_awss_library():
    found = get_provider("nova")
    assert found.capabilities.max_connection_seconds == 480  # type: ignore[union-attr]


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python is new enough")
async def test_an_old_python_is_told_plainly():
    provider = NovaProvider({"api_key": "x", "metadata": {"aws_access_key_id": "y", "region": "z"}})
    with pytest.raises(MissingDependencyError) as refused:
        await provider.connect()
    here = ".".join(map(str, sys.version_info[:2]))
    assert str(refused.value) == f"Nova Sonic needs Python 3.12 or newer; this is {here}"
    await provider.disconnect()


async def test_a_missing_library_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("voxengine.providers.aws.sdk.OLDEST", (3, 11))
    monkeypatch.setitem(sys.modules, "aws_sdk_bedrock_runtime.client", None)
    provider = NovaProvider({})
    with pytest.raises(MissingDependencyError, match=r"pip install 'voxengine\[aws\]'"):
        await provider.connect()
    await provider.disconnect()
