"""One response at a time.

The vendor refuses a `response.create` while a response of the conversation is under way, and a `response.cancel` before
one has begun. The gate holds back what would be refused, and says what to send when something has changed. It does no
I/O: each method returns the messages to send, in order.

The vendor does not say which request a response answers, and may begin one by itself while a request is on its way. So
the next one that begins is taken for the answer, until it ends or the request is refused after all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from voxengine.errors import ProviderError
from voxengine.providers.openai import encode

__all__ = ["CANCEL_ID", "PLAIN", "REQUEST_ID", "ResponseGate"]

#: The id of a request, which comes back with its refusal.
REQUEST_ID = "create"
#: What the id of a cancel begins with; the response's own follows.
CANCEL_ID = "cancel_"
#: A request for whatever is to be answered.
PLAIN = encode.create_response(event_id=REQUEST_ID)


class ResponseGate:
    """What was asked for and has not begun, what is under way, and what waits for its end."""

    #: Requests that may wait. They are those of one application for one call.
    LIMIT = 16
    #: How often a request is sent again at once that was refused for a response of which we know nothing. After that
    #: it waits until something begins, ends or is asked for.
    RETRIES = 3
    #: Seconds after which a request counts as lost that the vendor has said nothing about.
    ANSWER_BUDGET = 20.0
    #: Seconds after which a response counts as ended whose cancel the vendor has said nothing about.
    CANCEL_BUDGET = 5.0

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._asked_at = self._cancelled_at = 0.0
        #: The response that is under way.
        self.active: str | None = None
        #: A response that was called off before it began, and that nobody is to hear of.
        self.muted: str | None = None
        #: The request that the vendor has not answered yet.
        self._asked: bytes | None = None
        #: The request that the response under way is taken to answer.
        self._presumed: bytes | None = None
        self._cancel_asked = False
        #: The response that the vendor was told to call off.
        self._cancelled: str | None = None
        self._refusals = 0
        self._waiting: deque[bytes] = deque()

    def request(self, message: bytes = PLAIN) -> list[bytes]:
        """A response is wanted.

        Raises:
            ProviderError: too many are (`code` is "overloaded").
        """
        self._refusals = 0
        self._write_off()
        if message == PLAIN and self._waiting and self._waiting[-1] == PLAIN:
            return self._next()  # one response answers all that is there when it begins
        if len(self._waiting) >= self.LIMIT:
            raise ProviderError(
                f"{self.LIMIT} responses wait for the present one to end",
                code="overloaded",
                retryable=True,
            )
        self._waiting.append(message)
        return self._next()

    def cancel(self) -> list[bytes]:
        """What is under way is not wanted any more; nor is what was asked for. Without either, nothing happens."""
        self._waiting.clear()
        self._presumed = None
        self._cancel_asked = self._asked is not None
        if self.active is None or self.active == self._cancelled:
            return []
        return self._call_off(self.active)

    def started(self, response_id: str) -> list[bytes]:
        """The vendor began a response: the one asked for, or one of its own."""
        self.active = response_id
        self._refusals = 0
        self._presumed, self._asked = self._asked, None
        cancel, self._cancel_asked = self._cancel_asked, False
        if not cancel:
            return []
        self._presumed = None
        self.muted = response_id
        return self._call_off(response_id)

    def ended(self, response_id: str) -> list[bytes]:
        """The vendor ended a response."""
        self._refusals = 0
        if response_id == self.muted:
            self.muted = None
        if self.active == response_id:
            self.active = self._presumed = None
        return self._next()

    def refused(self) -> list[bytes]:
        """The request was refused, for one of the vendor's own was quicker: it is sent again when that has ended."""
        asked = self._asked if self._asked is not None else self._presumed
        if asked is not None and not self._cancel_asked:
            self._waiting.appendleft(asked)
        self._refusals += 1
        return self.failed()

    def failed(self) -> list[bytes]:
        """The request was refused for what it asks."""
        self._asked = self._presumed = None
        self._cancel_asked = False
        return self._next()

    def nothing_to_cancel(self, event_id: str | None) -> list[bytes]:
        """A cancel was refused: the response is not under way. Its end may not have been told."""
        which = self._cancelled if event_id is None else event_id.removeprefix(CANCEL_ID)
        if self.active is None or self.active != which:
            return []
        return self.ended(self.active)

    def _write_off(self) -> None:
        """Give up what the vendor should have answered long ago, so that it holds up nothing for ever."""
        now = self._clock()
        if self._asked is not None and now - self._asked_at > self.ANSWER_BUDGET:
            self._asked = None
            self._cancel_asked = False
        stuck = self.active is not None and self.active == self._cancelled
        if stuck and now - self._cancelled_at > self.CANCEL_BUDGET:
            self.active = self.muted = self._presumed = None

    def _call_off(self, response_id: str) -> list[bytes]:
        self._cancelled = response_id
        self._cancelled_at = self._clock()
        return [encode.cancel_response(response_id, CANCEL_ID + response_id)]

    def _next(self) -> list[bytes]:
        if self.active is not None or self._asked is not None or not self._waiting:
            return []
        if self._refusals > self.RETRIES:
            return []
        self._asked = self._waiting.popleft()
        self._asked_at = self._clock()
        return [self._asked]
