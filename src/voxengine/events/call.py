"""What happens to a call as a whole: who carries it on, what it costs, how long it may last.

The other events are in `voxengine.events.types`, which says how they are made.
"""

from voxengine.events.kinds import EventType
from voxengine.events.types import TypedEvent

__all__ = [
    "ConnectionExpiring",
    "ContextInjected",
    "CostUpdated",
    "LimitReached",
    "ProviderSwitched",
]


class ConnectionExpiring(TypedEvent, frozen=True, kw_only=True):
    """The provider says that it is about to end the connection, in `seconds_left` seconds. Another takes over."""

    type: str = EventType.CONNECTION_EXPIRING
    seconds_left: float = 0.0
    reason: str = ""


class ProviderSwitched(TypedEvent, frozen=True, kw_only=True):
    """Another provider carries the conversation on; this says what it was given, and what it could not be given.

    `reason` is "request" (the application's wish), "failover", "return" (to the first choice, after a failover),
    "hedge" (it answered first) or "limit" (of cost); `code` is that of the failure, where there was one. It was told
    `items` of the log, and `items_left_out` not; `audio_ms` of the user's audio are replayed to it, and `audio_lost_ms`
    are lost. `tools` of the application are open to it, and `pending_calls` of them are running and will be answered to
    it. `left_out` names in words whatever else it does not have.
    """

    type: str = EventType.PROVIDER_SWITCHED
    previous: str = ""
    reason: str = "request"
    code: str = ""
    attempts: int = 1
    outage_ms: float = 0.0
    resumed: bool = False
    items: int = 0
    items_left_out: int = 0
    audio_ms: float = 0.0
    audio_lost_ms: float = 0.0
    tools: int = 0
    pending_calls: int = 0
    voice: str | None = None
    previous_voice: str | None = None
    left_out: tuple[str, ...] = ()


class CostUpdated(TypedEvent, frozen=True, kw_only=True):
    """What the call has cost so far. Follows a `UsageUpdated`, where somebody wants to know, or there is a limit.

    `cost` is that of the whole call, over all providers; `leg_cost` that of this provider and `model`. Either is None
    where a price is not known.
    """

    type: str = EventType.COST_UPDATED
    cost: float | None = None
    leg_cost: float | None = None
    model: str = ""
    currency: str = "USD"


class LimitReached(TypedEvent, frozen=True, kw_only=True):
    """A limit of the call is used up to `fraction`: of `maximum`, `used` is gone, in US dollars or seconds.

    `limit` is "cost" or "duration". `action` is what follows: "warn" (nothing), "switch" (a cheaper provider takes over
    at the next quiet moment) or "end" (the goodbye is said, and the call ends).
    """

    type: str = EventType.LIMIT_REACHED
    limit: str = "cost"
    used: float = 0.0
    maximum: float = 0.0
    fraction: float = 1.0
    action: str = "warn"


class ContextInjected(TypedEvent, frozen=True, kw_only=True):
    """A note that the application put in has reached its end, by `status`.

    "applied": the provider has it. "degraded": the provider has it, but `degraded_to` another way or moment than was
    asked for. "expired", "rejected", "replaced" (by a later one of the same `key`), "cancelled": it did not go in, and
    `reason` says why. `item_id` is that of its item in the log.
    """

    type: str = EventType.CONTEXT_INJECTED
    injection_id: str = ""
    status: str = "applied"
    role: str = "system"
    when: str = "now"
    text: str = ""
    key: str | None = None
    degraded_to: str | None = None
    reason: str = ""
    item_id: str | None = None
