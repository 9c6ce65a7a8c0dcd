"""One thing that the doctor looks at, and what was found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Finding", "State"]

State = Literal["ok", "note", "warning", "broken"]


@dataclass
class Finding:
    """A line of the report. Something `broken` that is `needed` by the configured provider makes the doctor fail."""

    section: str
    name: str
    state: State = "ok"
    detail: str = ""
    #: What puts it right.
    remedy: str = ""
    needed: bool = False
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def fails(self) -> bool:
        """Whether the configured provider cannot work because of it."""
        return self.needed and self.state == "broken"

    def as_dict(self) -> dict[str, Any]:
        """As data."""
        values = {
            "section": self.section,
            "name": self.name,
            "state": self.state,
            "detail": self.detail,
            "remedy": self.remedy,
            "needed": self.needed,
        }
        return {**values, **self.data}
