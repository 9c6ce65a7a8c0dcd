"""The provider: what is said to OpenAI's Live API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from voxengine import events as ev
from voxengine.providers.openai_live import codec
from voxengine.providers.openai_live import session as shape
from voxengine.providers.openai_live.connection import LiveConnection

__all__ = ["OpenAILiveProvider"]

#: Settings that are ours alone, and so can be changed at any time.
_LOCAL = frozenset({"transcription", "partials"})


class OpenAILiveProvider(LiveConnection):
    """OpenAI Live: a model that listens while it speaks, and decides by itself when to do which.

    The API has no turns, no responses and no commands for them. So the beginnings and ends that this provider tells of
    are its own reading of what is said (`voxengine.providers.openai_live.turns`), and a response cannot be asked for,
    called off or truncated: `interrupt` raises while one is under way. The session above stops playing it all the same.

    The user's words can only be spoken. A text of the role "system" becomes an instruction. An earlier conversation is
    given before `connect`, or not at all.

    The model calls no functions. It hands over tasks, without naming one and without a text: what is to be done is what
    was said. A task is told as a call of the tool "delegate" with the arguments {"task": the user's last words}; the
    result goes back as commentary, which the model puts into words of its own.

    Usage is the length of the session in seconds, as it is billed: `input_audio_seconds` of `UsageUpdated`, the output
    having none.

    Settings beside those of every provider: `endpoint`, `headers`, `proxy`, `ssl_context`, `token_provider`, and
    `session`, a dict of the vendor's own settings (`store`, `delegation`, `triggers`, ...).
    """

    async def send_text(self, text: str, role: str = "user") -> None:
        """Give the model an instruction (role "system"). It is not answered.

        Raises:
            UnsupportedFeatureError: another role. The API takes words of the user and of the assistant only as speech,
                or before the session starts.
        """
        socket = self.open_socket()
        if role != "system":
            raise self.unsupported(f"words of the {role} in writing, once the session has started")
        self.need_text(text)
        for piece in shape.pieces(text):
            socket.send_text(codec.encode_append("instructions", piece))

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change `transcription`, `partials`, or `tools`, as long as there is but the one that tasks are handed to.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the session starts.
        """
        self.open_socket()
        others = [t["name"] for t in config.get("tools") or () if t["name"] != shape.DELEGATE]
        if others:
            error = self.unsupported(
                f"functions other than {shape.DELEGATE!r}, such as {others[0]!r}"
            )
            error.never = True
            raise error
        self.need_changeable(config, {*_LOCAL, "tools"}, "once the session has started")
        self.config.update(**dict(config))
        self.set_local()
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Tell it how a task went. Of a long result, the end is what it is asked to say, and the rest what it knows.

        Raises:
            MessageError: no task of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._tasks)
        del self._tasks[call_id]
        *silent, spoken = shape.pieces(output)
        for piece in silent:
            socket.send_text(codec.encode_append("thinking", piece, call_id))
        socket.send_text(codec.encode_append("commentary", spoken, call_id))

    async def get_usage(self) -> dict[str, Any] | None:
        """The model, the seconds of the session so far, and how full its context is (0 to 1), where that is known."""
        used: dict[str, Any] = {
            "model": self.config.model or shape.DEFAULT_MODEL,
            "input_audio_seconds": self._seconds,
        }
        if self._context_ratio is not None:
            used["context_usage_ratio"] = self._context_ratio
        return used
