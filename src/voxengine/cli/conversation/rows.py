"""The conversation as rows of text, each for something that is said or done; a row grows until it is final."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.text import Text

__all__ = ["AssistantRow", "NoteRow", "Row", "ToolRow", "UserRow"]


@dataclass
class Row(ABC):
    """One row. Of a final one nothing changes any more."""

    at: float
    final: bool = False

    @abstractmethod
    def body(self) -> Text:
        """What stands behind the time."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return False

    def render(self) -> Text:
        """The whole row."""
        return Text.assemble((f"{self.at:6.1f}  ", "dim"), self.body())


def _speaker(name: str, style: str) -> tuple[str, str]:
    return f"{name:<10}", f"bold {style}"


@dataclass
class UserRow(Row):
    """The caller: partial transcripts first, then the final one."""

    text: str = ""
    partial: bool = True
    typed: bool = False

    @property
    def empty(self) -> bool:
        """Nothing was understood yet."""
        return not self.text

    def body(self) -> Text:
        """Partial transcripts are in italics."""
        style = "italic dim" if self.partial else ""
        tail = (" …", "dim") if self.partial else (" (typed)", "dim") if self.typed else ""
        return Text.assemble(_speaker("caller", "cyan"), (self.text, style), tail)


@dataclass
class AssistantRow(Row):
    """The assistant, as far as it has been heard."""

    #: The words that were heard by now.
    heard: Callable[[], str] = str
    text: str = ""
    cut: bool = False
    heard_ms: float = 0.0
    unheard: str = ""

    @property
    def empty(self) -> bool:
        """Nothing was heard yet."""
        return not self.cut and not (self.text if self.final else self.heard())

    def body(self) -> Text:
        """A cut shows the words that were heard, and the beginning of those that were not."""
        words = self.text if self.final else self.heard()
        body = Text.assemble(_speaker("engine", "green"), words)
        if self.cut:
            body.append(" — cut here", "bold red")
            body.append(f" (heard {self.heard_ms / 1000:.2f} s)", "red")
            rest = " ".join(self.unheard.split()[:6])
            if rest:
                body.append(f"  {rest} …", "dim strike")
        elif not self.final:
            body.append(" …", "dim")
        return body


@dataclass
class ToolRow(Row):
    """A tool call and its result."""

    name: str = ""
    arguments: str = ""
    result: str = ""
    style: str = ""

    def body(self) -> Text:
        """The call as it would be written."""
        body = Text.assemble(_speaker("tool", "magenta"), f"{self.name}({self.arguments})")
        if self.result:
            body.append(f" → {self.result}", self.style)
        return body


@dataclass
class NoteRow(Row):
    """A remark: latencies, warnings, errors."""

    text: str = ""
    style: str = "dim"
    final: bool = field(default=True)

    def body(self) -> Text:
        """The remark, under the words that it belongs to."""
        return Text(" " * 10 + self.text, self.style)
