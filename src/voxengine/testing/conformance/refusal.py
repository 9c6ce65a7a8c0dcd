"""Checks that what a provider cannot do is refused, never dropped in silence."""

from __future__ import annotations

from voxengine.conversation.items import Item
from voxengine.errors import UnsupportedFeatureError
from voxengine.testing.conformance.case import Case
from voxengine.testing.conformance.checks import check


@check(lacks=("tools",))
async def refuses_tools(case: Case) -> None:
    """Without `tools`, send_tool_result() raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(
        provider.send_tool_result("call_1", "{}"), "send_tool_result()", UnsupportedFeatureError
    )


@check(lacks=("truncate",))
async def refuses_truncation(case: Case) -> None:
    """Without `truncate`, truncate_item() raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(
        provider.truncate_item("item_1", 100.0, ""), "truncate_item()", UnsupportedFeatureError
    )


@check(lacks=("commit",))
async def refuses_commit(case: Case) -> None:
    """Without `commit`, commit_audio() raises UnsupportedFeatureError."""
    provider = await case.open()
    await provider.send_audio(bytes(provider.get_audio_format().n_bytes(100)))
    await case.refused(provider.commit_audio(), "commit_audio()", UnsupportedFeatureError)


@check(lacks=("clear",))
async def refuses_clear(case: Case) -> None:
    """Without `clear`, clear_audio() raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(provider.clear_audio(), "clear_audio()", UnsupportedFeatureError)


@check(lacks=("delete",))
async def refuses_deletion(case: Case) -> None:
    """Without `delete`, delete_item() raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(provider.delete_item("item_1"), "delete_item()", UnsupportedFeatureError)


@check(lacks=("say",))
async def refuses_to_say(case: Case) -> None:
    """Without `say`, generate_tts() raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(provider.generate_tts("Hello"), "generate_tts()", UnsupportedFeatureError)


@check(lacks=("history",))
async def refuses_history(case: Case) -> None:
    """Without `history`, add_conversation_history() raises UnsupportedFeatureError."""
    provider = await case.open()
    items = [Item(id="before_1", role="user", text="Hello", status="completed")]
    await case.refused(
        provider.add_conversation_history(items),
        "add_conversation_history()",
        UnsupportedFeatureError,
    )


@check(lacks=("system_messages",))
async def refuses_notes(case: Case) -> None:
    """Without `system_messages`, a text of the role "system" raises UnsupportedFeatureError."""
    provider = await case.open()
    work = provider.send_text("The user is in a car.", "system")
    await case.refused(work, "send_text(role='system')", UnsupportedFeatureError)


@check(lacks=("text_input",))
async def refuses_text(case: Case) -> None:
    """Without `text_input`, send_text() raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(provider.send_text("Hello"), "send_text()", UnsupportedFeatureError)


@check(lacks=("text_output",))
async def refuses_text_alone(case: Case) -> None:
    """Without `text_output`, create_response(["text"]) raises UnsupportedFeatureError."""
    provider = await case.open()
    await case.refused(
        provider.create_response(["text"]), "create_response(['text'])", UnsupportedFeatureError
    )
