"""What the session says by itself: no provider is asked for it, and there need not be one.

It is an item of the assistant in the log, plays after what has come so far, and is cut by a barge-in like any answer.
It is no response: nothing is due, and nothing has to end. The provider at work is not told of it, one that comes later
is.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from voxengine import events as ev
from voxengine.conversation import Item
from voxengine.session import effects as fx

if TYPE_CHECKING:
    from voxengine.session.core import SessionCore

#: What stands for the session itself, where the name of a provider is told.
OURSELVES = "voxengine"
#: Milliseconds of audio in one event.
PIECE_MS = 100.0


def announce(core: SessionCore, command: fx.Announce) -> None:
    """Say it: all of its audio at once, which the listener hears after what came before."""
    audio = b"" if core.options.text_only else command.audio
    item = Item(id=core.new_id("item"), role="assistant", status="completed", provider=OURSELVES)
    item.audio_ms = command.format.duration_ms(len(audio))
    end = item.audio_ms if audio else None
    item.add_text(command.text, 0.0, end)
    core.add(item)
    if audio:
        _tell(core, ev.AudioOutputStarted, item)
    if command.text:
        start = 0.0 if audio else None
        _tell(core, ev.TextOutput, item, text=command.text, audio_start_ms=start, audio_end_ms=end)
    if not audio:
        return
    core.playout.push(item.id, item.audio_ms, core.now)
    if not core.sounding:  # otherwise the timer is set, for the end of what comes before
        core.out.append(fx.SetTimer("playout", core.playout.end_time(core.now)))
    core.sounding[item.id] = item
    step = command.format.n_bytes(PIECE_MS)
    for begin in range(0, len(audio), step):
        _tell(
            core,
            ev.AudioOutputChunk,
            item,
            audio_data=audio[begin : begin + step],
            sample_rate=command.format.sample_rate,
            encoding=command.format.encoding,
        )


def _tell(
    core: SessionCore, cls: Callable[..., ev.ProviderEvent], item: Item, **fields: Any
) -> None:
    core.out.append(
        cls(
            timestamp=core.now + core.options.epoch,
            provider=OURSELVES,
            item_id=item.id,
            **fields,
        )
    )
