"""The one vocabulary of events, their subscription and their routing."""

from voxengine.events import call as _call
from voxengine.events import types as _types
from voxengine.events.bus import EventBus, EventStream, Handler, Selector, Subscription
from voxengine.events.call import *  # noqa: F403 - as below
from voxengine.events.factory import event_class, make_event
from voxengine.events.kinds import EventType
from voxengine.events.queue import EventQueue
from voxengine.events.types import *  # noqa: F403 - the list of names is kept in one place, types.__all__

__all__ = [
    "EventBus",
    "EventQueue",
    "EventStream",
    "EventType",
    "Handler",
    "Selector",
    "Subscription",
    "event_class",
    "make_event",
    *_call.__all__,
    *_types.__all__,
]
