"""The plugin, in suites of its own."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest_plugins = ["pytester"]

INI = """
[pytest]
addopts = -p no:cacheprovider
filterwarnings = error
"""


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makeini(INI)
    return pytester


def outcomes(suite: pytest.Pytester, source: str, *arguments: str) -> pytest.RunResult:
    """Run a suite with this plugin alone: the others take seconds to be imported anew in each run."""
    suite.makepyfile(source)
    return suite.runpytest_inprocess(
        "-W",
        "error",
        "--disable-plugin-autoload",
        "-p",
        "voxengine.testing.pytest_plugin",
        *arguments,
    )


MARKED = """
import asyncio
import pytest
from voxengine.testing import VirtualClockLoop

@pytest.mark.virtual_clock
async def test_marked():
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == 3600

@pytest.mark.virtual_clock(start=7.0)
async def test_start():
    assert asyncio.get_running_loop().time() == 7.0

@pytest.mark.real_clock
async def test_real():
    assert not isinstance(asyncio.get_running_loop(), VirtualClockLoop)

async def test_by_the_fixture(virtual_clock):
    await virtual_clock.advance(5)
    assert virtual_clock.now == 5
    with virtual_clock.hold():
        pass

@pytest.mark.virtual_clock
class TestClass:
    async def test_method(self):
        await asyncio.sleep(1)

def test_plain():
    pass
"""


def test_marks_and_fixture(suite: pytest.Pytester):
    outcomes(suite, MARKED).assert_outcomes(passed=6)


def test_leaks_fail_the_test_on_both_clocks(suite: pytest.Pytester):
    source = """
import asyncio
import pytest

@pytest.mark.virtual_clock
async def test_virtual():
    asyncio.get_running_loop().call_later(4, print)

@pytest.mark.real_clock
async def test_real():
    asyncio.get_running_loop().call_later(4, print)

@pytest.mark.virtual_clock(leak_check=False)
async def test_allowed():
    asyncio.get_running_loop().call_later(4, print)
"""
    result = outcomes(suite, source)
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["*LeakError: left behind on the event loop*"])


def test_unmarked_async_tests_are_left_alone(suite: pytest.Pytester):
    source = "async def test_async():\n    pass\n"
    result = outcomes(suite, source)
    assert result.parseoutcomes().get("passed", 0) == 0


def test_the_ini_setting_takes_unmarked_async_tests(suite: pytest.Pytester):
    source = """
import asyncio
import pytest

async def test_async():
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() == 3600

def test_plain():
    pass
"""
    result = outcomes(suite, source, "-o", "voxengine_virtual_clock=true")
    result.assert_outcomes(passed=2)


def test_async_fixtures_share_the_loop_and_are_checked_after(suite: pytest.Pytester):
    source = """
import asyncio
import pytest

@pytest.fixture
async def begun():
    await asyncio.sleep(1)
    task = asyncio.create_task(asyncio.sleep(10))
    yield asyncio.get_running_loop()
    await task

@pytest.fixture
async def value(begun):
    return 42

@pytest.mark.virtual_clock
async def test_uses_them(begun, value):
    assert begun is asyncio.get_running_loop()
    assert begun.time() == 1
    assert value == 42

@pytest.fixture
async def leaky():
    yield
    asyncio.get_running_loop().call_later(4, print)

@pytest.mark.virtual_clock
async def test_leaky(leaky):
    pass

@pytest.fixture
async def broken():
    raise KeyError("broken")

@pytest.mark.virtual_clock
async def test_broken(broken):
    pass
"""
    result = outcomes(suite, source)
    result.assert_outcomes(passed=2, errors=2)
    result.stdout.fnmatch_lines(["*KeyError: 'broken'*"])


def test_a_deadlock_fails_the_test(suite: pytest.Pytester):
    source = """
import asyncio
import pytest

@pytest.mark.virtual_clock
async def test_hangs():
    await asyncio.Event().wait()
"""
    result = outcomes(suite, source)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*DeadlockError: everything waits for something that will never come*"]
    )


@settings(database=None, max_examples=5)
@given(seconds=st.integers(1, 100))
async def test_each_example_of_hypothesis_has_a_loop_of_its_own(seconds: int):
    loop = asyncio.get_running_loop()
    assert loop.time() == 0
    await asyncio.sleep(seconds)
    assert loop.time() == seconds


def test_parametrised_tests_and_fixtures(suite: pytest.Pytester):
    source = """
import pytest

@pytest.fixture(params=[1, 2])
async def number(request):
    return request.param

@pytest.mark.virtual_clock
@pytest.mark.parametrize("letter", ["a", "b"])
async def test_both(number, letter):
    assert number in (1, 2)
"""
    outcomes(suite, source).assert_outcomes(passed=4)


def test_a_mark_on_a_plain_test_is_an_error(suite: pytest.Pytester):
    source = """
import pytest

@pytest.mark.virtual_clock
def test_plain():
    pass
"""
    outcomes(suite, source).assert_outcomes(failed=1)
