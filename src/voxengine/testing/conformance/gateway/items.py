"""Checks of the conversation: items that the client creates, looks up, cuts and deletes."""

from __future__ import annotations

from typing import Any

from voxengine.testing.conformance.checks import NotOffered, expect
from voxengine.testing.conformance.gateway.case import ANEW, GatewayCase, words_of
from voxengine.testing.conformance.gateway.checks import check
from voxengine.testing.conformance.gateway.stands import ORDER

#: Milliseconds that were heard of an answer of many seconds.
_HEARD_MS = 2000


@check("text_input")
async def user_text_is_known(case: GatewayCase) -> None:
    """A text of the user becomes an item that the model knows, and is not answered by itself."""
    since = len(case.client.events)
    added = await case.write("My cat is called Ophelia.")
    item = added["item"]
    expect(item["role"] == "user", f"its role is {item['role']!r}")
    expect(item["content"][0]["text"] == "My cat is called Ophelia.", "its text is another")
    if case.can.history == "items":
        case.knows("Ophelia", "the model was not told of it")
    await case.client.quiet(4.0)
    expect(not case.client.all("response.created", since=since), "it was answered unasked")
    await case.learns("Ophelia", "the model was not told of it")


@check("system_messages")
async def system_text_is_known(case: GatewayCase) -> None:
    """A text of the role system becomes an item that the model knows."""
    added = await case.write("The shop closes at nine.", "system")
    expect(added["item"]["role"] == "system", "its role is another")
    await case.learns("The shop closes at nine.", "the model was not told of it")


@check("history_places")
async def assistant_text_is_known(case: GatewayCase) -> None:
    """A text of the assistant becomes an item that the model takes for its own."""
    added = await case.write("I am called Balthasar.", "assistant")
    expect(added["item"]["content"][0]["type"] == "output_text", "it is told in another form")
    await case.learns("Balthasar", "the model was not told of it")


@check("history_places")
async def earlier_calls_are_known(case: GatewayCase) -> None:
    """A function_call and its output become items that the model knows."""
    call = {
        "type": "function_call",
        "call_id": "call_earlier",
        "name": case.scenario.tools[0]["name"],
        "arguments": '{"city":"Lisbon"}',
    }
    await case.add(call)
    output = {"type": "function_call_output", "call_id": "call_earlier", "output": "windy"}
    added = await case.add(output)
    expect(added["item"]["output"] == "windy", "the output is told in another form")
    await case.learns("Lisbon", "the model was not told of the call")
    await case.learns("windy", "the model was not told of the output")


@check()
async def output_without_a_call_is_refused(case: GatewayCase) -> None:
    """A function_call_output for a call that never was is an error, and no item."""
    item = {"type": "function_call_output", "call_id": "call_of_nobody", "output": "x"}
    error = await case.client.error("conversation.item.create", item=item)
    expect(error["type"] == "invalid_request_error", f"the error is {error}")
    expect(not case.client.all("conversation.item.added"), "an item was added all the same")


@check("text_input", "history_places")
async def items_stand_where_they_are_put(case: GatewayCase) -> None:
    """previous_item_id and "root" say where an item stands: in the log, in what is told, and for the model."""
    first = (await case.write("alpha"))["item"]["id"]
    last = (await case.write("omega"))["item"]["id"]
    between = await case.write("beta", previous_item_id=first)
    start = await case.write("zero", previous_item_id="root")
    expect(between["previous_item_id"] == first, "the one between is told at another place")
    expect(start["previous_item_id"] is None, "the first is told at another place")
    order = [item.id for item in case.engine.conversation]
    wanted = [start["item"]["id"], first, between["item"]["id"], last]
    expect(order == wanted, f"the log has {order} instead of {wanted}")
    if not case.can.history_places:
        raise NotOffered("in the log only: the provider takes no item between others")
    if case.told is not None:
        words = ("zero", "alpha", "beta", "omega")
        known = [w for line in case.told.memory() for w in words if w in line]
        expect(known == list(words), f"the model has them as {known}")


@check("text_input")
async def ids_are_the_clients(case: GatewayCase) -> None:
    """An item keeps the id that its client gave; a second of that id, or a place that is not there, is refused."""
    content = [{"type": "input_text", "text": "Hello"}]
    item = {"type": "message", "role": "user", "id": "item_mine", "content": content}
    added = await case.add(item)
    expect(added["item"]["id"] == "item_mine", f"its id is {added['item']['id']!r}")
    error = await case.client.error("conversation.item.create", item=item)
    expect(error["type"] == "invalid_request_error", f"the error is {error}")
    lost = {**item, "id": "item_other"}
    error = await case.client.error(
        "conversation.item.create", item=lost, previous_item_id="item_of_nobody"
    )
    expect(error["param"] == "previous_item_id", f"the error is about {error['param']!r}")
    ids = [each.id for each in case.engine.conversation]
    expect(ids == ["item_mine"], f"the log has {ids}")


@check()
async def items_can_be_looked_up(case: GatewayCase) -> None:
    """conversation.item.retrieve gives an item as it is now; of one that is not there, an error."""
    since = await case.provoke(case.scenario.hello)
    response = await case.answer(since)
    item = response["output"][0]
    told = await case.client.ask(
        "conversation.item.retrieve", "conversation.item.retrieved", item_id=item["id"]
    )
    expect(told["item"]["id"] == item["id"], "another item was given")
    said = _words(told["item"])
    expect(said and said in words_of(response), f"its words are {said!r}")
    error = await case.client.error("conversation.item.retrieve", item_id="item_of_nobody")
    expect(error["code"] == "item_not_found", f"the code is {error['code']!r}")


@check("text_input", "delete")
async def deleted_items_are_forgotten(case: GatewayCase) -> None:
    """A deleted item is gone: from the log, for conversation.item.retrieve, and for the model."""
    item_id = (await case.write("The word is mandolin."))["item"]["id"]
    kept = (await case.write("The other is bassoon."))["item"]["id"]
    # An answer that does not repeat it.
    await case.learns("mandolin", "the model was not told of it", instructions=ORDER)
    gone = await case.client.ask(
        "conversation.item.delete", "conversation.item.deleted", item_id=item_id
    )
    expect(gone["item_id"] == item_id, "another item was deleted")
    ids = [each.id for each in case.engine.conversation if each.role == "user"]
    expect(ids == [kept], f"the log has {ids}")
    if not case.can.delete:
        await case.client.quiet(ANEW)
    case.knows_not("mandolin", "the model was not told to forget it")
    case.knows("bassoon", "the model has forgotten another item")
    for kind in ("conversation.item.retrieve", "conversation.item.delete"):
        error = await case.client.error(kind, item_id=item_id)
        expect(error["code"] == "item_not_found", f"{kind} then says {error['code']!r}")


@check()
async def only_what_was_heard_is_known(case: GatewayCase) -> None:
    """conversation.item.truncate cuts an answer to what was heard: in the log, and for the model."""
    since = await case.provoke(case.scenario.long)
    response = await case.answer(since)
    item, whole = response["output"][0], words_of(response)
    told = await case.client.ask(
        "conversation.item.truncate",
        "conversation.item.truncated",
        item_id=item["id"],
        content_index=0,
        audio_end_ms=_HEARD_MS,
    )
    expect(told["audio_end_ms"] == _HEARD_MS, "it was cut at another place")
    expect(told["item_id"] == item["id"], "another item was cut")
    seen = await case.client.ask(
        "conversation.item.retrieve", "conversation.item.retrieved", item_id=item["id"]
    )
    heard = _words(seen["item"])
    expect(0 < len(heard) < len(whole) / 2, f"of {len(whole)} letters {len(heard)} are left")
    expect(whole.startswith(heard.rstrip(". ")), f"{heard!r} is not how the answer begins")
    if not case.can.truncate:
        raise NotOffered("in the log only: the provider cannot be told what was heard")
    case.knows_not(whole[-30:], "the model believes that all of it was heard")


@check()
async def wrong_cuts_are_refused(case: GatewayCase) -> None:
    """What is no speech of the assistant's, or shorter than that, cannot be truncated."""
    since = await case.provoke(case.scenario.hello)
    item_id = (await case.answer(since))["output"][0]["id"]
    wrong: list[tuple[str, int, int]] = [
        ("item_of_nobody", 0, 100),
        (item_id, 1, 100),
        (item_id, 0, 3_600_000),
        (item_id, 0, -1),
    ]
    for target, index, end in wrong:
        given = {"item_id": target, "content_index": index, "audio_end_ms": end}
        error = await case.client.error("conversation.item.truncate", **given)
        expect(error["type"] == "invalid_request_error", f"{given} is refused with {error}")
    expect(not case.client.all("conversation.item.truncated"), "something was cut all the same")


def _words(item: dict[str, Any]) -> str:
    parts = item.get("content") or [{}]
    return str(parts[0].get("transcript") or parts[0].get("text") or "")
