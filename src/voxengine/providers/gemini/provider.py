"""The provider: what is said on a connection to Gemini Live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from voxengine import events as ev
from voxengine.conversation.items import Item
from voxengine.errors import MessageError
from voxengine.providers.gemini import codec, shape
from voxengine.providers.gemini.connection import MAX_NOTES, GeminiConnection

__all__ = ["MAX_NOTES", "GeminiProvider"]

#: Settings that are ours alone, and those that the vendor takes in mid-conversation.
_LOCAL = frozenset({"transcription", "partials", "vad_events"})
_CONTEXT = frozenset({"instructions", "tools"})


class GeminiProvider(GeminiConnection):
    """Gemini Live, at Google's AI for developers or (`vertex`) on Vertex AI.

    The vendor finds the user's turns and answers them by itself; it always speaks. With `turn_detection="none"`,
    `commit_audio` ends a turn, which is answered, too. What is written waits for the end of the answer under way, for
    whatever is put into the conversation ends it.

    There is no role for the application's own words. A text of the role "system" becomes a part of the instructions
    where the model lets them change (the prompt is then read anew), else a marked note in the user's name.

    An interrupted answer is known to the vendor as far as it has sent it. With `correct_heard`, a note tells it what
    was heard; otherwise only the next connection is told.

    Options, as keywords or in `metadata`, beside the settings of every provider:

    - vertex, project, location: Vertex AI in a project of one's own; token_provider: a function that returns an access
      token, by default the credentials that `google-auth` finds (extra `google`).
    - endpoint, headers, proxy, ssl_context, connect_timeout, api_version, resume.
    - vad: start_of_speech_sensitivity and end_of_speech_sensitivity ("high", "low"), prefix_padding_ms (how long speech
      lasts before it is taken for it), silence_duration_ms.
    - tool_behavior ("blocking", "non_blocking"), tool_scheduling ("silent", "when_idle", "interrupt"): of the latter.
    - correct_heard: see above. thinking: the vendor's thinkingConfig. compression: its contextWindowCompression.
    - setup: a dict that is laid over the session's, in the vendor's own words.

    `api_key` may be an ephemeral token ("auth_tokens/...").
    """

    # -- audio

    def encode_audio(self, audio: bytes) -> bytes:
        """The message that carries this audio."""
        return self._encode(audio)

    def take_audio(self, audio_data: bytes) -> None:
        """As `send_audio`, of audio that was checked. Where the application ends turns, it also begins one."""
        if self._by_hand and not self._active and audio_data:
            self.open_socket().send_text(codec.encode({"realtimeInput": {"activityStart": {}}}))
            self._active = True
        super().take_audio(audio_data)

    async def commit_audio(self) -> None:
        """Declare the audio sent so far a turn of the user, which is answered.

        Raises:
            UnsupportedFeatureError: the vendor finds the turns.
            MessageError: there is none (`empty`).
        """
        socket = self.open_socket()
        if not self._by_hand:
            raise self.unsupported("ending a turn by hand, unless turn_detection is 'none'")
        if not self._active:
            raise MessageError("there is no audio to commit", provider=self.name, code="empty")
        self._active = False
        socket.send_text(codec.encode({"realtimeInput": {"activityEnd": {}}}))
        self._tell(self._turns.committed(self._now()))

    # -- text and responses

    async def send_text(self, text: str, role: str = "user") -> None:
        """Put a text into the conversation. The text of a user is answered, after what is being answered now.

        Raises:
            MessageError: the text is empty, or the role is unknown.
            UnsupportedFeatureError: this model takes no words but the user's.
        """
        self.open_socket()
        if role not in ("user", "system", "assistant"):
            raise MessageError(
                f"role {role!r} is unknown; it is user, system or assistant", provider=self.name
            )
        self.need_text(text)
        if role == "user":
            self._say(shape.content("user", text), answer=True)
        elif not self._traits.client_content:
            raise self.unsupported(f"words of the {role} in mid-conversation with this model")
        elif role == "assistant":
            self._say(shape.content("model", text), answer=False)
        elif self._traits.context_update:
            self._note(text)
        else:
            self._say(shape.content("user", shape.note(text)), answer=False)

    def _note(self, text: str) -> None:
        if len(self._notes) == MAX_NOTES:
            words = (
                f"of {MAX_NOTES} notes in the instructions, the oldest was left out for a new one"
            )
            self.emit(ev.SystemWarning(code="note_left_out", message=words, **self.meta()))
        self._notes.append(text)
        self._update_context({"systemInstruction": self._instruction()})

    def _instruction(self) -> dict[str, Any] | None:
        return shape.instruction_of(self.config, list(self._notes))

    def _update_context(self, update: Mapping[str, Any]) -> None:
        self.open_socket().send_text(codec.encode({"contextUpdate": update}))

    async def create_response(
        self, modalities: list[str] | None = None, *, instructions: str | None = None
    ) -> None:
        """Ask for a response, after the present one. `instructions` are for this one only.

        Raises:
            UnsupportedFeatureError: this model answers the user alone; or an answer without speech.
            ProviderError: too much waits for the end of the present one (`overloaded`).
        """
        self.open_socket()
        if not self._traits.client_content:
            raise self.unsupported("a response on request with this model")
        if modalities is not None and "audio" not in modalities:
            raise self.unsupported("answers in text alone")
        if self._by_hand and self._turns.due and not self._turns.busy:
            return  # the turn that was committed is answered already
        told = shape.content("user", shape.note(instructions)) if instructions else None
        self._say(told, answer=True)

    async def interrupt(self) -> None:
        """Call off the answer that is under way, or asked for. Without one, nothing happens.

        Raises:
            UnsupportedFeatureError: this model can be stopped only by the user's voice.
        """
        self.open_socket()
        if not (self._turns.due or self._waiting):
            return
        if not self._traits.client_content:
            raise self.unsupported("calling off what this model says")
        # What was written stays in the conversation, unanswered.
        waiting, self._waiting = self._waiting, []
        events = self._turns.interrupt(self._now())
        self._send([(content, False) for content, _ in waiting])
        self._tell(events)

    async def truncate_item(self, item_id: str, heard_ms: float, heard_text: str) -> None:
        """Tell the model by a note what was heard of its answer (`correct_heard`).

        Raises:
            MessageError: it has said nothing by that id (`item_not_found`).
        """
        self.open_socket()
        if not self.capabilities.truncate:
            raise self.unsupported("truncation, unless correct_heard is set")
        if not self._turns.knows_item(item_id):
            raise MessageError(
                f"no item {item_id!r} was said on this connection",
                provider=self.name,
                code="item_not_found",
            )
        heard = f'the user heard only: "{heard_text}"' if heard_text else "the user heard nothing"
        words = shape.note(f"Your last answer was cut short; of it {heard}")
        self._say(shape.content("user", words), answer=False)

    # -- tools

    async def send_tool_result(self, call_id: str, output: str) -> None:
        """Give it what a tool returned; it goes on by itself.

        Raises:
            MessageError: no call of that id is waiting (`unknown_call`).
        """
        socket = self.open_socket()
        self.need_call(call_id, self._turns.calls)
        name = self._turns.returned(call_id)
        response: dict[str, Any] = {"id": call_id, "name": name, "response": _object_of(output)}
        scheduling = self.config.option("tool_scheduling")
        if scheduling is not None:
            response["scheduling"] = scheduling.upper()
        socket.send_text(codec.encode_tool_response([response]))

    # -- settings

    async def configure_session(self, config: Mapping[str, Any]) -> None:
        """Change instructions and tools, where the model lets them change, and what is told of the user's words.

        Raises:
            UnsupportedFeatureError: anything else, which is settled when the session starts.
        """
        self.open_socket()
        known = _LOCAL | _CONTEXT if self._traits.context_update else _LOCAL
        self.need_changeable(config, known, "once the session has started")
        self.config.update(**dict(config))
        self._set_local(self._turns)
        update: dict[str, Any] = {}
        if "instructions" in config:
            update["systemInstruction"] = self._instruction() or {"parts": [{"text": ""}]}
        if "tools" in config:
            update["tools"] = {"tools": shape.tools_of(self.config)}
        if update:
            self._update_context(update)
        self.emit(ev.SessionUpdated(settings=dict(config), **self.meta()))

    async def add_conversation_history(self, items: Sequence[Item]) -> None:
        """Give it an earlier conversation, before `connect`.

        Raises:
            MessageError: it comes too late (`history_late`).
        """
        if items:
            self.need_early("the connection is opened", late=self.begun)
            self._history += items

    async def send_event(self, event: Mapping[str, Any]) -> None:
        """Send a message in the vendor's own words: {"clientContent": {...}}, say.

        Raises:
            MessageError: it is nothing that JSON can hold.
        """
        socket = self.open_socket()
        message = self.as_json(event)
        content = event.get("clientContent")
        if isinstance(content, Mapping) and content.get("turnComplete"):
            self._turns.asked()
        socket.send_text(message)

    async def get_usage(self) -> dict[str, Any] | None:
        """The model and the tokens so far, by kind."""
        return self._used.total()


def _object_of(output: str) -> dict[str, Any]:
    """A result as the object that the vendor wants."""
    try:
        value = msgspec.json.decode(output)
    except (msgspec.DecodeError, ValueError, RecursionError):
        value = output
    return value if isinstance(value, dict) else {"output": value}
