"""The neutral log of what was said and heard."""

from voxengine.conversation.heard import Span, text_heard
from voxengine.conversation.items import Item, ItemKind, ItemStatus, Role
from voxengine.conversation.log import Conversation

__all__ = ["Conversation", "Item", "ItemKind", "ItemStatus", "Role", "Span", "text_heard"]
