"""What a voice should say of a text that was written for the eye.

Language models write Markdown and emoji whatever they are told. The conversation log keeps what they wrote; the TTS is
given what this module leaves of it.
"""

from __future__ import annotations

import html
import re

__all__ = ["speakable"]

_FENCE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)", re.DOTALL)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\]\n]*)\]\(\s*<?[^)\s]*>?(?:\s+[\"'][^)]*)?\s*\)")
_REFERENCE = re.compile(r"\[([^\]\n]+)\]\[[^\]\n]*\]")
_FOOTNOTE = re.compile(r"\[\^[^\]\n]+\]")
_URL = re.compile(
    r"<?\b(?:https?|ftp)://(?:www\.)?([^\s/?#<>()\"']+)([^\s<>()\"']*)>?", re.IGNORECASE
)
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>|<!--.*?-->", re.DOTALL)
_TABLE_RULE = re.compile(
    r"^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$", re.MULTILINE
)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_LINE_START = re.compile(
    r"^[ \t]*(?:>[ \t]*)*(?:#{1,6}[ \t]+|[-*+\u2022\u25e6\u2023][ \t]+(?:\[[ xX]\][ \t]+)?)?",
    re.MULTILINE,
)
_HEADING_END = re.compile(r"[ \t]+#+[ \t]*$", re.MULTILINE)
_TIMES = re.compile(r"(?<=\d)[ \t]*\*[ \t]*(?=\d)")
_MARKS = re.compile(r"~~|[*`]|\\(?=[^\w\s])")
_UNDERSCORE = re.compile(r"_+")
#: Pictures, flags and dingbats (Unicode TR51), arrows, box drawing; no letter or digit of any script.
_EMOJI = re.compile(
    "(?:[\U0001f000-\U0001faff\U000e0020-\U000e007f\u2139\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff]"
    # A joiner is also a letter's part in Indic scripts, so it goes only where it follows a picture.
    "\u200d?)|[\u20e3\ufe0e\ufe0f]"
)
#: Words, with one space or more between them, of which nothing has to be taken away.
_LETTER = "[0-9A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0400-\u0481]"
_PLAIN = re.compile(rf"\s*(?:{_LETTER}+(?:['’-]{_LETTER}+)*(?:[.?!]+|[,;:])?(?:\s+|\Z))*")
#: Controls but tab and line feed, the zero-width space, word joiner and byte order mark, and what decoding lost.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b\u2060\ufeff\ufffd]")


def speakable(text: str) -> str:
    """The text without Markdown, code blocks, links' addresses, tags and emoji, on one line.

    Returns "" where nothing is left that can be said (code, emoji or punctuation only).
    """
    if _PLAIN.fullmatch(text):
        return " ".join(text.split()).strip(
            " ,"
        )  # nearly all that is said, for a fraction of the work
    text = _FENCE.sub(" ", text)
    text = _IMAGE_OR_LINK.sub(r"\1", text)
    text = _REFERENCE.sub(r"\1", text)
    text = _FOOTNOTE.sub("", text)
    text = _URL.sub(_host, text)
    text = html.unescape(_TAG.sub(" ", text))
    text = _TABLE_RULE.sub("", text)
    text = _RULE.sub("", text)
    text = _HEADING_END.sub("", _LINE_START.sub("", text))
    text = _TIMES.sub(" times ", text)
    text = _MARKS.sub("", text)
    text = _UNDERSCORE.sub(" ", text)
    text = re.sub(r"[ \t]*\|[ \t]*", ", ", text)
    text = _CONTROL.sub("", _EMOJI.sub("", text))
    text = re.sub(r"\s+([.,;:!?])", r"\1", re.sub(r"\s+", " ", text))
    text = re.sub(r",{2,}", ",", text).strip(" ,")
    return text if any(c.isalnum() for c in text) else ""


def _host(found: re.Match[str]) -> str:
    # The stop that ends the sentence is not part of the address.
    stop = re.search(r"[.,;:!?]+$", found.group(2) or found.group(1))
    return found.group(1).rstrip(".,;:!?") + (stop.group() if stop else "")
