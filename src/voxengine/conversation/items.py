"""One entry of the conversation: something said by somebody, a tool call, or its result."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from voxengine.conversation.heard import Span, text_heard

__all__ = ["Item", "ItemKind", "ItemStatus", "Role"]

ItemKind = Literal["message", "function_call", "function_output"]
ItemStatus = Literal["in_progress", "completed", "incomplete"]
Role = Literal["user", "assistant", "system", "tool"]


class Item(msgspec.Struct, kw_only=True):
    """An entry of the conversation log. Written by the log alone; everybody else reads.

    Of an item of the assistant that was cut short, `text` holds what was heard and `unheard_text` the rest.
    """

    id: str
    kind: ItemKind = "message"
    role: Role = "user"
    text: str = ""
    status: ItemStatus = "in_progress"
    #: Milliseconds of speech: the user's as the provider measures it (0 where it does not), the assistant's received.
    audio_ms: float = 0.0
    #: Milliseconds of the assistant's speech that the listener heard.
    heard_ms: float = 0.0
    unheard_text: str = ""
    #: Of a tool call and its result.
    call_id: str | None = None
    name: str | None = None
    arguments: str | None = None
    output: str | None = None
    #: Unix seconds at which it began.
    created_at: float = 0.0
    #: Which provider it came from or went to, and the response that it belongs to.
    provider: str = ""
    response_id: str | None = None
    #: The user's item that this answers.
    turn_id: str | None = None
    #: Where in the audio which words are.
    spans: list[Span] = []

    @property
    def interrupted(self) -> bool:
        """Whether it was cut short."""
        return self.status == "incomplete"

    def add_text(
        self, text: str, start_ms: float | None = None, end_ms: float | None = None
    ) -> None:
        """Append words; where they are spoken in the audio, if that is known, else from here on."""
        if not text:
            return
        begin = self.audio_ms if start_ms is None else start_ms
        self.spans.append(Span(len(self.text), begin, end_ms))
        self.text += text

    def text_at(self, heard_ms: float) -> str:
        """The words that a listener of the first `heard_ms` has heard, whole words only.

        Of an item that is not complete, not more than its audio can hold.
        """
        came = None if self.status == "completed" else self.text + self.unheard_text
        return text_heard(self.text, self.spans, self.audio_ms, heard_ms, came=came)

    def cut(self, heard_ms: float) -> None:
        """Let the item end where the listener stopped hearing it. Text that was never spoken is not said."""
        heard = self.text_at(heard_ms).rstrip() if self.audio_ms else ""
        self.unheard_text = self.text[len(heard) :] + self.unheard_text
        self.text = heard
        self.heard_ms = min(max(heard_ms, 0.0), self.audio_ms)
        self.status = "incomplete"

    def recut(self, heard_ms: float) -> None:
        """As `cut`, also of an item that was cut or left off before: all its words are taken up again first."""
        self.text, self.unheard_text = self.text + self.unheard_text, ""
        self.cut(heard_ms)

    def leave_off(self) -> None:
        """No more of it comes: words that its audio does not reach will not be said."""
        said = self.text_at(self.audio_ms)
        if len(said) < len(self.text):
            said = said.rstrip()
            self.unheard_text = self.text[len(said) :] + self.unheard_text
            self.text = said

    def as_dict(self) -> dict[str, Any]:
        """Plain data, without what it does not have, and without the spans."""
        values: dict[str, Any] = msgspec.to_builtins(self)
        return {k: v for k, v in values.items() if k in _ALWAYS or v != _ABSENT.get(k, v)}


#: Fields that plain data always has; and those which it has only where they are not as they are without.
_ALWAYS = frozenset({"id", "kind", "role", "text", "status"})
_ABSENT: dict[str, Any] = {
    name: value
    for name, value in msgspec.to_builtins(Item(id="")).items()
    if name not in _ALWAYS and name != "spans"
}
