"""Keeps what a reasoning model thinks out of what is spoken."""

from __future__ import annotations

import re

__all__ = ["ThoughtFilter"]

_TAG = re.compile(r"<(/?)(?:think|thinking)>", re.IGNORECASE)
_LONGEST = len("</thinking>")


class ThoughtFilter:
    """Drops `<think>...</think>` from a stream of text, also where the tags come in pieces.

    A thought that is never closed is dropped to the end: half a thought is not an answer.
    """

    def __init__(self) -> None:
        self._held = ""
        self._thinking = False
        #: White space after a thought belongs to the thought.
        self._trim = False

    def feed(self, text: str) -> str:
        """The part of the text that may be spoken now."""
        text = self._held + text
        self._held = ""
        out: list[str] = []
        at = 0
        for tag in _TAG.finditer(text):
            out.append(self._spoken(text[at : tag.start()]))
            self._thinking = not tag[1]
            self._trim = True
            at = tag.end()
        text = text[at:]
        start = text.rfind("<", max(0, len(text) - _LONGEST + 1))
        if start >= 0 and _may_become_tag(text[start:]):
            text, self._held = text[:start], text[start:]
        out.append(self._spoken(text))
        return "".join(out)

    def flush(self) -> str:
        """The text is over: what was held back, if it is no thought."""
        text, self._held = self._held, ""
        return self._spoken(text)

    def _spoken(self, text: str) -> str:
        if self._thinking:
            return ""
        if self._trim:
            text = text.lstrip()
            self._trim = not text
        return text


def _may_become_tag(text: str) -> bool:
    text = text.lower()
    return any(tag.startswith(text) for tag in ("<think>", "<thinking>", "</think>", "</thinking>"))
