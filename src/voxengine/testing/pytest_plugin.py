"""The pytest plugin: async tests on a virtual clock, with a check that they leave nothing behind.

    @pytest.mark.virtual_clock          one test (or class, or `pytestmark` of a module)
    voxengine_virtual_clock = true      in the ini file: all async tests that no other plugin's mark claims
    @pytest.mark.real_clock             an async test on an ordinary event loop, also with the leak check

Both marks take `leak_check=False`; `virtual_clock` also `start=`, `max_virtual=` and `max_real=` (seconds). The fixture
`virtual_clock` gives the test its clock. Async fixtures of these tests run on the test's own loop.

Other async plugins are left alone: what is marked for `asyncio`, `anyio` or `trio` is theirs.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

import pytest

# The loop itself is imported when a test needs it: a plugin must not slow down suites that do not use it.

_RUNNER = pytest.StashKey["_TestRunner"]()
_THEIRS = ("asyncio", "anyio", "trio")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini setting."""
    parser.addini(
        "voxengine_virtual_clock",
        "run async tests on VoxEngine's virtual clock unless they are marked otherwise",
        type="bool",
        default=False,
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    config.addinivalue_line(
        "markers",
        "virtual_clock(start, max_virtual, max_real, leak_check): run an async test on a virtual clock",
    )
    config.addinivalue_line(
        "markers", "real_clock(leak_check): run an async test on an ordinary event loop"
    )


class VirtualClock:
    """What the fixture `virtual_clock` gives: the test's clock."""

    def __init__(self, loop: Any) -> None:
        #: The `VirtualClockLoop` of the test.
        self.loop = loop

    @property
    def now(self) -> float:
        """Virtual seconds."""
        return float(self.loop.time())

    async def advance(self, seconds: float) -> None:
        """Let time pass; what is due by then has happened when this returns."""
        from voxengine.testing.clock import advance

        await advance(seconds)

    def hold(self) -> AbstractContextManager[None]:
        """While open, time stands still and the loop waits for what is done elsewhere."""
        held: AbstractContextManager[None] = self.loop.hold()
        return held


@pytest.fixture
def virtual_clock(request: pytest.FixtureRequest) -> VirtualClock:
    """The virtual clock of this test, which need not be marked then."""
    runner = _runner_of(request.node)
    if runner is None or not runner.virtual:
        raise pytest.UsageError("the fixture virtual_clock is for async tests on the virtual clock")
    return VirtualClock(runner.loop)


class _TestRunner:
    """The event loop of one test."""

    def __init__(self, virtual: bool, options: dict[str, Any]) -> None:
        self.virtual = virtual
        self.leak_check = bool(options.pop("leak_check", True))
        self.fixtures = False
        self._runner = asyncio.Runner(loop_factory=lambda: _make_loop(virtual, options))

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        return self._runner.get_loop()

    def run(self, coroutine: Any) -> Any:
        return self._runner.run(coroutine)

    def check(self) -> None:
        """Fail if something is left. While async fixtures are open it cannot be known; then it is done after them."""
        if self.leak_check:
            from voxengine.testing.leaks import check_leaks, settle

            self.run(settle())
            check_leaks(self.loop)

    def close(self) -> None:
        self._runner.close()


def _make_loop(virtual: bool, options: dict[str, Any]) -> asyncio.AbstractEventLoop:
    if not virtual:
        return asyncio.SelectorEventLoop()
    from voxengine.testing.clock import VirtualClockLoop

    return VirtualClockLoop(**options)


def _runner_of(item: Any) -> _TestRunner | None:
    """The runner of a test that is ours, made when it is first asked for; None for a test that is not."""
    if not isinstance(item, pytest.Function):
        return None
    runner = item.stash.get(_RUNNER, None)
    if runner is None:
        real, virtual = (
            item.get_closest_marker("real_clock"),
            item.get_closest_marker("virtual_clock"),
        )
        if real is None and virtual is None and not _claimed(item):
            return None
        mark = virtual if real is None else real
        runner = _TestRunner(real is None, dict(mark.kwargs) if mark is not None else {})
        item.stash[_RUNNER] = runner
    return runner


def _claimed(item: pytest.Function) -> bool:
    """Whether a test without our marks is ours all the same: by the fixture, or by the ini setting."""
    if any(item.get_closest_marker(name) for name in _THEIRS):
        return False
    if "virtual_clock" in item.fixturenames:
        return True
    return bool(item.config.getini("voxengine_virtual_clock")) and _async_function(item) is not None


def _async_function(item: pytest.Function) -> Callable[..., Any] | None:
    """The coroutine function of a test, also under another plugin's wrapper; None where there is none."""
    function: Any = item.obj
    for candidate in (function, getattr(function, "__wrapped__", None)):
        if candidate is not None and inspect.iscoroutinefunction(candidate):
            return candidate  # type: ignore[no-any-return]
    return None if _hypothesis_test(function) is None else function


def _hypothesis_test(function: Any) -> Any:
    """Hypothesis hides the coroutine function behind a plain one of its own."""
    handle = getattr(function, "hypothesis", None)
    inner = getattr(handle, "inner_test", None)
    return handle if inspect.iscoroutinefunction(inner) else None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that is ours."""
    runner = _runner_of(pyfuncitem)
    if runner is None:
        return None
    handle = _hypothesis_test(pyfuncitem.obj)
    if handle is not None:
        handle.inner_test = _one_loop_each(handle.inner_test, runner)
        return None
    function = _async_function(pyfuncitem)
    if function is None:
        raise pytest.UsageError(
            f"{pyfuncitem.nodeid} is marked for an event loop, but is no async function"
        )
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    runner.run(function(**arguments))
    if not runner.fixtures:
        runner.check()
    return True


def _one_loop_each(function: Callable[..., Any], outer: _TestRunner) -> Callable[..., None]:
    """A plain function that runs a coroutine function on a loop of its own: one for each of Hypothesis' examples."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> None:
        runner = _TestRunner(outer.virtual, {"leak_check": outer.leak_check})
        try:
            runner.run(function(*args, **kwargs))
            runner.check()
        finally:
            runner.close()

    return call


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """Close the loop after the test's fixtures; what these left behind is found here."""
    yield
    runner = item.stash.get(_RUNNER, None)
    if runner is None:
        return
    del item.stash[_RUNNER]
    try:
        if runner.fixtures:
            runner.check()
    finally:
        runner.close()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, object, object]:
    """Run an async fixture of one of our tests on the test's loop: pytest is given a plain function in its place."""
    function: Any = fixturedef.func
    is_async = inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function)
    runner = _runner_of(request.node) if is_async and fixturedef.scope == "function" else None
    if runner is None:
        return (yield)
    runner.fixtures = True
    definition: Any = fixturedef
    definition.func = _plain_fixture(_bound(function, request.instance), runner)
    try:
        return (yield)
    finally:
        definition.func = function


def _bound(function: Any, instance: Any) -> Any:
    """A method of the test's class belongs to the test's own instance, not to the one that pytest found it on."""
    own = hasattr(function, "__self__") and isinstance(instance, type(function.__self__))
    return function.__func__.__get__(instance) if own else function


def _plain_fixture(function: Any, runner: _TestRunner) -> Callable[..., Any]:
    def value(**arguments: Any) -> Any:
        return runner.run(function(**arguments))

    def steps(**arguments: Any) -> Generator[Any, None, None]:
        generator = function(**arguments)
        while True:
            try:
                step = runner.run(anext(generator))
            except StopAsyncIteration:
                return
            yield step

    return steps if inspect.isasyncgenfunction(function) else value
