"""Ids of tool calls: the vendor's own as they are, another vendor's in a length that this one takes."""

from voxengine import create_provider
from voxengine.conversation import Item
from voxengine.events import FunctionInvoked
from voxengine.testing.emulators.openai import OpenAIEmulator

LONG = "call_" + "x" * 60


def outputs(emulator):
    return [
        (item.type, item.value["call_id"])
        for item in emulator.sessions[0].items
        if item.type.startswith("function_call")
    ]


async def test_a_result_names_the_call_as_the_vendor_did():
    async with OpenAIEmulator() as emulator:
        provider = create_provider("openai", {"api_key": "sk-emulated", **emulator.metadata})
        await provider.connect()
        item = {
            "type": "function_call",
            "id": "fc_1",
            "call_id": LONG,
            "name": "f",
            "arguments": "{}",
        }
        place = {"response_id": "r", "output_index": 0}
        emulator.sessions[0].send({"type": "response.output_item.done", "item": item, **place})
        events = provider.events()
        async for event in events:
            if isinstance(event, FunctionInvoked):
                assert event.call_id == LONG
                break
        # The emulator has made no such call: it complains of the id that it was given.
        await provider.send_tool_result(LONG, "{}")
        async for event in events:
            if event.is_error:
                assert repr(LONG) in str(event.error)
                break
        await provider.disconnect()


async def test_a_call_of_another_vendor_and_its_result_have_the_same_short_id():
    async with OpenAIEmulator() as emulator:
        provider = create_provider("openai", {"api_key": "sk-emulated", **emulator.metadata})
        await provider.connect()
        call = Item(
            id="1", kind="function_call", role="assistant", call_id=LONG, name="f", arguments="{}"
        )
        result = Item(id="2", kind="function_output", role="tool", call_id=LONG, output="1")
        await provider.add_conversation_history([call])
        await provider.send_tool_result(LONG, "1")
        await provider.add_conversation_history([result])
        await provider.send_text("well?")
        events = provider.events()
        async for event in events:
            if event.type == "response_completed":
                break
        (_, first), (_, second), (_, third) = outputs(emulator)
        assert first == second == third
        assert len(first) <= 32
        await provider.disconnect()
