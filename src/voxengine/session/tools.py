"""The application's tools: described by their type hints and docstring, run with a time limit."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import functools
import inspect
import json
import re
import threading
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from voxengine.errors import ConfigurationError, ToolError
from voxengine.session.effects import ToolFinished

__all__ = ["Tool", "Toolbox"]

#: Plain functions that may be running at once; each has a thread, and one that hangs keeps it.
MAX_THREADS = 32
#: Bytes of a result that the assistant is told; beyond that no model would read it.
MAX_RESULT = 256 * 1024
#: Characters of an error's message that it is told.
MAX_WORDS = 1000

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class Tool:
    """One tool.

    Raises:
        ToolError: the function cannot be described (its message says which parameter and why).
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        responds: bool = True,
    ) -> None:
        self.function = function
        self.name: str = name or str(getattr(function, "__name__", ""))
        if not _NAME.fullmatch(self.name):
            raise ToolError(
                f"a tool's name is 1 to 64 letters, digits, '_' or '-', not {self.name!r}"
            )
        if timeout is not None and timeout <= 0:
            raise ToolError(
                f"tool {self.name!r}: a timeout is a number of seconds above 0, not {timeout!r}"
            )
        text, about = _read_docstring(inspect.getdoc(_without_partial(function)) or "")
        self.description = description or text
        #: Seconds that a call may take; None is the engine's default.
        self.timeout = timeout
        #: Whether the assistant goes on when it has the result; else only a request makes it.
        self.responds = responds
        self._types = {} if parameters is not None else _parameter_types(self.name, function)
        #: JSON schema of the arguments.
        self.parameters: dict[str, Any] = (
            dict(parameters) if parameters is not None else _schema(self.name, self._types, about)
        )
        call = getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__ is one too
        self.is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)

    def schema(self) -> dict[str, Any]:
        """What a provider is told: name, description, parameters; and `responds`, where that is False."""
        told = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return told if self.responds else {**told, "responds": False}

    def arguments(self, text: str) -> dict[str, Any]:
        """The arguments in JSON text, as the types that the function names.

        Raises:
            ToolError: it is not the JSON of one object, or a value does not fit.
        """
        try:
            values = msgspec.json.decode(text or "{}")
        except msgspec.DecodeError as failure:
            raise ToolError(
                f"the arguments of {self.name!r} are not valid JSON: {failure}"
            ) from None
        if not isinstance(values, dict):
            raise ToolError(f"the arguments of {self.name!r} are a JSON object, not {text[:80]}")
        if not self._types:
            return values
        unknown = [name for name in values if name not in self._types]
        if unknown:
            raise ToolError(
                f"{self.name!r} has no argument {unknown[0]!r}; it has {', '.join(self._types)}"
            )
        for name, (kind, required) in self._types.items():
            if name in values:
                try:
                    values[name] = msgspec.convert(values[name], kind, strict=False)
                except (msgspec.ValidationError, TypeError) as failure:
                    raise ToolError(f"argument {name!r} of {self.name!r}: {failure}") from None
            elif required:
                raise ToolError(f"{self.name!r} lacks its argument {name!r}")
        return values


class Toolbox:
    """The tools of an application, and the calls that are running."""

    def __init__(self, default_timeout: float = 30.0) -> None:
        self.default_timeout = default_timeout
        self._tools: dict[str, Tool] = {}
        #: Schemas of tools that the provider is told of, and that have no function here.
        self._declared: list[dict[str, Any]] = []
        #: Tools that were offered to one response alone, the last that had any.
        self._lent: dict[str, Tool] = {}
        self._threads = _DaemonThreads(MAX_THREADS)

    def add(self, tool: Tool) -> None:
        """Offer a tool; one of the same name is replaced."""
        self._tools[tool.name] = tool

    def replace(self, tools: Sequence[Tool], declared: Sequence[dict[str, Any]] = ()) -> None:
        """Offer these tools and no others; `declared` are schemas of some that have no function here."""
        self._tools = {tool.name: tool for tool in tools}
        self._declared = [s for s in declared if s.get("name") not in self._tools]

    def lend(self, tools: Iterable[Any]) -> list[dict[str, Any]]:
        """The schemas of what is offered to one response alone, tools or schemas. Calls of the tools are run."""
        given = list(tools)
        self._lent = {tool.name: tool for tool in given if isinstance(tool, Tool)}
        return [one.schema() if isinstance(one, Tool) else dict(one) for one in given]

    def resolved(self, given: Iterable[Any]) -> tuple[list[Tool], list[dict[str, Any]]]:
        """Tools, functions and schemas as tools, and the schemas of those that have no function.

        Raises:
            ToolError: a function cannot be described. ConfigurationError: something is neither.
        """
        tools: list[Tool] = []
        declared: list[dict[str, Any]] = []
        for one in given:
            if isinstance(one, Tool):
                tools.append(one)
            elif isinstance(one, Mapping):
                known = self._tools.get(str(one.get("name")))
                if known is not None:
                    tools.append(known)
                else:
                    declared.append(dict(one))
            elif callable(one):
                tools.append(Tool(one))
            else:
                raise ConfigurationError(
                    f"tools are functions, Tool objects and JSON schemas, not {type(one).__name__}"
                )
        return tools, declared

    @property
    def offered(self) -> tuple[list[Tool], list[dict[str, Any]]]:
        """What `replace` was given."""
        return list(self._tools.values()), list(self._declared)

    @property
    def silent(self) -> frozenset[str]:
        """Names of the tools after whose results no answer is asked for."""
        known = {**self._lent, **self._tools}
        return frozenset(name for name, tool in known.items() if not tool.responds)

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def schemas(self) -> list[dict[str, Any]]:
        """All tools as a provider is told of them."""
        return [*(tool.schema() for tool in self._tools.values()), *self._declared]

    async def run(self, call_id: str, name: str, arguments: str) -> ToolFinished:
        """Run a call. Whatever goes wrong becomes a report that the assistant can be told; only cancellation raises."""
        clock = asyncio.get_running_loop().time
        started = clock()
        code, words = "raised", ""
        limit = self.default_timeout
        try:
            tool = self._tools.get(name) or self._lent.get(name)
            if tool is None:
                known = ", ".join(self._tools) or "none"
                code = "unknown_tool"
                raise ToolError(f"there is no tool {name!r}; there are: {known}")
            limit = tool.timeout or self.default_timeout
            code = "bad_arguments"
            values = tool.arguments(arguments)
            code = "raised"
            async with asyncio.timeout(limit) as budget:
                result = await self._call(tool, values)
            code = "bad_result"
            output = as_output(name, result)
            return ToolFinished(call_id, output, duration_ms=(clock() - started) * 1000)
        except TimeoutError as failure:
            expired = code == "raised" and budget.expired()
            code, words = (
                ("timeout", f"no result within {limit:g} s") if expired else (code, _words(failure))
            )
        except asyncio.CancelledError as failure:
            # That of this call, unless the tool waited for something that was cancelled.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            words = _words(failure)
        except (Exception, SystemExit) as failure:
            words = _words(failure)
        output = msgspec.json.encode({"error": words}).decode()
        return ToolFinished(
            call_id, output, code, f"tool {name!r}: {words}", (clock() - started) * 1000
        )

    async def _call(self, tool: Tool, values: dict[str, Any]) -> Any:
        if tool.is_async:
            return await tool.function(**values)
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(
            self._threads, lambda: context.run(tool.function, **values)
        )
        return await result if inspect.isawaitable(result) else result


class _DaemonThreads(concurrent.futures.Executor):
    """A thread for each call, that does not keep the process alive: a tool that hangs must not hang the exit."""

    def __init__(self, limit: int) -> None:
        self._free = threading.Semaphore(limit)

    def submit(
        self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> concurrent.futures.Future[Any]:
        if not self._free.acquire(blocking=False):
            raise ToolError(
                f"{MAX_THREADS} tools are running already and none has ended; they seem to hang"
            )
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def work() -> None:
            try:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(fn(*args, **kwargs))
                    except StopIteration as failure:  # which a future cannot hold
                        future.set_exception(RuntimeError(_words(failure)))
                    except BaseException as failure:
                        future.set_exception(failure)
            finally:
                self._free.release()

        threading.Thread(target=work, name="voxengine-tool", daemon=True).start()
        return future


def as_output(name: str, result: Any) -> str:
    """What the assistant is told of a result: text as it is, anything else as JSON.

    Raises:
        ToolError: JSON cannot hold it, or it is too long to be told.
    """
    if result is None:
        return '{"ok": true}'
    try:
        if isinstance(result, str):
            output = result
        else:
            # Bytes stay what they are, so that they are refused, as NaN is: neither is JSON.
            plain = msgspec.to_builtins(result, builtin_types=(bytes, bytearray, memoryview))
            output = json.dumps(plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        size = len(output.encode())
    except (TypeError, ValueError, RecursionError, OverflowError, msgspec.MsgspecError) as failure:
        kind = type(result).__name__
        raise ToolError(
            f"the result of {name!r}, a {kind}, is not JSON: {_words(failure)}"
        ) from None
    if size > MAX_RESULT:
        raise ToolError(f"the result of {name!r} is {size} bytes; at most {MAX_RESULT} can be told")
    return output


def _words(failure: BaseException) -> str:
    """What an exception says, fit to be sent."""
    name = type(failure).__name__
    try:
        text = str(failure)
    except Exception:
        text = ""
    if not isinstance(failure, ToolError):
        text = f"{name}: {text}" if text else name
    # A path, say, can hold what UTF-8 cannot.
    return (text or name)[:MAX_WORDS].encode("utf-8", "replace").decode()


# -- describing a function


def _parameter_types(name: str, function: Callable[..., Any]) -> dict[str, tuple[Any, bool]]:
    """Of each parameter: its type, and whether it has to be given."""
    try:
        hints = typing.get_type_hints(_code_of(function), include_extras=True)
    except Exception as failure:
        raise ToolError(f"tool {name!r}: its type hints cannot be read: {failure}") from None
    types: dict[str, tuple[Any, bool]] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.kind is parameter.POSITIONAL_ONLY:
            raise ToolError(f"tool {name!r}: parameter {parameter.name!r} cannot be given by name")
        types[parameter.name] = (
            hints.get(parameter.name, str),
            parameter.default is parameter.empty,
        )
    return types


def _without_partial(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _code_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the type hints are: of an object that can be called, at its `__call__`."""
    function = _without_partial(function)
    return function if inspect.isroutine(function) else type(function).__call__


def _schema(name: str, types: dict[str, tuple[Any, bool]], about: dict[str, str]) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    definitions: dict[str, Any] = {}
    for parameter, (kind, _) in types.items():
        try:
            (schema,), found = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
        except TypeError as failure:
            raise ToolError(
                f"tool {name!r}: parameter {parameter!r} has no JSON form: {failure}"
            ) from None
        definitions.update(found)
        if parameter in about:
            schema = {**schema, "description": about[parameter]}
        properties[parameter] = schema
    result: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [p for p, (_, required) in types.items() if required],
        "additionalProperties": False,
    }
    return {**result, "$defs": definitions} if definitions else result


_SECTION = re.compile(
    r"^(args|arguments|parameters|returns?|raises|yields?|examples?|notes?)\s*:?\s*$", re.IGNORECASE
)
_GOOGLE = re.compile(r"^\s+\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.+)$")
_SPHINX = re.compile(r"^\s*:param\s+(?:[^:]*\s)?(\w+)\s*:\s*(.+)$")


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description, and what is said of each parameter, in Google's or Sphinx's way of writing."""
    description: list[str] = []
    about: dict[str, str] = {}
    section = current = ""
    for line in text.splitlines():
        heading = _SECTION.match(line)
        if heading:
            section, current = heading[1].lower(), ""
        elif found := _SPHINX.match(line) or (
            _GOOGLE.match(line) if section in _ARGUMENTS else None
        ):
            current = found[1]
            about[current] = found[2].strip()
        elif current and line.startswith(("    ", "\t")) and line.strip():
            about[current] += " " + line.strip()
        elif not section and not line.lstrip().startswith(":"):
            description.append(line.strip())
    return " ".join(" ".join(description).split()), about


_ARGUMENTS = ("args", "arguments", "parameters")
