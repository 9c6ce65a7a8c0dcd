"""The user of a call and the application: an open microphone, a listener, a tool, and the deeds of a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, cast

from chaos.far_side import FarSide
from chaos.listener import Listener
from chaos.plan import MS_PER_WORD, Deed, Plan, Turn
from chaos.record import Record, Said
from voxengine import VoiceEngine
from voxengine import events as ev
from voxengine.audio.level import silence
from voxengine.audio.signal import speak
from voxengine.errors import VoiceEngineError

if TYPE_CHECKING:
    from voxengine.conversation.injection import Injection, InjectionPoint
    from voxengine.session.moments import When

__all__ = ["Caller"]

#: Virtual seconds that one call of the engine may take, and within which a call has to come to rest.
CALL_BUDGET = 60.0
REST_BUDGET = 120.0
#: Nobody has had anything to say for so long: the call is at rest. If what was said is not in the log, there may be
#: nothing to be seen of what goes on, so that it takes longer.
_REST, _REST_UNHEARD = 1.0, 20.0
_LOOK = 0.1
#: Seconds after which a user who wants to speak into the answer no longer waits for it.
_PATIENCE = 20.0
#: How often the application tries to open a call, and how long it waits in between.
_TRIES, _TRY_PAUSE = 12, 1.0


class Caller:
    """Holds one call as planned."""

    def __init__(self, plan: Plan, far: FarSide, record: Record, listener: Listener) -> None:
        self.plan = plan
        self.record = record
        self.listener = listener
        self._far = far
        self._tasks: set[asyncio.Task[None]] = set()
        self._injections: list[tuple[str, Injection]] = []
        self._words = bytearray()
        self._away = True
        first, *others = far.names
        settings = plan.config | ({"fallback": others} if plan.chain else {})
        self.engine = VoiceEngine(provider=first, **settings)
        self.engine.on("*", self._noted)
        self.engine.tool(self.look)

    # -- what the engine tells

    def _noted(self, event: Any) -> None:
        self.record.event(event)
        match event:
            case ev.AudioOutputChunk():
                self.listener.play(event.item_id or "", event.audio_data, self.record.now())
            case ev.AudioOutputStopped(interrupted=True):
                self.listener.stop(self.record.now())
            case ev.ErrorGeneral(recoverable=False):
                self._away = True

    async def look(self, what: str) -> str:
        """Look something up."""
        runs = self.record.tool_runs.setdefault(what, [])
        runs.append("begun")
        self.record.note(f"tool     look {what} begins")
        try:
            await asyncio.sleep(self.plan.tool_seconds)
        except asyncio.CancelledError:
            runs.append("called off")
            raise
        runs.append("done")
        return f"r{what[1:]}"

    # -- the call

    async def hold(self) -> None:
        """The whole call."""
        await self._open()
        self._spawn(self._microphone())
        for turn in self.plan.turns:
            await self._turn(turn)
        if not self.plan.abrupt:
            await self._rest()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self.listener.stop(self.record.now())
        await self._do("disconnect", self.engine.disconnect())
        self.record.hung += [
            f"nobody tells what became of a note for {when}"
            for when, injection in self._injections
            if injection.status == "queued"
        ]

    async def _open(self) -> None:
        for _ in range(_TRIES):
            if await self._do("connect", self.engine.connect()):
                self._away = False
                return
            await asyncio.sleep(_TRY_PAUSE)

    async def _turn(self, turn: Turn) -> None:
        if self._away:
            await self._open()
        now = self.record.now()
        said = Said(turn.number, turn.kind, turn.words, turn.own, began=now)
        self.record.said.append(said)
        for deed in self.plan.deeds:
            if deed.turn == turn.number:
                self._spawn(self._deed(deed))
        self.record.note(f"user     {turn.kind}: {turn.words}")
        if turn.kind == "typed":
            if not await self._do("send_text", self.engine.send_text(turn.words)):
                self.record.told.append((self.record.now(), "refused"))
        else:
            await self._say(turn.words)
        said.ended = self.record.now()
        if turn.wait == "quiet":
            await self._rest()
        elif turn.wait == "answer":
            await self._sound()
        await asyncio.sleep(turn.pause)

    async def _say(self, words: str) -> None:
        self._words += speak(words, self.engine.config.input_format, ms_per_word=MS_PER_WORD)
        while self._words:  # noqa: ASYNC110 - the microphone takes them away
            await asyncio.sleep(self.plan.frame_ms / 1000)

    async def _microphone(self) -> None:
        """Sends what is said, and silence otherwise."""
        format = self.engine.config.input_format
        size, quiet = format.n_bytes(self.plan.frame_ms), silence(self.plan.frame_ms, format)
        heard = True
        while True:
            frame = bytes(self._words[:size])
            del self._words[:size]
            try:
                async with asyncio.timeout(CALL_BUDGET):
                    await self.engine.send_audio(frame + quiet[len(frame) :])
            except TimeoutError:
                self.record.hung.append("send_audio did not return")
                return
            except VoiceEngineError:
                if heard or frame:
                    self.record.told.append((self.record.now(), "refused"))
                heard = False
            else:
                heard = True
            await asyncio.sleep(self.plan.frame_ms / 1000)

    async def _rest(self) -> None:
        """Wait until nobody has had anything to say for a while."""
        deadline = self.record.now() + REST_BUDGET
        calm = 0.0
        while calm < (_REST if self._understood() else _REST_UNHEARD):
            if self.record.now() > deadline:
                self.record.hung.append(
                    f"after turn {self.record.said[-1].number} the call did not come to rest: "
                    f"{self.engine.state}, {'connected' if self.engine.is_connected else 'not connected'}"
                )
                return
            if self._away:
                await self._open()
            await asyncio.sleep(_LOOK)
            still = self.engine.state == "idle" and self.engine.is_connected and not self._words
            calm = calm + _LOOK if still else 0.0
        for said in self.record.said[-1:]:
            said.quiet = self.record.now()
        self.record.note("user     all is quiet")

    def _understood(self) -> bool:
        """Whether all of what was said last is in the log."""
        text = " ".join(i.text for i in self.engine.conversation.messages if i.role == "user")
        return all(word in text for said in self.record.said[-1:] for word in said.own)

    async def _sound(self) -> None:
        """Wait until an answer can be heard."""
        seen, deadline = len(self.record.entries), self.record.now() + _PATIENCE
        while self.record.now() < deadline and not self._away:
            await asyncio.sleep(_LOOK)
            new = self.record.entries[seen:]
            if any(type(entry) is ev.AudioOutputStarted for _, entry in new):
                return
            seen += len(new)

    # -- deeds

    async def _deed(self, deed: Deed) -> None:
        await asyncio.sleep(deed.after)
        self.record.note(f"deed     {deed.kind} {deed.value}")
        provider = self.engine.provider
        vendor = self._far.vendors.get(provider.name) if provider is not None else None
        match deed.kind:
            case "interrupt":
                self._called_off()
                await self._do("interrupt", self.engine.interrupt())
            case "note":
                await self._do("note", self.engine.send_text("a note", role="system"))
            case "switch":
                number, when = deed.value.split()
                name = self._far.names[int(number)]
                switch = self.engine.switch_provider(name, when=cast("When", when))
                await self._do(f"switch to {name}", switch)
            case "inject":
                self._inject(cast("InjectionPoint", deed.value))
            case "update":
                await self._do("update", self.engine.update_session(temperature=0.7))
            case "strike" if vendor is not None:
                vendor.strike(deed.value)
            case "late_audio" if vendor is not None:
                vendor.late_audio()
            case "outage" if vendor is not None:
                await vendor.outage(float(deed.value))

    def _inject(self, when: InjectionPoint) -> None:
        """Put in a note, of which nobody hears. That it is refused while nobody is there is an answer."""
        try:
            self._injections.append((when, self.engine.inject("a note", when=when, ttl=30.0)))
        except VoiceEngineError as failure:
            self.record.note(f"refused  inject: {type(failure).__name__}")

    def _called_off(self) -> None:
        for said in self.record.said[-1:]:
            said.called_off = said.quiet is None

    # -- inside

    async def _do(self, what: str, call: Awaitable[Any]) -> bool:
        """Ask the engine for something. That it refuses is an answer; that it never returns is none."""
        try:
            async with asyncio.timeout(CALL_BUDGET):
                await call
        except TimeoutError:
            self.record.hung.append(f"{what} did not return within {CALL_BUDGET:g} s")
            return False
        except VoiceEngineError as failure:
            code = getattr(failure, "code", type(failure).__name__)
            self.record.note(f"refused  {what}: {code}")
            return False
        except Exception as failure:
            self.record.crashed.append(f"{what} raised {failure!r}")
            return False
        return True

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work, name="chaos")
        self._tasks.add(task)
