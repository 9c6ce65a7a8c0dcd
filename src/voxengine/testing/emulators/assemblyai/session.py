"""One session of the emulated Voice Agent."""

from __future__ import annotations

import binascii
import json
import re
import uuid
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pybase64

from voxengine.audio.formats import AudioFormat
from voxengine.clock import Clock
from voxengine.providers.cascade.parts import SpokenWord
from voxengine.testing.emulators.model_types import Call
from voxengine.testing.emulators.vendor_session import VendorSession

__all__ = ["AgentSession"]

_FORMATS = {
    "audio/pcm": AudioFormat("pcm16", 24000),
    "audio/pcmu": AudioFormat("g711_ulaw", 8000),
    "audio/pcma": AudioFormat("g711_alaw", 8000),
}
#: Of the configuration, what cannot be changed in a session.
_IMMUTABLE = (("greeting",), ("output", "voice"), ("output", "format"))
#: Replies that may be asked for while one is under way.
_MAX_ASKED = 64

_WRITTEN = re.compile(
    r"The user has just written the following, and waits for an answer to it: (.*)", re.DOTALL
)


class AgentSession(VendorSession):
    """The server's side of one connection.

    Attributes:
        session_id: the vendor's id of the session, "" before it stands.
        config: the session's configuration, as it was told.
    """

    def opened(self) -> None:
        """The server says nothing before it is told what the agent is to be, unless the key is wrong."""
        self.session_id = ""
        self.config: dict[str, Any] = {}
        self._finished = False
        self._user_id = self._reply_id = self._item_id = ""
        #: Replies that were asked for while one was under way.
        self._asked: deque[str | None] = deque(maxlen=_MAX_ASKED)
        if not self.emulator.knows(self.request):  # type: ignore[attr-defined]
            self._refuse("UNAUTHORIZED", "the API key is not valid")

    def closed(self) -> None:
        """The session is kept for a while, unless it was ended."""
        if self.model is not None and not self._finished:
            self.emulator.keep(self.session_id, self.config, self.model.memory)  # type: ignore[attr-defined]

    def _refuse(self, code: str, words: str) -> None:
        self._finished = True
        self.send(self.error_message(code, words))
        self.end(1008, code)

    # -- the client

    def received(self, message: dict[str, Any]) -> None:
        """A message of the client."""
        if self._finished:
            return
        kind = message["type"]
        if self.model is None:
            self._begin(kind, message)
        elif kind == "input.audio":
            self._audio(message["audio"])
        elif kind == "session.update":
            self._change(message["session"])
        elif kind == "tool.result":
            self._returned(message["call_id"], message["result"])
        elif kind == "reply.create":
            self._reply(message.get("instructions"))
        elif kind == "session.end":
            self._finish()
        elif kind == "session.resume":
            self.error("invalid_format", "session.resume has to be the first message")
        # `conversation.message` is accepted, and does not reach the model.

    def _begin(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "session.resume":
            kept = self.emulator.taken_up(message["session_id"])  # type: ignore[attr-defined]
            if kept is None:
                self._refuse("session_not_found", "the session is not known any more")
                return
            self.config, memory, greets = kept.config, kept.memory, False
            self.session_id = message["session_id"]
        elif kind == "session.update":
            session, memory, greets = message["session"], [], True
            if "agent_id" in session:
                stored = self.emulator.settings.agents.get(session["agent_id"])
                if stored is None or len(session) > 1:
                    code = "agent_not_found" if stored is None else "agent_id_not_first"
                    self._refuse(code, "the agent cannot be bound")
                    return
                session = stored
            self.config = _merged({}, session)
            self.session_id = f"sess_{uuid.uuid4().hex}"
        else:
            self.error("invalid_format", "the first message is session.update or session.resume")
            return
        self._stand(memory, greets)

    def _stand(self, memory: Iterable[tuple[str, str]], greets: bool) -> None:
        settings = self.emulator.settings
        greeting = self.config.get("greeting", settings.greeting)
        model = self.make_model(
            self._format("input"), self._format("output"), greeting=greeting or ""
        )
        model.parallel = False
        model.history(memory)
        self._configure()
        expires = Clock().wall() + settings.lifetime_s
        if greets:
            self.send({"type": "session.updated", "config": self.config})
        self.send(
            {
                "type": "session.ready",
                "session_id": self.session_id,
                "config": self.config,
                "expires_at": expires,
            }
        )
        self.later("lifetime", settings.lifetime_s, self._expire)
        if greets:
            model.greet()

    def _format(self, side: str) -> AudioFormat:
        return _FORMATS[self.config.get(side, {}).get("format", {}).get("encoding", "audio/pcm")]

    def _change(self, session: Mapping[str, Any]) -> None:
        if "agent_id" in session:
            self.error("agent_id_not_first", "agent_id is a matter of the first session.update")
            return
        for path in _IMMUTABLE:
            value = _at(session, path)
            if value is not None and value != _at(self.config, path):
                self.error("immutable_field", f"{'.'.join(path)} cannot be changed")
                return
        self.config = _merged(self.config, session)
        self._configure()
        self.send({"type": "session.updated", "config": self.config})

    def _configure(self) -> None:
        model, config = self.model, self.config
        assert model is not None
        model.instructions = config.get("system_prompt", "")
        model.voice_name = config.get("output", {}).get("voice")
        model.tools = [tool["name"] for tool in config.get("tools", ())]
        detection = config.get("input", {}).get("turn_detection") or {}
        silence = detection.get("min_silence") or self.emulator.settings.silence_ms
        model.configure(
            silence_ms=float(silence), interrupts=detection.get("interrupt_response", True)
        )

    def _audio(self, data: str) -> None:
        assert self.model is not None
        try:
            audio = pybase64.b64decode(data, validate=True)
        except binascii.Error:
            self.error("invalid_audio", "the audio is no base64")
            return
        self.model.hear(audio)

    def _returned(self, call_id: str, result: str) -> None:
        assert self.model is not None
        try:
            found = json.loads(result)
        except ValueError:
            self.error("invalid_value", "result is JSON text")
            return
        output = found if isinstance(found, str) else result
        if not self.model.tool_result(call_id, output):
            self.error("invalid_value", f"no call {call_id} is waiting")

    def _reply(self, instructions: str | None) -> None:
        """One that is asked for while another is under way waits for its end."""
        model = self.model
        assert model is not None
        if model.active is not None:
            self._asked.append(instructions)
            return
        # A model takes what the user has written for what it is.
        written = _WRITTEN.fullmatch(instructions) if instructions else None
        if written is None:
            model.respond(instructions)
        else:
            model.text(written[1])

    def _finish(self) -> None:
        self._finished = True
        self.send(self._farewell())
        self.end(1000)

    def _expire(self) -> None:
        self._finished = True
        for message in self.expiry_messages():
            self.send(message)
        self.end(1008, "session_expired")

    def invalid(self, problems: Sequence[str], message: Any) -> None:
        """A message that is not valid."""
        self.error("invalid_format", problems[0])

    def error_message(self, code: str, message: str) -> dict[str, Any]:
        """How the Voice Agent tells an error."""
        now = Clock().wall()
        return {"type": "session.error", "code": code, "message": message, "timestamp": now}

    def expiry_messages(self) -> Iterable[dict[str, Any]]:
        """The longest time of a session has passed."""
        self._finished = True
        words = "the session has lasted too long"
        return [self.error_message("session_expired", words), self._farewell()]

    def _farewell(self) -> dict[str, Any]:
        return {
            "type": "session.ended",
            "session_duration_seconds": self.now_ms() / 1000,
            "audio_duration_seconds": None,
            "timestamp": Clock().wall(),
        }

    # -- the model's ears

    def on_speech_started(self, audio_ms: float) -> None:
        """The user began to speak."""
        self._user_id = f"msg_{uuid.uuid4().hex}"
        self.send({"type": "input.speech.started"})

    def on_speech_stopped(self, audio_ms: float) -> None:
        """The user's turn is over."""
        self.send({"type": "input.speech.stopped"})

    def on_user_partial(self, text: str) -> None:
        """Words so far."""
        self.send({"type": "transcript.user.delta", "item_id": self._user_id, "text": text})

    def on_user_text(self, text: str) -> None:
        """All words of a turn."""
        if text:
            self.send({"type": "transcript.user", "item_id": self._user_id, "text": text})

    # -- the model's mouth

    def on_reply_started(self, reply_id: str) -> None:
        """A reply begins."""
        self._reply_id, self._item_id = f"resp_{uuid.uuid4().hex}", f"msg_{uuid.uuid4().hex}"
        self.send({"type": "reply.started", **self._ids()})

    def on_audio(self, audio: bytes, words: Sequence[SpokenWord]) -> None:
        """A piece of audio."""
        self.send({"type": "reply.audio", "data": pybase64.b64encode(audio).decode()})

    def on_words(self, text: str, start_ms: float, end_ms: float) -> None:
        """A word."""
        place = {"start_ms": round(start_ms), "end_ms": round(end_ms)}
        delta = {"type": "transcript.agent.delta", "delta": text.strip()}
        self.send({**delta, **self._ids(), **place})

    def on_tool_calls(self, calls: list[Call]) -> None:
        """It wants results."""
        for call in calls:
            arguments = call.arguments
            one = {"call_id": call.id, "name": call.name, "arguments": arguments}
            self.send({"type": "tool.call", **one})

    def on_reply_ended(self, status: str, text: str) -> None:
        """The reply has ended. One that failed ends as one that was cut short: there is no third way."""
        interrupted = status != "completed"
        if text:
            words = {"text": text, "interrupted": interrupted}
            self.send({"type": "transcript.agent", **self._ids(), **words})
        how = "interrupted" if interrupted else "completed"
        self.send({"type": "reply.done", "reply_id": self._reply_id, "status": how})
        if self._asked and not self._finished:
            self.later("asked", 0.0, self._next)

    def _next(self) -> None:
        """The next of the replies that were asked for."""
        if self._asked and self.model is not None and self.model.active is None:
            self._reply(self._asked.popleft())

    def _ids(self) -> dict[str, str]:
        return {"reply_id": self._reply_id, "item_id": self._item_id}


def _merged(config: Mapping[str, Any], session: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(config)
    for name, value in session.items():
        old = result.get(name)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return result


def _at(session: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = session
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found
