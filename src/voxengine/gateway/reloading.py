"""What signals do to a gateway: SIGHUP reads its configuration anew, SIGTERM and SIGINT drain it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator

from voxengine.errors import VoiceEngineError
from voxengine.gateway.gateway import Gateway

__all__ = ["Signals", "reload"]

logger = logging.getLogger("voxengine.gateway")


def reload(gateway: Gateway) -> bool:
    """Read the configuration anew. One that does not do is logged, and the old one stays: then this is false."""
    try:
        gateway.reload()
    except VoiceEngineError as failure:
        logger.error("the configuration stays as it was: %s", failure)
        return False
    logger.warning("the configuration was read anew; %d calls go on", len(gateway.calls))
    return True


class Signals:
    """The signals of the process, while `listening`.

    `stop` is set by the first SIGTERM or SIGINT, `hurry` by the second.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.stop = asyncio.Event()
        self.hurry = asyncio.Event()
        #: Whether it was Ctrl-C.
        self.interrupted = False

    @contextlib.contextmanager
    def listening(self) -> Iterator[Signals]:
        """Take the signals, and give them back in the end."""
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as undo:
            for number in (signal.SIGINT, signal.SIGTERM):
                with contextlib.suppress(NotImplementedError):  # a platform without them
                    loop.add_signal_handler(number, self._end, number)
                    undo.callback(loop.remove_signal_handler, number)
            if hasattr(signal, "SIGHUP"):
                loop.add_signal_handler(signal.SIGHUP, reload, self._gateway)
                undo.callback(loop.remove_signal_handler, signal.SIGHUP)
            yield self

    def _end(self, number: int) -> None:
        if self.stop.is_set():
            self.hurry.set()
        self.interrupted = number == signal.SIGINT
        self.stop.set()
