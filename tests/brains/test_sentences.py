"""Cutting a stream of text into units that can be spoken."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxengine.providers.cascade.sentences import SentenceSplitter


def split(text: str, **options: int) -> list[str]:
    splitter = SentenceSplitter(**options)
    return splitter.feed(text) + splitter.flush()


# Units are written with a bar between them.
TABLE = [
    "Hello there.| How are you?| Fine!",
    "Is it?| Yes.",
    "What?!| No...| Well.",
    "Wait... what? ",
    "So… and then|\n\nthe end",
    "Mr. Smith met Mrs. Jones and Dr. No in St. Ives.| They left.",
    "J. R. R. Tolkien wrote it.| He did.",
    "So am I.| Then we go.",
    "It is 8:30 p.m.| Then we eat.",
    "At 8:30 p.m. on Monday we eat.",
    "It is in the U.S.| It is big.",
    "The U.S. Army is in the U.S. now.",
    "Pi is 3.14.| Two is 2.| Version 1.2.3 is out.",
    "It costs $5.| Buy it.",
    "e.g. this, i.e. that, etc. and so on.| Done.",
    "Apples, pears, etc.| Then milk.",
    "No. 5 is alive.| No.| I am not.",
    "Born on Jan. 3 in Ohio.| Died in Dec.| Then peace.",
    "Acme Inc. sells it.| Acme Inc.| The best.",
    'She said "Stop!" and left.| "Really?"| He did.',
    "“Why?” she asked.| “Because.”| Then she left.",
    "(It rains.)| It pours.",
    "See https://a.b/c?d=1!e.f for it.| Go to example.com.| Now.",
    "Mail me at a.b@c.org.| Thanks.",
    "1. Wash it.|\n2. Dry it.|\n3) Put it away",
    "Shopping:|\n- milk|\n- bread|\n* eggs",
    "A line that was\nonly wrapped.|\nA new one",
    "A title|\n\nand its text.",
    "Windows lines.|\r\nAnother.",
    "你好。|我很好！|「是吗？」|他说。",
    "今日は。|元気ですか?| はい。",
    "यह क्या है।| ठीक है।",
    "هل أنت بخير؟| نعم.",
    "**Bold.**| And _done_.| Yes",
    "Code:|\n```python\nprint('a. B')\n\nx = 1! y\n```|\nDone.",
    "Use ```a. B``` here.| Good.",
    "...| Yes",
    "   \n\n  Hello.| ",
    "😀 Hello! 😀| Bye",
]


def _expect(row: str) -> list[str]:
    return row.split("|")


@pytest.mark.parametrize(
    "row", [row for row in TABLE if row not in ("...| Yes", "😀 Hello! 😀| Bye", "Wait... what? ")]
)
def test_units(row):
    assert split(row.replace("|", "")) == _expect(row)


def test_signs_alone_go_with_what_follows():
    assert split("... Yes. No") == ["... Yes.", " No"]
    assert split("- - -") == ["- - -"]
    assert split(" \n ") == [" \n "]
    assert split("") == []


def test_emoji_belong_to_what_follows():
    assert split("Hello! 😀 Bye") == ["Hello!", " 😀 Bye"]


@pytest.mark.parametrize(
    ("pieces", "unit"),
    [
        (["Hello", " there", ".", " "], "Hello there."),
        (["Hi! "], "Hi!"),
        (["The U.S.", " It", " "], "The U.S."),
        (["A title\n", "\n"], "A title"),
        (["Milk\n", "B"], "Milk"),
        (["你好。", "我"], "你好。"),
    ],
)
def test_the_last_piece_is_what_it_takes(pieces, unit):
    splitter = SentenceSplitter()
    for piece in pieces[:-1]:
        assert splitter.feed(piece) == []
    assert splitter.feed(pieces[-1]) == [unit]


LONG = (
    "When the night came down over the hills, and all the birds had gone to sleep, the old man, who had walked all day,"
    " sat down."
)


def test_a_long_first_sentence_is_cut_at_its_last_clause():
    units = split(f"{LONG} {LONG}", first_chars=80)
    assert units == [
        "When the night came down over the hills, and all the birds had gone to sleep,",
        LONG[77:],
        f" {LONG}",
    ]
    assert split(LONG, first_chars=0) == [LONG]


def test_a_long_first_sentence_without_clauses_waits_for_its_end():
    text = "word " * 30 + "end."
    assert split(f"{text} Next.", first_chars=40) == [text, " Next."]


def test_no_unit_is_longer_than_the_limit():
    assert all(len(u) <= 50 for u in split("word " * 100, max_chars=50))
    assert all(len(u) <= 50 for u in split("x" * 1000, max_chars=50))
    assert (
        split("one, two three four five six", max_chars=20, first_chars=0)[0]
        == "one, two three four"
    )
    assert split("one two three, four five six", max_chars=20, first_chars=0)[0] == "one two three,"


def test_code_is_one_unit_however_long():
    code = "```\n" + "x = 1. Y\n\n" * 100 + "```"
    assert split(f"Look:\n{code}\nDone.", max_chars=50) == ["Look:", f"\n{code}", "\nDone."]


def test_limits_that_make_no_sense():
    with pytest.raises(ValueError, match="max_chars"):
        SentenceSplitter(max_chars=0)


SIGNS = [
    " ",
    " ",
    " ",
    "\n",
    "\n\n",
    "\t",
    ", ",
    " - ",
    "1. ",
    "```",
    "`",
    "**",
    "。",
    "「是？」",
    "،",
    "😀",
    ".",
    '"',
]
ATOMS = [
    "Hello",
    "the",
    "Mr.",
    "U.S.",
    "3.14",
    "p.m.",
    "I",
    "It",
    "no.",
    "5",
    "end.",
    "what?!",
    "...",
    "…",
    "“Yes.”",
]
WORDS = st.sampled_from([*SIGNS, *ATOMS, "x" * 30])
TEXTS = st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map("".join))
LIMITS = st.tuples(st.integers(0, 60), st.integers(1, 80))


@settings(max_examples=200, deadline=None)
@given(TEXTS, LIMITS, st.data())
@example("```a. B\n" + "x" * 90 + "``` c, d. E", (20, 40), None)
def test_nothing_is_lost_and_the_pieces_do_not_matter(text, limits, data):
    options = {"first_chars": limits[0], "max_chars": limits[1]}
    whole = split(text, **options)
    assert "".join(whole) == text
    assert all(whole)

    splitter = SentenceSplitter(**options)
    one_by_one = [unit for char in text for unit in splitter.feed(char)]
    rest = splitter.flush()
    assert one_by_one + rest == whole

    at = data.draw(st.integers(0, len(text))) if data is not None else len(text)
    in_two = splitter.feed(text[:at]) + splitter.feed(text[at:])
    assert (in_two, splitter.flush()) == (one_by_one, rest)


@given(TEXTS, LIMITS)
def test_units_hold_something_to_say_or_are_the_last(text, limits):
    units = split(text, first_chars=limits[0], max_chars=limits[1])
    assert all(u.strip() for u in units[:-1] if len(u) < limits[1])
