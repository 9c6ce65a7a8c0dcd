"""OpenAI's Realtime wire as its server sees it: the client's events as types, what is said of one that does not fit."""

from voxengine.realtime.errors import Complaint
from voxengine.realtime.schema import CLIENT_EVENTS, ClientEvent, decode

__all__ = ["CLIENT_EVENTS", "ClientEvent", "Complaint", "decode"]
