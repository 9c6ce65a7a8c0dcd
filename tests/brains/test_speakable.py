"""What a voice says of a text that was written for the eye."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxengine.providers.cascade.speakable import speakable

TABLE = [
    ("Plain text, with 3.14 and it's fine.", "Plain text, with 3.14 and it's fine."),
    ("**Bold** and *it* and __it__ and _it_ and ~~no~~.", "Bold and it and it and it and no."),
    ("Call `run()` now", "Call run() now"),
    ("Before\n```py\nx = 1\n```\nafter", "Before after"),
    ("```py\nx = 1", ""),
    ('[the docs](https://a.b/c_d?e=f "T") say', "the docs say"),
    ("![a cat](cat.png) here", "a cat here"),
    ("[one][1] and two[^2]", "one and two"),
    ("See https://www.example.com/a/b?c=d.", "See example.com."),
    ("See <http://example.com>, or not", "See example.com, or not"),
    ("# Title #\n\n- one\n* two\n+ [x] three\n> quote", "Title one two three quote"),
    ("1. first", "1. first"),
    ("| a | b |\n|---|:-:|\n| c | d |", "a, b, c, d"),
    ("one\n\n---\n\ntwo", "one two"),
    ("2 * 3 and 4*5", "2 times 3 and 4 times 5"),
    ("snake_case", "snake case"),
    (r"\*not bold\*", "not bold"),
    ("<b>Hi</b> &amp; bye<br/>now", "Hi & bye now"),
    ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
    ("Great 😀👍🏽👨‍👩‍👧!", "Great!"),
    ("😀 🇩🇪 ❤️", ""),
    ("1️⃣ first", "1 first"),
    ("a → b ✓", "a b"),
    ("你好 🎉", "你好"),
    ("പ്രകാശം ക്‍ഷ", "പ്രകാശം ക്‍ഷ"),
    ("\ufeffzero\u200bwidth\x07", "zerowidth"),
    ("?!...", ""),
    ("  a   b\t c\n", "a b c"),
    ("", ""),
]


@pytest.mark.parametrize(("text", "spoken"), TABLE)
def test_table(text, spoken):
    assert speakable(text) == spoken


@given(st.text(max_size=300))
def test_never_fails_and_never_leaves_a_line(text):
    spoken = speakable(text)
    assert "\n" not in spoken
    assert spoken == spoken.strip()
    assert not spoken or any(c.isalnum() for c in spoken)


@given(st.text(alphabet="ab 12'", max_size=100))
def test_words_are_kept(text):
    assert speakable(text).split() == (text.split() if any(c.isalnum() for c in text) else [])
