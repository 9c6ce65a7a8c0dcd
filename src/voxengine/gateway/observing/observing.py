"""Who is told that a call began, ended or was refused; and passes it on to figures, log and spans."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxengine.gateway.call import Call
from voxengine.gateway.observing.calllog import CallLog
from voxengine.gateway.observing.figures import Figures
from voxengine.gateway.observing.spans import Spans

if TYPE_CHECKING:
    from voxengine.gateway.gateway import Gateway

__all__ = ["Observing"]


class Observing:
    """All that observes one gateway.

    Raises:
        MissingDependencyError: spans are wanted, and the extra `otel` is not installed.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.figures = Figures(gateway)
        self.spans = Spans.of(gateway.config)

    def opened(self, call: Call) -> None:
        """A call begins, or goes on in this process."""
        CallLog(call, transcripts=self._gateway.config.log_transcripts)
        self.figures.opened(call)
        if self.spans is not None:
            self.spans.opened(call)

    def refused(self, code: str) -> None:
        """A request was not granted, by the code of its answer."""
        self.figures.refused(code)

    async def close(self) -> None:
        """Send what is left to be sent. May be called again."""
        if self.spans is not None:
            await self.spans.close()
