"""Items that the client edits while their response is still being made: the response goes on."""

from __future__ import annotations

import pytest

from tests.emulators.wire import types
from tests.gateway.wire.talks import talking

LONG = "one two three four five six seven eight nine ten eleven twelve"


@pytest.mark.parametrize("edit", ["delete", "truncate"])
async def test_an_item_that_is_being_made_is_edited_and_its_response_goes_on(edit: str):
    told_as = f"conversation.item.{edit}d"
    async with talking(mock_responses={"hello": LONG}) as talk:
        await talk.text("hello")
        await talk.send("response.create")
        item_id = (await talk.get("response.output_audio.delta"))["item_id"]
        event = {"content_index": 0, "audio_end_ms": 20} if edit == "truncate" else {}
        await talk.send(f"conversation.item.{edit}", item_id=item_id, **event)
        seen = await talk.until("response.done")

        assert told_as in types(seen)
        told = types(seen).index(told_as)
        assert "response.output_audio.delta" in types(seen)[told:]
        assert seen[-1]["response"]["status"] == "completed"
        assert "error" not in types(seen)
        await talk.quiet()
        kept = talk.engine.conversation.get(item_id)
        if edit == "delete":
            assert kept is None
        else:
            assert kept is not None
            assert kept.heard_ms == 20
