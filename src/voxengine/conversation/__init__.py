"""The neutral log of what was said and heard."""

from voxengine.conversation.export import conversation_schema
from voxengine.conversation.heard import Span, text_heard
from voxengine.conversation.history import (
    Fitted,
    HistoryBudget,
    as_prompt,
    fit,
    summary_item,
    tokens_of,
)
from voxengine.conversation.items import Item, ItemKind, ItemStatus, Role
from voxengine.conversation.log import Conversation

__all__ = [
    "Conversation",
    "Fitted",
    "HistoryBudget",
    "Item",
    "ItemKind",
    "ItemStatus",
    "Role",
    "Span",
    "as_prompt",
    "conversation_schema",
    "fit",
    "summary_item",
    "text_heard",
    "tokens_of",
]
