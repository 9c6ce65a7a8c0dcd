"""Items that the application puts into the conversation, takes out of it, and shortens; and changed settings.

The log is changed at once. The provider is told by what it can do: as an item, in words, or with the user's next text;
and where there is no such way, by another connection, which is told the log as it stands. What a provider cannot be
told in any way is told to the application.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine.conversation import Item
from voxengine.conversation.injection import Note
from voxengine.session import effects as fx
from voxengine.session.means import Means, means_of
from voxengine.session.rules import assistant, cutting, tools

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: Seconds after which a fresh connection is tried again that came at a bad moment.
RETRY_AFTER = 1.0


def configured(core: SessionCore, command: fx.Configured) -> None:
    """The connection at work, or the application, goes on in another way."""
    if command.capabilities is not None:
        core.capabilities = command.capabilities
    if command.auto_response is not None:
        core.auto_response = command.auto_response
    if command.interruptions is not None:
        core.interruptions = command.interruptions
    if command.silent_tools is not None:
        core.silent_tools = command.silent_tools
    if command.stale:
        core.stale = True
    if command.new_format:
        core.speaking = None  # its bytes are counted anew, with the next chunk


# -- adding


def add_item(core: SessionCore, command: fx.AddItem) -> None:
    """An item goes in; the result of a call that is running ends that."""
    item = command.item
    if item.kind == "function_output" and core.calls.finish(item.call_id or "") is not None:
        core.out.append(fx.CancelTool(item.call_id or ""))
        report = fx.ToolFinished(item.call_id or "", item.output or "")
        tools.tool_finished(core, report, item_id=item.id)
        return
    before = None
    if command.after == "":
        before = next((known.id for known in core.conversation), None)
    core.add(item, before=before, after=command.after or None)
    last = core.conversation[-1] is item
    if item.role == "user" and item.kind == "message" and last and not core.user_speaking:
        core.turn_id = item.id
    if core.connected:
        _tell(core, item, last)


def _tell(core: SessionCore, item: Item, last: bool) -> None:
    can = core.capabilities
    if can.history == "items":
        if last or can.history_places:
            after = None if last else _place_of(core, item)
            core.out.append(fx.TellItems((item.id,), after, waited_for=True))
        else:
            core.stale = True
        return
    core.nameless.add(item.id)
    if item.role == "user" and item.kind == "message" and can.text_input and can.answers:
        core.untold.append(item.id)
        return
    role, words = _in_words(item)
    _tell_in_words(core, item, role, words)


def _place_of(core: SessionCore, item: Item) -> str:
    """The nearest item before it that the provider knows, as it calls that; "" if there is none."""
    place = core.conversation.items.index(item)
    for known in reversed(core.conversation.items[:place]):
        if known.id not in core.nameless and known.kind == "message":
            return core.their_id(known.id)
    return ""


def _in_words(item: Item) -> tuple[str, str]:
    """Role and text of a note that stands for an item."""
    if item.kind == "function_call":
        return "system", f"The tool {item.name!r} was called with {item.arguments or '{}'}"
    if item.kind == "function_output":
        return "system", f"The call of the tool {item.name or ''!r} has returned: {item.output}"
    return item.role, item.text


def _note_of(item: Item, role: str, words: str) -> Note:
    return Note(id=item.id, text=words, role=role)


def _tell_in_words(core: SessionCore, item: Item, role: str, words: str) -> None:
    means = means_of(_note_of(item, role, words), core.capabilities)
    notes = core.notes
    if means is not None and means.name == "prefix":
        # Whatever is written next says it, too; but the user may speak, and what was put in is to be known then.
        notes.prefix.append(means.text)
        core.stale = core.stale or core.capabilities.history != "none"
    elif means is not None and not (
        means.name == "instructions" and len(notes.instructions) >= notes.MEMORY
    ):
        _give(core, item, means)
    elif core.capabilities.history != "none":
        core.stale = True
    else:
        words = f"provider {core.provider!r} has no way to be told of the item {item.id!r}"
        core.warn("item_not_told", words)


def _give(core: SessionCore, item: Item, means: Means) -> None:
    instructions: tuple[str, ...] = ()
    if means.name == "instructions":
        core.notes.instructions[item.id] = means.text
        instructions = tuple(core.notes.instructions.values())
    core.out.append(fx.GiveNote("", means.name, means.role, means.text, None, instructions))


def tell_before_speech(core: SessionCore) -> None:
    """The user speaks, and is answered: texts that were put in and wait for a request are told before."""
    waiting, core.untold = core.untold, []
    for item in filter(None, map(core.conversation.get, waiting)):
        _tell_in_words(core, item, "user", item.text)


def ask_with_text(core: SessionCore, command: fx.CreateResponse) -> bool:
    """Ask for a response with the user's texts that were put in and not told. False: it has to be asked for still."""
    waiting, core.untold = core.untold, []
    texts = [item for item in map(core.conversation.get, waiting) if item is not None]
    if not texts:
        return False
    can = core.capabilities
    if (command.instructions or command.overrides) and can.response_on_request:
        # A text is answered as it is: for an answer of another kind it has to be known without.
        if _is_told_silently(core, texts):
            return False
        if can.history != "none":
            core.untold = [item.id for item in texts]
            core.stale, core.replies.pending = True, command
            return True
    if command.modalities or command.instructions or command.overrides:
        _leave_out(core)
    core.expect(ours=True).turn_id = texts[-1].id
    core.out.append(fx.SendText("\n\n".join(item.text for item in texts), "user"))
    return True


def _is_told_silently(core: SessionCore, texts: list[Item]) -> bool:
    """Tell texts so that they are not answered, where there is a way. Whether they were."""
    means = [means_of(_note_of(item, item.role, item.text), core.capabilities) for item in texts]
    if any(way is None or way.name == "prefix" for way in means):
        return False
    for item in texts:
        _tell_in_words(core, item, item.role, item.text)
    return True


def _leave_out(core: SessionCore) -> None:
    words = f"provider {core.provider!r} answers a text as it answers all: what was asked for beside is left out"
    core.warn("response_options_left_out", words)


# -- taking out


def delete_item(core: SessionCore, command: fx.DeleteItem) -> None:
    """An item is no part of the conversation any more. A response that it is of goes on."""
    item = core.conversation.get(command.item_id)
    if item is None:
        return
    _leave_to_itself(core, item)
    if item.kind == "function_call" and core.calls.cancel(item.call_id or "") is not None:
        core.out.append(fx.CancelTool(item.call_id or ""))
    if item.id in core.kept:
        del core.kept[item.id]
        core.out.append(fx.ForgetAudio(item.id))
    core.deleted.add(item.id)
    core.unwritten.pop(item.id, None)
    core.cut_out.pop(item.id, None)
    core.conversation.remove(item.id)
    if item.id in core.untold:
        core.untold.remove(item.id)
    elif core.connected:
        _forget(core, item)


def _forget(core: SessionCore, item: Item) -> None:
    if core.capabilities.delete and item.id not in core.nameless:
        core.out.append(fx.ForgetItem(core.their_id(item.id)))
    elif core.capabilities.history != "none":
        core.stale = True
    else:
        words = f"provider {core.provider!r} cannot be made to forget the item {item.id!r}"
        core.warn("item_not_forgotten", words)


def _leave_to_itself(core: SessionCore, item: Item) -> None:
    """What is yet to come of it does not go into the log. Of an answer that nobody has announced, nothing more comes.

    The end of such an answer is known by its silence alone, which an edited item does not have.
    """
    reply = core.replies.active
    if reply is None or item.id not in reply.items:
        return
    if reply.implied:
        cutting.cut(core, "request")
    else:
        core.edited.add(item.id)


def is_deleted(core: SessionCore, item_id: str | None) -> bool:
    """Whether what is told belongs to an item that was taken out."""
    return item_id is not None and core.our_id(item_id) in core.deleted


# -- shortening


def truncate_item(core: SessionCore, command: fx.TruncateItem) -> None:
    """Of an item of the assistant, the listener heard so much, whatever was taken for it before.

    It plays no more. A response that it is of goes on.
    """
    item = core.conversation.get(command.item_id)
    if item is not None and item.id in core.sounding:
        core.playout.ack(item.id, command.heard_ms, core.now)
    if item is not None:
        _leave_to_itself(core, item)
        if item.id in core.sounding:
            cutting.stop_playing(core)
    item = _put_back(core, command.item_id) or item
    if item is None:
        return
    heard_ms = min(command.heard_ms, item.audio_ms)
    if item.interrupted and abs(item.heard_ms - heard_ms) < 1.0:
        return
    item.recut(heard_ms)
    core.conversation.changed(item)
    if core.connected and item.id in core.own_items and core.capabilities.truncate:
        _shorten(core, item)


def _put_back(core: SessionCore, item_id: str) -> Item | None:
    """An item that was cut before anything of it was heard, as far as was known: back in its place."""
    item, before = core.cut_out.pop(item_id, (None, None))
    if item is not None and item.id not in core.conversation:
        core.add(item, after=before)
    return item


def _shorten(core: SessionCore, item: Item) -> None:
    there = core.cut_there.get(item.id)
    if there is not None and there < item.heard_ms - 1.0:
        words = f"provider {core.provider!r} knows {there:.0f} ms of the item {item.id!r}, and cannot be told of more"
        core.warn("item_already_shorter", words)
        return
    cutting.shorten(core, item)


# -- making the provider's memory anew


def look(core: SessionCore) -> None:
    """The provider's memory is not as the log is: have another connection take over as soon as that disturbs nobody."""
    free = not core.user_speaking and core.replies.open is None
    quiet = core.state == "idle" or core.replies.pending is not None
    if core.connected and not core.renewing and free and quiet and core.now >= core.renew_at:
        core.renewing = True
        core.out.append(fx.RenewMemory())


def renewal_failed(core: SessionCore, report: fx.RenewalFailed) -> None:
    """It could not be opened, or came at a bad moment."""
    core.renewing = False
    if report.busy:
        core.renew_at = core.now + RETRY_AFTER
        core.set_timer("renewal", RETRY_AFTER)
        return
    core.stale = False
    words = f"provider {core.provider!r} remembers the conversation as it was before items were put in or taken out"
    core.warn("memory_not_renewed", words)
    if core.replies.open is None:
        if core.untold and core.replies.pending is not None:
            _leave_out(core)
            core.replies.pending = fx.CreateResponse()  # a text is told, and answered as it is
        assistant.ask_pending(core)
