"""Text that comes in pieces: the words that can be said of it, and the words that a voice says it has said."""

from __future__ import annotations

import random
import time

import pytest

from voxengine.providers.cascade.cues import Cues
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.providers.cascade.sentences import SentenceSplitter
from voxengine.providers.cascade.speakable import speakable
from voxengine.providers.cascade.wording import Phrase, Wording

TEXTS = [
    'Hello there. It is **very nice**, really! See [the docs](https://a.b/c "x y") now. ',
    "# Title\n\n- one *thing*\n- two \N{GRINNING FACE} things\n\n```py\nx = 1\n```\nDone: 3 * 4 is 12.",
    "If a < b and b < c. Some <b class='x y'>bold words</b> at the end.",
    'Ten - 5 is 5 \u2014 ok? In the U.S. The "dog" ran... and ran. Dr. Who',
    "| a | b |\n|---|---|\n| 1 | 2 |\nAnd ~~not~~ this [1][ref], [^2] that.",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u4eca\u5929 *\u5f88\u597d*\uff01\u518d\u89c1",
    "An open [bracket that is never closed. And <the next. One ``` of code",
    " \n ",
    "",
]


def phrases(text: str, size: int) -> list[Phrase]:
    wording = Wording()
    found = []
    for start in range(0, len(text), size):
        found += wording.feed(text[start : start + size])
    return found + wording.flush()


def said(found: list[Phrase]) -> str:
    return "".join(word.said for phrase in found for word in phrase.words)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_what_is_said_is_what_is_said_of_whole_sentences(text: str, size: int) -> None:
    splitter = SentenceSplitter(first_chars=0)
    whole = [speakable(unit) for unit in (*splitter.feed(text), *splitter.flush())]
    found = phrases(text, size)
    assert "".join(phrase.text for phrase in found) == text
    assert said(found).split() == " ".join(whole).split() or not text.isascii()
    assert said(found).replace(" ", "") == "".join(whole).replace(" ", "")
    assert not said(found).startswith(" ")


def test_words_are_given_as_soon_as_they_are_over() -> None:
    wording = Wording()
    given = [said(wording.feed(piece)) for piece in ("He", "llo", " wor", "ld", ". ", "It", " is")]
    assert given == ["", "", "Hello", "", " world.", "", " It"]
    assert said(wording.flush()) == " is"


def test_what_may_be_part_of_something_larger_waits_until_that_is_whole() -> None:
    wording = Wording()
    pieces = ("See [the", " docs", "](http://x.y", " 'z')", " now", " <b", " c>", "it", " is")
    assert [said(wording.feed(piece)) for piece in pieces] == [
        *("See", "", "", "", " the docs", " now", "", "", " it"),
    ]


def test_any_text_in_any_pieces_is_whole_and_nothing_is_slow() -> None:
    rng = random.Random(7)
    parts = [
        "word ",
        "w. ",
        "*",
        "_",
        "[",
        "](",
        ")",
        "<",
        ">",
        "`",
        "```",
        "\n",
        "- ",
        "# ",
        "1. ",
    ]
    parts += [
        "\N{GRINNING FACE}",
        "\u4f60",
        "\u3002",
        ", ",
        "? ",
        "|",
        "3 * 4",
        "&amp;",
        "http://a.b/c ",
    ]
    for _ in range(300):
        text = "".join(rng.choices(parts, k=rng.randrange(40)))
        found = phrases(text, rng.randrange(1, 9))
        assert "".join(phrase.text for phrase in found) == text
        letters = "".join(c for c in said(found) if c.isalnum())
        assert letters == "" or any(c.isalnum() for c in text)
    began = time.process_time()
    phrases("x = 1\n" * 20 + "```" + "code and more code " * 500, 4)
    assert time.process_time() - began < 2.0


def cues(text: str) -> Cues:
    found = Cues()
    for phrase in phrases(text, 1000):
        for word in phrase.words:
            found.add(word)
    return found


def hear(cue: Cues, *words: str) -> list[tuple[str, float, float] | None]:
    lines = [cue.hear(SpokenWord(w, n * 100.0, n * 100.0 + 90)) for n, w in enumerate(words)]
    return [None if line is None else (line.text, line.start_ms, line.end_ms) for line in lines]


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["well-known", "words", "here"],
            [("A **well-known**", 0, 90), (" words", 100, 190), (" here.", 200, 290)],
        ),
        (
            ["A ", "well-", "known ", "WORDS ", "here."],
            [("A", 0, 90), None, (" **well-known**", 100, 290), (" words", 300, 390)],
        ),
        (
            ["A well-known", " words here"],
            [("A **well-known**", 0, 90), (" words here.", 100, 190)],
        ),
        (["a", "famous", "words"], [("A", 0, 90), None, (" **well-known** words", 100, 290)]),
        (["uh", "?", "a"], [None, None, ("A", 0, 290)]),
    ],
    ids=["skipped", "in parts", "joined", "other words", "unknown first"],
)
def test_words_of_the_voice_are_found_in_the_text(
    words: list[str], lines: list[tuple[str, float, float] | None]
) -> None:
    text = "A **well-known** words here."
    cue = cues(text)
    assert hear(cue, *words)[: len(lines)] == lines
    told = "".join(line[0] for line in lines if line is not None)
    if len(words) == len(lines):
        assert told + cue.rest() == text


def test_the_text_up_to_what_was_heard() -> None:
    cue = cues("One **two**, three. Four.")
    assert cue.up_to("one two", 0) == "One **two**,"
    assert cue.up_to("three", 2) == "One **two**, three."
    assert cue.up_to("two thr", 1) == "One two thr"
    assert cue.up_to("", 0) == ""
