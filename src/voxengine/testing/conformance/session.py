"""Checks of settings, history, items, spoken texts and usage."""

from __future__ import annotations

from voxengine.conversation.items import Item
from voxengine.events import (
    AudioOutputChunk,
    ResponseStarted,
    SessionUpdated,
    TextOutput,
    UsageUpdated,
)
from voxengine.testing.conformance.case import Case, of
from voxengine.testing.conformance.checks import check, expect
from voxengine.testing.conformance.laws import responses_end_once


@check()
async def settings_are_acknowledged(case: Case) -> None:
    """update_session() is followed by SESSION_UPDATED with what was changed, and by it alone."""
    provider = await case.open()
    since = len(case.events)
    await case.or_skip(provider.update_session(instructions="Be brief."), "update_session()")
    updated = await case.wait_for(SessionUpdated, since=since)
    expect(
        updated.settings.get("instructions") == "Be brief.",
        f"SESSION_UPDATED tells of {updated.settings}",
    )
    await case.quiet()
    expect(not of(case.events[since:], ResponseStarted), "update_session() began a response")


@check("history")
async def history_is_taken(case: Case) -> None:
    """An earlier conversation is taken before the first audio, without being answered."""
    items = [
        Item(id="before_1", role="user", text="My name is Ada.", status="completed"),
        Item(id="before_2", role="assistant", text="Hello Ada.", status="completed"),
    ]
    provider = case.create()
    early = provider.capabilities.history == "at_start"
    if early:
        await case.within(provider.add_conversation_history(items), "add_conversation_history()")
    await case.within(provider.connect(), "connect()")
    if not early:
        await case.within(provider.add_conversation_history(items), "add_conversation_history()")
    await case.within(provider.add_conversation_history([]), "add_conversation_history([])")
    await case.quiet()
    expect(not of(case.events, ResponseStarted), "an earlier conversation was answered")
    if provider.capabilities.text_input:
        await case.still_answers(provider, "an earlier conversation")


@check("system_messages")
async def notes_are_not_answered(case: Case) -> None:
    """A text of the role "system" is taken, and not answered."""
    provider = await case.open()
    await case.within(
        provider.send_text("The user is in a car.", "system"), "send_text(role='system')"
    )
    await case.quiet(2.0)
    expect(not of(case.events, ResponseStarted), "a system message was answered")
    if provider.capabilities.text_input:
        await case.still_answers(provider, "a system message")


@check("text_input", "truncate", "audio_output")
async def items_can_be_truncated(case: Case) -> None:
    """truncate_item() is taken for an item that was spoken, and refused for one that never was."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    text = of(events, TextOutput)[0]
    since = len(case.events)
    await case.within(provider.truncate_item(str(text.item_id), 100.0, ""), "truncate_item()")
    await case.quiet()
    expect(not of(case.events[since:], ResponseStarted), "truncate_item() began a response")
    await case.refused_now_or_later(
        provider.truncate_item("item_that_never_was", 100.0, ""),
        "truncate_item() of an unknown item",
    )
    await case.still_answers(provider, "truncate_item()")


@check("text_input", "delete")
async def items_can_be_deleted(case: Case) -> None:
    """delete_item() is taken for an item of the conversation, and refused for another."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    item_id = str(of(events, TextOutput)[0].item_id)
    await case.within(provider.delete_item(item_id), "delete_item()")
    await case.refused_now_or_later(
        provider.delete_item("item_that_never_was"), "delete_item() of an unknown item"
    )
    await case.still_answers(provider, "delete_item()")


@check("say")
async def says_word_for_word(case: Case) -> None:
    """generate_tts() speaks the given text, word for word, as a response."""
    provider = await case.open()
    wanted = "The red fox jumps over nine lazy dogs."
    since = len(case.events)
    await case.within(provider.generate_tts(wanted), "generate_tts()")
    await case.end_of_response(since)
    await case.quiet()
    events = case.events[since:]
    responses_end_once(events)
    said = "".join(e.text for e in of(events, TextOutput)).strip()
    expect(said == wanted, f"asked to say {wanted!r}, it said {said!r}")
    if provider.capabilities.audio_output:
        expect(of(events, AudioOutputChunk), "it was asked to speak, and sent no audio")


@check("text_input", "usage_unit")
async def usage_is_told(case: Case) -> None:
    """What a response used is told, in the unit of the capabilities, and adds up to get_usage()."""
    provider = await case.open()
    events = await case.ask(provider, case.scenario.hello)
    updates = of(events, UsageUpdated)
    expect(updates, "no USAGE_UPDATED came")
    unit = provider.capabilities.usage_unit
    names = {
        "tokens": (
            "input_text_tokens",
            "output_text_tokens",
            "input_audio_tokens",
            "output_audio_tokens",
        ),
        "seconds": ("input_audio_seconds", "output_audio_seconds"),
        "characters": ("characters",),
    }[unit]
    for update in updates:
        expect(all(getattr(update, name) >= 0 for name in names), "USAGE_UPDATED counts backwards")
    expect(
        any(getattr(u, name) > 0 for u in updates for name in names),
        f"nothing was counted in {unit}",
    )
    expect(
        isinstance(await provider.get_usage(), dict), "get_usage() is no dict though usage is told"
    )
